"""Which samples are handed over at which stage, and how many gradients that may take: the paper's SeqUnlearn module.

Algorithm 1 leaves λ₀, the pace, the number of groups and the epochs a stage open. Every reading that an option offers
is here; docs/unlearning.md says how each fills the gaps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import nn

from privaudit.config import Sequencing
from privaudit.errors import UsageError
from privaudit.unlearning.schedule.ordering import DYNAMIC, check_order, group_ends, split_groups

Rows = npt.NDArray[np.int64]

#: Orders D_u under the model as it is now: rows of the pool, the first to be forgotten first, and their scores.
Ranking = Callable[[nn.Module], tuple[Rows, npt.NDArray[np.float64]]]

#: Chooses a stage's rows when it begins, given the model as it is then and the rows that were handed over before.
Choice = Callable[[nn.Module, Rows], Rows]


def sequencing_of(settings: Sequencing) -> Sequencing:
    """Return how the forget set is handed over, checked, of a request for that and more."""
    sequencing = Sequencing.of(settings)
    if settings.pace == "self-paced":
        if "rerank" in settings.model_fields_set and settings.rerank == "static":
            raise UsageError(
                "--pace self-paced asks at every stage which losses lie below λ: it can't be static",
                hint="Losses of before alone are --pace linear --order loss.",
            )
        sequencing = sequencing.changed(rerank="dynamic")
    check_sequencing(sequencing)
    return sequencing


def check_sequencing(sequencing: Sequencing) -> None:
    """Raise `UsageError` for an order that is unknown, or choices that contradict each other."""
    check_order(sequencing.order)
    by_class = sequencing.rank_by == "class"
    if sequencing.pace == "self-paced":
        by_rising_loss = sequencing.order == "loss" and not sequencing.descending and not by_class
        if not by_rising_loss or sequencing.grouping != "cumulative":
            raise UsageError(
                "--pace self-paced is Algorithm 1 as written: it selects samples by rising loss",
                hint="Give it with --order loss and without --descending, --rank-by or --grouping.",
            )
    elif sequencing.rerank == "dynamic" and (sequencing.order not in DYNAMIC or by_class):
        raise UsageError(
            f"--rerank dynamic: a model in the middle of unlearning has no new {sequencing.order}"
            + (" of a class" if by_class else ""),
            hint=f"Orders that can be measured again, by sample: {', '.join(DYNAMIC)}.",
        )


@dataclass(frozen=True)
class Stage:
    """Rows of the pool to forget now, and how many forget-sample gradients that may take.

    Where ``choose`` is given, it says at the stage's beginning which rows they are; ``rows`` are then those that the
    original model would have given. The budget is for as many rows as were planned: fewer rows spend less.
    """

    rows: Rows
    budget: int
    choose: Choice | None = None
    retain: Rows | None = None

    def rows_now(self, model: nn.Module, reached: Rows) -> Rows:
        """The rows of this stage, now that it begins."""
        return self.rows if self.choose is None else self.choose(model, reached)

    def budget_for(self, rows: Rows) -> int:
        """What may be spent on these rows."""
        return min(self.budget, round(self.budget * len(rows) / len(self.rows)))


def plan_stages(groups: list[Rows], passes: float, budget: str = "matched") -> list[Stage]:
    """Give every group its budget of forget-sample gradients.

    ``matched``: passes × |D_u| in all, shared in proportion to group size, exactly. Nested groups with ``passes`` each
    (``per-stage``) would show a forget sample about (G + 1)/2 times as often as a one-shot run does.
    """
    sizes = np.array([len(group) for group in groups], np.float64)
    if budget == "matched":
        total = round(passes * len(np.unique(np.concatenate(groups))))
        ends = np.round(total * np.cumsum(sizes) / sizes.sum()).astype(int)
        shares = np.diff(ends, prepend=0)
    else:
        shares = np.round(passes * sizes).astype(int)
    return [Stage(rows, int(share)) for rows, share in zip(groups, shares, strict=True)]


def sequence_of(
    ranking: Ranking, model: nn.Module, sequencing: Sequencing, passes: float, retain: Rows | None = None
) -> list[Stage]:
    """The stages that a request for `Sequencing` comes to.

    Parameters
    ----------
    ranking
        Orders D_u.
    model
        The original model.
    sequencing
        Checked choices.
    passes
        Of the method over D_u.
    retain
        D_r, for ``stage_retain="complement"``.
    """
    ordered, scores = ranking(model)
    if sequencing.order == "none":
        return plan_stages([ordered], passes)
    count = min(sequencing.groups, len(ordered))
    pace = "linear" if sequencing.pace == "self-paced" else sequencing.pace
    ends = group_ends(len(ordered), count, pace, scores)
    stages = plan_stages(split_groups(ordered, ends, sequencing.grouping), passes, sequencing.budget)
    if sequencing.pace == "self-paced":
        thresholds = growing_thresholds(scores, ends)
        stages = [
            Stage(stage.rows, stage.budget, choose=_below(ranking, threshold))
            for stage, threshold in zip(stages, thresholds, strict=True)
        ]
    elif sequencing.rerank == "dynamic":
        stages = [
            Stage(stage.rows, stage.budget, choose=_first_of(ranking, int(end), sequencing.grouping))
            for stage, end in zip(stages, ends, strict=True)
        ]
    if sequencing.stage_retain == "complement" and retain is not None:
        stages = [
            Stage(stage.rows, stage.budget, stage.choose, np.sort(np.concatenate([retain, ordered[end:]])))
            for stage, end in zip(stages, ends, strict=True)
        ]
    return stages


def growing_thresholds(scores: npt.NDArray[np.float64], ends: Rows) -> npt.NDArray[np.float64]:
    """λ_t of Algorithm 1, ``[T]``: under the original model exactly the first ``ends[t]`` samples have l_i < λ_t.

    λ₀ and "update λ to a larger value" are undefined in the paper. These are the losses of the original model midway
    between the last sample that stage t reaches and the next (of equal losses all are reached); the last λ is just
    above the largest.
    """
    following = np.append(scores[ends[:-1]], np.nextafter(scores[-1], np.inf))
    last = scores[ends - 1]
    middle = (last + following) / 2
    # Between equal or neighbouring numbers there is no middle, and λ has to lie above the last sample.
    thresholds: npt.NDArray[np.float64] = np.where(middle > last, middle, np.nextafter(last, np.inf))
    return thresholds


def _below(ranking: Ranking, threshold: float) -> Choice:
    """v_i = 1 where l_i < λ (eq. 5), by the model as it is now: a sample whose loss has passed λ takes no part."""

    def choose(model: nn.Module, reached: Rows) -> Rows:
        ordered, scores = ranking(model)
        return ordered[scores < threshold]

    return choose


def _first_of(ranking: Ranking, end: int, kind: str) -> Choice:
    """The first ``end`` in today's order; of disjoint groups those of today's order that were not handed over yet."""

    def choose(model: nn.Module, reached: Rows) -> Rows:
        ordered, _ = ranking(model)
        if kind == "cumulative":
            return ordered[:end]
        waiting = ordered[~np.isin(ordered, reached)]
        return waiting[: end - len(reached)]

    return choose
