"""Canaries: samples whose membership is drawn by us, so that what the attack says of them can be checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.data import Dataset
from privaudit.errors import UsageError
from privaudit.runtime.seeds import generator


@dataclass(frozen=True)
class Canaries:
    """Test images with a wrong label, which join the shadow pool and nothing else."""

    rows: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)


def choose_canaries(data: Dataset, count: int, seed: int) -> Canaries:
    """Draw ``count`` test samples and give each a wrong label."""
    if count > len(data.y_test) // 2:
        raise UsageError(
            f"--canaries {count}: canaries are test samples, and at most half of the {len(data.y_test)} may become one"
        )
    random = generator(seed, "canaries")
    rows = random.permutation(len(data.y_test))[:count]
    offset = random.integers(1, data.classes, size=count)
    return Canaries(rows, (data.y_test[rows] + offset) % data.classes)


def own_ids(sample_ids: npt.NDArray[Any], canaries: int) -> npt.NDArray[Any]:
    """Ids of canaries, which no sample has."""
    if sample_ids.dtype.kind != "U":
        return -1 - np.arange(canaries, dtype=np.int64)
    word = "canary"
    while np.char.startswith(sample_ids, word).any():
        word = f"_{word}"
    return np.array([f"{word} {number}" for number in range(1, canaries + 1)], np.str_)
