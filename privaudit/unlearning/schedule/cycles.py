"""Cycle after cycle until the forget set looks never-seen, nothing more is gained, or the budget is spent.

Each cycle hands over only those that still look seen; the rest of D_u takes no part in training at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from torch import nn

from privaudit.results.unlearning.ledger import Look
from privaudit.unlearning.schedule.stages import Stage

Rows = npt.NDArray[np.int64]

#: A cycle that lowers the share of D_u that looks seen by less than this has gained nothing.
GAIN = 0.02

#: So many cycles are run in any case: what a network loses at the height of one it has won back after two.
LEAST = 2

#: At most this share of D_u is handed over in a cycle: those that look most as if they had been trained on.
MOST_HANDED = 0.5


@dataclass(frozen=True)
class Exposure:
    """How much each forget sample looks as if it had been trained on, and how never-seen samples look.

    Parameters
    ----------
    rows
        int64 ``[n]`` rows of the pool.
    ratio
        float64 ``[n]``: above 0 a sample looks seen.
    expected, within
        The share above 0 among models that never saw the sample, and by how much it may differ by chance.
    """

    rows: Rows
    ratio: npt.NDArray[np.float64]
    expected: float
    within: float

    @property
    def known(self) -> float:
        """Share that looks seen."""
        return float(np.mean(self.ratio > 0))

    def most_exposed(self) -> Rows:
        """Those that look seen, at most half of all, ascending; where none does, the half that comes closest."""
        most = max(1, round(MOST_HANDED * len(self.rows)))
        seen = int(np.sum(self.ratio > 0)) or most
        return np.sort(self.rows[np.argsort(-self.ratio, kind="stable")[: min(seen, most)]])

    def look(self, spent: int, handed: int) -> Look:
        """Return what goes into the ledger."""
        return Look(
            at=spent,
            known=round(self.known, 4),
            expected=round(self.expected, 4),
            within=round(self.within, 4),
            handed=handed,
        )


class Decider(Protocol):
    """Shadow models, or whatever else can tell whether a model still knows D_u."""

    #: In words.
    by: str

    def exposure(self, model: nn.Module) -> Exposure:
        """Look at the model as it is; neither its mode nor any random number changes."""


def cycles_of(rows: Rows, budget: int, cycles: int) -> list[Stage]:
    """So many cycles, each with a budget for all of D_u, of which less is spent where fewer are handed over."""
    return [Stage(rows, budget) for _ in range(cycles)]


def enough(looks: list[Look], now: Exposure) -> str | None:
    """Why to stop before another cycle, in words; None where to go on. The first two are always run."""
    if len(looks) < LEAST:
        return None
    found = now.look(0, 0)
    share = f"{100 * found.known:.0f}% of the forget set looks trained on"
    if found.never_seen:
        of_unseen = f"{100 * found.expected:.0f}% ± {100 * found.within:.0f}%"
        return f"it looks never-seen: {share}, where {of_unseen} of never-seen samples do"
    if looks[-1].known - found.known < GAIN:
        return f"nothing more was gained by another cycle: {share}, after {100 * looks[-1].known:.0f}% before it"
    return None
