"""The measures of unlearning against oracles: scikit-learn, scipy, closed forms, counted steps."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch
from scipy import special, stats
from scipy.spatial.distance import jensenshannon
from sklearn.svm import SVC

from privaudit.evaluation.measures.difficulty import forgotten_at
from privaudit.evaluation.measures.mia_efficacy import choose_members, mia_efficacy
from privaudit.evaluation.measures.prediction_divergence import jensen_shannon
from privaudit.evaluation.measures.relearn import (
    RelearnSettings,
    RelearnTime,
    mean_loss,
    relearn_ratio,
    relearn_target,
    relearn_time,
)
from privaudit.statistics.intervals import mean_interval
from privaudit.statistics.paired_tests import holm, paired_difference, sign_flip_p
from privaudit.training.hardware import Hardware
from privaudit.trials import order_comparison
from privaudit.trials.order_comparison import compare, judge, same_budget
from tests.test_unlearning import context, state


def test_mia_efficacy_is_the_published_svm() -> None:
    random = np.random.default_rng(0)
    member, outsider, forgotten = random.beta(8, 1, 60), random.beta(2, 1, 60), random.beta(3, 1, 40)
    attack = SVC(C=3, gamma="auto", kernel="rbf")
    attack.fit(np.concatenate([member, outsider])[:, None], np.repeat([1, 0], 60))
    share, accuracy = mia_efficacy(member, outsider, forgotten)
    assert share == (attack.predict(forgotten[:, None]) == 0).mean()
    assert 0.5 < accuracy < 1
    # Forgotten samples that look like members are called members; those that look never-seen are not.
    assert mia_efficacy(np.full(50, 0.99), np.full(50, 0.1), np.full(9, 0.99))[0] == 0
    assert mia_efficacy(np.full(50, 0.99), np.full(50, 0.1), np.full(9, 0.1))[0] == 1


def test_members_are_drawn_from_every_class_even_where_data_is_sorted() -> None:
    labels = np.repeat(np.arange(4), [400, 300, 200, 100])
    rows = np.setdiff1d(np.arange(1000), np.arange(0, 1000, 7))
    chosen = choose_members(rows, labels, 100, 0)
    assert len(chosen) == 100
    assert np.isin(chosen, rows).all()
    assert np.bincount(labels[chosen]).tolist() == pytest.approx([40, 30, 20, 10], abs=1)
    assert not np.array_equal(chosen, choose_members(rows, labels, 100, 1))
    assert np.array_equal(chosen, choose_members(rows, labels, 100, 0))
    assert np.array_equal(choose_members(rows, labels, 10_000, 0), rows)


def test_jensen_shannon_is_scipys() -> None:
    random = np.random.default_rng(0)
    first, second = random.normal(0, 5, (50, 7)), random.normal(0, 5, (50, 7))
    p, q = special.softmax(first, axis=1), special.softmax(second, axis=1)
    assert jensen_shannon(first, second) == pytest.approx(jensenshannon(p, q, base=2, axis=1), abs=1e-9)
    assert jensen_shannon(first, first) == pytest.approx(np.zeros(50), abs=1e-7)
    apart = np.array([[1000.0, -1000.0]])
    assert jensen_shannon(apart, -apart) == pytest.approx([1.0])
    one = random.normal(size=(5, 1))
    assert jensen_shannon(one, -one) == pytest.approx(jensenshannon(_both(one), _both(-one), base=2, axis=1))


def _both(logit: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.concatenate([special.expit(-logit), special.expit(logit)], axis=1)


def test_when_a_sample_was_forgotten() -> None:
    seen = np.array([[0, 0, 1, 1, 0], [0, 1, 1, 0, 1], [0, 1, 1, 1, 0]], np.bool_)
    found = forgotten_at(np.array([0, 10, 20]), seen)
    assert found[1:4].tolist() == [10, 0, 20]
    assert np.isnan(found[[0, 4]]).all()  # never; and only for a while


def test_what_counts_as_relearned() -> None:
    assert relearn_target(0.001) == 0.05
    assert relearn_target(2.0) == pytest.approx(2.1)


def test_relearn_time_counts_steps_of_plain_training() -> None:
    """Against a loop written out here: same batches, same steps."""
    work = context(forget=8)
    hardware = Hardware("cpu", "fp32")
    before = state(work.model)
    settings = RelearnSettings(learning_rate=0.2, momentum=0.9, batch_size=8, limit=200, look_every=1)
    target = 0.5
    found = relearn_time(work.model, work.samples, work.forget, target, 0, hardware, settings)
    rarely = relearn_time(work.model, work.samples, work.forget, target, 0, hardware, replace(settings, look_every=5))
    assert all(torch.equal(before[name], tensor) for name, tensor in state(work.model).items())
    optimizer = torch.optim.SGD(work.model.parameters(), lr=0.2, momentum=0.9)
    work.model.train()
    rows = torch.arange(8)
    images, labels = work.samples.inputs[rows].permute(0, 3, 1, 2).float() / 255, work.samples.labels[rows]
    losses: list[float] = []
    while not losses or losses[-1] > target:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(work.model(images), labels).backward()
        optimizer.step()
        with torch.no_grad():
            losses.append(float(torch.nn.functional.cross_entropy(work.model(images), labels)))
    assert found.steps == len(losses)
    assert found.steps is not None
    assert found.steps > 1
    # Looked at every fifth step only: the first multiple of five at which it is low.
    assert found.steps % 5
    assert rarely.steps == -(-found.steps // 5) * 5
    low = mean_loss(work.model, work.samples, work.forget)
    assert relearn_time(work.model, work.samples, work.forget, low + 1e-9, 0, hardware, settings).steps == 0
    assert relearn_time(work.model, work.samples, work.forget, 0.0, 0, hardware, RelearnSettings(limit=3)).steps is None


@pytest.mark.parametrize(
    ("unlearned", "retrained", "value", "bound"),
    [
        (40, 80, 0.5, None),
        (None, 100, 4.0, "at least"),
        (40, None, 0.1, "at most"),
        (None, None, None, "unknown"),
        (0, None, 0.0, None),
        (0, 80, 0.0, None),
        (40, 0, None, "unknown"),
    ],
)
def test_a_ratio_at_the_limit_is_a_bound(
    unlearned: int | None, retrained: int | None, value: float | None, bound: str | None
) -> None:
    found = relearn_ratio(RelearnTime(unlearned, 400), RelearnTime(retrained, 400))
    assert found.to_json() == {"value": value if value is None else pytest.approx(value), "bound": bound}


def test_paired_differences_are_scipys() -> None:
    random = np.random.default_rng(0)
    for n in (5, 9, 12):
        first, second = random.normal(0.3, 1, n), random.normal(size=n)
        found = paired_difference(first, second)
        oracle = stats.ttest_rel(first, second)
        interval = oracle.confidence_interval(0.95)
        assert found.mean == pytest.approx(float(np.mean(first - second)))
        assert found.ci == pytest.approx((float(interval.low), float(interval.high)))
        exact = stats.permutation_test((first - second,), np.mean, permutation_type="samples", n_resamples=10_000)
        assert found.p == pytest.approx(float(exact.pvalue))
        assert found.wins == int((first > second).sum())
    assert mean_interval(first) == pytest.approx(stats.t.interval(0.95, n - 1, first.mean(), stats.sem(first)))


def test_sign_flips_with_ties_zeros_and_many_pairs() -> None:
    assert sign_flip_p(np.zeros(9)) == 1
    assert sign_flip_p(np.full(9, 0.1)) == pytest.approx(2 / 2**9)
    assert sign_flip_p(np.ones(1)) is None
    random = np.random.default_rng(1)
    many = random.normal(0.4, 1, 30)
    p = sign_flip_p(many)
    assert p == pytest.approx(float(stats.ttest_1samp(many, 0).pvalue), abs=0.02)


@pytest.mark.slow
def test_sign_flips_hold_their_level() -> None:
    random = np.random.default_rng(0)
    rejected = [sign_flip_p(random.standard_t(2, 9)) for _ in range(1000)]
    assert np.mean([p is not None and p < 0.05 for p in rejected]) < 0.07


def test_holm_is_the_obvious_one() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []
    # By definition: the smallest p survives against all n of them, and so on, step by step.
    p = [0.011, 0.02, 0.012, 0.3]
    for level in (0.03, 0.04, 0.05, 0.1):
        rejected = set()
        for step, index in enumerate(np.argsort(p)):
            if p[index] > level / (len(p) - step):
                break
            rejected.add(int(index))
        assert {i for i, corrected in enumerate(holm(p)) if corrected <= level} == rejected


def comparison(gain: float, spread: float, seeds: int = 9) -> pd.DataFrame:
    random = np.random.default_rng(0)
    base = {
        "do-nothing": 0.6,
        "one-shot": 0.7,
        "random-groups": 0.7,
        "reverse": 0.65,
        "risk": 0.7 + gain,
        "retrain": 0.98,
    }
    rows: list[dict[str, Any]] = []
    for seed, (arm, tow) in itertools.product(range(seeds), base.items()):
        row = dict.fromkeys(order_comparison.MEASURES, 0.5)
        steps = 0 if arm in ("do-nothing", "retrain") else 100
        rows.append(row | {"arm": arm, "seed": seed, "tow": tow + spread * random.normal(), "stopped": None}
                    | {"forget_steps": steps, "forget_steps_run": steps})  # fmt: skip
    return pd.DataFrame(rows)


def test_verdicts() -> None:
    found = compare(comparison(0.1, 0.01), "risk")
    assert found["verdict"]["claim"] == "supported"
    assert found["verdict"]["over_one_shot"] == "supported"
    assert [row["second"] for row in found["contrasts"]] == ["random-groups", "one-shot", "reverse", "do-nothing"]
    assert [row["primary"] for row in found["contrasts"]] == [True, False, False, False]
    # Nine seeds at most give 2/2⁹, four contrasts at most quadruple it.
    assert found["contrasts"][0]["p"] == pytest.approx(2 / 512)
    assert found["contrasts"][0]["p_holm"] == pytest.approx(8 / 512)
    assert compare(comparison(-0.1, 0.01), "risk")["verdict"]["claim"] == "not supported"
    assert compare(comparison(0.0, 0.001), "risk")["verdict"]["claim"] == "not supported"
    assert compare(comparison(0.02, 0.2), "risk")["verdict"]["claim"] == "inconclusive"
    few = compare(comparison(0.1, 0.01, seeds=8), "risk")["verdict"]
    assert few["claim"] == "descriptive"
    assert "proves nothing" in few["sentence"]
    assert judge(0.0, None, 1.0, 9) == "not supported"


def test_unequal_budgets_are_noticed() -> None:
    runs = comparison(0.0, 0.01)
    assert same_budget(runs)
    runs.loc[(runs["arm"] == "risk") & (runs["seed"] == 3), "forget_steps"] = 101
    assert not same_budget(runs)
