"""Canaries: samples whose membership is drawn by us, so that what the attack says of them can be checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.data import Dataset
from privaudit.errors import UsageError
from privaudit.results.audit.audit_description import GRADIENT
from privaudit.runtime.seeds import generator

#: What canaries are where nothing is said; the kind that no audit's identity names.
MISLABELLED = "mislabelled"


@dataclass(frozen=True)
class Canaries:
    """Samples with a made-up label, which join the shadow pool and nothing else.

    ``rows`` are those of the test set that they take the place of: such rows are never-trained samples no longer.
    ``gradients`` counts canaries that are no samples, and join nothing: a training of its own has them.
    """

    rows: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    inputs: npt.NDArray[Any]
    kind: str = MISLABELLED
    gradients: int = 0

    def __len__(self) -> int:
        return len(self.rows)

    def identity(self) -> dict[str, object]:
        """Return what an audit is named by."""
        count = len(self) or self.gradients
        return {"canaries": count} | ({"canary_kind": self.kind} if count and self.kind != MISLABELLED else {})


def choose_canaries(data: Dataset, count: int, seed: int, kind: str = MISLABELLED) -> Canaries:
    """Draw ``count`` test samples and give each a wrong label, or put something that is no sample in their place.

    Parameters
    ----------
    data, count, seed
        Of the audit.
    kind
        ``mislabelled`` leaves inputs as they are; ``noise`` draws every number of theirs between the least and the
        largest that it has in training; ``blank`` gives each one value throughout, drawn in the same way. Of
        ``gradient`` none is a sample.
    """
    if kind == GRADIENT:
        return Canaries(np.zeros(0, np.int64), np.zeros(0, np.int64), data.x_test[:0], kind, gradients=count)
    if count > len(data.y_test) // 2:
        raise UsageError(
            f"--canaries {count}: canaries are test samples, and at most half of the {len(data.y_test)} may become one",
            hint=f"Use --canaries {len(data.y_test) // 2} or fewer; of a table, --test 50% leaves more to test with.",
        )
    random = generator(seed, "canaries")
    rows = random.permutation(len(data.y_test))[:count]
    offset = random.integers(1, data.classes, size=count)
    labels = (data.y_test[rows] + offset) % data.classes
    inputs = data.x_test[rows] if kind == MISLABELLED or not count else _made_up(data, count, seed, kind)
    return Canaries(rows, labels, inputs, kind)


def _made_up(data: Dataset, count: int, seed: int, kind: str) -> npt.NDArray[Any]:
    """Inputs of the data's shape and type that are none of its samples."""
    shape = data.x_train.shape[1:]
    random = generator(seed, "canaries", kind)
    share = random.random((count, *shape) if kind == "noise" else (count, *[1] * len(shape)))
    low, high = data.x_train.min(axis=0).astype(np.float64), data.x_train.max(axis=0).astype(np.float64)
    if data.is_image:
        # Of all pixels: those in the corners are often the same in every image.
        low, high = np.full_like(low, low.min()), np.full_like(high, high.max())
    made = low + share * (high - low)
    kept: npt.NDArray[Any] = (np.rint(made) if data.x_train.dtype.kind in "ui" else made).astype(data.x_train.dtype)
    return kept


def own_ids(sample_ids: npt.NDArray[Any], canaries: int) -> npt.NDArray[Any]:
    """Ids of canaries, which no sample has."""
    if sample_ids.dtype.kind != "U":
        return -1 - np.arange(canaries, dtype=np.int64)
    word = "canary"
    while np.char.startswith(sample_ids, word).any():
        word = f"_{word}"
    return np.array([f"{word} {number}" for number in range(1, canaries + 1)], np.str_)
