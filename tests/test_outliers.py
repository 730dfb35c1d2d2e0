"""One model, one sample or one cell that is off by orders of magnitude must not end in an all-clear for everybody."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from privaudit.attacks import lira
from privaudit.attacks.risk import separation
from privaudit.attacks.suite import ATTACKS, Evidence
from privaudit.audit.external_signals.signals_design import balanced_cells
from privaudit.scoring.reliability.outliers import drawn_in, find_outliers, models_to_leave_out, odd_models, sentences
from privaudit.shadow.design import paired_design
from privaudit.signals import SIGNALS
from privaudit.statistics.gaussian import largest_variance, moments_of, pooled_variance
from privaudit.statistics.roc import auc, roc
from tests.conftest import Run

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


def signals_of_statistic(values: Array) -> Array:
    signals = np.full((*values.shape, 1, len(SIGNALS)), np.nan)
    signals[..., 0, SIGNALS.index("margin")] = values
    return signals


def spoil(values: Array, how: str) -> Array:
    """The same with one model, number 5, that is unlike the others."""
    random = np.random.default_rng(9)
    level = values.mean()
    spoiled = values.copy()
    spoiled[5] = {
        "twenty times as large": values[5] * 20,
        "five times as large": values[5] * 5,
        "of the other sign": -values[5] * 3,
        "moved": values[5] + 60,
        "constant": np.zeros(values.shape[1]),
        "the same of everybody": np.full(values.shape[1], values[5].mean()),
        "noise": level + 40 * random.normal(size=values.shape[1]),
    }[how]
    return spoiled


KINDS = (
    "the same of everybody",
    "twenty times as large",
    "five times as large",
    "of the other sign",
    "moved",
    "constant",
    "noise",
)


@pytest.mark.parametrize("how", KINDS)
def test_a_model_unlike_its_siblings_is_named_and_left_out(how: str) -> None:
    values, _ = leaking(models=16)
    values += 20
    spoiled = spoil(values, how)
    found = find_outliers(spoiled)
    assert odd_models(found) == [5]
    assert models_to_leave_out(found, lira.complements(16)) == (4, 5)
    assert found.kinds is None
    assert found.values == ()
    said = sentences(found.model_copy(update={"left_out": (4, 5)}), 16)
    assert said[0].startswith("model 5 is unlike its siblings")
    assert said[0].endswith("left out of every figure, with what completes them: models 4, 5")


@pytest.mark.parametrize("models", [4, 6, 8, 32])
@pytest.mark.parametrize("how", ["twenty times as large", "a twentieth", "moved"])
def test_where_half_of_the_models_are_odd_the_audit_says_not_to_trust_it(models: int, how: str) -> None:
    """The median is nobody's then, so that distances from it tell nothing."""
    values, _ = leaking(models=models)
    values += 5
    half = values[: models // 2]
    half[:] = {"twenty times as large": half * 20, "a twentieth": half / 20, "moved": half + 60}[how]
    found = find_outliers(values)
    assert odd_models(found) == []
    assert found.kinds is not None
    assert {found.kinds.model < models // 2, found.kinds.other < models // 2} == {True, False}
    said = sentences(found, models)
    assert said[-1].endswith("which are the odd ones can't be told: do not trust this audit")


def test_neither_page_one_nor_the_gate_relies_on_models_that_are_unlike_each_other(
    privaudit: Run, tmp_path: Path
) -> None:
    values, keep = leaking(models=8, samples=400)
    values += 20
    values[:4] *= 20
    path = tmp_path / "half.npz"
    np.savez(path, statistic=values, keep=keep, labels=np.zeros(400, int))
    done = privaudit("score", "--signals", path, "--out", tmp_path / "o", "--json")
    results = json.loads(done.stdout)
    assert "do not trust this audit" in done.stderr
    assert any("do not trust this audit" in said for said in results["warnings"])
    html = Path(results["report"]["html"]).read_text()
    assert "The models are unlike each other: this audit must not be relied on" in html
    gate = privaudit("gate", results["audit"], "--max-auc", "0.9", "--out", tmp_path / "o", "--json")
    assert gate.returncode == 4
    assert "the models are unlike each other" in json.loads(gate.stdout)["checks"][0]["reason"]


def test_a_signals_file_with_one_bad_model_reads_what_the_others_read(privaudit: Run, tmp_path: Path) -> None:
    values, keep = leaking(models=16, samples=800)
    values += 20
    order = np.random.default_rng(4).permutation(16)
    spoiled = spoil(values, "twenty times as large")[order]
    spoiled[int(np.flatnonzero(order == 2)[0]), 33] = 1e6
    bad, mate, other = (int(np.flatnonzero(order == model)[0]) for model in (5, 4, 2))
    path = tmp_path / "bad.npz"
    ids = np.arange(800) + 70_000
    np.savez(path, statistic=spoiled, keep=keep[order], labels=np.zeros(800, int), sample_ids=ids)
    done = privaudit("score", "--signals", path, "--out", tmp_path / "o", "--json")
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    rest = np.delete(np.arange(16), [4, 5])
    expected = auc(lira.online(values[rest], keep[rest]).ravel(), keep[rest].ravel())
    assert results["attacks"]["lira"]["auc"] == pytest.approx(expected, abs=0.003)
    assert results["outliers"]["left_out"] == sorted((bad, mate))
    assert [one["model"] for one in results["outliers"]["models"]] == [bad]
    assert [(one["model"], one["sample_id"]) for one in results["outliers"]["values"]] == [(other, 70_033)]
    assert f"warning: model {bad} is unlike its siblings" in done.stderr
    assert f"sample 70033 under model {other}" in done.stderr
    assert len(results["warnings"]) == 2
    html = Path(results["report"]["html"]).read_text()
    assert f"Warning: model {bad} is unlike its siblings" in html
    assert "70033" in html
    redacted = privaudit("score", "--signals", path, "--out", tmp_path / "o", "--redact", "ids", "--json")
    html = Path(json.loads(redacted.stdout)["report"]["html"]).read_text()
    assert "What stands out" in html
    assert "70033" not in html


@pytest.mark.parametrize("models", [4, 8, 32])
def test_nothing_stands_out_where_all_is_well(models: int) -> None:
    """Heavy tails, leaks of any size, samples of very different spread, constants: none of it is an outlier."""
    random = np.random.default_rng(models)
    keep = paired_design(1200, models, 0)
    normal = random.normal(size=keep.shape)
    for values in (
        normal,
        normal + 50 * keep,
        normal * np.exp(random.normal(size=1200)),
        random.standard_t(4, size=keep.shape) + keep,
        np.where(np.arange(1200) % 3, 7.0, normal),
        np.zeros(keep.shape),
    ):
        assert odd_models(find_outliers(values)) == []
        assert find_outliers(values).kinds is None
        assert find_outliers(values).samples == ()
        assert not find_outliers(values).values or models == 4


def test_drawing_in_is_blind_to_membership_and_changes_nothing_where_all_is_well() -> None:
    values, _ = leaking()
    signals = signals_of_statistic(values)
    assert drawn_in(signals) is signals
    signals[3, 40, 0, 0] = -1e6
    changed = drawn_in(signals)
    assert changed is not signals
    assert signals[3, 40, 0, 0] == -1e6
    differs = changed != signals
    differs[np.isnan(signals)] = False
    assert np.argwhere(differs).tolist() == [[3, 40, 0, 0]]
    assert changed[3, 40, 0, 0] < np.median(values[:, 40])  # still on its side
    # A few members among many others lie far from them by right: equally many of either take part.
    few = np.zeros((20, 300), bool)
    few[:2] = True
    shifted = np.random.default_rng(5).normal(size=few.shape) + 40 * few
    used = balanced_cells(few, 0)
    assert np.array_equal(drawn_in(signals_of_statistic(shifted), used)[:2, :, 0, 0], shifted[:2])


@pytest.mark.parametrize("contamination", ["a model", "cells"])
def test_noise_with_outliers_still_reads_one_half(contamination: str) -> None:
    random = np.random.default_rng(6)
    areas: dict[str, list[float]] = {name: [] for name in ("lira", "lira-hierarchical", "lira-bayes", "lira-offline")}
    for draw in range(25):
        keep = paired_design(600, 8, draw)
        values = random.normal(size=keep.shape)
        if contamination == "a model":
            values[3] *= 20
        else:
            values *= np.where(random.random(keep.shape) < 0.02, 1e4, 1)
        evidence = Evidence(drawn_in(signals_of_statistic(values)), keep)
        for name, found in areas.items():
            found.append(auc(ATTACKS[name].score(evidence).ravel(), keep.ravel()))
    for name, found in areas.items():
        assert abs(np.mean(found) - 0.5) <= 4 * np.std(found, ddof=1) / np.sqrt(len(found)) + 1e-3, name


def test_scattered_outliers_cost_little() -> None:
    values, keep = leaking()
    spoiled = values.copy()
    spoiled[np.random.default_rng(7).random(values.shape) < 0.003] = 1e5
    evidence = Evidence(drawn_in(signals_of_statistic(spoiled)), keep)
    for name in ("lira", "lira-hierarchical", "lira-bayes"):
        clean = ATTACKS[name].score(Evidence(signals_of_statistic(values), keep))
        assert measures(ATTACKS[name].score(evidence), keep)[0] == pytest.approx(measures(clean, keep)[0], abs=0.015)


def test_too_many_odd_models_are_no_outliers_and_few_models_leave_none_out() -> None:
    values, _ = leaking(models=8)
    values += 20
    values[[0, 3, 5]] *= 20
    found = find_outliers(values)
    assert len(found.models) == 3
    assert models_to_leave_out(found, lira.complements(8)) == ()
    said = sentences(found, 8)
    assert "do not trust this audit" in said[-1]
    four = spoil(leaking(models=8)[0] + 20, "twenty times as large")[2:6]
    assert models_to_leave_out(find_outliers(four), lira.complements(4)) == ()


def test_a_model_of_another_accuracy_is_named_even_where_values_are_wide() -> None:
    random = np.random.default_rng(8)
    margins = random.normal(1, 4, size=(12, 900))
    margins[4] = random.normal(-1, 0.8, size=900)  # no outlier by distance: the others vary as widely
    found = find_outliers(margins, is_margin=True)
    assert found.models == ()
    assert [one.model for one in found.accuracies] == [4]
    said = sentences(found, 12)
    assert said[0].startswith("model 4 is right on 1")
    assert find_outliers(margins).accuracies == ()


def test_a_forest_s_ties_make_no_model_an_outlier() -> None:
    """Of most samples nearly half of the models say something else than all the others, who say exactly the same."""
    values, _ = leaking(models=32, samples=400)
    votes = np.where(np.abs(values) < 4, 4.0, np.round(values))
    assert not odd_models(find_outliers(votes))
    tied = np.random.default_rng(1).random(votes.shape) < np.linspace(0.45, 0.6, 32)[:, np.newaxis]
    votes = np.where(tied, np.median(values, axis=0).round(), np.round(2 * values) / 2 + 0.25)
    assert not odd_models(find_outliers(votes))
    # Nor do they hide one: far more or less than the others, the other way round, of other samples, or near on all.
    centre = np.median(votes, axis=0)
    far = np.where(np.random.default_rng(2).random(400) < 0.45, 30.0, 0.0)
    others = (20 * votes[7], 5 * votes[7], -votes[7], votes[7][::-1], 0 * centre, centre, centre + far)
    for odd in others:
        assert odd_models(find_outliers(np.where(np.arange(32)[:, np.newaxis] == 7, odd, votes))) == [7]
