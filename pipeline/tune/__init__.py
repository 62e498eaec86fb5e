"""Tuning: which values of a recipe's parameters are best, searched with Optuna on the folds that every model shares.

A trial is a recipe; its folds are units like any others, one after another in the order of the plan, so that a trial that is
clearly worse ends early, and one that was killed goes on at the fold it was in. `search.py` is the whole of it.
"""
