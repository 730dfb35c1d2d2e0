"""What runs are judged by, in numbers known beforehand: rows of trials, choices of models, measures at their edges."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import expit, logit
from torch import nn

from privaudit.attacks import lira
from privaudit.attacks.risk import gap
from privaudit.audit.stored_signals import StoredSignals
from privaudit.config import Sequencing
from privaudit.errors import UsageError
from privaudit.evaluation import answers
from privaudit.evaluation.answers import Answers
from privaudit.evaluation.evaluate import Measured, distance_to_retrained, divergence, membership, tow_of
from privaudit.evaluation.measures.mia_efficacy import choose_members, mia_efficacy
from privaudit.evaluation.measures.utility import accuracy
from privaudit.evaluation.shadow_evidence import ShadowEvidence, mean_outside
from privaudit.evaluation.u_lira import attack_unlearned, choose_models
from privaudit.results.unlearning.run import Accuracies
from privaudit.results.unlearning.trials import TrialResult
from privaudit.scoring import controls
from privaudit.scoring.controls import negative_control, never_trained, positive, untrained
from privaudit.scoring.target_audit import audit_target
from privaudit.scoring.unseen_control import _interval, _Ranked
from privaudit.shadow.design import paired_design
from privaudit.signals import SIGNALS
from privaudit.statistics.group_accuracy import right_shares
from privaudit.statistics.intervals import logit_interval
from privaudit.statistics.jackknife import Refits
from privaudit.statistics.performance import performance
from privaudit.statistics.roc import auc, balanced_accuracy
from privaudit.trials import trial_evaluation, tuning
from privaudit.trials.order_comparison import RANDOM_GROUPS, compare, judge, same_budget
from privaudit.trials.treatment import Scene, Treatment
from privaudit.trials.trial_evaluation import as_row
from privaudit.unlearning.application.run_method import Request
from privaudit.unlearning.methods.gradient_ascent import GradientAscent
from privaudit.unlearning.requests.forget_set import ForgetSet
from privaudit.unlearning.schedule.ordering import order_rows


def test_a_trials_row_bounds_what_was_not_reached() -> None:
    """Not within the limit counts as the limit, nothing to relearn as half of the first look (every 5 steps)."""
    numbers = dict.fromkeys(TrialResult.model_fields, 1) | {"stopped": None, "relearn_steps": None}
    measured = {"forget": 0.4, "retrained_forget": 0.55, "relearn_limit": 400, "retrained_relearn_steps": 0}
    found = TrialResult.model_validate(numbers | measured)
    row: dict[str, Any] = as_row(found)
    assert row["forget_gap"] == pytest.approx(0.15)
    assert row["log_relearn"] == pytest.approx(math.log(400))
    assert row["log_relearn_ratio"] == pytest.approx(math.log(400 / 2.5))
    assert row["relearn"] == 400
    row = as_row(found.model_copy(update={"relearn_steps": 20, "retrained_relearn_steps": 40}))
    assert row["log_relearn_ratio"] == pytest.approx(math.log(0.5))
    assert row["relearn"] == 20
    assert not any("relearn" in name for name in as_row(found.model_copy(update={"relearn_limit": None})))


def test_shadow_models_to_unlearn_from_are_the_first_that_may_judge_in_whole_pairs() -> None:
    judging = np.repeat([False, True, True, False, True, True], 2)
    assert choose_models(judging, 4) == [2, 3, 4, 5]
    assert choose_models(judging, 5) == [2, 3, 4, 5, 8, 9]
    for wanted in (2, 9, 10):
        with pytest.raises(UsageError, match="between 4 and 8"):
            choose_models(judging, wanted)


def margins(values: Any) -> Any:
    signals = np.zeros((*values.shape, 1, len(SIGNALS)), np.float32)
    signals[..., 0, SIGNALS.index("margin")] = values
    return signals


def test_made_up_membership_is_redrawn_and_its_mean_has_the_error_of_a_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    areas = [0.48, 0.5, 0.53, 0.47, 0.54]
    drawn: list[bytes] = []
    told = iter([*areas, *areas])

    def known(_: Any, member: Any) -> float:
        drawn.append(member.tobytes())
        return next(told)

    monkeypatch.setattr(controls, "auc", known)
    monkeypatch.setattr(controls, "REDRAWS", len(areas))
    monkeypatch.setattr(controls, "MOST_SAMPLES", 20)
    asked: list[bytes] = []
    real = lira.online

    def online(statistic: Any, keep: Any) -> Any:
        asked.append(statistic.tobytes())
        return real(statistic, keep)

    monkeypatch.setattr(lira, "online", online)
    values = margins(np.random.default_rng(0).normal(size=(8, 30)))
    control = never_trained(values, 0)
    never_trained(values, 1)
    assert len(set(drawn)) == len(set(asked)) == 10, "every redraw of every seed is another one, of other samples"
    error = stats.sem(areas)
    assert control.standard_error == pytest.approx(error)
    assert control.auc == pytest.approx(np.mean(areas))
    assert control.ci == pytest.approx((control.auc - 1.96 * error, control.auc + 1.96 * error))


@pytest.mark.parametrize(("area", "error", "holds"), [(0.504, 0, True), (0.506, 0, False), (0.46, 0.0101, True)])
def test_a_negative_control_allows_a_half_of_a_percent_and_four_errors(area: float, error: float, holds: bool) -> None:
    assert negative_control(area, None, error).holds is holds
    assert not negative_control(0.5 - 4.1 * 0.01, None, 0.01).holds


def test_the_untrained_control_knows_that_models_are_compared_and_how_few_pairs_there_are() -> None:
    """One odd model moves the scores of all: attacked anew without each pair, the error is larger than over pairs."""
    random = np.random.default_rng(42)
    keep = paired_design(400, 16, 0)
    values = random.normal(size=keep.shape) + keep
    values[3] += 6
    control = untrained(margins(values), keep)
    reach = stats.t.ppf(0.975, 7) * control.standard_error / (control.auc * (1 - control.auc))
    assert control.ci == pytest.approx(tuple(expit(logit(control.auc) + way * reach) for way in (-1, 1)))
    pair = np.broadcast_to((np.arange(16) // 2)[:, np.newaxis], keep.shape)
    over_pairs = performance(lira.online(values.astype(np.float32), keep), keep, pair).auc_standard_error
    assert over_pairs is not None
    assert control.standard_error > 1.2 * over_pairs


def test_canaries_are_held_against_everyone_else() -> None:
    found = positive(np.array([0.9, 1.0, 0.5, 0.6, 0.7]), np.array([True, True, False, False, False]))
    assert found is not None
    assert found.count == 2
    assert [found.mean_asr, found.others_mean_asr] == pytest.approx([0.95, 0.6])
    assert positive(np.ones(3), np.zeros(3, np.bool_)) is None


def test_what_pairs_contribute_has_the_same_sign_with_refits_and_without() -> None:
    """Verdicts that no other model has a say in: leaving a pair out tells just what the pair itself does."""
    random = np.random.default_rng(1)
    keep = paired_design(2000, 16, 0)
    ratio = np.where(keep, 1, -1) * (random.normal(size=keep.shape) + 0.3 * (np.arange(16) // 2)[:, np.newaxis])
    group, models = np.arange(2000) % 2, np.arange(16) // 2
    found = right_shares(ratio, keep, group, models, Refits(16, lambda left: ratio[left]))
    assert np.corrcoef(found.influence.ravel(), found.by_cluster.ravel())[0, 1] > 0.95
    weights = np.array([1.0, -1.0])
    errors = [np.sqrt(8 / 7 * np.sum((part @ weights) ** 2)) for part in (found.influence, found.by_cluster)]
    assert found.contrast_error(weights) == pytest.approx(max(errors))
    assert found.degrees == 7


def test_a_gap_is_a_difference_of_means_over_the_cells_that_are_there() -> None:
    scores = np.array([[1.0, np.nan], [5.0, 2.0], [12.0, 7.0], [0.0, 1.0], [np.nan, 4.0]])
    keep = np.array([[True, True], [True, True], [True, False], [False, False], [False, True]])
    np.testing.assert_allclose(gap(scores, keep), [6 - 0, 3 - 4])


def test_a_tie_is_not_right() -> None:
    assert accuracy(np.array([1.0, 0.0, -1.0, 2.0])) == 0.5


def test_unequal_sides_weigh_the_same_in_the_attacks_accuracy() -> None:
    """Nine members and three outsiders that nothing tells apart but one value: ½ (share right of each side)."""
    member, outsider = np.full(9, 0.9), np.array([0.9, 0.9, 0.1])
    efficacy, balanced = mia_efficacy(member, outsider, np.array([0.1, 0.9, 0.9, 0.9]))
    assert balanced == pytest.approx((1 + 1 / 3) / 2)
    assert efficacy == pytest.approx(1 / 4)


def test_another_seed_draws_other_members() -> None:
    rows, labels = np.arange(100, 300), np.arange(300) % 4
    first, again, other = (choose_members(rows, labels, 40, seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert set(first) != set(other)
    assert set(first) <= set(rows.tolist())


def runs(gains: list[float], nothing: float = 0.5, floor: float = 0.95) -> pd.DataFrame:
    """Nine seeds of the ordered arm, which gains that much over random groups."""
    rows = []
    for seed, gain in enumerate(gains):
        base = 0.7 + 0.01 * seed
        tow = {"risk": base + gain, RANDOM_GROUPS: base, "one-shot": base - 0.1, "reverse": base, "do-nothing": nothing}
        for arm, value in (tow | {"retrain": floor}).items():
            rows.append(
                {"arm": arm, "seed": seed, "tow": value, "forget_steps": 0 if arm in ("do-nothing", "retrain") else 50}
                | dict.fromkeys(("forget", "retain", "test", "mia_efficacy", "mia_gap", "jensen_shannon"), 0.5)
                | {"seconds": 1.0, "forget_steps_run": 50, "stopped": None}
            )
    return pd.DataFrame(rows)


def test_a_comparison_is_the_order_less_the_others_corrected_for_all_of_them() -> None:
    gains = [0.02, 0.03, 0.01, 0.04, 0.02, 0.05, 0.03, 0.02, -0.01]
    found = compare(runs(gains), "risk")
    primary = found["contrasts"][0]
    assert (primary["second"], primary["primary"]) == (RANDOM_GROUPS, True)
    assert primary["mean"] == pytest.approx(np.mean(gains))
    # Of 512 choices of signs as far out: as it is, −.01 turned, .01 turned too, and the mirror images of these.
    assert primary["p"] == pytest.approx(6 / 512)
    assert primary["p_holm"] >= 2 * primary["p"]
    assert found["arms"]["risk"]["tow_sd"] == pytest.approx(np.std(0.7 + 0.01 * np.arange(9) + gains, ddof=1))
    assert found["verdict"]["claim"] == "supported"
    assert "nothing here for an order to show" not in found["verdict"]["sentence"]
    as_good = compare(runs(gains, nothing=0.95, floor=0.95), "risk")
    assert "nothing here for an order to show" in as_good["verdict"]["sentence"]


@pytest.mark.parametrize(
    ("mean", "interval", "p", "seeds", "said"),
    [
        (0.02, (0.01, 0.03), 0.04, 9, "supported"),
        (-0.02, (-0.03, -0.01), 0.04, 9, "not supported"),
        (0.02, (0.01, 0.03), 0.05, 9, "inconclusive"),
        (0.0, (-0.009, 0.009), 0.6, 9, "not supported"),
        (0.0, (-0.02, 0.02), 0.6, 9, "inconclusive"),
        (0.0, None, 0.6, 9, "not supported"),
        (0.02, (0.01, 0.03), 0.001, 8, "descriptive"),
    ],
)
def test_verdicts_at_their_edges(
    mean: float, interval: tuple[float, float] | None, p: float, seeds: int, said: str
) -> None:
    assert judge(mean, interval, p, seeds) == said


def test_a_claim_must_hold_after_the_correction() -> None:
    """p = 22/512 on its own; of four contrasts two have smaller ones, so that it counts twice."""
    gains = [0.02, 0.03, 0.01, 0.04, 0.02, 0.05, 0.03, 0.02, -0.03]
    found = compare(runs(gains), "risk")
    primary = found["contrasts"][0]
    assert primary["p"] == pytest.approx(22 / 512)
    assert primary["p_holm"] == pytest.approx(44 / 512)
    assert found["verdict"]["claim"] == "inconclusive"


def test_budgets_are_compared_within_a_seed() -> None:
    table = runs([0.0] * 3)
    assert same_budget(table)
    table.loc[(table["seed"] == 1) & (table["arm"] == "risk"), "forget_steps"] = 51
    assert not same_budget(table)


def test_the_tail_of_a_class_comes_after_its_body_however_low_its_loss() -> None:
    table = pd.DataFrame(
        {"sample_id": [1, 2, 3, 4], "tail": [True, False, True, False], "loss": [0.1, 0.3, 0.2, 0.4], "label": [0] * 4}
    )
    assert order_rows(table, "tail", descending=False, seed=0).tolist() == [1, 3, 0, 2]


def test_unlearned_models_are_attacked_and_judged_by_whole_pairs() -> None:
    random = np.random.default_rng(3)
    seen = paired_design(200, 12, 0)
    statistic = random.normal(size=seen.shape) + seen
    pair = np.broadcast_to((np.arange(12) // 2)[:, np.newaxis], seen.shape)
    ratio = np.asarray(lira.online(statistic, seen))
    found = attack_unlearned(statistic, seen)
    assert found.auc == pytest.approx(auc(ratio.ravel(), seen.ravel()))
    assert found.balanced_accuracy == balanced_accuracy(ratio.ravel(), seen.ravel(), pair.ravel())
    assert found.balanced_accuracy != balanced_accuracy(ratio.ravel(), seen.ravel(), (2 * pair + seen).ravel())
    assert found.influence is not None
    assert len(found.influence.auc) == 6


def test_tuning_looks_at_the_half_of_the_test_set_that_is_not_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of ten test samples three of five of either half are right, others in each."""
    problem = problem_of(np.arange(4), np.arange(4, 10))
    asked: list[Any] = []

    def signals(model: Any, samples: Any, rows: Any) -> Any:
        asked.append((samples, rows))
        return margins(np.array([1.0, -1, 1, 1, -1]))

    monkeypatch.setattr(answers, "signals_on", signals)
    said = answers_of(np.where(np.arange(10) < 4, -1.0, 1.0), np.ones(5))
    found = answers.validation_accuracies(problem, nn.Identity(), said)
    assert (found.forget, found.retain, found.test) == (0, 1, 0.6)
    assert asked == [(problem.test, problem.validation)]
    assert said.accuracies(problem).test == 1


def test_a_trial_calls_a_figure_what_a_run_calls_it_and_computes_it_in_the_same_place() -> None:
    one, two, three = (
        Measured(
            answers_of(np.ones(10), np.ones(5)), Accuracies(forget=part, retain=1.0, test=0.8), efficacy, 0.5, None
        )
        for part, efficacy in ((1.0, 0.2), (0.7, 0.5), (0.6, 0.55))
    )
    measured = {"original": one, "unlearned": two, "retrained": three}
    assert tow_of(measured, "unlearned") == pytest.approx(0.9)
    assert tow_of(measured, "second_retrained") is None
    found = membership(measured)
    assert found.gap_to_retrained == pytest.approx(0.05)
    assert found.gap_to_original == pytest.approx(0.3)
    between = divergence(measured)
    assert between is not None
    assert between.forget["unlearned"] == distance_to_retrained(measured, "unlearned", "forget") == 0
    for module in (trial_evaluation, tuning):
        text = Path(str(module.__file__)).read_text("utf-8")
        assert not re.search(r"jensen_shannon\(|mia_efficacy\(|relearn_time\(|lira\.|attack_success\(", text)


def test_the_interval_of_never_seen_samples_knows_that_models_differ() -> None:
    """Where each pair of models prefers one side by its own measure, the spread over pairs is the error."""
    random = np.random.default_rng(4)
    outside = ~paired_design(4000, 16, 0)
    side = np.arange(4000) < 2000
    effect = random.normal(scale=0.5, size=(8, 1)).repeat(2, axis=0)
    ranked = _Ranked.of(random.normal(size=outside.shape) + effect * side, outside)
    areas = ranked.areas(side[np.newaxis])[0]
    assert areas == pytest.approx(
        [auc(ranked.ranks[model, cells], side[cells]) for model, cells in enumerate(outside)], abs=1e-4
    )
    error = stats.sem(areas.reshape(8, 2).mean(axis=1))
    expected = logit_interval(float(areas.mean()), float(error), 7)
    assert expected is not None
    assert _interval(ranked, side, areas) == pytest.approx(expected, abs=0.1 * float(error))


def test_the_reference_is_the_mean_of_those_who_never_saw_a_sample() -> None:
    keep = paired_design(30, 8, 0)
    values = np.random.default_rng(5).normal(size=keep.shape) + 5 * keep
    expected = np.mean(values[~keep[:, 4], 4])
    found = mean_outside(margins(values), keep)
    assert found[4] == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(found, np.nanmean(np.where(keep, np.nan, values), axis=0), rtol=1e-5)


def answers_of(pool: Any, test: Any) -> Answers:
    logits = np.zeros((3, 2), np.float32)
    return Answers(margins(pool), margins(test), logits, logits)


def problem_of(forget: Any, retain: Any, *, scattered: bool = True, seed: int = 7) -> Any:
    rows = ForgetSet(np.asarray(forget), scattered=scattered)
    bench = SimpleNamespace(seed=seed)
    return SimpleNamespace(
        forget=rows, retain=np.asarray(retain), bench=bench, pool="pool", test="test", validation=np.arange(5),
        reported=np.arange(5, 25),
    )  # fmt: skip


def test_what_is_kept_is_judged_apart_from_what_is_forgotten() -> None:
    values = np.where(np.arange(10) < 4, -1.0, 1.0)
    found = answers_of(values, np.array([1.0, -1, 1, 1])).accuracies(problem_of([0, 1, 2, 8], [3, 4, 5, 6, 7, 9]))
    assert found.to_json() == pytest.approx({"forget": 1 / 4, "retain": 5 / 6, "test": 3 / 4})


def test_each_part_is_audited_by_its_own_rows_and_by_those_who_may_judge() -> None:
    random = np.random.default_rng(6)
    keep = paired_design(80, 12, 0)
    shadow = margins(random.normal(size=keep.shape) + 2 * keep)
    shadow_test, pool, test = (margins(random.normal(size=size)) for size in ((12, 30), (80,), (20,)))
    stored = StoredSignals(keep, shadow, pool, shadow_test, test, shadow)
    judging = np.arange(12) >= 4
    forget, retain, reported = np.arange(15), np.arange(15, 80), np.arange(5, 25)
    evidence = ShadowEvidence(problem_of(forget, retain), judging, stored)
    for name in ("keep", "shadow", "shadow_test", "untrained"):
        np.testing.assert_array_equal(getattr(evidence.stored, name), getattr(stored, name)[judging])
    logits = np.zeros((3, 2), np.float32)
    models = {"original": Answers(pool, test, logits, logits)}
    again = evidence.audit_again(models)["original"]
    for found, rows in ((again.forget, forget), (again.retain, retain)):
        alone = audit_target(
            shadow[judging][:, rows], keep[judging][:, rows], pool[rows], shadow_test[judging][:, reported], test, 7
        )
        assert found is not None
        assert found.auc == alone.auc
    of_class = ShadowEvidence(problem_of(forget, retain, scattered=False), judging, stored).audit_again(models)
    assert of_class["original"].forget is None


def test_a_trial_is_named_by_everything_that_decides_it(tmp_path: Path) -> None:
    table = pd.DataFrame({"risk": [0.5, 0.6, 0.7], "lira": [0.0, 1, 2], "loss": [1.0, 2, 3]})

    def ascent(rate: float, order: str) -> Treatment:
        return Treatment(
            Request("ga", replace(GradientAscent.defaults, learning_rate=rate), Sequencing(order=order), 0)
        )

    def scene(seed: int, shadows: int, rows: list[int], own: bool) -> Scene:
        bench: Any = SimpleNamespace(table=table, shadows=shadows)
        forget = ForgetSet(np.array(rows), scattered=True)
        return Scene(seed, bench, forget, tmp_path, tmp_path, (tmp_path, tmp_path), own, ())

    scenes = [scene(*one) for one in ((0, 8, [0, 1], True), (1, 8, [0, 1], True), (0, 16, [0, 1], True))]
    scenes += [scene(0, 8, [0, 2], True), scene(0, 8, [0, 1], False)]
    treatments = [ascent(0.1, "risk"), ascent(0.2, "risk"), ascent(0.1, "loss"), Treatment("retrain")]
    paths = {one.path(treatment) for one in scenes for treatment in treatments}
    assert len(paths) == len(scenes) * len(treatments)
    assert scene(0, 8, [0, 1], True).path(ascent(0.1, "risk")) == scenes[0].path(treatments[0])
