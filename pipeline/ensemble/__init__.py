"""Several models' out-of-fold predictions become one prediction, with a score that was not fitted to the rows it is scored on."""
