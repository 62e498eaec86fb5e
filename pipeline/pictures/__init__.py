"""Files of pictures: reading them safely, knowing which are the same, and having them at hand as decoded pixels."""
