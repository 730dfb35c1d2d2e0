"""What a calibration found: which method, at which parameters, forgets sets of a kind best in this audit."""

from __future__ import annotations

from typing import Literal

from privaudit.results.base import Result

#: Names of kinds, the narrower first.
KindName = Literal["class", "concentrated", "few", "scattered"]


class ForgetSetKind(Result):
    """What a forget set is like.

    Parameters
    ----------
    name
        ``class``: more than half of a class goes. ``concentrated``: its samples lie among each other, or are the
        riskiest. ``few``: up to 30 and 2% of all. ``scattered``: the rest.
    by
        Of ``concentrated``: ``inputs`` or ``features`` (nearest neighbours there), or ``risk``.
    size
        About how many samples (of ``class``: how many classes), on a coarse scale, so that requests share calibrations.
    one_class
        Of ``concentrated``: whether nearly all are of one class.
    memorised
        Their mean memorisation, on a coarse scale: how much of what the model says of them it says only because it was
        trained on them. None for classes, and for ``scattered`` ones that are memorised as much as all samples.
    neighbours, chance
        Share of their nearest neighbours that are of the set too, and what it would be for samples at random.
    risk_rank
        Their mean place in the score table: 1 the riskiest, 0 the least risky, ½ samples at random.
    words
        The same in words.
    """

    name: KindName
    by: str | None = None
    size: int
    one_class: bool = False
    memorised: float | None = None
    neighbours: float | None = None
    chance: float | None = None
    risk_rank: float | None = None
    words: str

    @property
    def identity(self) -> dict[str, str | float | bool | None]:
        """What of it decides a calibration."""
        return {
            "name": self.name,
            "by": self.by,
            "size": self.size,
            "one_class": self.one_class,
            "memorised": self.memorised,
        }


class CalibrationTrial(Result):
    """A method with parameters that was tried: its ToW on each forget set, their mean, and what it cost.

    Parameters
    ----------
    parameters
        Those that differ from the method's defaults.
    gradients
        Of samples, forget and retain, on the first forget set: decides which of two is the cheaper.
    ruined
        Why it is out of the question; None where it is not.
    """

    method: str
    parameters: dict[str, int | float]
    tows: tuple[float, ...]
    tow: float
    seconds: float
    gradients: int
    ruined: str | None = None


class CalibrationCost(Result):
    """What a calibration took: models trained, trials, gradients of samples in all, seconds by the clock.

    ``reused`` says that an earlier request paid for it.
    """

    models: int
    trials: int
    gradients: int
    seconds: float
    reused: bool = False


class Calibration(Result):
    """What was tried, and what was chosen; it names no sample.

    Parameters
    ----------
    name
        Of its file in the store.
    forget_sets
        Sizes of the forget sets that were drawn, none of them with a sample of the request that paid for it.
    tow_do_nothing
        The original model's mean ToW on them: what a choice has to beat by more than ``noise``.
    method, parameters
        The choice; ``retrain`` where none is one.
    why
        In words.
    """

    format: int = 1
    name: str
    kind: ForgetSetKind
    forget_sets: tuple[int, ...]
    tow_do_nothing: float
    noise: float | None
    candidates: tuple[CalibrationTrial, ...]
    method: str
    parameters: dict[str, int | float]
    why: str
    cost: CalibrationCost


class CalibrationPlan(Result):
    """What a calibration that is yet to be made would take."""

    kind: ForgetSetKind
    candidates: int
    models: int
    seconds: float
    memory_bytes: int | None = None
