"""The training of a model: the fit loop, its callbacks, groups of runs."""
