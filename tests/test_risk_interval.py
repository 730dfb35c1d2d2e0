"""Per-sample risk: do its intervals hold, who may be named, does the forecast of reliability come true?"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from privaudit.attacks import lira
from privaudit.attacks.risk import attack_success
from privaudit.attacks.suite import Evidence
from privaudit.audit.external_signals.signals_design import balanced_cells, random_partners
from privaudit.scoring.reliability.confirmation import CERTAIN
from privaudit.scoring.reliability.risk_interval import risk_interval
from privaudit.scoring.reliability.simulated_audits import chance_of, pair_correlation
from privaudit.scoring.reliability.split_halves import ranking
from privaudit.scoring.reliability.stability import Forecast, ranking_stability
from privaudit.scoring.sample_scores import Scores, score
from privaudit.scoring.score_table import SampleFacts
from privaudit.shadow.design import paired_design
from privaudit.signals import SIGNALS
from privaudit.statistics.intervals import FloatArray, wilson

KeepArray = npt.NDArray[np.bool_]


def margins(random: np.random.Generator, keep: KeepArray, shift: Any, correlation: float = -0.3) -> FloatArray:
    """Margins of models whose pairs are correlated given membership; each sample has a spread of its own."""
    first, second = random.normal(size=(2, len(keep) // 2, keep.shape[1]))
    noise = np.empty(keep.shape)
    noise[0::2], noise[1::2] = first, correlation * first + np.sqrt(1 - correlation**2) * second
    margin: FloatArray = random.uniform(0.5, 2, keep.shape[1]) * (noise + shift * keep)
    return margin


def scores_of(values: FloatArray, keep: KeepArray, **how: Any) -> Scores:
    signals = np.full((*keep.shape, 1, len(SIGNALS)), np.nan, np.float32)
    signals[:, :, 0, SIGNALS.index("margin")] = values
    samples = keep.shape[1]
    facts = SampleFacts(np.arange(samples), np.zeros(samples, np.int64), ("a",), np.zeros(samples, np.bool_))
    return score(Evidence(signals, keep, **how), facts)


def check_intervals(separation: FloatArray, asr: FloatArray, low: FloatArray, high: FloatArray, models: int) -> None:
    """Samples of one separation have one expected ASR: their mean, and exactly ½ where nothing leaks."""
    assert (low <= asr).all()
    assert (asr <= high).all()
    for one in np.unique(separation):
        mine = separation == one
        truth = 0.5 if one == 0 else float(asr[mine].mean())
        assert np.mean((low[mine] <= truth) & (truth <= high[mine])) >= 0.93, one
    of_wilson = wilson(asr * models, np.full(len(asr), models))
    assert (high - low).mean() < 1.6 * (of_wilson[1] - of_wilson[0]).mean()


def test_risk_intervals_hold_what_an_audit_reads_on_average() -> None:
    """In the score table of a whole audit."""
    random = np.random.default_rng(16)
    separation = np.repeat([0.0, 1.0, 2.0, 4.0], 300)
    keep = paired_design(len(separation), 16, 0)
    table = scores_of(margins(random, keep, separation), keep).table
    risk, low, high = (table[name].to_numpy(np.float64) for name in ("risk", "risk_low", "risk_high"))
    check_intervals(separation, risk, low, high, 16)


@pytest.mark.parametrize("models", [8, 16, 32, 64])
@pytest.mark.parametrize("correlation", [-0.5, 0.0, 0.3])
def test_risk_intervals_hold_however_pairs_go_together(models: int, correlation: float) -> None:
    random = np.random.default_rng(models)
    separation = np.repeat([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0], 1500)
    keep = paired_design(len(separation), models, 0)
    values = margins(random, keep, separation, correlation)
    asr = attack_success(lira.online(values, keep), keep)
    bounds = risk_interval(asr, np.full(len(asr), models), pair_correlation(values, keep))
    for one in np.unique(separation):
        mine = separation == one
        truth = 0.5 if one == 0 else float(asr[mine].mean())
        assert np.mean((bounds[0][mine] <= truth) & (truth <= bounds[1][mine])) >= 0.93, one


def test_risk_intervals_hold_without_pairs() -> None:
    random = np.random.default_rng(5)
    keep = random.random((16, 600)) < 0.5
    keep[:2], keep[2:4] = True, False
    used = balanced_cells(keep, 0)
    values = random.normal(size=keep.shape)
    table = scores_of(values, keep, partners=random_partners(keep, used, 0), used=used).table
    assert np.mean((table["risk_low"] <= 0.5) & (table["risk_high"] >= 0.5)) >= 0.93


def test_more_negative_pairs_widen_the_interval() -> None:
    asr, models = np.linspace(0, 1, 17), np.full(17, 16)
    widths = [np.subtract(*risk_interval(asr, models, c)[::-1]).mean() for c in (0.5, 0.0, -0.5)]
    assert widths[0] == widths[1] < widths[2]
    random = np.random.default_rng(6)
    keep = paired_design(400, 32, 0)
    assert pair_correlation(margins(random, keep, 1.0, -0.4), keep) == pytest.approx(-0.4, abs=0.03)
    assert pair_correlation(np.ones(keep.shape), keep) == 0.0


@pytest.mark.parametrize("models", [4, 8, 16])
def test_noise_names_nobody_and_its_chance_level_is_told(models: int) -> None:
    random = np.random.default_rng(models)
    told, chance = [], []
    for draw in range(3):
        keep = paired_design(500, models, draw)
        found = scores_of(margins(random, keep, 0.0), keep).told_right
        assert not found.named
        assert found.reason
        told.append(found.samples)
        chance.append(500 * found.chance)
    assert np.mean(told) == pytest.approx(np.mean(chance), abs=4 * np.sqrt(np.mean(chance) / 3) + 1)


def test_the_chance_level_is_that_of_noise() -> None:
    """8 models: about 1%; 4: an eighth and a little more, as the nearest mean decides."""
    assert 0.005 <= chance_of(8, CERTAIN) <= 0.012
    assert 0.12 <= chance_of(4, CERTAIN) <= 0.15
    random = np.random.default_rng(1)
    keep = paired_design(20_000, 8, 0)
    asr = attack_success(lira.online(random.normal(size=keep.shape), keep), keep)
    assert chance_of(8, CERTAIN) == pytest.approx(float((asr >= CERTAIN).mean()), abs=0.003)


@pytest.mark.parametrize("models", [8, 16])
def test_those_whom_both_halves_tell_right_are_named(models: int) -> None:
    """Forty of six hundred leak for certain, as mislabelled samples do; the rest next to nothing."""
    random = np.random.default_rng(models)
    keep = paired_design(600, models, 0)
    found = scores_of(margins(random, keep, np.where(np.arange(600) < 40, 12.0, 0.3)), keep)
    assert found.told_right.named, found.told_right
    assert found.told_right.leaders_confirmed == 1.0
    leading = found.table.sort_values("rank").head(10)
    assert (leading["sample_id"] < 40).all()
    assert leading["confirmed"].all()


def agreement(values: FloatArray, keep: KeepArray) -> float:
    """Spearman's ρ between the rankings of the first and the second half of the models."""
    half = len(keep) // 2
    places = [ranking(lira.online(values[part], keep[part]), keep[part]) for part in (slice(half), slice(half, None))]
    return float(stats.spearmanr(places[0], places[1]).statistic)


def stability_of(values: FloatArray, keep: KeepArray) -> Any:
    asr = attack_success(lira.online(values, keep), keep)
    return ranking_stability(values, keep, asr, pair_correlation(values, keep), 0)


@pytest.mark.parametrize("kind", ["few leak", "all leak a little", "all leak"])
def test_the_forecast_of_reliability_comes_true(kind: str) -> None:
    """Held out: what two audits of 32 models agree on. Spearman and Brown's forecast is off where few leak."""
    random = np.random.default_rng(7)
    found, foretold, doubled = [], [], []
    for draw in range(3):
        shift = {
            "few leak": np.where(np.arange(1500) < 75, 4.0, 0.2),
            "all leak a little": random.uniform(0, 2, 1500),
            "all leak": random.uniform(0, 4, 1500),
        }[kind]
        keep = paired_design(1500, 64, draw)
        values = margins(random, keep, shift)
        found.append(agreement(values, keep))
        for part in (slice(32), slice(32, None)):
            told = stability_of(values[part], keep[part])
            foretold.append(told.reliability)
            doubled.append(2 * told.split_half / (1 + told.split_half))
            assert told.ci[0] < told.reliability < told.ci[1]
    assert np.mean(foretold) == pytest.approx(np.mean(found), abs=0.04)
    if kind == "few leak":
        assert np.mean(doubled) > np.mean(found) + 0.08


def test_noise_gets_no_forecast() -> None:
    random = np.random.default_rng(8)
    given = []
    for draw in range(12):
        keep = paired_design(800, 16, draw)
        found = stability_of(margins(random, keep, 0.0), keep)
        given.append(found.reliability is not None)
        assert found.models_needed is None or given[-1]
    assert sum(given) <= 1  # of 200 one is expected


def test_where_most_leak_nothing_no_number_of_models_will_do() -> None:
    random = np.random.default_rng(9)
    keep = paired_design(2000, 32, 0)
    found = stability_of(margins(random, keep, np.where(np.arange(2000) < 100, 4.0, 0.0)), keep)
    assert found.reliability is not None
    assert found.models_needed is None
    forecast = Forecast(np.full(100, 0.5), 16, 0.0)
    assert forecast.agreement(1.0, 16) == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("models", [8, 16, 32])
def test_risk_intervals_cover_over_whole_audits(models: int) -> None:
    """200 audits of the same 1,000 samples, true risks from ½ to 1; what is held is each sample's mean over them."""
    fixed = np.random.default_rng(0)
    shift = np.where(fixed.random(1000) < 0.4, 0.0, fixed.exponential(1.2, 1000))
    shift[-100:] = fixed.uniform(2, 8, 100)
    random = np.random.default_rng(models)
    asr, bounds = [], []
    for _ in range(200):
        keep = paired_design(1000, models, int(random.integers(2**31)))
        leak, ease = (np.repeat(random.normal(mean, 0.3, models // 2), 2)[:, np.newaxis] for mean in (1, 0))
        values = margins(random, keep, leak * shift) + ease
        asr.append(attack_success(lira.online(values, keep), keep))
        bounds.append(risk_interval(asr[-1], np.full(1000, models), pair_correlation(values, keep)))
    truth = np.mean(asr, axis=0)
    low, high = np.array(bounds).transpose(1, 0, 2)
    held = (low <= truth) & (truth <= high)
    of_wilson = wilson(np.array(asr) * models, np.full((200, 1000), models))
    width = float((high - low).mean() / (of_wilson[1] - of_wilson[0]).mean())
    print(f"S = {models}: covered {held.mean():.3f}, width {width:.2f} of Wilson's")
    assert held.mean() >= 0.93
    assert width < 1.6
    for least, most in ((0, 0.52), (0.52, 0.6), (0.6, 0.7), (0.7, 0.8), (0.8, 0.9), (0.9, 0.97), (0.97, 1.01)):
        mine = (truth >= least) & (truth < most)
        print(f"S = {models}, true risk {least:g} to {most:g}: covered {held[:, mine].mean():.3f}")
        assert held[:, mine].mean() >= 0.93, least
