"""Intervals of risk, rankings and blind baselines where a plain case says nothing: mirror images, ties, small sides."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy import stats

from privaudit.attacks import lira
from privaudit.attacks.risk import memorisation
from privaudit.evaluation.measures.mia_efficacy import MOST_FITTED, _spaced
from privaudit.inversion import image_similarity
from privaudit.inversion.image_similarity import place
from privaudit.scoring.blind_baseline import _Described, blind_baseline
from privaudit.scoring.reliability import simulated_audits
from privaudit.scoring.reliability.cross_half_selection import picked_and_judged
from privaudit.scoring.reliability.outliers import drawn_in
from privaudit.scoring.reliability.risk_interval import risk_interval, risk_table
from privaudit.scoring.reliability.simulated_audits import chance_of
from privaudit.scoring.reliability.split_halves import Half, attack_halves
from privaudit.scoring.reliability.stability import EXTRAPOLATION, RESAMPLES, _split_halves, ranking_stability
from privaudit.scoring.unseen_control import _smallest_p
from privaudit.shadow.design import paired_design
from privaudit.signals import SIGNALS
from privaudit.statistics.audit_difference import Estimate, difference
from privaudit.statistics.group_accuracy import Shares, right_shares
from privaudit.statistics.intervals import logit_interval
from privaudit.statistics.jackknife import Refits
from privaudit.statistics.paired_tests import sign_flip_p
from privaudit.unlearning.requests.forget_set import choose_forget_set


def test_the_interval_of_a_risk_is_the_mirror_image_of_that_of_its_complement() -> None:
    table = risk_table(8, 0)
    np.testing.assert_allclose(table.low, 1 - table.high[::-1], atol=1e-9)
    shares = np.arange(9) / 8
    low, high = risk_interval(shares, np.full(9, 8), 0.0)
    assert np.all((low <= shares) & (shares <= high))


def test_simulated_pairs_have_the_spread_and_the_correlation_that_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[Any] = []

    def online(statistic: Any, keep: Any) -> Any:
        told.append((statistic, keep))
        return statistic

    monkeypatch.setattr(lira, "online", online)
    simulated_audits._simulated(6, -10, np.full(20_000, 1.5))
    statistic, keep = told[0]
    assert keep[:, 0].tolist() == [True, False] * 3
    np.testing.assert_allclose(statistic.std(axis=1), 1, atol=0.03)
    np.testing.assert_allclose(statistic.mean(axis=1), [1.5, 0] * 3, atol=0.03)
    np.testing.assert_allclose([np.corrcoef(statistic[2 * p : 2 * p + 2])[0, 1] for p in range(3)], -0.5, atol=0.03)
    monkeypatch.undo()
    # Of 4 models the two targets of a pair are told by two means: all four are right by chance in one of eight.
    assert chance_of(4, 1.0) == pytest.approx(1 / 8, abs=0.02)


def test_a_margin_of_zero_is_not_right() -> None:
    keep = np.array([[True], [False], [True], [False]])
    assert memorisation(np.array([[0.0], [-1.0], [2.0], [-1.0]]), keep).tolist() == [0.5]


def test_the_error_of_a_rankings_halves_is_that_of_a_mean_of_influences() -> None:
    random = np.random.default_rng(0)
    keep = paired_design(600, 16, 0)
    values = random.normal(size=keep.shape) + keep * random.uniform(0, 4, 600)
    asr = np.asarray(lira.verdict_is_right(np.asarray(lira.online(values, keep)), keep)).mean(axis=0)
    split, influence = _split_halves(values, keep, 5)
    assert abs(influence.mean()) < 1e-12
    assert len(set(split.round(12))) > 5, "every split is another one"
    found = ranking_stability(values, keep, asr, 0.0, 5)
    assert found is not None
    assert found.split_half == pytest.approx(split.mean())
    assert found.spread == pytest.approx(np.std(split, ddof=1))
    reach = 1.96 * stats.sem(influence)
    assert found.split_half_ci == pytest.approx((split.mean() - reach, split.mean() + reach))
    # The forecast errs by itself too, however many samples there are.
    assert found.reliability is not None
    assert found.ci is not None
    by_itself = EXTRAPOLATION * (found.reliability - found.split_half)
    least = logit_interval(found.reliability, by_itself, RESAMPLES - 1)
    assert least is not None
    assert found.ci[0] <= least[0] + 1e-12
    assert found.ci[1] >= least[1] - 1e-12


def judge(half: Half, chosen: npt.NDArray[np.int64]) -> Shares:
    refits = Refits(8, lambda left: lira.online(half.statistic[left], half.keep[left])[:, chosen])
    one_group, pairs = np.zeros(len(chosen), np.int64), np.arange(8) // 2
    return right_shares(half.ratio[:, chosen], half.keep[:, chosen], one_group, pairs, refits)


def test_the_picked_are_judged_by_two_halves_that_err_independently() -> None:
    random = np.random.default_rng(1)
    keep = paired_design(300, 16, 0)
    values = random.normal(size=keep.shape) + keep * random.uniform(0, 3, 300)
    halves = attack_halves(values, keep)
    assert halves is not None
    judged = []
    for picking, judging in (halves, halves[::-1]):
        chosen = np.argsort(-picking.ranking())[:30]
        judged.append(judge(judging, chosen))
    share = float(np.mean([one.share[0] for one in judged]))
    error = np.hypot(judged[0].error[0], judged[1].error[0]) / 2
    found = picked_and_judged(halves)
    assert found.count == 30
    assert found.by_others == pytest.approx(share)
    assert found.ci == pytest.approx(logit_interval(share, error, 6))


def test_the_chance_of_the_smallest_of_several_p_values() -> None:
    """Among what was observed and three redraws, one redraw is as far off in another respect: 2 of 4."""
    off = np.array([[3.0, 1.0], [1.0, 2.0], [2.0, 3.0], [0.0, 0.0]])
    assert _smallest_p(off) == 0.5
    assert _smallest_p(off[[3, 0, 1, 2]]) == 1.0


def test_the_p_of_inputs_is_one_sided_and_knows_unequal_sides() -> None:
    random = np.random.default_rng(2)
    train = random.normal(size=(80, 3)).astype(np.float32), np.zeros(80, np.int64)
    test = random.normal(size=(30, 3)).astype(np.float32), np.zeros(30, np.int64)
    areas = []
    for seed in range(4):
        found = blind_baseline(train, test, seed)
        assert found is not None
        # Mann and Whitney's error of one half: 40 of one side, 15 of the other.
        width = np.sqrt(56 / (12 * 40 * 15))
        assert found.inputs_p == pytest.approx(stats.norm.sf((found.auc - 0.5) / width))
        areas.append(found.auc)
    assert min(areas) < 0.5
    assert len(set(areas)) == 4, "another seed draws other halves"


def test_copies_of_training_samples_are_near_training_samples() -> None:
    components = np.array([[0.0, 0], [5, 5], [0, 0.1], [5, 5.1]])
    described = _Described(components, components, components)
    fitted = np.array([True, True, False, False])
    found = described._nearest(np.array([True, False]), fitted, ~fitted)
    assert found.tolist() == [3, -3]


def test_drawn_signs_never_make_what_was_observed_impossible() -> None:
    """Thirty gains of one size: no draw is as far out, and p is that of the one that was observed."""
    assert sign_flip_p(np.ones(30)) == pytest.approx(1 / 100_001, rel=1e-6)


def test_references_are_taken_in_parts_and_members_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    references = np.linspace(0, 1, 5)[:, np.newaxis, np.newaxis, np.newaxis] * np.ones((5, 2, 2, 1))
    whole = place(references[[2]] + 0.05, references[[2]], references, np.array([2]))
    monkeypatch.setattr(image_similarity, "CHUNK", 2)
    parts = place(references[[2]] + 0.05, references[[2]], references, np.array([2]))
    assert (parts.nearest.tolist(), parts.rank.tolist()) == (whole.nearest.tolist(), whole.rank.tolist()) == ([3], [1])
    spaced = _spaced(np.arange(5 * MOST_FITTED))
    assert (len(spaced), spaced[0], spaced[-1]) == (MOST_FITTED, 0, 5 * MOST_FITTED - 1)


@pytest.mark.parametrize("masked", [False, True])
def test_values_are_drawn_in_to_ten_spreads_of_their_sample_or_of_the_usual_one(masked: bool) -> None:
    """Medians and deviations of those that take part, 1.4826 times the median deviation; narrow samples have leeway."""
    random = np.random.default_rng(12)
    margin = SIGNALS.index("margin")
    signals = np.full((12, 400, 1, len(SIGNALS)), np.nan)
    values = random.normal(size=(12, 400))
    values[:, :20] *= 1e-3
    values[3, :40] += np.linspace(5, 40, 40)
    signals[:, :, 0, margin] = values
    used = np.ones(values.shape, np.bool_)
    if masked:
        used[8:] = random.random((4, 400)) < 0.5
    asked = np.where(used, values, np.nan)
    centre = np.nanmedian(asked, axis=0)
    own = 1.4826 * np.nanmedian(np.abs(asked - centre), axis=0)
    plain = 1.4826 * np.median(np.abs(values - np.median(values, axis=0)), axis=0)
    reach = 10 * np.maximum(own, np.median(plain))
    found = drawn_in(signals, used if masked else None)[:, :, 0, margin]
    np.testing.assert_allclose(found, np.clip(values, centre - reach, centre + reach))
    assert 0 < (found != values).sum() < 40


def test_a_difference_of_shares_ends_at_one_and_another_seed_forgets_others() -> None:
    wide = np.array([0.4, -0.4, 0.3, -0.3])
    found = difference(Estimate(0.1, wide), Estimate(0.9, -wide), paired=False)
    assert found.difference == pytest.approx(0.8)
    assert found.ci is not None
    assert found.ci[1] == 1.0
    assert found.ci[0] < 0.8
    table = pd.DataFrame({"label": np.arange(200) % 4})
    rows = [choose_forget_set("random:20", table, ("a", "b", "c", "d"), seed).rows for seed in (1, 1, 2)]
    assert [len(one) for one in rows] == [20, 20, 20]
    np.testing.assert_array_equal(rows[0], rows[1])
    assert set(rows[0]) != set(rows[2])
