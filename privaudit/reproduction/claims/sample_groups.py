"""Which samples an experiment forgets or looks at, for each seed anew."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from privaudit.errors import EvidenceError
from privaudit.reproduction.claims.experiment import (
    ATTACKED,
    INVERTIBLE,
    LEAST_ATTACKED,
    LEAST_INVERTIBLE,
    PART,
    RANDOM,
)
from privaudit.runtime.seeds import generator
from privaudit.trials.order_comparison import FEWEST_SEEDS
from privaudit.unlearning.requests.forget_set import HALF, ForgetSet, choose_forget_set

Rows = npt.NDArray[np.int64]

#: The paper's groups have 100 samples; of a small pool no more than this share, and never fewer than `FEWEST`.
GROUP, SHARE, FEWEST = 100, 0.1, 3

#: Disjoint parts of the training set that seeds take their groups from: as many as a verdict needs draws.
PARTS = FEWEST_SEEDS

#: Fewer of either kind are no group.
FEWEST_MEASURED = 2

GROUPS = (INVERTIBLE, LEAST_INVERTIBLE, ATTACKED, LEAST_ATTACKED, RANDOM)


def choose_set(name: str, table: pd.DataFrame, class_names: tuple[str, ...], seed: int) -> ForgetSet:
    """A forget set by name: a group, or what ``--forget`` takes."""
    if name not in GROUPS:
        return choose_forget_set(name, table, class_names, seed)
    # A group takes at most a tenth of the pool, but it may take most of a small class.
    labels, rows = table["label"].to_numpy(), choose_group(name, table, seed)
    lost = [np.mean(np.isin(np.flatnonzero(labels == label), rows)) for label in np.unique(labels)]
    return ForgetSet(rows, scattered=bool(max(lost) <= HALF))


def choose_group(name: str, table: pd.DataFrame, seed: int) -> Rows:
    """Rows of a group, sorted.

    Every seed has a part of the training set of its own (`part_of`), so that no sample is in the groups of two seeds.
    Its most invertible samples (by the mean PSNR of feature matching, T1, where that was measured), its samples of the
    highest ASR, and as many at random make the paper's groups. Their counterparts are the least invertible, and those
    of the lowest ASR, with as many of each class.

    Raises
    ------
    EvidenceError
        Where inversion is asked for and was not measured.
    """
    part = part_of(len(table), seed)
    size = group_size(len(part))
    if name == RANDOM:
        return np.sort(generator(seed, "experiment-random").permutation(part)[:size])
    if name in (INVERTIBLE, LEAST_INVERTIBLE):
        ease = table["t1_psnr"].to_numpy(np.float64)
        part = part[np.isfinite(ease[part])]
        size = min(group_size(len(part)), len(part) // 2)
        if size < FEWEST_MEASURED:
            raise EvidenceError(
                "no feature matching (T1) was run on this audit, so nobody knows which samples are easily inverted",
                hint="Score it with --invert groups, on images, with a network that ends in a fully connected layer.",
            )
    else:
        # Rank 1 is the highest risk; equal risks are already told apart by LiRA's ratio.
        ease = -table["rank"].to_numpy(np.float64)
    ordered = part[np.argsort(-ease[part], kind="stable")]
    highest = ordered[:size]
    if name in (INVERTIBLE, ATTACKED):
        return np.sort(highest)
    return _lowest_of_same_classes(table["label"].to_numpy(), ordered, highest)


def part_of(samples: int, seed: int) -> Rows:
    """Rows of a seed's own part of the training set, sorted: one of `PARTS`, and the same again after so many seeds.

    Groups of one ranking that two seeds share would not be two draws: what is peculiar to these samples by chance would
    come back on every seed, and no spread over seeds could tell it.
    """
    shuffled = generator(0, "experiment-parts").permutation(samples)
    return np.sort(shuffled[seed % PARTS :: PARTS])


def name_of_part(seed: int) -> str:
    """What tells a seed's part from the others, in a table of runs."""
    return f"{PART} {seed % PARTS}"


def group_size(pool: int) -> int:
    """How many of a pool make a group."""
    return max(FEWEST, min(GROUP, round(SHARE * pool)))


def _lowest_of_same_classes(labels: npt.NDArray[np.int64], ordered: Rows, highest: Rows) -> Rows:
    """From the end of the order, as many of each class as in ``highest``; fewer where a class has no more."""
    rest = ordered[len(highest) :][::-1]
    chosen = [rest[labels[rest] == label][: np.sum(labels[highest] == label)] for label in np.unique(labels[highest])]
    return np.sort(np.concatenate(chosen))
