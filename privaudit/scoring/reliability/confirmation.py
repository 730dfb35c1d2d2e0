"""Who may be named as most exposed: those whom other models confirm, where the ranking is one at all.

Of noise, too, some samples are told right in nearly every model: with 8 models one in a hundred, with 4 one in eight.
So how many are told right so often says nothing without its chance level, and nothing of a single sample before models
that did not pick it agree.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from privaudit.results.audit.score_results import Stability, ToldRight
from privaudit.scoring.reliability.simulated_audits import chance_of
from privaudit.scoring.reliability.split_halves import Half
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
) -> ToldRight:
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

    Returns
    -------
    ToldRight
        ``confirmed``: of the samples told right so often in one half of the pairs, the share that is in the other half
        too, the mean of both ways; None where there are no halves, or neither tells a sample right so often.
        ``leaders`` are the highest ranked of one half, who are put to the other.
    """
    told, chance = int(is_certain(asr).sum()), chance_of(models, CERTAIN, correlation)
    confirmed, chance_confirmed, leaders, held = None, None, 0, None
    reason: str | None = "no two halves of the shadow models can confirm each other (that takes 8 of them, in pairs)"
    if halves is not None:
        certain = [is_certain(half.asr) for half in halves]
        shares = [float(certain[1 - one][certain[one]].mean()) for one in (0, 1) if certain[one].any()]
        confirmed = float(np.mean(shares)) if shares else None
        chance_confirmed = float(np.mean([chance_of(len(half.keep), CERTAIN, correlation) for half in halves]))
        leaders = max(1, min(LEADERS, len(asr) // 10))
        held = float(np.mean([certain[1 - one][np.argsort(-halves[one].ranking())[:leaders]].mean() for one in (0, 1)]))
        reason = _why_not(stability, held, leaders, bool(confirmed_by_both(halves).any()))
    return ToldRight(
        at_least=CERTAIN,
        samples=told,
        chance=chance,
        confirmed=confirmed,
        chance_confirmed=chance_confirmed,
        leaders=leaders,
        leaders_confirmed=held,
        named=reason is None,
        reason=reason,
    )


def _why_not(stability: Stability | None, held: float, leaders: int, anyone: bool) -> str | None:
    """Why nobody may be named; None where somebody may."""
    if stability is None or stability.reliability is None or stability.ci is None:
        return "the ranking can't be told from chance"
    low, high = stability.ci
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
