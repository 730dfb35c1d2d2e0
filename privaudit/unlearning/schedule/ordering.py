"""From scores to an order of forgetting, and the groups in which it is done."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from privaudit.errors import UsageError
from privaudit.runtime.seeds import generator

#: What each order sorts by: columns of the score table, the first one first, all ascending. Equal samples go by id.
KEYS = {
    "risk": ("risk", "lira"),
    "loss": ("loss",),
    "inversion": ("inversion_success",),
    "entropy": ("entropy",),
    # The body of each class first, its tail last; within each the most confident first.
    "tail": ("tail", "loss"),
    "memorisation": ("memorisation",),
}
ORDERS = (*KEYS, "random", "none")

#: Orders whose score a model in the middle of unlearning has too.
DYNAMIC = ("risk", "loss", "entropy")


def check_order(order: str) -> None:
    """Raise `UsageError` unless ``--order`` takes this name."""
    if order not in ORDERS:
        raise UsageError(f"unknown order '{order}'", hint=f"Known orders: {', '.join(ORDERS)}.")


def order_rows(
    table: pd.DataFrame, order: str, descending: bool, seed: int, unit: str = "sample"
) -> npt.NDArray[np.int64]:
    """Positions of the table's rows in the order in which they are to be forgotten.

    Parameters
    ----------
    table
        Score rows of the forget set.
    order
        One of `ORDERS`. Those of `KEYS` ascend (the paper's hard-to-easy: low risk first); ``random`` is seeded;
        ``none`` keeps the rows as they are.
    descending
        Reverse the order.
    seed
        For ``random``.
    unit
        ``sample``; or ``class``: whole classes by their mean score, and within a class by sample.

    Raises
    ------
    UsageError
        For an unknown order, or one whose score was never measured.
    """
    check_order(order)
    if order == "none":
        rows = np.arange(len(table))
    elif order == "random":
        random = generator(seed, "order")
        rows = random.permutation(len(table))
        if unit == "class":
            labels = table["label"].to_numpy()
            place = random.permutation(int(labels.max()) + 1)
            rows = rows[np.argsort(place[labels[rows]], kind="stable")]
    else:
        rows = _by_score(table, order, unit)
    rows = (rows[::-1] if descending else rows).astype(np.int64)
    # What was never measured comes last, whichever way round.
    return rows[np.argsort(score_of(table, order)[rows] == np.inf, kind="stable")]


def score_of(table: pd.DataFrame, order: str, unit: str = "sample") -> npt.NDArray[np.float64]:
    """The score that an order sorts by first, ``[n]``, infinite where it was never measured.

    For ``random`` and ``none`` every sample has its own.
    """
    if order not in KEYS:
        return np.arange(len(table), dtype=np.float64)
    column = KEYS[order][0]
    if column not in table or table[column].isna().all():
        raise UsageError(
            f"--order {order}: the audit's table holds no {column} of these samples",
            hint="Measure it first: privaudit score --invert all …, or --invert ids:FILE"
            if order == "inversion"
            else f"Choose another order: {', '.join(ORDERS)}.",
        )
    values = table[column].astype("float64")
    if unit == "class":
        values = values.groupby(table["label"].to_numpy()).transform("mean")
    scores: npt.NDArray[np.float64] = np.asarray(values.fillna(np.inf), np.float64)
    return scores


def _by_score(table: pd.DataFrame, order: str, unit: str) -> npt.NDArray[np.int64]:
    first = score_of(table, order, "sample")
    others = [table[name].to_numpy(np.float64) for name in KEYS[order][1:]]
    keys = [pd.factorize(table["sample_id"], sort=True)[0], *reversed(others), first]
    if unit == "class":
        keys += [table["label"].to_numpy(), score_of(table, order, unit)]
    rows: npt.NDArray[np.int64] = np.lexsort(keys).astype(np.int64)
    return rows


def group_ends(
    count: int, groups: int, pace: str, scores: npt.NDArray[np.float64] | None = None
) -> npt.NDArray[np.int64]:
    """How many samples, counted from the first, have been reached at the end of each stage, ``[G]``; the last is all.

    Parameters
    ----------
    count
        Number of samples n.
    groups
        Number of groups G, 1 … n.
    pace
        - linear: equally many more at each stage
        - geometric: twice as many at each stage, n/2^(G−1), …, n/2, n
        - quantile: as linear, but samples of equal score are never parted, so there may be fewer groups
    scores
        ``[n]`` in the order of forgetting, for ``quantile``.
    """
    if not 1 <= groups <= count:
        raise UsageError(f"{groups} groups of {count} samples: there must be at least one sample a group")
    if pace == "geometric":
        ends = np.round(count / 2.0 ** np.arange(groups - 1, -1, -1)).astype(np.int64)
        # Every stage brings at least one sample more.
        ends = np.maximum(ends, np.arange(1, groups + 1))
        ends = np.minimum(ends, count - np.arange(groups - 1, -1, -1))
    else:
        ends = np.round(np.linspace(0, count, groups + 1)[1:]).astype(np.int64)
    if pace == "quantile" and scores is not None:
        last_of_tie = np.append(np.flatnonzero(np.diff(scores) != 0), count - 1) + 1
        ends = np.unique(last_of_tie[np.searchsorted(last_of_tie, ends)])
    return ends


def split_groups(ordered: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], kind: str) -> list[npt.NDArray[np.int64]]:
    """The groups that end there: ``cumulative`` (D₁ ⊂ … ⊂ D_G = D_u, the paper's SeqUnlearn module) or ``disjoint``."""
    starts = np.zeros_like(ends) if kind == "cumulative" else np.concatenate([[0], ends[:-1]])
    return [ordered[start:end] for start, end in zip(starts, ends, strict=True)]
