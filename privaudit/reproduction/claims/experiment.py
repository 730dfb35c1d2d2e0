"""What an experiment is: a claim, what is run for it, and the contrasts that answer it, all fixed beforehand."""

from __future__ import annotations

from dataclasses import field

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

#: What a group of samples, or a correlation, is an independent draw of: a part of the training set that no other seed
#: has. In results of earlier versions groups of several seeds overlap, which is no independent draw.
PART, OVERLAPPING = "part", "overlapping"
#: Forget sets as ``--forget`` takes them.
TENTH, CLASSES = "random:10%", "classes:10%"

#: The seeds whose models and forget sets arms are tuned on; no other seed comes near them.
TUNING_SEEDS = (1_000, 1_001, 1_002)
TUNING_SEED = TUNING_SEEDS[0]

#: The two protocols that every claim is answered under; of some claims `Experiment.further` names more.
AS_IN_PAPER, CONTROLLED = "as_in_paper", "controlled"

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
    also
        A second measure, of the first side alone: the lesser of it and the difference counts, seed by seed, so that a
        claim must hold in both.
    cap
        The most that one method's difference on one seed counts, in either direction; None: all of it. A run that is
        in ruins, on whichever side, then does not decide alone.
    """

    measure: str
    says: str
    first: Side
    second: Side | None = None
    methods: tuple[str, ...] = ()
    worth_having: float = 0.01
    also: str | None = None
    cap: float | None = None


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
    further
        Primary contrasts under further protocols, by their names, each with a verdict of its own.
    secondary
        Contrasts which decide nothing.
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
    further: dict[str, Contrast] = field(default_factory=dict)
    secondary: tuple[Contrast, ...] = ()
    sets: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    arms: tuple[str, ...] = (ONE_SHOT,)
    relearn: bool = False
    needs_inversion: bool = False

    def contrasts(self) -> dict[str, Contrast]:
        """The primary contrasts by protocol."""
        both = {AS_IN_PAPER: self.as_in_paper, CONTROLLED: self.controlled}
        return {protocol: contrast for protocol, contrast in both.items() if contrast is not None} | self.further


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
