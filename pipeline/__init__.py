"""What is the same for every competition: folds, training, the store, ensembles, the command line."""
