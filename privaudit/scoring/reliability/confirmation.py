"""Who may be named as most exposed: those whom other models confirm, where the ranking is one at all.

Of noise, too, some samples are told right in nearly every model: with 8 models one in a hundred, with 4 one in eight.
So how many are told right so often says nothing without its chance level, and nothing of a single sample before models
that did not pick it agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.scoring.reliability.simulated_audits import chance_of
from privaudit.scoring.reliability.split_halves import Half
from privaudit.scoring.reliability.stability import Stability
from privaudit.statistics.intervals import FloatArray

#: "Told right" in at least this share of the models.
CERTAIN = 0.9

#: Rounding of a mean of verdicts.
SLACK = 1e-9

#: How many leaders of one half of the models are put to the other.
LEADERS = 10

#: Nobody is named unless the other half confirms at least this share of the leaders …
LEAST_CONFIRMED = 0.5

#: … and the interval of the reliability of the ranking of all samples lies above this.
LEAST_RELIABILITY = 0.05


@dataclass(frozen=True)
class Confirmation:
    """How many samples are told right in at least 90% of the models, by chance alone, and whom other models confirm.

    Parameters
    ----------
    told
        Samples told right in at least 90% of all models.
    chance
        The share of samples of which that holds where nothing leaks.
    confirmed
        Of the samples told right in at least 90% of one half of the pairs, the share that is in the other half too,
        the mean of both ways; None where there are no halves, or neither tells a sample right so often.
    chance_confirmed
        What that share is where nothing leaks.
    leaders, leaders_confirmed
        How many of the highest ranked of one half are put to the other, and the share that is told right there in at
        least 90%.
    named
        Whether single samples may be named as most exposed.
    reason
        Why not.
    """

    told: int
    chance: float
    confirmed: float | None
    chance_confirmed: float | None
    leaders: int
    leaders_confirmed: float | None
    named: bool
    reason: str | None

    def to_json(self) -> dict[str, Any]:
        """Return it as it stands in JSON results."""
        return {
            "at_least": CERTAIN,
            "samples": self.told,
            "chance": self.chance,
            "confirmed": self.confirmed,
            "chance_confirmed": self.chance_confirmed,
            "leaders": self.leaders,
            "leaders_confirmed": self.leaders_confirmed,
            "named": self.named,
            "reason": self.reason,
        }


def is_certain(asr: FloatArray) -> npt.NDArray[np.bool_]:
    """Return which samples are told right in at least 90% of the models, ``[N]``."""
    return asr >= CERTAIN - SLACK


def confirmed_by_both(halves: tuple[Half, Half]) -> npt.NDArray[np.bool_]:
    """Return which samples are told right in at least 90% of either half of the models, ``[N]``."""
    return is_certain(halves[0].asr) & is_certain(halves[1].asr)


def confirm(
    asr: FloatArray,
    models: int,
    halves: tuple[Half, Half] | None,
    stability: Stability | None,
    correlation: float,
) -> Confirmation:
    """Put whom one half of the models picks to the other half.

    Parameters
    ----------
    asr
        ``[N]`` by all models.
    models
        How many verdicts an ASR is the mean of.
    halves
        Both halves of the pairs; None where there are too few models, or no pairs.
    stability
        Of the ranking; None where it can't be told.
    correlation
        Of a pair's two models, given their membership.
    """
    told, chance = int(is_certain(asr).sum()), chance_of(models, CERTAIN, correlation)
    if halves is None:
        alone = "no two halves of the shadow models can confirm each other (that takes 8 of them, in pairs)"
        return Confirmation(told, chance, None, None, 0, None, named=False, reason=alone)
    picked = [is_certain(half.asr) for half in halves]
    shares = [float(picked[1 - one][picked[one]].mean()) for one in (0, 1) if picked[one].any()]
    leaders = max(1, min(LEADERS, len(asr) // 10))
    leading = [float(picked[1 - one][np.argsort(-halves[one].ranking())[:leaders]].mean()) for one in (0, 1)]
    held = float(np.mean(leading))
    reason = _why_not(stability, held, leaders, bool(confirmed_by_both(halves).any()))
    return Confirmation(
        told,
        chance,
        float(np.mean(shares)) if shares else None,
        float(np.mean([chance_of(len(half.keep), CERTAIN, correlation) for half in halves])),
        leaders,
        held,
        named=reason is None,
        reason=reason,
    )


def _why_not(stability: Stability | None, held: float, leaders: int, anyone: bool) -> str | None:
    """Why nobody may be named; None where somebody may."""
    if stability is None or stability.reliability is None or stability.interval is None:
        return "the ranking can't be told from chance"
    low, high = stability.interval
    if low < LEAST_RELIABILITY:
        return (
            f"the ranking's reliability, {stability.reliability:.2f} ({low:.2f}–{high:.2f}), is not surely above "
            f"{LEAST_RELIABILITY:g}"
        )
    if held < LEAST_CONFIRMED:
        return (
            f"of the {leaders} whom one half of the shadow models ranks highest, the other half tells {held:.0%} right "
            f"in at least {CERTAIN:.0%} of its models: less than half"
        )
    if not anyone:
        return f"no sample is told right in at least {CERTAIN:.0%} of either half of the shadow models"
    return None
