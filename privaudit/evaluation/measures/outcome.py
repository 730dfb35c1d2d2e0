"""What became of a request to unlearn, in one word, from figures alone (docs/unlearning.md, "Outcomes").

Everything is decided on margins: of the samples of D_u, D_r and test (a sample is answered rightly where its margin is
positive). The model is held against a reference, a retrained model or, where there is none, what shadow models that
never saw a sample say of it; so is doing nothing; and so is a second retraining, the noise floor. Accuracies are
compared by ToW (`privaudit.evaluation.measures.utility.tug_of_war`, the paper's eq. 2), with intervals from a paired
bootstrap over samples. They know how many samples there are (of 20, three more or fewer right are chance), not how
another run of the same training would differ beyond what the second retraining shows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.evaluation.measures.resampling import Resampled
from privaudit.evaluation.measures.utility import PARTS, accuracy
from privaudit.results.measures import Interval
from privaudit.results.unlearning.outcome import Fall, Figures, OutcomeName

FloatArray = npt.NDArray[Any]

#: ToW that counts as nothing: so far apart may be what is called the same. And the furthest behind the noise floor that
#: may be called close, where the interval reaches it.
SAME, NEAR = 0.01, 0.05

#: Of the way from doing nothing to the reference: less than the first has changed nothing, and whoever is close has
#: gone at least the second.
CHANGED, MOST_OF_THE_WAY = 0.05, 0.5

#: The same in margins of D_u, which decide where accuracy can't: closer by that share.
CLOSER_IN_MARGINS = 0.1

#: A fall of accuracy that is ruin: so much, or a quarter of what the reference has above guessing if that is less.
RUIN, RUIN_SHARE = 0.05, 0.25

#: A fall of the mean margin that is ruin, as a share of the reference's mean absolute margin. Wrong or soft labels
#: halve the margins of a model that is as good as before (measured: 4.0 of 9.3 after rl on digits).
RUIN_OF_MARGIN = 0.75

#: Of a normal distribution, for 95% on both sides.
Z95 = 1.96

#: D_r and test: what retraining keeps.
KEPT = ("retain", "test")


@dataclass(frozen=True)
class Reference:
    """What a model that never saw D_u is expected to say.

    Parameters
    ----------
    basis
        In words: on what evidence.
    right
        ``[n]``, 0 … 1, of each sample of D_u: how probably it is answered rightly; None where nothing can say.
    margin
        ``[n]``: its expected margin; None where nothing can say.
    lift
        To be added to the mean of ``right``: shadow models trained on half of the data.
    """

    basis: str
    right: FloatArray | None
    margin: FloatArray | None
    lift: float = 0.0


@dataclass(frozen=True)
class Models:
    """Margins by part (``forget``, ``retain``, ``test``) of the models that are compared.

    Parameters
    ----------
    original, unlearned
        Before and after.
    retrained, second
        Two that were trained without D_u; None where they were not made.
    reference
        In place of ``retrained``.
    classes
        How many there are: guessing is right on 1 of them.
    stay
        bool ``[test]``: which test samples are of classes that stay; None: all. Of a class that is forgotten nothing is
        lost, however surely the model says another.
    """

    original: Mapping[str, FloatArray]
    unlearned: Mapping[str, FloatArray]
    retrained: Mapping[str, FloatArray] | None
    second: Mapping[str, FloatArray] | None
    reference: Reference | None
    classes: int
    stay: npt.NDArray[np.bool_] | None = None

    def kept(self, one: Mapping[str, FloatArray], part: str) -> FloatArray:
        """Return margins of what retraining keeps of D_r or test."""
        margins = np.asarray(one[part], np.float64)
        return margins if part != "test" or self.stay is None or not self.stay.any() else margins[self.stay]


def name_of(figures: Figures, *, exact: bool) -> OutcomeName:
    """Return the outcome that figures come to.

    ``exact``: retrained; whatever is measured. ``ruined``: no numbers, or D_r or test fell (`Fall`). ``unchanged``
    where D_u is answered exactly as before. ``unclear``: doing nothing reaches the noise floor, by its interval or
    within `SAME`. ``unchanged`` too: less than `CHANGED` of the way to the floor, or a gain that may be chance; unless
    the margins of D_u came closer, and ToW did not fall beyond chance. ``close``: within `SAME` of the floor, or within
    `NEAR` where the interval reaches it, and most of the way there. Else ``partial``.
    """
    if exact:
        return "exact"
    if not figures.finite or any(fall.ruined for fall in (figures.falls or {}).values()):
        return "ruined"
    if figures.identical:
        return "unchanged"
    by_margins = (figures.margin_z or 0.0) > Z95 and (figures.margin_way or 0.0) >= CLOSER_IN_MARGINS
    if figures.tow is None or figures.tow_do_nothing is None or figures.noise_floor is None:
        return "partial" if by_margins else "unchanged"
    if _reaches(figures.tow_do_nothing, figures.noise_floor, figures.nothing_behind_ci):
        return "unclear"
    low, high = figures.gain_ci or (-math.inf, math.inf)
    way = figures.way or 0.0
    if not ((way >= CHANGED and low > 0) or (by_margins and high > 0)):
        return "unchanged"
    near = figures.tow >= figures.noise_floor - NEAR
    if near and way >= MOST_OF_THE_WAY and _reaches(figures.tow, figures.noise_floor, figures.behind_ci):
        return "close"
    return "partial"


def _reaches(tow: float, floor: float, behind: Interval | None) -> bool:
    return tow >= floor - SAME or (behind is not None and behind[1] >= 0)


def figures_of(models: Models, *, finite: bool = True, seed: int = 0) -> Figures:
    """Measure what an outcome rests on.

    Parameters
    ----------
    models
        Margins of everything that is compared; where the unlearned model answers in no numbers, any.
    finite
        Whether it answers in numbers.
    seed
        Of the bootstrap.
    """
    falls = {part: fall_of(models, part) for part in KEPT}
    count = len(models.unlearned["forget"])
    reference = models.reference
    if models.retrained is not None:
        reference = Reference("a model retrained without them", None, models.retrained["forget"])
    if reference is None:
        reference = Reference("the model before and after: nothing says what to expect", None, None)
    way, z = _closer(models, reference.margin)
    same = np.array_equal(models.original["forget"], models.unlearned["forget"])
    figures = Figures(
        basis=reference.basis,
        forget=count,
        margin_way=way,
        margin_z=z,
        falls=falls,
        finite=finite,
        identical=finite and same,
    )
    if models.retrained is None and reference.right is None:
        return figures
    return _with_tows(figures, models, reference, seed)


def _with_tows(figures: Figures, models: Models, reference: Reference, seed: int) -> Figures:
    """The figures with ToW of every model, the noise floor, and their intervals."""
    right: dict[str, list[FloatArray]] = {}
    for part in PARTS:
        if models.retrained is not None:
            expected: FloatArray = models.retrained[part] > 0
        else:
            # Without a retrained model D_r and test are expected to stay as they are.
            expected = models.original[part] > 0 if part != "forget" else np.asarray(reference.right)
        second = [] if models.second is None else [models.second[part] > 0]
        right[part] = [expected, models.original[part] > 0, models.unlearned[part] > 0, *second]
    found = Resampled.of(right, lift=reference.lift, seed=seed)
    nothing, tow = found.tow(1), found.tow(2)
    floor = found.tow(3) if models.second is not None else found.by_chance()
    whole = floor.value - nothing.value
    return figures.model_copy(
        update={
            "tow": tow.value,
            "tow_do_nothing": nothing.value,
            "noise_floor": floor.value,
            "floor_measured": models.second is not None,
            "gain": tow.value - nothing.value,
            "gain_ci": tow.less(nothing),
            "behind_ci": tow.less(floor),
            "nothing_behind_ci": nothing.less(floor),
            "way": (tow.value - nothing.value) / whole if whole > 0 else None,
        }
    )


def _closer(models: Models, reference: FloatArray | None) -> tuple[float | None, float | None]:
    """How far the margins of D_u moved toward the reference's: share of the way, and in standard errors.

    Without a reference: how far they fell, as a share of their mean size before.
    """
    before, after = (np.asarray(one["forget"], np.float64) for one in (models.original, models.unlearned))
    if reference is None:
        gained, whole = before - after, float(np.abs(before).mean())
    else:
        expected = np.asarray(reference, np.float64)
        left = 0.0 if models.second is None else float(np.abs(models.second["forget"] - expected).mean())
        gained = np.abs(before - expected) - np.abs(after - expected)
        whole = float(np.abs(before - expected).mean()) - left
    mean, error = float(gained.mean()), _error(gained)
    return mean / whole if whole > 0 else None, mean / error if error > 0 else 0.0


def _error(values: FloatArray) -> float:
    """Standard error of a mean."""
    return float(np.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else 0.0


def fall_of(models: Models, part: str) -> Fall:
    """How far ``part`` fell below the least that the original and the retrained models keep, of classes that stay.

    It is ruin where accuracy fell by more than `RUIN` (or a quarter of what is above guessing, if that is less) and by
    more than 1.96 standard errors of the paired difference; or the mean margin by more than three
    quarters of the reference's mean absolute margin.
    """
    others = [one for one in (models.original, models.retrained, models.second) if one is not None]
    margins = [models.kept(one, part) for one in others]
    after = models.kept(models.unlearned, part)
    kept = min(margins, key=accuracy)
    above_guessing = max(accuracy(kept) - 1 / models.classes, 0.0)
    error = _error((kept > 0).astype(np.float64) - (after > 0))
    allowed = max(min(RUIN, RUIN_SHARE * above_guessing), Z95 * error)
    least = min(margins, key=lambda one: float(one.mean()))
    margin_allowed = RUIN_OF_MARGIN * float(np.abs(least).mean())
    fell = accuracy(kept) - accuracy(after) > allowed + 1e-9
    collapsed = float(least.mean()) - float(after.mean()) > margin_allowed
    return Fall(
        accuracy=accuracy(after),
        before=accuracy(margins[0]),
        kept=accuracy(kept),
        allowed=allowed,
        margin=float(after.mean()),
        margin_kept=float(least.mean()),
        margin_allowed=margin_allowed,
        ruined=fell or collapsed,
    )
