"""What a model gives away of a column beyond the population: right guesses of records that it saw less those of others.

Which half of the records a shadow model sees is drawn at random, so whatever holds in the population is guessed of both
halves alike. The difference is attribute inference's advantage (Yeom et al. 2018), and is 0 on average where the model
remembers nothing of single records. Its error is the jackknife's over pairs of models, each attack run again without
each pair.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from privaudit.results.audit.attribute_results import (
    PRIMARY,
    Advantage,
    AttributeAttack,
    GroupAdvantage,
)
from privaudit.results.measures import Interval, Share
from privaudit.scoring.attributes.attribute_attacks import (
    ATTACKS,
    Answers,
    Codes,
    Floats,
    Truths,
    calibrated_of_target,
)
from privaudit.statistics.intervals import wilson
from privaudit.statistics.jackknife import Refits, jackknife_error

#: The part of all guesses that counts as the surest.
SUREST = 0.1

#: The fewest records of a value or class that are told by themselves.
SMALLEST_GROUP = 20


#: A group's name, and which records are in it, bool ``[N]``.
Group = tuple[str, Truths]


@dataclass(frozen=True)
class Guesses:
    """Whether each guess is right, and how sure the attacker is of it: ``[S, N]`` each."""

    right: Truths
    sure: Floats

    @classmethod
    def of(cls, scores: Floats, truth: Codes) -> Guesses:
        """Guess the candidate with the highest of ``scores [S, N, V]``; sure is its share of the posterior."""
        best = scores.argmax(axis=-1)
        top = np.take_along_axis(scores, best[..., np.newaxis], axis=-1)
        sure: Floats = 1 / np.exp(scores - top).sum(axis=-1)
        return cls(best == truth, sure)


def judge_attacks(answers: Answers, of_target: tuple[Floats, Floats] | None = None) -> dict[str, AttributeAttack]:
    """Run every attack and hold what it guesses of seen records against what it guesses of others.

    Parameters
    ----------
    answers
        Of the shadow models.
    of_target
        The target's margins and losses ``[N, V]``.
    """
    found = {}
    for name, attack in ATTACKS.items():
        parts = _estimates(answers, attack, [_of_all, _of_surest])
        found[name] = AttributeAttack(
            **dict(parts[0]), surest=parts[1], target=_share_of_target(name, answers, of_target)
        )
    return found


def groups_of(codes: Codes, names: Sequence[str], fewest: int = SMALLEST_GROUP) -> list[Group]:
    """Return each group of ``fewest`` records or more: ``codes [N]`` says which of ``names`` a record belongs to."""
    masks = [(name, codes == code) for code, name in enumerate(names)]
    return [(name, mask) for name, mask in masks if mask.sum() >= fewest]


def judge_groups(answers: Answers, groups: Sequence[Group]) -> list[GroupAdvantage]:
    """The same of some records each, by the attack that was fixed beforehand."""
    if not groups:
        return []
    parts = _estimates(answers, ATTACKS[PRIMARY], [_within(mask) for _, mask in groups])
    return [
        GroupAdvantage(name=name, records=int(mask.sum()), **dict(part))
        for (name, mask), part in zip(groups, parts, strict=True)
    ]


def share_right(guesses: Floats, truth: Codes) -> Share:
    """How often the likeliest of ``guesses [N, V]`` is right, with Wilson's interval."""
    right = int((guesses.argmax(axis=1) == truth).sum())
    low, high = wilson(right, len(truth))
    return Share(rate=right / len(truth), ci=(float(low), float(high)), n=len(truth))


#: Takes guesses and who saw whom; returns the shares of right guesses among cells that were seen and among others.
Measure = Callable[[Guesses, Truths], tuple[float, float]]


def _of_all(guesses: Guesses, keep: Truths) -> tuple[float, float]:
    return _mean(guesses.right[keep]), _mean(guesses.right[~keep])


def _of_surest(guesses: Guesses, keep: Truths) -> tuple[float, float]:
    return _surest(guesses, keep), _surest(guesses, ~keep)


def _within(mask: Truths) -> Measure:
    def measure(guesses: Guesses, keep: Truths) -> tuple[float, float]:
        right, seen = guesses.right[:, mask], keep[:, mask]
        return _mean(right[seen]), _mean(right[~seen])

    return measure


def _surest(guesses: Guesses, cells: Truths) -> float:
    """Share of right guesses among the surest cells; of those as sure as the last of them, as many as there is room."""
    sure, right = guesses.sure[cells], guesses.right[cells].astype(np.float64)
    wanted = max(1, int(SUREST * len(sure)))
    edge = np.partition(sure, len(sure) - wanted)[len(sure) - wanted]
    above, tied = sure > edge, sure == edge
    room = wanted - int(above.sum())
    return float((right[above].sum() + room * right[tied].mean()) / wanted)


def _mean(right: Truths) -> float:
    return float(right.mean()) if len(right) else float("nan")


def _estimates(answers: Answers, attack: Callable[[Answers], Floats], measures: Sequence[Measure]) -> list[Advantage]:
    """Each measure of an attack, with the interval of its difference."""

    def shares(part: Answers) -> Floats:
        guesses = Guesses.of(attack(part), part.truth)
        return np.array([measure(guesses, part.keep) for measure in measures])

    whole = shares(answers)
    refits = Refits(len(answers.keep), lambda left: left)
    without = [shares(answers.of_models(left)) for left, _ in refits]
    found = []
    for index, (seen, unseen) in enumerate(whole):
        each = np.array([one[index, 0] - one[index, 1] for one in without])
        known = np.isfinite([seen, unseen])
        found.append(
            Advantage(
                seen=float(seen) if known[0] else None,
                unseen=float(unseen) if known[1] else None,
                advantage=float(seen - unseen) if known.all() else None,
                ci=_interval(float(seen - unseen), each) if known.all() else None,
            )
        )
    return found


def _interval(value: float, without: Floats) -> Interval | None:
    """A t-interval by the jackknife; None where there are too few pairs, or a group had no cell in some of them."""
    if len(without) < 2 or not np.isfinite(without).all():
        return None
    reach = float(stats.t.ppf(0.975, len(without) - 1)) * float(jackknife_error(without))
    return max(value - reach, -1.0), min(value + reach, 1.0)


def _share_of_target(name: str, answers: Answers, of_target: tuple[Floats, Floats] | None) -> float | None:
    if of_target is None:
        return None
    margins, losses = of_target
    if name == PRIMARY:
        scores = calibrated_of_target(answers, margins)
    else:
        alone = Answers(
            margins[np.newaxis], losses[np.newaxis], answers.keep[:1], answers.truth, answers.prior,
            answers.from_others, answers.from_all,
        )  # fmt: skip
        scores = ATTACKS[name](alone)[0]
    return float((scores.argmax(axis=1) == answers.truth).mean())
