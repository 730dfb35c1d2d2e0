"""From scores to an order of forgetting, and the groups in which it is done."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from privaudit.errors import UsageError
from privaudit.seeds import generator

ORDERS = ("risk", "loss", "tail", "random", "none")


def order_rows(table: pd.DataFrame, order: str, descending: bool, seed: int) -> npt.NDArray[np.int64]:
    """Positions of the table's rows in the order in which they are to be forgotten.

    Parameters
    ----------
    table
        Score rows of the forget set.
    order
        ``risk``, ``loss`` and ``tail`` ascend (the paper's hard-to-easy: low risk first); ``random`` is seeded;
        ``none`` keeps the rows as they are.
    descending
        Reverse the order.
    seed
        For ``random``.
    """
    if order not in ORDERS:
        raise UsageError(f"unknown order '{order}'", hint=f"Known orders: {', '.join(ORDERS)}.")
    ids = table["sample_id"].to_numpy()
    if order == "none":
        rows = np.arange(len(table))
    elif order == "random":
        rows = generator(seed, "order").permutation(len(table))
    elif order == "loss":
        rows = np.lexsort((ids, table["loss"].to_numpy()))
    elif order == "risk":
        rows = np.lexsort((ids, table["lira"].to_numpy(), table["risk"].to_numpy()))
    else:
        # The body first, the tail last; within each the most confident first.
        rows = np.lexsort((ids, table["loss"].to_numpy(), table["tail"].to_numpy()))
    return (rows[::-1] if descending else rows).astype(np.int64)


def cumulative_groups(ordered: npt.NDArray[np.int64], groups: int) -> list[npt.NDArray[np.int64]]:
    """Nested groups D₁ ⊂ … ⊂ D_G = D_u of linearly growing size, as in the paper's SeqUnlearn module."""
    if not 1 <= groups <= len(ordered):
        raise UsageError(f"{groups} groups of {len(ordered)} samples: there must be at least one sample a group")
    ends = np.round(np.linspace(0, len(ordered), groups + 1)[1:]).astype(int)
    return [ordered[:end] for end in ends]
