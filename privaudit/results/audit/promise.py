"""A promise of differential privacy, and what canaries say of it: part of ``score.json``."""

from __future__ import annotations

from typing import Literal

from privaudit.results.base import Result

ClaimVerdict = Literal["refuted", "not refuted", "too little evidence"]

#: Who made a claim: the flags, the declaration, or the recipe dp-sgd of itself.
Claimant = Literal["flags", "declaration", "recipe"]


class GuessedCoins(Result):
    """One training: of so many canaries, each in by a coin, how many coins were guessed, and how many rightly."""

    correct: int
    guesses: int
    canaries: int


class CountedTrainings(Result):
    """Many trainings: how often one canary was told to be in where it was, and where it was not, of so many each."""

    hits: int
    alarms: int
    trials: int


class CountedSteps(Result):
    """One training of canaries that are gradients, each of whose steps was read.

    Parameters
    ----------
    steps
        How many.
    noise
        The deviation of the noise that was read, in clipping norms; 0 where one step alone was.
    hits, inside, alarms, outside
        How many were told to be in of those that were, and of those that were not.
    """

    steps: int
    noise: float
    hits: int
    inside: int
    alarms: int
    outside: int


class ClaimFound(Result):
    """A claim beside what was found of it.

    Parameters
    ----------
    epsilon, delta, claimant
        The claim: of datasets with a record more or less.
    confidence
        Of the verdict: where several tests are made, each has a share of its error.
    one_run, trials, steps
        The largest ε that each test refutes at that δ; None where it was not made. ``steps`` takes it that the noise is
        Gaussian and drawn anew for each number, as dp-sgd says of itself.
    bound
        The largest of them.
    refutable
        The largest ε that a perfect attack on the same canaries and trainings would have refuted.
    verdict
        ``refuted`` where the bound is above the claim, ``too little evidence`` where not even a perfect attack's would
        have been.
    """

    epsilon: float
    delta: float
    claimant: Claimant
    confidence: float
    one_run: float
    trials: float | None
    steps: float | None = None
    bound: float
    refutable: float
    verdict: ClaimVerdict


class Promise(Result):
    """What any claim can be held against, and the claim that was made when the audit was scored, if there was one."""

    one_run: GuessedCoins
    trials: CountedTrainings | None = None
    steps: CountedSteps | None = None
    claim: ClaimFound | None = None
