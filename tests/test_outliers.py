"""One model, one sample or one cell that is off by orders of magnitude must not end in an all-clear for everybody."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from privaudit.attacks import lira
from privaudit.scoring.risk import separation
from privaudit.shadow.design import paired_design
from privaudit.statistics.gaussian import largest_variance, moments_of, pooled_variance
from privaudit.statistics.roc import auc, roc

Array = npt.NDArray[np.float64]


def leaking(models: int = 16, samples: int = 1500, seed: int = 0) -> tuple[Array, npt.NDArray[np.bool_]]:
    """A statistic that is higher by 1 where the model saw the sample; levels and spreads differ between samples."""
    random = np.random.default_rng(seed)
    keep = paired_design(samples, models, seed)
    spread = random.uniform(0.5, 2, samples)
    return random.normal(size=samples) * 3 + spread * (random.normal(size=keep.shape) + keep), keep


def measures(scores: npt.NDArray[Any], keep: npt.NDArray[np.bool_]) -> tuple[float, float]:
    return auc(scores.ravel(), keep.ravel()), roc(scores.ravel(), keep.ravel()).tpr_at(0.01)[0]


@pytest.mark.parametrize("what", ["a cell", "a cell in every tenth model", "a sample"])
@pytest.mark.parametrize("variance", ["shrunk", "bayes", "global", "per-sample"])
def test_one_cell_or_sample_far_off_changes_nothing_for_the_others(what: str, variance: Any) -> None:
    values, keep = leaking()
    expected = measures(lira.online(values, keep, variance=variance), keep)
    spoiled = values.copy()
    if what == "a sample":
        spoiled[:, 40] *= 1e6
    else:
        spoiled[3, 40] = 1e6
        if what != "a cell":
            spoiled[13, 90] = -1e6
    found = measures(lira.online(spoiled, keep, variance=variance), keep)
    assert found == pytest.approx(expected, abs=0.008)


def test_offline_and_the_separation_do_not_fall_to_one_cell() -> None:
    values, keep = leaking()
    spoiled = values.copy()
    spoiled[3, 40] = 1e6
    expected = measures(lira.offline(values, keep), keep)
    assert measures(lira.offline(spoiled, keep), keep) == pytest.approx(expected, abs=0.005)
    others = np.arange(1500) != 40
    difference = separation(spoiled, keep).accuracy[others] - separation(values, keep).accuracy[others]
    assert np.abs(difference).max() < 0.02


def test_pooling_is_todays_where_nothing_stands_out() -> None:
    """On Gaussians the bound is never reached, even with one degree of freedom: Σ M₂ / Σ (n − 1) to the last bit."""
    random = np.random.default_rng(1)
    for models in (6, 16, 64):
        keep = paired_design(3000, models, 0)
        moments = moments_of(random.normal(size=keep.shape) * random.uniform(0.3, 3, 3000), keep)
        plain = moments.squares.sum() / (moments.count - 1).sum()
        assert float(pooled_variance(moments)) == pytest.approx(plain, rel=1e-12)
    constant = moments_of(np.ones(keep.shape), keep)
    assert float(pooled_variance(constant)) == 0
    assert largest_variance(constant) > 1e30


def test_a_variance_far_off_counts_for_a_bounded_one() -> None:
    random = np.random.default_rng(2)
    keep = paired_design(3000, 16, 0)
    values = random.normal(size=keep.shape) * 2
    values[:, 7] *= 1e8
    assert float(pooled_variance(moments_of(values, keep))) == pytest.approx(4, rel=0.05)
