"""What an experiment is: a claim, what is run for it, and the contrasts that answer it, all fixed beforehand."""

from __future__ import annotations

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from privaudit.results.base import Result

#: A misspelt key of the catalogue is an error.
STRICT = ConfigDict(extra="forbid")

#: What a table of runs says of each: which samples were forgotten (or looked at), by which method, in which arm.
KEYS = ("set", "method", "arm")

#: Sets of samples. Groups of a seed's own random half of the training set
#: (`privaudit.reproduction.claims.sample_groups`).
INVERTIBLE, LEAST_INVERTIBLE = "most invertible", "least invertible, same classes"
ATTACKED, LEAST_ATTACKED = "highest ASR", "lowest ASR, same classes"
RANDOM, ALL = "random", "all"
#: Forget sets as ``--forget`` takes them.
TENTH, CLASSES = "random:10%", "classes:10%"

#: The seed whose models and forget sets arms are tuned on; no other seed comes near it.
TUNING_SEED = 1_000

#: Arms: how a forget set is handed over (`privaudit.reproduction.claims.arms`).
ONE_SHOT = "one-shot"


@dataclass(frozen=True, config=STRICT)
class Side:
    """One side of a contrast: which samples, in which arm."""

    set: str
    arm: str = ONE_SHOT


@dataclass(frozen=True, config=STRICT)
class Contrast:
    """A difference, seed by seed, of means over methods: the first side less the second.

    Parameters
    ----------
    measure
        A column of the runs.
    says
        What a positive difference means, in words that fit "how much …".
    first, second
        The sides; without a second the first is held against 0.
    methods
        Averaged over; empty where no method is run.
    worth_having
        The smallest difference that would mean something: an interval that lies below it speaks against the claim.
    """

    measure: str
    says: str
    first: Side
    second: Side | None = None
    methods: tuple[str, ...] = ()
    worth_having: float = 0.01


@dataclass(frozen=True, config=STRICT)
class Experiment:
    """One table or figure of the paper.

    Parameters
    ----------
    name, title
        As the command takes it, and as the paper calls it.
    claim
        What the paper says, in a sentence.
    protocol, control
        What was done, in either.
    as_in_paper, controlled
        The primary contrast under the paper's protocol, and under one that leaves fewer other explanations; None for a
        table that claims nothing.
    secondary
        Further contrasts, which decide nothing.
    sets, methods, arms
        What is run: every method on every set in every arm. Without methods nothing is unlearned.
    relearn
        Whether relearn time is measured.
    needs_inversion
        Whether samples are chosen by how invertible they are.
    """

    name: str
    title: str
    claim: str
    protocol: str
    control: str
    as_in_paper: Contrast | None = None
    controlled: Contrast | None = None
    secondary: tuple[Contrast, ...] = ()
    sets: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    arms: tuple[str, ...] = (ONE_SHOT,)
    relearn: bool = False
    needs_inversion: bool = False

    def contrasts(self) -> dict[str, Contrast]:
        """The primary contrasts by protocol."""
        both = {"as_in_paper": self.as_in_paper, "controlled": self.controlled}
        return {protocol: contrast for protocol, contrast in both.items() if contrast is not None}


class ExperimentDescription(Result):
    """An experiment as ``reproduce --list --json`` tells it; of its protocols what is done in either."""

    name: str
    title: str
    claim: str
    as_in_paper: str
    controlled: str
    sets: tuple[str, ...]
    methods: tuple[str, ...]
    arms: dict[str, str]
    contrasts: dict[str, Contrast]
    secondary: tuple[Contrast, ...]
