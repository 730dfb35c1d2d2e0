"""LiRA against a slow, obvious implementation, on noise that must read ½, and on Gaussians with known answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from privaudit.attacks import lira
from privaudit.errors import EvidenceError
from privaudit.scoring.controls import never_trained, untrained
from privaudit.scoring.target_audit import split_test
from privaudit.shadow.design import paired_design
from privaudit.signals import SIGNALS
from privaudit.statistics.roc import auc


def obvious_lira(values: npt.NDArray[np.float64], keep: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """One model and one sample at a time, with scipy."""
    models, samples = values.shape
    scores = np.empty((models, samples))
    for model in range(models):
        left = np.setdiff1d(np.arange(models), [model, model ^ 1])
        x, member = values[left], keep[left]
        residuals: dict[bool, float] = {}
        for side in (True, False):
            groups = [x[member[:, i] == side, i] for i in range(samples)]
            squares = sum(float(((group - group.mean()) ** 2).sum()) for group in groups)
            residuals[side] = squares / sum(len(group) - 1 for group in groups)
        for i in range(samples):
            density = {}
            for side in (True, False):
                group = x[member[:, i] == side, i]
                own = float(((group - group.mean()) ** 2).sum())
                variance = (own + 8 * residuals[side]) / (len(group) - 1 + 8)
                density[side] = stats.norm.logpdf(values[model, i], group.mean(), np.sqrt(variance))
            scores[model, i] = density[True] - density[False]
    return scores


def test_online_is_the_obvious_one() -> None:
    random = np.random.default_rng(0)
    keep = paired_design(40, 12, 0)
    values = random.normal(size=keep.shape) * random.uniform(0.5, 3, 40) + 2 * keep
    np.testing.assert_allclose(lira.online(values, keep), obvious_lira(values, keep), atol=1e-9, rtol=1e-9)


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    keep = paired_design(500, 8, 0)
    values = random.normal(size=keep.shape) + keep
    whole = lira.online(values, keep)
    monkeypatch.setattr("privaudit.statistics.gaussian.BLOCK", 64)
    np.testing.assert_allclose(lira.online(values, keep), whole, rtol=1e-10)


def test_queries_are_averaged() -> None:
    random = np.random.default_rng(2)
    keep = paired_design(30, 8, 0)
    queries = random.normal(size=(8, 30, 3))
    mean = np.mean([lira.online(queries[:, :, q], keep) for q in range(3)], axis=0)
    np.testing.assert_allclose(lira.online(queries, keep), mean, atol=1e-12)


@pytest.mark.parametrize("models", [4, 6, 8, 16, 64])
def test_noise_reads_one_half(models: int) -> None:
    """Dropping the target alone reads .436 here at 8 models: the complement must go with it."""
    random = np.random.default_rng(models)
    areas = []
    for draw in range(20):
        keep = paired_design(1500, models, draw)
        scores = lira.online(random.normal(size=keep.shape) * random.uniform(0.2, 5, 1500), keep)
        areas.append(auc(scores.ravel(), keep.ravel()))
    error = np.std(areas, ddof=1) / np.sqrt(len(areas))
    assert abs(np.mean(areas) - 0.5) <= 4 * error + 1e-3


def test_dropping_the_target_alone_would_not() -> None:
    """The trap itself, so that nobody mends the rotation into it."""
    random = np.random.default_rng(9)
    keep = paired_design(5000, 8, 0)
    values = random.normal(size=keep.shape)
    scores = np.empty(values.shape)
    for model in range(8):
        left = np.arange(8) != model
        x, member = values[left], keep[left]
        log_density = {}
        for side in (True, False):
            chosen = member == side
            mean = np.where(chosen, x, 0).sum(0) / chosen.sum(0)
            deviation = np.sqrt(np.where(chosen, (x - mean) ** 2, 0).sum(0) / (chosen.sum(0) - 1))
            log_density[side] = stats.norm.logpdf(values[model], mean, deviation)
        scores[model] = log_density[True] - log_density[False]
    assert auc(scores.ravel(), keep.ravel()) < 0.47


def test_dropping_the_target_alone_reads_a_leak_where_complements_owe_each_other() -> None:
    """As on real models: with a correlation of −.3 given membership the complement's pull wins, and it is upward."""
    random = np.random.default_rng(9)
    keep = paired_design(5000, 16, 0)
    values = random.normal(size=keep.shape)
    values[1::2] = -0.3 * values[0::2] + np.sqrt(1 - 0.3**2) * values[1::2]
    scores = np.empty(values.shape)
    for model in range(16):
        left = np.arange(16) != model
        distance = {}
        for side in (True, False):
            chosen = keep[left] == side
            distance[side] = (values[model] - np.where(chosen, values[left], 0).sum(0) / chosen.sum(0)) ** 2
        scores[model] = distance[False] - distance[True]
    assert auc(scores.ravel(), keep.ravel()) > 0.51
    assert auc(lira.online(values, keep).ravel(), keep.ravel()) == pytest.approx(0.5, abs=0.008)


def test_known_gaussians_give_the_closed_form() -> None:
    """IN ~ N(2, 1), OUT ~ N(0, 1): with many models the ASR tends to Φ(1), the AUC to Φ(2/√2)."""
    random = np.random.default_rng(3)
    keep = paired_design(2000, 256, 0)
    scores = lira.online(random.normal(size=keep.shape) + 2 * keep, keep)
    assert lira.verdict_is_right(scores, keep).mean() == pytest.approx(stats.norm.cdf(1), abs=0.004)
    assert auc(scores.ravel(), keep.ravel()) == pytest.approx(stats.norm.cdf(2 / np.sqrt(2)), abs=0.004)


def test_constant_and_huge_statistics_give_no_nan() -> None:
    keep = paired_design(50, 8, 0)
    scores = lira.online(np.full(keep.shape, 17.3, np.float32), keep)
    assert np.all(scores == 0)
    assert np.all(lira.verdict_is_right(scores, keep) == 0.5)
    random = np.random.default_rng(4)
    huge = (random.choice([-1e4, 1e4], size=keep.shape)).astype(np.float32)
    assert np.isfinite(lira.online(huge, keep)).all()


def test_four_models_use_the_nearest_mean() -> None:
    keep = paired_design(10, 4, 0)
    values = np.random.default_rng(5).normal(size=keep.shape)
    scores = lira.online(values, keep)
    left = values[2:]
    for i in range(10):
        inside, outside = left[keep[2:, i], i][0], left[~keep[2:, i], i][0]
        assert scores[0, i] == pytest.approx((values[0, i] - outside) ** 2 - (values[0, i] - inside) ** 2)


def test_too_few_models_is_an_error() -> None:
    keep = paired_design(10, 2, 0)
    with pytest.raises(EvidenceError, match="at least 4"):
        lira.online(np.zeros(keep.shape), keep)


def test_general_partners() -> None:
    """Without complements: the partner is any model of the other side, given per cell."""
    random = np.random.default_rng(6)
    keep = paired_design(20, 8, 0)
    values = random.normal(size=keep.shape)
    partners = np.repeat((np.arange(8) ^ 1)[:, None], 20, axis=1)
    np.testing.assert_allclose(lira.online(values, keep, partners), lira.online(values, keep))


def test_offline_is_scipys_and_reads_one_half_on_noise() -> None:
    random = np.random.default_rng(7)
    out = ~paired_design(4000, 16, 0)
    values = random.normal(size=out.shape)
    target = random.normal(size=4000)
    scores = lira.offline_one_sided(target, values, out)
    group = values[out[:, 0], 0]
    squares = [((values[out[:, i], i] - values[out[:, i], i].mean()) ** 2).sum() for i in range(4000)]
    pooled = np.sum(squares) / (4000 * 7)
    deviation = np.sqrt((squares[0] + 8 * pooled) / 15)
    assert scores[0] == pytest.approx(-stats.norm.logsf((target[0] - group.mean()) / deviation), abs=1e-9)
    assert auc(scores, np.arange(4000) < 2000) == pytest.approx(0.5, abs=0.04)
    far = lira.offline_one_sided(np.full(4000, 50.0), values, out)
    assert np.isfinite(far).all()
    assert len(np.unique(far)) > 3900  # logsf: no ties where a cdf would saturate


@pytest.mark.parametrize("models", [4, 6, 8, 16])
@pytest.mark.parametrize("sides", ["one", "two"])
@pytest.mark.parametrize("paired", [True, False])
def test_offline_reads_no_other_cell_of_a_model_that_saw_the_sample(
    models: int, sides: lira.Sides, paired: bool
) -> None:
    """Whatever is put there, be it 10⁹, a permutation or NaN: a target's scores hang on its own value and OUT cells."""
    random = np.random.default_rng(models)
    keep = paired_design(30, models, 1)
    values = random.normal(size=keep.shape) + keep
    partners = None if paired else np.repeat((np.arange(models) ^ 1)[:, None], 30, axis=1)
    scores = lira.offline(values, keep, partners, sides)
    for model in range(models):
        for poison in (1e9, np.nan, random.permutation(values.ravel()).reshape(values.shape)):
            poisoned = np.where(keep, poison, values)
            poisoned[model] = values[model]
            np.testing.assert_array_equal(lira.offline(poisoned, keep, partners, sides)[model], scores[model])


def test_offline_of_four_models_is_the_distance_to_the_one_that_never_saw_the_sample() -> None:
    keep = paired_design(12, 4, 0)
    values = np.random.default_rng(5).normal(size=keep.shape)
    one, two = (lira.offline(values, keep, sides=sides) for sides in ("one", "two"))
    for model, others in ((0, [2, 3]), (3, [0, 1])):
        for i in range(12):
            outside = values[others, i][~keep[others, i]][0]
            assert one[model, i] == pytest.approx(values[model, i] - outside)
            assert two[model, i] == pytest.approx((values[model, i] - outside) ** 2)


def test_the_targets_audit_reads_no_model_that_saw_the_sample() -> None:
    random = np.random.default_rng(6)
    keep = paired_design(50, 6, 0)
    values, target = random.normal(size=keep.shape), random.normal(size=50)
    poisoned = np.where(keep, 1e9, values)
    expected = lira.offline_one_sided(target, values, ~keep)
    np.testing.assert_array_equal(lira.offline_one_sided(target, poisoned, ~keep), expected)


def test_the_control_catches_a_rotation_that_drops_the_target_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control must fail where the rotation leaks which side lost a model."""

    def drops_target_alone(values: npt.NDArray[np.float64], keep: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        x = np.asarray(values, np.float64).reshape(keep.shape)
        scores = np.empty(keep.shape)
        for model in range(len(x)):
            left = np.arange(len(x)) != model
            density = {}
            for side in (True, False):
                chosen = keep[left] == side
                mean = np.where(chosen, x[left], 0).sum(0) / chosen.sum(0)
                deviation = np.sqrt(np.where(chosen, (x[left] - mean) ** 2, 0).sum(0) / (chosen.sum(0) - 1))
                density[side] = stats.norm.logpdf(x[model], mean, deviation)
            scores[model] = density[True] - density[False]
        return scores

    signals = fake_signals(np.random.default_rng(8).normal(size=(8, 1000)))
    assert never_trained(signals, 0).holds
    monkeypatch.setattr(lira, "online", drops_target_alone)
    found = never_trained(signals, 0)
    assert not found.holds
    assert found.auc < 0.47


def fake_signals(margin: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    signals = np.zeros((*margin.shape, 1, len(SIGNALS)))
    signals[..., 0, 0] = margin
    return signals


def test_controls_hold_on_nothing_and_fail_on_a_leak() -> None:
    random = np.random.default_rng(8)
    assert never_trained(fake_signals(random.normal(size=(16, 400))), 0).holds
    keep = paired_design(1000, 16, 0)
    noise = random.normal(size=keep.shape)
    assert untrained(fake_signals(noise), keep).holds
    assert not untrained(fake_signals(noise + keep), keep).holds
    few = paired_design(1000, 6, 0)
    assert untrained(fake_signals(random.normal(size=few.shape)), few).ci is None


def test_the_untrained_control_never_claims_less_error_than_independent_cells_have() -> None:
    """Four pairs often estimate less by luck; Mann and Whitney's variance of U under the null is the floor."""
    keep = paired_design(40, 8, 0)
    inside = int(keep.sum())
    outside = keep.size - inside
    floor = np.sqrt((inside + outside + 1) / (12 * inside * outside))
    random = np.random.default_rng(0)
    found = [untrained(fake_signals(random.normal(size=keep.shape)), keep) for _ in range(30)]
    assert min(control.standard_error for control in found) == pytest.approx(floor)
    assert all(control.holds for control in found)


def test_the_test_set_is_split_into_two_halves_that_share_nothing() -> None:
    for size in (2, 7, 120):
        validation, reported = split_test(size, 3)
        assert sorted([*validation, *reported]) == list(range(size))
        assert len(reported) - len(validation) in (0, 1)
        assert sorted(validation) == list(validation)
    assert split_test(120, 3)[0].tolist() != split_test(120, 4)[0].tolist()


@pytest.mark.parametrize("attack", [lira.online, lira.offline])
def test_an_odd_number_of_models_is_no_set_of_pairs(attack: Any) -> None:
    with pytest.raises(EvidenceError, match="5 models are no complementary pairs"):
        attack(np.zeros((5, 3)), np.ones((5, 3), bool))
