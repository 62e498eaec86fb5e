"""Boxes in pictures: reading their annotations, judging predictions, and making one prediction of several."""
