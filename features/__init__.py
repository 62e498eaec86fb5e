"""Fold-safe building blocks for the features of any table: sklearn-style transformers that know no competition."""
