"""Do intervals hold the truth at one false alarm in ten thousand and fewer? Slow: docs/methods.md has the figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from privaudit.attacks import lira
from privaudit.attacks.hierarchical import hierarchical
from privaudit.results.measures import Attack
from privaudit.shadow.design import paired_design
from privaudit.statistics.intervals import FloatArray
from privaudit.statistics.jackknife import Refits
from privaudit.statistics.performance import performance
from privaudit.statistics.roc import FEWEST_FALSE_POSITIVES

Scored = Callable[[npt.NDArray[Any], npt.NDArray[np.bool_]], npt.NDArray[Any]]

ATTACKS: dict[str, Scored] = {"lira": lira.online, "lira-hierarchical": hierarchical}


def simulated_audit(
    random: np.random.Generator, models: int, samples: int, freedom: float
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Margins as in tests/test_coverage.py: samples differ, models do in pairs; noise has tails as heavy as asked."""
    fixed = np.random.default_rng(0)
    level, spread = fixed.normal(3, 2, samples), fixed.uniform(0.5, 2, samples)
    shift = fixed.exponential(1.0, samples)
    keep = paired_design(samples, models, int(random.integers(2**31)))
    leak, ease = (np.repeat(random.normal(mean, 0.3, models // 2), 2)[:, np.newaxis] for mean in (1, 0))
    noise = random.normal(size=keep.shape) if np.isinf(freedom) else random.standard_t(freedom, keep.shape)
    return level + ease + leak * shift * keep + spread * noise, keep


def audited(attack: Scored, margins: FloatArray, keep: npt.NDArray[np.bool_]) -> Attack:
    pair = np.broadcast_to((np.arange(len(keep)) // 2)[:, np.newaxis], keep.shape)
    refits = Refits(len(keep), lambda left: attack(margins[left], keep[left]))
    return performance(attack(margins, keep), keep, pair, ((scores, keep[left]) for left, scores in refits))


def coverage(name: str, models: int, samples: int, audits: int, freedom: float = np.inf) -> dict[str, float]:
    """Share of intervals that hold the mean over the audits, for the AUC and each rate that is resolved."""
    random = np.random.default_rng([models, samples, audits])
    found = [audited(ATTACKS[name], *simulated_audit(random, models, samples, freedom)) for _ in range(audits)]
    told = {"AUC": [(one.auc, one.auc_ci) for one in found]}
    for rate in found[0].tpr_at_fpr:
        if found[0].tpr_at_fpr[rate] is not None:
            told[rate] = [(one.tpr_at_fpr[rate] or 0.0, one.tpr_ci[rate]) for one in found]
    held = {}
    for what, pairs in told.items():
        truth = float(np.mean([value for value, _ in pairs]))
        held[what] = float(np.mean([bounds is not None and bounds[0] <= truth <= bounds[1] for _, bounds in pairs]))
        width = float(np.median([bounds[1] / max(bounds[0], 1e-9) for _, bounds in pairs if bounds is not None]))
        print(
            f"{name}, {models} models, {samples} samples, noise of {freedom:g} degrees: {what} {truth:.5f} held in "
            f"{held[what]:.3f}, upper bounds {width:.2f} times the lower ones"
        )
    return held


@pytest.mark.slow
@pytest.mark.parametrize("freedom", [np.inf, 4.0])
@pytest.mark.parametrize("name", list(ATTACKS))
def test_intervals_hold_the_truth_where_ten_alarms_set_the_threshold(name: str, freedom: float) -> None:
    """What decides is how many false alarms set a threshold, not at which rate: 10, the fewest that are told."""
    samples = FEWEST_FALSE_POSITIVES * 1000 // 8
    held = coverage(name, 16, samples, 400, freedom)
    assert held["0.001"] >= 0.93
    assert held["0.01"] >= 0.93


@pytest.mark.slow
@pytest.mark.parametrize("name", list(ATTACKS))
def test_intervals_hold_the_truth_at_one_alarm_in_ten_thousand(name: str) -> None:
    held = coverage(name, 16, 14_000, 100)
    assert held["0.0001"] >= 0.9


@pytest.mark.slow
def test_intervals_hold_the_truth_at_one_alarm_in_a_hundred_thousand() -> None:
    held = coverage("lira", 16, 131_072, 25)
    assert held["1e-05"] >= 0.8


@pytest.mark.slow
@pytest.mark.parametrize("models", [16, 32])
def test_hierarchical_liras_intervals_hold_the_truth(models: int) -> None:
    held = coverage("lira-hierarchical", models, 1_000, 300)
    assert min(held.values()) >= 0.9


@pytest.mark.parametrize(("others", "told"), [(1_000_000, True), (999_999, False)])
def test_one_in_a_hundred_thousand_is_told_where_ten_such_alarms_can_be(others: int, told: bool) -> None:
    """And is not so much as named where it cannot: what is on record of smaller audits stays as it is."""
    scores, member = -np.arange(others + 10.0), np.arange(others + 10) < 10
    found = performance(scores, member)
    assert set(found.tpr_at_fpr) == {"0.01", "0.001", "0.0001"} | ({"1e-05"} if told else set())
