"""What makes scoring fast changes no bit of it: each short way against the plain one."""

from __future__ import annotations

import time

import numpy as np
import pytest

from privaudit.attacks.attack_union import Union, own_rates
from privaudit.attacks.suite import ATTACKS, Evidence
from privaudit.scoring import parallel_attacks, sample_scores
from privaudit.shadow.design import paired_design
from privaudit.signals import SIGNALS
from privaudit.statistics.calibrated_rates import NEAR, _named, prediction_p_values
from privaudit.statistics.performance import REPORTED_RATES, Evaluation, sides_of
from privaudit.statistics.roc import auc, balanced_accuracy, roc

SAMPLES, MODELS = 240, 12


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    """Signals with a leak, rounded so that many are equal, and a population."""
    random, keep = np.random.default_rng(0), paired_design(SAMPLES, MODELS, 0, "test")
    signals = random.normal(size=(MODELS, SAMPLES, 1, len(SIGNALS))).astype(np.float32)
    signals[..., 0] += keep[:, :, np.newaxis]
    population = random.normal(size=(MODELS, 60, 1, len(SIGNALS))).astype(np.float32)
    return Evidence(signals.round(1), keep, population=population.round(1))


def test_attacks_side_by_side_find_what_they_find_one_by_one(
    evidence: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    clusters, found = sample_scores.clusters_of(evidence), []
    for width in (1, 6):
        monkeypatch.setattr(parallel_attacks, "threads_for", lambda cells, width=width: width)
        union = Union(evidence.keep.ravel(), clusters.ravel())
        attacks, gaps, ratio = sample_scores._attacked(evidence, union, clusters, "lira")
        assert list(attacks) == list(ATTACKS)
        told = {name: attack.model_dump_json() for name, attack in attacks.items()}
        found.append((told, union.result(), {name: gap.tobytes() for name, gap in gaps.items()}, ratio.tobytes()))
    assert found[0] == found[1]


def test_an_error_in_one_attack_is_told_and_nothing_more_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel_attacks, "threads_for", lambda cells: 2)
    begun: list[int] = []

    def run(job: int) -> int:
        begun.append(job)
        if job == 0:
            raise ValueError("an attack failed")
        time.sleep(0.005)
        return job

    with pytest.raises(ValueError, match="an attack failed"):
        list(parallel_attacks.side_by_side(run, range(500), 1))
    assert len(begun) < 500


def test_threads_are_no_more_than_memory_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = 2_000_000
    monkeypatch.setattr(parallel_attacks, "available_cores", lambda: 16)
    for gigabytes, width in ((0.1, 1), (2, 2), (100, 16)):
        monkeypatch.setattr(parallel_attacks, "available_memory", lambda gigabytes=gigabytes: int(gigabytes * 1e9))
        assert parallel_attacks.threads_for(cells) == width
    assert parallel_attacks.threads_for(1000) == 1


def test_models_left_out_twice_are_those_of_arrays_cut_twice(evidence: Evidence) -> None:
    first, second = np.arange(MODELS) > 1, np.arange(MODELS - 2) < 6
    whole = evidence.of_samples(np.ones(SAMPLES, np.bool_))
    looked_up = whole.of_models(first).of_models(second)
    population = evidence.population
    assert population is not None
    cut = Evidence(evidence.signals[first][second], evidence.keep[first][second], population=population[first][second])
    for name, attack in ATTACKS.items():
        assert attack.score(looked_up).tobytes() == attack.score(cut).tobytes(), name


def test_false_alarm_rates_are_those_of_a_search_for_each_score() -> None:
    random = np.random.default_rng(1)
    scores, member = random.normal(size=900).round(1), random.random(900) < 0.4
    assert Evaluation(scores, member).false_alarm_rates().tobytes() == own_rates(scores, member).tobytes()
    assert np.mean(own_rates(scores, member)[member]) == pytest.approx(1 - auc(scores, member), abs=0.02)


def test_the_order_of_equal_scores_tells_nothing() -> None:
    random = np.random.default_rng(2)
    scores, member, fold = random.normal(size=900).round(1), random.random(900) < 0.5, np.arange(900) // 9
    shuffled = random.permutation(900)
    one, other = roc(scores, member), roc(scores[shuffled], member[shuffled])
    assert one.thresholds.tobytes() == other.thresholds.tobytes()
    assert one.true_positives.tobytes() == other.true_positives.tobytes()
    again = balanced_accuracy(scores[shuffled], member[shuffled], fold[shuffled])
    assert balanced_accuracy(scores, member, fold) == again


def test_sides_of_pairs_are_those_of_any_design(evidence: Evidence) -> None:
    scores = ATTACKS["lira"].score(evidence)
    for side, found in zip((evidence.keep, ~evidence.keep), sides_of(scores, evidence.keep), strict=True):
        assert np.sort(found).tobytes() == np.sort(scores[side]).tobytes()


def test_who_is_named_at_a_rate_is_told_by_the_p_value_even_on_its_edge() -> None:
    random, keep = np.random.default_rng(3), paired_design(4000, 8, 0, "test")
    x = random.normal(size=keep.shape).astype(np.float32) + 2 * keep
    p = prediction_p_values(x, keep)
    for rate, named in zip(REPORTED_RATES, _named(x, keep), strict=True):
        assert np.array_equal(named, p <= rate)
    assert NEAR < 1e-3
