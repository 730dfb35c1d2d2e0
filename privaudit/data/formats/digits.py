"""scikit-learn's handwritten digits: 1,797 images of 8×8 pixels, embedded, no download."""

from __future__ import annotations

import numpy as np

from privaudit.data.dataset import Split
from privaudit.data.sampling import stratified_rows

TEST_SAMPLES = 360


def read_digits() -> tuple[Split, Split, tuple[str, ...]]:
    """Read the digits, split once and for all into 1,437 training and 360 test images (stratified)."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.round(bunch.images * (255 / 16)).astype(np.uint8)[..., np.newaxis]
    labels = bunch.target.astype(np.int64)
    # The split is part of the dataset: the same for every seed.
    test = stratified_rows(labels, TEST_SAMPLES, 0, "digits-test")
    train = np.setdiff1d(np.arange(len(labels)), test)
    splits = [Split(labels[part], images[part].__getitem__) for part in (train, test)]
    return splits[0], splits[1], tuple(map(str, range(10)))
