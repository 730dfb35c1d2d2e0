"""What becomes of a run: every boundary of every outcome, on figures and on margins made by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from privaudit.evaluation.measures.outcome import (
    CHANGED,
    CLOSER_IN_MARGINS,
    NEAR,
    RUIN,
    RUIN_OF_MARGIN,
    SAME,
    Models,
    Reference,
    fall_of,
    figures_of,
    name_of,
)
from privaudit.evaluation.measures.resampling import Resampled
from privaudit.evaluation.measures.utility import tug_of_war
from privaudit.report.content.outcome_wording import sentence
from privaudit.results.unlearning.outcome import REJECTED, Fall, Figures
from privaudit.results.unlearning.run import Accuracies

KEPT = Fall(
    accuracy=0.99, before=1.0, kept=0.99, allowed=0.05, margin=9.0, margin_kept=9.0, margin_allowed=6.0, ruined=False
)
LOST = KEPT.model_copy(update={"accuracy": 0.5, "ruined": True})
#: A run that came half of the way, beyond chance.
HALF = Figures(
    basis="a model retrained without them",
    forget=100,
    tow=0.8,
    tow_do_nothing=0.6,
    noise_floor=1.0,
    floor_measured=True,
    gain=0.2,
    gain_ci=(0.1, 0.3),
    behind_ci=(-0.3, -0.1),
    nothing_behind_ci=(-0.5, -0.3),
    way=0.5,
    margin_way=0.5,
    margin_z=9.0,
    falls={"retain": KEPT, "test": KEPT},
)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "partial"),
        ({"finite": False}, "ruined"),
        ({"falls": {"retain": LOST, "test": KEPT}}, "ruined"),
        ({"falls": {"retain": KEPT, "test": LOST}}, "ruined"),
        ({"falls": {"retain": KEPT, "test": LOST}, "identical": True}, "ruined"),
        ({"identical": True}, "unchanged"),
        # Doing nothing is at the floor: nothing can be told, unless nothing was done.
        ({"tow_do_nothing": 1.0 - SAME}, "unclear"),
        ({"tow_do_nothing": 1.0 - 1.1 * SAME}, "partial"),
        ({"nothing_behind_ci": (-0.5, 0.0)}, "unclear"),
        ({"nothing_behind_ci": (-0.5, 0.0), "identical": True}, "unchanged"),
        ({"nothing_behind_ci": (-0.5, -1e-9)}, "partial"),
        # No further than chance, or than next to nothing.
        ({"gain_ci": (0.0, 0.3), "margin_z": 1.9}, "unchanged"),
        ({"gain_ci": (1e-9, 0.3), "margin_z": 0.0}, "partial"),
        ({"way": CHANGED - 1e-9, "margin_z": 0.0}, "unchanged"),
        ({"way": CHANGED, "margin_z": 0.0}, "partial"),
        ({"way": None, "gain_ci": (-0.1, 0.1), "margin_z": None, "margin_way": None}, "unchanged"),
        # Where accuracy can't tell, margins may: unless ToW fell beyond chance.
        ({"gain_ci": (-0.1, 0.1), "margin_way": CLOSER_IN_MARGINS}, "partial"),
        ({"gain_ci": (-0.1, 0.1), "margin_way": CLOSER_IN_MARGINS - 1e-9}, "unchanged"),
        ({"gain_ci": (-0.2, -0.1), "way": -0.3}, "unchanged"),
        # Close is within a hundredth, or not behind beyond chance and within five.
        ({"tow": 1.0 - SAME}, "close"),
        ({"tow": 1.0 - NEAR, "behind_ci": (-0.1, 0.0)}, "close"),
        ({"tow": 1.0 - NEAR - 1e-9, "behind_ci": (-0.1, 0.0)}, "partial"),
        ({"tow": 1.0 - NEAR, "behind_ci": (-0.1, -1e-9)}, "partial"),
        ({"tow": 1.0, "way": 0.49}, "partial"),
        # Nothing says what to expect: by margins alone.
        ({"tow": None}, "partial"),
        ({"tow": None, "margin_z": 1.9}, "unchanged"),
        ({"noise_floor": None, "margin_way": None}, "unchanged"),
    ],
)
def test_every_boundary_of_every_outcome(changes: dict[str, object], expected: str) -> None:
    figures = HALF.model_copy(update=changes)
    found = name_of(figures, exact=False)
    assert found == expected
    said = sentence(found, figures, "ga")
    assert ("The model is rejected: nothing is removed." in said) == (expected in REJECTED)
    # Whatever retraining measures, it is exact.
    assert name_of(figures, exact=True) == "exact"
    json.dumps(figures.to_json(), allow_nan=False)


def margins(right: float, count: int, size: float = 4.0) -> npt.NDArray[np.float64]:
    """So many samples, the first ``right`` of them answered rightly."""
    return np.where(np.arange(count) < round(right * count), size, -size)


def models(
    forget: float,
    retain: float = 1.0,
    test: float = 0.9,
    *,
    count: int = 1000,
    size: float = 4.0,
    retrained: bool = True,
) -> Models:
    """An original that knows everything, two retrained that know 60% of D_u, and an unlearned one as given."""

    def of(known: float, kept: float, unseen: float, size: float = 4.0) -> dict[str, npt.NDArray[np.float64]]:
        return {
            "forget": margins(known, count, size),
            "retain": margins(kept, 2000, size),
            "test": margins(unseen, 1000, size),
        }

    again = of(0.6, 1.0, 0.9) if retrained else None
    second = of(0.61, 1.0, 0.9) if retrained else None
    return Models(of(1.0, 1.0, 0.9), of(forget, retain, test, size), again, second, None, 10)


@pytest.mark.parametrize(
    ("forget", "kept", "expected"),
    [
        (0.6, {}, "close"),
        (0.8, {}, "partial"),
        (1.0, {}, "unchanged"),
        (0.6, {"retain": 0.96, "test": 0.9}, "partial"),
        (0.6, {"retain": 0.94}, "ruined"),
        (0.6, {"test": 0.84}, "ruined"),
        # Forgotten too far: further from retraining than doing nothing.
        (0.1, {}, "unchanged"),
        # As right as before, and hardly surer than guessing.
        (0.6, {"size": 0.9}, "ruined"),
    ],
)
def test_outcomes_of_models(forget: float, kept: dict[str, float], expected: str) -> None:
    figures = figures_of(models(forget, **kept))  # type: ignore[arg-type]
    assert name_of(figures, exact=False) == expected


def test_figures_are_those_of_the_paper() -> None:
    """ToW is Π 1 − |difference|, of the run, of doing nothing and of the second retraining."""
    figures = figures_of(models(0.8, retain=0.97, test=0.88))
    retrained = Accuracies(forget=0.6, retain=1.0, test=0.9)
    unlearned = Accuracies(forget=0.8, retain=0.97, test=0.88)
    assert figures.tow == pytest.approx(tug_of_war(unlearned, retrained))
    assert figures.tow_do_nothing == pytest.approx(0.6)
    assert figures.noise_floor == pytest.approx(0.99)
    assert figures.way == pytest.approx((0.8 * 0.97 * 0.98 - 0.6) / 0.39)


def test_twenty_people_are_too_few_for_three_of_them_to_tell() -> None:
    """Doing nothing differs from a retrained model on 3 of 20: that may be chance. On 300 of 2,000 it is not."""

    def of(share: float, count: int) -> dict[str, npt.NDArray[np.float64]]:
        return {"forget": margins(share, count), "retain": margins(1, 500), "test": margins(0.9, 500)}

    few, many = (
        figures_of(Models(of(1.0, count), of(0.9, count), of(0.85, count), of(0.85, count), None, 10))
        for count in (20, 2000)
    )
    assert name_of(few, exact=False) == "unclear"
    assert name_of(many, exact=False) == "partial"
    assert few.nothing_behind_ci is not None
    assert few.nothing_behind_ci[1] == pytest.approx(0, abs=1e-9)


def test_the_bootstrap_has_the_error_of_the_difference() -> None:
    """Its standard deviation on D_u alone is √(q(1 − q)/n), q being how often the two differ: the closed form."""
    random = np.random.default_rng(3)
    reference = np.ones(400)
    other = (random.random(400) < 0.7).astype(float)
    right = {"forget": [reference, other], "retain": [reference, reference], "test": [reference, reference]}
    found = Resampled.of(right)
    q = 1 - other.mean()
    assert found.tow(1).value == pytest.approx(1 - q)
    assert np.std(found.tow(1).draws) == pytest.approx(math.sqrt(q * (1 - q) / 400), rel=0.1)
    assert Resampled.of(right).tow(1).draws.tolist() == found.tow(1).draws.tolist()


def test_without_retraining_shadow_models_say_what_to_expect() -> None:
    """They are right on D_u 55% of the time, and 5 points worse on test samples than the original: 60% are expected."""
    basis = "shadow models that never saw them"
    expected = Reference(basis, np.full(1000, 0.55), np.full(1000, 0.8), lift=0.05)
    for forget, outcome in ((0.6, "close"), (0.8, "partial"), (1.0, "unchanged")):
        figures = figures_of(replace(models(forget, retrained=False), reference=expected))
        assert name_of(figures, exact=False) == outcome
        assert not figures.floor_measured
        assert basis in sentence(name_of(figures, exact=False), figures, "rl")
    assert figures.tow_do_nothing == pytest.approx(0.6)


def test_with_nothing_to_expect_the_change_alone_decides() -> None:
    for size, outcome in ((4.0, "unchanged"), (3.0, "partial")):
        before = models(1.0, retrained=False)
        after = {**before.unlearned, "forget": margins(1.0, 1000, size) + 1e-3 * np.sin(np.arange(1000))}
        figures = figures_of(replace(before, unlearned=after))
        assert figures.tow is None
        assert name_of(figures, exact=False) == outcome


def test_what_may_be_lost_is_less_where_little_is_above_guessing() -> None:
    """Of 100 classes, 5% right: a quarter of the 4 points above guessing is ruin, not five points."""
    fall = fall_of(
        replace(
            models(0.6, test=0.035, count=100),
            original={**models(1).original, "test": margins(0.05, 1000)},
            retrained=None,
            second=None,
            classes=100,
        ),
        "test",
    )
    assert fall.allowed < 0.25 * RUIN
    assert fall.ruined
    whole = fall_of(models(0.6, retain=1 - RUIN), "retain")
    assert whole.allowed == pytest.approx(RUIN)
    assert not whole.ruined


def test_of_a_class_that_is_forgotten_nothing_is_lost_however_sure_the_model_is_of_others() -> None:
    """Test samples of the class: retrained they are wrong by 4, unlearned by 400."""
    found = models(0.6)
    after = found.unlearned["test"].copy()
    after[900:] = -400.0
    found = replace(found, unlearned={**found.unlearned, "test": after})
    assert fall_of(found, "test").ruined
    assert not fall_of(found, "test").of_accuracy
    assert not fall_of(replace(found, stay=np.arange(1000) < 900), "test").ruined
    # Of the classes that stay everything counts as before.
    worse = {**models(0.6, test=0.8).unlearned}
    assert fall_of(replace(found, stay=np.arange(1000) < 900, unlearned=worse), "test").of_accuracy


def test_a_small_test_set_ruins_nothing_by_chance() -> None:
    """Two of twenty wrong where none was: ten points, and less than two standard errors."""
    few = models(0.6)
    few = replace(
        few,
        original={**few.original, "test": margins(1, 20)},
        retrained=None,
        second=None,
        unlearned={**few.unlearned, "test": margins(0.9, 20)},
    )
    assert not fall_of(few, "test").ruined


def test_soft_answers_are_no_ruin() -> None:
    soft = models(0.6, size=4.0 * (1 - RUIN_OF_MARGIN) + 0.2)
    assert not any(fall_of(soft, part).ruined for part in ("retain", "test"))
