"""Every attack against a slow, obvious implementation, and on noise that must read ½."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import integrate, stats

from privaudit.attacks import lira
from privaudit.attacks.gaussian_separation import bayes_accuracy, d_prime
from privaudit.attacks.loss_threshold import label_only
from privaudit.attacks.population_attack import population_rank
from privaudit.attacks.risk import attack_success, memorisation, separation
from privaudit.attacks.rmia import base, rmia
from privaudit.attacks.suite import ATTACKS, Evidence
from privaudit.audit.external_signals.signals_design import balanced_cells, random_partners
from privaudit.audit.external_signals.signals_file import signals_of_models
from privaudit.results.audit.score_results import MostExposed, Stability
from privaudit.scoring.reliability.cross_half_selection import picked_and_judged
from privaudit.scoring.reliability.split_halves import attack_halves
from privaudit.scoring.reliability.stability import ranking_stability
from privaudit.scoring.sample_scores import OF_STATISTIC, score
from privaudit.scoring.score_table import SampleFacts
from privaudit.shadow.design import paired_design
from privaudit.signals import signals_of
from privaudit.statistics.gaussian import Variance, means_of_others
from privaudit.statistics.roc import auc

Array = npt.NDArray[np.float64]


def left_of(models: int, model: int, partner: int) -> npt.NDArray[np.int64]:
    return np.setdiff1d(np.arange(models), [model, partner])


@pytest.mark.parametrize("variance", ["per-sample", "global", "bayes"])
def test_online_variances_are_the_obvious_ones(variance: Variance) -> None:
    random = np.random.default_rng(0)
    keep = paired_design(20, 12, 0)
    values = random.normal(size=keep.shape) * random.uniform(0.5, 3, 20) + 2 * keep
    found = lira.online(values, keep, variance=variance)
    for model in range(12):
        left = left_of(12, model, model ^ 1)
        density: dict[bool, Array] = {}
        for side in (True, False):
            groups = [values[left, i][keep[left, i] == side] for i in range(20)]
            squares = [((group - group.mean()) ** 2).sum() for group in groups]
            pooled = sum(squares) / sum(len(group) - 1 for group in groups)
            logs = []
            for i, group in enumerate(groups):
                n, x = len(group), values[model, i]
                if variance == "per-sample":
                    logs.append(stats.norm.logpdf(x, group.mean(), group.std(ddof=1)))
                elif variance == "global":
                    logs.append(stats.norm.logpdf(x, group.mean(), np.sqrt(pooled)))
                else:
                    freedom = n - 1 + 8
                    scale = np.sqrt((squares[i] + 8 * pooled) / freedom * (1 + 1 / n))
                    logs.append(stats.t.logpdf(x, freedom, group.mean(), scale))
            density[side] = np.array(logs)
        np.testing.assert_allclose(found[model], density[True] - density[False], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("sides", ["one", "two"])
def test_offline_is_the_obvious_one(sides: lira.Sides) -> None:
    random = np.random.default_rng(1)
    keep = paired_design(15, 10, 0)
    values = random.normal(size=keep.shape) + keep
    found = lira.offline(values, keep, sides=sides)
    for model in range(10):
        left = left_of(10, model, model ^ 1)
        groups = [values[left, i][~keep[left, i]] for i in range(15)]
        squares = [((group - group.mean()) ** 2).sum() for group in groups]
        pooled = sum(squares) / sum(len(group) - 1 for group in groups)
        for i, group in enumerate(groups):
            deviation = np.sqrt((squares[i] + 8 * pooled) / (len(group) - 1 + 8))
            x = values[model, i]
            if sides == "one":
                expected = -stats.norm.logsf(x, group.mean(), deviation)
            else:
                # Without the constant ½ log 2π, which every cell shares.
                expected = -stats.norm.logpdf(x, group.mean(), deviation) - 0.5 * np.log(2 * np.pi)
            assert found[model, i] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("gamma", [None, 0.5, 2.0])
def test_rmia_is_the_obvious_one(paired: bool, gamma: float | None) -> None:
    """γ is 1, as its authors have it, unless it is set."""
    random = np.random.default_rng(2)
    keep = paired_design(12, 8, 0) if paired else unpaired_design(12, 9, 0)
    used = None if paired else balanced_cells(keep, 0)
    partners = None if used is None else random_partners(keep, used, 0)
    models = len(keep)
    # Probabilities over many orders of magnitude: sums by subtraction would lose the small ones.
    loss, others = random.exponential(8, keep.shape), random.exponential(8, (models, 30))
    found = (
        rmia(loss, keep, others, partners, used=used)
        if gamma is None
        else rmia(loss, keep, others, partners, gamma, used)
    )
    at_least = 1.0 if gamma is None else gamma
    p, q = np.exp(-loss), np.exp(-others)
    for model in range(models):
        rest = np.setdiff1d(np.arange(models), [model])
        ratio_z = q[model] / q[rest].mean(axis=0)
        for i in range(12):
            partner = model ^ 1 if partners is None else partners[model, i]
            left = left_of(models, model, int(partner))
            if used is not None:
                if not used[model, i]:
                    continue
                left = left[used[left, i]]
            inside, outside = p[left, i][keep[left, i]], p[left, i][~keep[left, i]]
            ratio = p[model, i] / ((inside.mean() + outside.mean()) / 2)
            assert found[model, i] == pytest.approx(np.mean(ratio / ratio_z >= at_least), abs=1e-9)


def test_sums_of_others_lose_nothing() -> None:
    values = np.array([[1.0], [1e-18], [3e-18], [2e-18]])
    assert means_of_others(values)[0, 0] == pytest.approx(2e-18, rel=1e-12)


def test_population_rank_counts_ties_half() -> None:
    statistic, population = np.array([[1.0, 2, 3]]), np.array([[2.0, 2, 0, 5]])
    assert population_rank(statistic, population).tolist() == [[0.25, 0.5, 0.75]]


def test_label_only_sees_no_more_than_right_or_wrong() -> None:
    assert label_only(np.array([3.0, -0.1, 0.0])).tolist() == [1, 0, 0.5]


def unpaired_design(samples: int, models: int, seed: int) -> npt.NDArray[np.bool_]:
    """Independent coins, redrawn until every sample has two models on either side."""
    random = np.random.default_rng(seed)
    keep = random.random((models, samples)) < 0.5
    while (lonely := (keep.sum(0) < 2) | ((~keep).sum(0) < 2)).any():
        keep[:, lonely] = random.random((models, int(lonely.sum()))) < 0.5
    return keep


def test_partners_are_of_the_other_side_and_all_have_a_turn() -> None:
    keep = unpaired_design(4000, 7, 0)
    used = balanced_cells(keep, 0)
    assert np.array_equal((used & keep).sum(0), (used & ~keep).sum(0))
    assert np.array_equal((used & keep).sum(0), np.minimum(keep.sum(0), 7 - keep.sum(0)))
    partners = random_partners(keep, used, 0)
    assert np.array_equal(np.take_along_axis(keep, partners, axis=0), ~keep)
    assert np.take_along_axis(used, partners, axis=0).all()
    same = (keep == [[True], [True], [False], [False], [True], [False], [False]]).all(axis=0)
    assert set(partners[0, same].tolist()) == {2, 3, 5, 6}
    assert len({tuple(column) for column in used[:, same].T.tolist()}) == 4  # three of four OUT models, each choice


def evidence_of(random: np.random.Generator, keep: npt.NDArray[np.bool_], shift: float = 0.0) -> Evidence:
    """Signals of 5-class logits in which membership adds ``shift`` to the true logit."""
    models, samples = keep.shape
    labels = random.permutation(np.arange(samples) % 5)
    logits = random.normal(size=(models, samples, 1, 5)) * random.uniform(0.5, 2, (1, samples, 1, 1))
    logits += random.normal(size=(1, samples, 1, 5))
    logits[:, np.arange(samples), 0, labels] += 1 + shift * keep
    population = random.normal(size=(models, 400, 1, 5))
    paired = len(keep) % 2 == 0 and np.array_equal(keep[0::2], ~keep[1::2])
    used = None if paired else balanced_cells(keep, 0)
    return Evidence(
        signals_of_models(logits, labels),
        keep,
        None if used is None else random_partners(keep, used, 0),
        used,
        signals_of_models(population, np.arange(400) % 5),
    )


@pytest.mark.parametrize("models", [6, 8, 16, 64])
def test_every_attack_reads_one_half_on_noise(models: int) -> None:
    random = np.random.default_rng(models)
    areas: dict[str, list[float]] = {name: [] for name in ATTACKS}
    for draw in range(12):
        evidence = evidence_of(random, paired_design(600, models, draw))
        for name, attack in ATTACKS.items():
            areas[name].append(auc(attack.score(evidence).ravel(), evidence.keep.ravel()))
    for name, found in areas.items():
        error = np.std(found, ddof=1) / np.sqrt(len(found))
        assert abs(np.mean(found) - 0.5) <= 4 * error + 1e-3, name


def test_no_attack_learns_from_an_unpaired_design() -> None:
    """Independent coins give samples different numbers of IN models: that must not tell who is IN."""
    random = np.random.default_rng(5)
    areas: dict[str, list[float]] = {name: [] for name in ATTACKS}
    for draw in range(12):
        evidence = evidence_of(random, unpaired_design(800, 9, draw))
        for name, attack in ATTACKS.items():
            cells, used = attack.score(evidence), evidence.cells
            areas[name].append(auc(cells[used], evidence.keep[used]))
            assert np.isfinite(cells[used]).all()
    for name, found in areas.items():
        error = np.std(found, ddof=1) / np.sqrt(len(found))
        assert abs(np.mean(found) - 0.5) <= 4 * error + 1e-3, name


def test_every_attack_finds_what_is_there() -> None:
    evidence = evidence_of(np.random.default_rng(6), paired_design(1000, 16, 0), shift=2.0)
    for name, attack in ATTACKS.items():
        area = auc(attack.score(evidence).ravel(), evidence.keep.ravel())
        assert area > 0.55, (name, area)


def test_base_is_the_obvious_one_and_ranks_a_model_s_samples_as_rmia_does() -> None:
    """Where the population is as large as it likes, RMIA's share at γ = 1 rises with BASE's score, model by model."""
    random = np.random.default_rng(3)
    keep = paired_design(30, 8, 0)
    loss, others = random.exponential(8, keep.shape), random.exponential(8, (8, 20_000))
    found, shares = base(loss, keep), rmia(loss, keep, others)
    for model in range(8):
        left = left_of(8, model, model ^ 1)
        np.testing.assert_allclose(found[model], -loss[model] - np.log(np.exp(-loss[left]).mean(axis=0)), atol=1e-9)
        assert np.all(np.diff(shares[model][np.argsort(found[model])]) >= 0)
    assert len(np.unique(shares)) > 150


def larger_of(x: float, one: Any, other: Any) -> float:
    return float(max(one.pdf(x), other.pdf(x)))


def test_bayes_accuracy_is_the_integral() -> None:
    random = np.random.default_rng(7)
    for _ in range(20):
        m1, m0 = random.normal(size=2) * 2
        v1, v0 = random.uniform(0.2, 4, 2)
        seen, unseen = stats.norm(m1, np.sqrt(v1)), stats.norm(m0, np.sqrt(v0))
        larger, _ = integrate.quad(larger_of, -40, 40, args=(seen, unseen), limit=400, points=[m1, m0])
        found = bayes_accuracy(*(np.array([value]) for value in (m1, v1, m0, v0)))
        assert found[0] == pytest.approx(larger / 2, abs=1e-6)
    one = np.ones(1)
    assert bayes_accuracy(2 * one, one, 0 * one, one)[0] == pytest.approx(stats.norm.cdf(1), abs=1e-12)
    assert bayes_accuracy(2 * one, one, 0 * one, one * (1 + 1e-13))[0] == pytest.approx(stats.norm.cdf(1), abs=1e-9)
    assert bayes_accuracy(one, one, one, one)[0] == 0.5
    assert bayes_accuracy(1e4 * one, 1e-8 * one, -1e4 * one, 1e-8 * one)[0] == 1
    assert d_prime(2 * one, one, 0 * one, one)[0] == 2


def test_separation_and_memorisation_of_known_gaussians() -> None:
    random = np.random.default_rng(8)
    keep = paired_design(300, 512, 0)
    found = separation(random.normal(size=keep.shape) + 2 * keep, keep)
    assert found.accuracy.mean() == pytest.approx(stats.norm.cdf(1), abs=0.01)
    assert found.d_prime.mean() == pytest.approx(2, abs=0.02)
    # A margin of N(0, 1) where OUT and N(1, 1) where IN: right in ½ and in Φ(1) of the models.
    remembered = memorisation(random.normal(size=keep.shape) + keep, keep)
    assert remembered.mean() == pytest.approx(stats.norm.cdf(1) - 0.5, abs=0.01)


def judged_by_others(values: Array, keep: npt.NDArray[np.bool_]) -> MostExposed:
    halves = attack_halves(values, keep)
    assert halves is not None
    return picked_and_judged(halves)


def test_the_picked_are_judged_by_others() -> None:
    """On noise the pickers see a risk that is not there, the others read ½; where there is risk, both see it."""
    random = np.random.default_rng(30)
    own, others, covered = [], [], 0
    for draw in range(60):
        keep = paired_design(500, 16, draw)
        found = judged_by_others(random.normal(size=keep.shape), keep)
        assert found.ci is not None
        own.append(found.by_pickers)
        others.append(found.by_others)
        covered += found.ci[0] <= 0.5 <= found.ci[1]
    assert np.mean(own) > 0.75
    assert abs(np.mean(others) - 0.5) <= 4 * np.std(others, ddof=1) / np.sqrt(len(others))
    assert covered >= 51  # 95% of 60, less three standard errors
    keep = paired_design(500, 16, 0)
    exposed = np.arange(500) < 50
    found = judged_by_others(random.normal(size=keep.shape) + 4 * exposed * keep, keep)
    assert found.count == 50
    assert found.by_others == pytest.approx(stats.norm.cdf(2), abs=0.06)  # the best guess between N(0, 1) and N(4, 1)
    assert attack_halves(np.zeros((6, 50)), paired_design(50, 6, 0)) is None


def stability_of(values: Array, keep: npt.NDArray[np.bool_]) -> Stability | None:
    return ranking_stability(values, keep, attack_success(lira.online(values, keep), keep), 0.0, 0)


def test_stability_tells_chance_from_ranking() -> None:
    random = np.random.default_rng(9)
    keep = paired_design(1500, 32, 0)
    noise = stability_of(random.normal(size=keep.shape), keep)
    assert noise is not None
    assert abs(noise.split_half) < 0.05
    assert (noise.reliability, noise.ci, noise.models_needed) == (None, None, None)
    strength = random.uniform(0, 6, 1500)
    real = stability_of(random.normal(size=keep.shape) + strength * keep, keep)
    assert real is not None
    assert real.reliability is not None
    assert 0.7 < real.split_half < real.reliability < 1
    assert real.models_needed is not None
    assert stability_of(random.normal(size=(6, 50)), paired_design(50, 6, 0)) is None


def test_stability_foretells_more_models() -> None:
    """The forecast from 16 models against the split halves of 32, each of which has 16."""
    random = np.random.default_rng(10)
    keep = paired_design(3000, 32, 0)
    values = random.normal(size=keep.shape) + random.uniform(0, 4, 3000) * keep
    few, many = stability_of(values[:16], keep[:16]), stability_of(values, keep)
    assert few is not None
    assert many is not None
    assert few.reliability == pytest.approx(many.split_half, abs=0.04)


@pytest.mark.parametrize("kind", ["huge", "ties", "constant", "one class"])
def test_no_nan_and_no_phantom(kind: str) -> None:
    random = np.random.default_rng(11)
    keep = paired_design(200, 8, 0)
    logits = {
        "huge": random.choice([-1e4, 1e4], (8, 200, 1, 3)),
        "ties": random.integers(-1, 2, (8, 200, 1, 3)),
        "constant": np.ones((8, 200, 1, 3)),
        "one class": random.normal(size=(8, 200, 1, 3)),
    }[kind].astype(np.float32)
    labels = np.zeros(200, np.int64) if kind == "one class" else random.integers(0, 3, 200)
    population = signals_of_models(logits[:, :50], labels[:50])
    evidence = Evidence(signals_of_models(logits, labels), keep, population=population)
    facts = SampleFacts(np.arange(200), labels, ("a", "b", "c"), np.zeros(200, bool))
    scores = score(evidence, facts)
    assert set(scores.attacks) == set(ATTACKS)
    for name, found in scores.attacks.items():
        assert 0.3 < found.auc < 0.7, name
        if kind == "constant":
            assert found.auc == 0.5
            assert found.tpr_at_fpr["0.01"] in (None, 0.0)
    assert scores.table["risk"].between(0, 1).all()
    assert scores.table["separation"].between(0.5, 1).all()


def test_a_single_logit_is_a_binary_model() -> None:
    random = np.random.default_rng(12)
    z, y = random.normal(size=(50, 1)), random.integers(0, 2, 50)
    two = np.concatenate([np.zeros_like(z), z], axis=1)
    np.testing.assert_array_equal(signals_of(z, y), signals_of(two, y))


def test_classes_that_a_model_never_saw() -> None:
    """A logit of −1e30 for a class that is missing from a model's training set gives numbers, not NaN."""
    random = np.random.default_rng(13)
    z = random.normal(size=(50, 4))
    z[:, 3] = -1e30
    found = signals_of(z, np.arange(50) % 4)
    assert np.isfinite(found[:, [0, 1, 4, 5]]).all()


def test_risk_follows_the_statistic() -> None:
    assert set(OF_STATISTIC.values()) <= set(ATTACKS)


def test_rmia_at_one_finds_what_at_two_is_lost() -> None:
    """Members are better known by less than a factor of two: γ = 2 scores them as low as everybody else."""
    random = np.random.default_rng(14)
    keep = paired_design(1500, 16, 0)
    level = random.normal(-1, 0.5, 1500)
    loss = np.exp(level + random.normal(scale=0.3, size=keep.shape) - 0.25 * keep)
    others = np.exp(random.normal(-1, 0.5, 400) + random.normal(scale=0.3, size=(16, 400)))
    at_one, at_two = (auc(rmia(loss, keep, others, gamma=gamma).ravel(), keep.ravel()) for gamma in (1.0, 2.0))
    assert at_one > 0.68
    assert at_two < 0.65


def test_gamma_goes_from_the_evidence_to_the_attack_and_to_parts_of_it() -> None:
    evidence = replace(evidence_of(np.random.default_rng(15), paired_design(60, 8, 0)), rmia_gamma=1.5)
    expected = rmia(evidence.plain("loss"), evidence.keep, evidence.plain_population("loss"), gamma=1.5)
    np.testing.assert_array_equal(ATTACKS["rmia"].score(evidence), expected)
    assert evidence.of_models(np.arange(8) < 6).rmia_gamma == 1.5
    assert evidence.of_samples(np.arange(60) < 6).rmia_gamma == 1.5
