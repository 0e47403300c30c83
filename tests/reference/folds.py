"""Which fold every item is in, told by shuffling each run of items."""

import numpy as np


def fold_numbers(count, folds):
    """Of every item: in each run of as many items as there are folds, place p is that of a shuffled fold."""
    places = np.random.default_rng(0).permuted(np.tile(np.arange(folds), (-(-count // folds), 1)), axis=1)
    return np.array([run.tolist().index(place) for run in places for place in range(folds)])[:count]
