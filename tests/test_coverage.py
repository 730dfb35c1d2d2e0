"""Do the intervals of whole simulated audits hold the truth? Slow: docs/methods.md has the figures."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from privaudit.attacks import lira
from privaudit.attacks.suite import ATTACKS
from privaudit.evaluation.u_lira import attack_unlearned
from privaudit.results.measures import Attack
from privaudit.scoring.subgroups import exposure
from privaudit.shadow.design import paired_design
from privaudit.statistics.intervals import FloatArray, wilson
from privaudit.statistics.jackknife import Refits
from privaudit.statistics.performance import performance
from privaudit.statistics.roc import auc
from tests.test_attacks import evidence_of

SAMPLES = 1_000


def simulated_audit(random: np.random.Generator, models: int) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Margins of models that depend on each other through their samples, and in pairs.

    Each sample has a level, a spread and a shift of its own, drawn once and for all; each pair of models leaks by its
    own measure and calls everything easier or harder.
    """
    fixed = np.random.default_rng(0)
    level, spread = fixed.normal(3, 2, SAMPLES), fixed.uniform(0.5, 2, SAMPLES)
    shift = fixed.exponential(1.0, SAMPLES)
    keep = paired_design(SAMPLES, models, int(random.integers(2**31)))
    leak = np.repeat(random.normal(1, 0.3, models // 2), 2)[:, np.newaxis]
    ease = np.repeat(random.normal(0, 0.3, models // 2), 2)[:, np.newaxis]
    return level + ease + leak * shift * keep + spread * random.normal(size=keep.shape), keep


def refits_of(margins: FloatArray, keep: npt.NDArray[np.bool_]) -> Refits:
    return Refits(len(keep), lambda left: lira.online(margins[left], keep[left]))


def audited(random: np.random.Generator, models: int) -> Attack:
    margins, keep = simulated_audit(random, models)
    pair = np.broadcast_to((np.arange(models) // 2)[:, np.newaxis], keep.shape)
    left_out = ((scores, keep[left]) for left, scores in refits_of(margins, keep))
    return performance(lira.online(margins, keep), keep, pair, left_out)


@pytest.mark.slow
@pytest.mark.parametrize("models", [16, 32, 64])
def test_intervals_of_whole_audits_cover(models: int) -> None:
    """1,000 audits; what is to be held is the mean over them: what an audit of this size reads on average."""
    random = np.random.default_rng(models)
    found = [audited(random, models) for _ in range(1000)]
    estimates = {"AUC": [(one.auc, one.auc_ci) for one in found]}
    for fpr in ("0.01", "0.001"):
        if all(one.tpr_at_fpr[fpr] is not None for one in found):
            estimates[f"TPR at {fpr}"] = [(one.tpr_at_fpr[fpr] or 0.0, one.tpr_ci[fpr]) for one in found]
    for name, pairs in estimates.items():
        truth = float(np.mean([value for value, _ in pairs]))
        held = [interval is not None and interval[0] <= truth <= interval[1] for _, interval in pairs]
        print(f"S = {models}, {name}: covered {np.mean(held):.3f}")
        assert 0.93 <= np.mean(held) <= 0.98, name


def unlearned(random: np.random.Generator, models: int, samples: int) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Margins of D_u under shadow models that unlearned the part of it that they saw: little is left of their leak."""
    fixed = np.random.default_rng(7)
    level, spread = fixed.normal(2, 1, samples), fixed.uniform(0.5, 2, samples)
    keep = paired_design(samples, models, int(random.integers(2**31)))
    ease = random.normal(0, 0.5, (models, 1))
    return level + ease + 0.5 * keep + spread * random.normal(size=keep.shape), keep


def covered_by_u_lira(models: int, samples: int, runs: int) -> float:
    random = np.random.default_rng(models)
    found = [attack_unlearned(*unlearned(random, models, samples)) for _ in range(runs)]
    truth = float(np.mean([one.auc for one in found]))
    held = [one.auc_ci is not None and one.auc_ci[0] <= truth <= one.auc_ci[1] for one in found]
    return float(np.mean(held))


def test_u_liras_interval_covers_with_eight_models() -> None:
    """Without its refits it covers about 80%: models that are compared with each other move together."""
    assert covered_by_u_lira(8, 100, 200) >= 0.93


@pytest.mark.slow
@pytest.mark.parametrize("models", [8, 16, 32])
def test_u_liras_interval_covers(models: int) -> None:
    covered = covered_by_u_lira(models, 150, 1000)
    print(f"S = {models}, U-LiRA: covered {covered:.3f}")
    assert 0.93 <= covered <= 0.995


@pytest.mark.slow
@pytest.mark.parametrize("models", [16, 32])
def test_intervals_of_groups_cover(models: int) -> None:
    """500 audits, two groups of samples: their mean risk and the AUC within them."""
    random = np.random.default_rng(1000 + models)
    groups = np.where(np.arange(SAMPLES) < 100, "few", "many")
    found = []
    for _ in range(500):
        margins, keep = simulated_audit(random, models)
        ratio, pair = np.asarray(lira.online(margins, keep)), np.arange(models) // 2
        told = exposure(groups, ratio, keep, pair, refits_of(margins, keep))
        found.append({row.name: row for row in told.groups})
    for name in ("few", "many"):
        rows = [audit[name] for audit in found]
        areas = [row.attack for row in rows if row.attack is not None]
        for what, values, intervals in (
            ("mean risk", [row.mean for row in rows], [row.ci for row in rows]),
            ("AUC", [area.auc for area in areas], [area.auc_ci for area in areas]),
        ):
            truth = float(np.mean(values))
            held = [interval is not None and interval[0] <= truth <= interval[1] for interval in intervals]
            print(f"S = {models}, group of {name}, {what}: covered {np.mean(held):.3f}")
            assert 0.93 <= np.mean(held) <= 0.99, (name, what)


@pytest.mark.slow
@pytest.mark.parametrize("models", [6, 8, 16, 64])
def test_noise_reads_one_half_over_many_draws(models: int) -> None:
    """No slack besides four standard errors, for every attack and statistic."""
    random = np.random.default_rng(100 + models)
    areas: dict[str, list[float]] = {name: [] for name in ATTACKS}
    for draw in range(150):
        evidence = evidence_of(random, paired_design(500, models, draw))
        for name, attack in ATTACKS.items():
            areas[name].append(auc(attack.score(evidence).ravel(), evidence.keep.ravel()))
    for name, values in areas.items():
        error = np.std(values, ddof=1) / np.sqrt(len(values))
        print(f"S = {models}, {name}: {np.mean(values):.5f} ± {error:.5f}")
        assert abs(np.mean(values) - 0.5) <= 4 * error, name


@pytest.mark.slow
def test_wilson_covers_independent_verdicts() -> None:
    """16 and 64 verdicts that are right with a known chance, 20,000 times each."""
    random = np.random.default_rng(1)
    for trials in (16, 64):
        for chance in (0.5, 0.7, 0.9):
            low, high = wilson(random.binomial(trials, chance, 20_000), np.full(20_000, trials))
            covered = float(np.mean((low <= chance) & (chance <= high)))
            exact = sum(
                stats.binom.pmf(k, trials, chance)
                for k in range(trials + 1)
                if wilson(k, trials)[0] <= chance <= wilson(k, trials)[1]
            )
            print(f"Wilson, {trials} trials, chance {chance}: covered {covered:.3f}, exactly {exact:.3f}")
            assert covered == pytest.approx(exact, abs=0.006)
            assert 0.92 <= covered <= 0.985
