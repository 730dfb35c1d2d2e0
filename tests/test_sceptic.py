"""Rates that each sample keeps by itself, and a union of attacks with the false alarms that any of them raises."""

from __future__ import annotations

import runpy

import numpy as np
import pytest
from scipy import stats

from privaudit.attacks import lira
from privaudit.attacks.attack_union import Union, own_rates
from privaudit.attacks.suite import ATTACKS, Evidence
from privaudit.results.measures import AttackUnion
from privaudit.scoring.sample_scores import score
from privaudit.scoring.score_table import SampleFacts
from privaudit.shadow.design import paired_design
from privaudit.signals import signals_of
from privaudit.statistics.calibrated_rates import FEWEST_MODELS, calibrated_rates, prediction_p_values
from privaudit.statistics.intervals import clopper_pearson, logit_interval, share_interval
from privaudit.statistics.jackknife import Refits
from privaudit.statistics.roc import roc
from tests.conftest import ROOT

RNG = np.random.default_rng(5)


def gaussians(models: int, samples: int, shift: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A statistic whose mean and spread differ from sample to sample; ``shift`` spreads higher where seen."""
    rng = np.random.default_rng(seed)
    keep = paired_design(samples, models, seed, "test")
    spread = np.exp(rng.normal(0, 1, samples))
    x = rng.normal(size=keep.shape) + shift * keep
    return rng.normal(0, 5, samples) + spread * x, keep, spread


@pytest.mark.parametrize("models", [6, 8, 16, 64])
@pytest.mark.parametrize("shift", [0.0, 1.5])
def test_rates_of_gaussians_are_those_of_students_t(models: int, shift: float) -> None:
    """Where unseen, the nominal rate; where seen, the tail of the noncentral t, to the error of the simulation."""
    x, keep, _ = gaussians(models, 240_000 // models, shift)
    n = models // 2 - 1
    for name, found in calibrated_rates(x, keep).items():
        nominal = float(name)
        power = stats.nct.sf(stats.t.isf(nominal, n - 1), n - 1, shift / np.sqrt(1 + 1 / n)) if shift else nominal
        for share, expected in ((found.fpr, nominal), (found.tpr, power)):
            # Cells of a sample share their models, so they are worth fewer: three times the binomial spread.
            assert abs(share - expected) < 3 * 3 * np.sqrt(expected / keep.sum()), (name, share, expected)


def test_p_values_are_uniform_and_those_of_a_plain_loop() -> None:
    x, keep, _ = gaussians(12, 400, 0.7)
    p = prediction_p_values(x, keep)
    for model, sample in ((0, 3), (5, 77), (11, 399)):
        others = [k for k in range(12) if k not in (model, model ^ 1) and not keep[k, sample]]
        values = x[others, sample]
        t = (x[model, sample] - values.mean()) / (values.std(ddof=1) * np.sqrt(1 + 1 / len(values)))
        assert p[model, sample] == pytest.approx(stats.t.sf(t, len(values) - 1))
    one_each = p[np.argmin(keep, axis=0), np.arange(400)]
    assert stats.kstest(one_each, "uniform").pvalue > 0.01


def test_a_pooled_threshold_lets_few_samples_raise_the_alarms_and_their_own_do_not() -> None:
    x, keep, spread = gaussians(16, 8_000, 0.0)
    centred = x - np.median(x, axis=0)
    pooled = centred >= roc(centred.ravel(), keep.ravel()).tpr_at(0.01)[1]
    own = prediction_p_values(x, keep) <= 0.01
    widest = spread >= np.quantile(spread, 0.9)
    of_pooled, of_own = ((named & ~keep)[:, widest].sum() / (named & ~keep).sum() for named in (pooled, own))
    assert of_pooled > 0.6
    assert of_own == pytest.approx(0.1, abs=0.03)


def test_too_few_models_have_no_spread_of_their_own() -> None:
    x, keep, _ = gaussians(4, 50, 1.0)
    assert calibrated_rates(x, keep) == {}
    assert FEWEST_MODELS == 6
    x, keep, _ = gaussians(6, 400, 1.0)
    found = calibrated_rates(x, keep)
    assert list(found) == ["0.01"], "1,200 cells allow 1.2 false alarms at 0.1%"
    assert found["0.01"].tpr_ci is None
    constant = np.ones((8, 3))
    assert prediction_p_values(constant, paired_design(3, 8, 0, "test")) == pytest.approx(0.5)


def test_intervals_hold_the_nominal_rate_on_noise() -> None:
    held = 0
    for seed in range(20):
        x, keep, _ = gaussians(16, 1_000, 0.0, seed)
        low, high = calibrated_rates(x, keep)["0.01"].fpr_ci or (1.0, 0.0)
        held += low <= 0.01 <= high
    assert held >= 17


CELLS = 400_000


def attacks(count: int, shift: float) -> tuple[list[np.ndarray], np.ndarray]:
    random, member = np.random.default_rng(count), np.arange(CELLS) % 2 == 0
    return [random.normal(size=CELLS) + shift * member for _ in range(count)], member


@pytest.mark.parametrize("shift", [0.0, 1.0])
@pytest.mark.parametrize("count", [2, 5, 12])
def test_a_union_of_independent_attacks_has_the_rates_of_its_closed_form(count: int, shift: float) -> None:
    scores, member = attacks(count, shift)
    union = Union(member)
    for index, one in enumerate(scores):
        union.add(f"attack {index}", one)
    found = union.result()
    assert found is not None
    for name, at in found.at_fpr.items():
        if (nominal := float(name)) < 0.001:
            continue
        assert at is not None
        each = 1 - (1 - nominal) ** (1 / count)
        expected = 1 - stats.norm.cdf(stats.norm.isf(each), shift) ** count
        assert at.fpr <= nominal
        # Four standard errors: of the members above the threshold, and of the others that set it.
        reach = 4 * np.sqrt((1 / expected + 1 / nominal) / (CELLS / 2))
        assert at.fpr_of_each == pytest.approx(each, rel=reach)
        assert at.tpr == pytest.approx(expected, rel=reach)
        assert at.fpr_if_each_had_it == pytest.approx(1 - (1 - nominal) ** count, rel=0.1)
    assert found.auc == pytest.approx(0.5, abs=0.005) if shift == 0 else found.auc > 0.76


def test_a_union_of_one_attack_and_its_copy_is_that_attack() -> None:
    (scores,), member = attacks(1, 1.0)
    union = Union(member)
    union.add("one", scores)
    assert union.result() is None
    union.add("the same on another scale", np.exp(scores))
    found = union.result()
    assert found is not None
    at, alone = found.at_fpr["0.01"], roc(scores, member)
    assert at is not None
    assert at.tpr == pytest.approx(alone.tpr_at(0.01)[0], abs=1e-4)
    assert at.fpr_if_each_had_it == pytest.approx(0.01, abs=1e-4)


def test_an_attacks_own_rate_counts_equal_scores_as_named() -> None:
    scores, member = np.array([3.0, 2.0, 2.0, 1.0, 0.0]), np.array([True, False, True, False, False])
    assert own_rates(scores, member) == pytest.approx([0, 1 / 3, 1 / 3, 2 / 3, 1])


def test_a_union_that_only_copies_noise_names_nobody_above_its_rate() -> None:
    """All attacks of the suite on an audit without a leak: the union's TPR is its FPR; its parts' rate is not."""
    rng = np.random.default_rng(1)
    samples, models = 1_500, 16
    labels = rng.integers(0, 5, samples)
    logits = rng.normal(size=(models, samples, 1, 5))
    keep = paired_design(samples, models, 0, "test")
    facts = SampleFacts(np.arange(samples), labels, tuple("abcde"), np.zeros(samples, np.bool_))
    signals = np.stack([signals_of(of_model[:, 0], labels) for of_model in logits])[:, :, np.newaxis]
    found = score(Evidence(signals, keep), facts)
    assert found.union is not None
    assert set(found.union.attacks) == set(found.attacks) - {"base"}
    assert set(found.attacks) < set(ATTACKS)
    at = found.union.at_fpr["0.01"]
    assert at is not None
    assert at.tpr == pytest.approx(0.01, abs=0.004)
    assert at.fpr_if_each_had_it > 0.015
    assert found.calibrated is not None
    assert found.calibrated["0.01"].tpr == pytest.approx(0.01, abs=0.004)


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_halves_of_one_pool_show_more_than_fresh_training_sets_and_complements_tell_how_much(noise: float) -> None:
    """The rotation reads the pool's truth; the population's is lower, and 1 less the correlation leads there."""
    simulate = runpy.run_path(str(ROOT / "benchmarks" / "finite_population.py"))["simulate"]
    found = simulate(400, 64, noise, 0)
    assert found.rotation == pytest.approx(found.pool, abs=0.01)
    assert found.fresh_rotation == pytest.approx(found.fresh, abs=0.01)
    assert found.pool - found.fresh > (0.06 if noise == 0 else 0.015)
    # Of the variance (1 + noise) that fresh sets bring, halving takes away a half of 1; complements share that half.
    assert found.correlation == pytest.approx(-0.5 / (0.5 + noise), abs=0.04)
    assert found.corrected == pytest.approx(found.fresh, abs=0.006)


def union_of_noise(seed: int, samples: int = 500, models: int = 16) -> AttackUnion:
    """Two attacks on statistics without a leak, each model with an offset of its own; joined without each pair too."""
    random, keep = np.random.default_rng(seed), paired_design(samples, models, seed, "test")
    clusters = np.broadcast_to((np.arange(models) // 2)[:, np.newaxis], keep.shape)
    union = Union(keep.ravel(), clusters.ravel())
    for name in ("one", "two"):
        x = random.normal(size=keep.shape) + 0.3 * random.normal(size=(models, 1))
        union.add(name, lira.online(x, keep).ravel())
        for group, (left, scores) in enumerate(
            Refits(models, lambda left, x=x: lira.online(x[left], keep[left]))  # type: ignore[misc]
        ):
            union.leave_out(group, scores, keep[left])
    found = union.result()
    assert found is not None
    return found


def test_intervals_of_a_union_hold_its_rate_on_noise() -> None:
    held, exceeded = 0, 0
    for seed in range(16):
        at = union_of_noise(seed).at_fpr["0.01"]
        assert at is not None
        low, high = at.tpr_ci or (1.0, 0.0)
        held += low <= at.fpr <= high
        # Where each has 1%, independent attacks raise 2% less 1 in 10,000, members or not.
        for bounds in (at.tpr_if_each_had_it_ci, at.fpr_if_each_had_it_ci):
            low, high = bounds or (1.0, 0.0)
            exceeded += not low <= 0.0199 <= high
    assert held >= 14
    assert exceeded <= 4


def test_a_union_without_a_pair_is_that_of_the_other_pairs() -> None:
    """What is joined by `leave_out` is the union made anew of the models that are left, at every rate that is told."""
    random, keep = np.random.default_rng(3), paired_design(300, 8, 0, "test")
    scores, left = random.normal(size=(3, *keep.shape)).round(1), np.arange(8) > 1
    union, anew = Union(keep.ravel(), np.zeros(keep.size, np.int64)), Union(keep[left].ravel())
    for name, one in zip("abc", scores, strict=True):
        union.leave_out(0, one[left], keep[left])
        anew.add(name, one[left].ravel())
    smallest, _ = union._without[0]
    told = anew._smallest <= 0.01
    assert told.any()
    assert np.array_equal(smallest <= np.float32(0.01), told)
    assert smallest[told] == pytest.approx(anew._smallest[told])


def test_nobody_or_everybody_named_has_an_exact_interval() -> None:
    assert share_interval(0, 400, 0.0, 7) == clopper_pearson(0, 400)
    assert share_interval(400, 400, 0.0, 7) == clopper_pearson(400, 400)
    assert share_interval(3, 400, float("inf"), 7) is None
    assert share_interval(0, 400, 0.1, 0) is None
    assert share_interval(40, 400, 0.02, 7) == logit_interval(0.1, 0.02, 7)
    # A margin that tells every member, and a threshold that nobody passes.
    keep = paired_design(400, 8, 0, "test")
    x = np.random.default_rng(0).normal(size=keep.shape) + 1_000 * keep
    found = calibrated_rates(x, keep)["0.01"]
    assert found.tpr == 1.0
    assert found.tpr_ci == clopper_pearson(int(keep.sum()), int(keep.sum()))


def test_a_cell_at_the_rate_itself_is_named() -> None:
    member = np.arange(2_000) % 2 == 0
    union = Union(member)
    for name in ("one", "two"):
        union.add(name, np.arange(2_000.0))
    found = union.result()
    assert found is not None
    assert (at := found.at_fpr["0.01"]) is not None
    assert at.fpr == at.fpr_of_each == 0.01
