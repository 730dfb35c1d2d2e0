"""`--method auto` calibrates: kinds of forget sets, held-out sets, what counts as a choice, and what is kept."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from privaudit import artifacts
from privaudit.commands.list_audits import list_audits
from privaudit.commands.unlearning import unlearn_request
from privaudit.commands.unlearning.unlearn_inputs import OpenedAudit, opened
from privaudit.commands.unlearning.unlearn_request import resolve
from privaudit.commands.verify import run_verify
from privaudit.config import AuditSettings, Sequencing, UnlearnSettings
from privaudit.evaluation.measures.resampling import Drawn
from privaudit.purging.purge_plan import plan_purge
from privaudit.results.unlearning.calibration import ForgetSetKind
from privaudit.trials.calibration.calibrate import CalibrationOf
from privaudit.trials.calibration.candidates import Candidate, candidates_for, edges, usual_for
from privaudit.trials.calibration.choose import choose, choose_within
from privaudit.trials.calibration.held_out import held_out_sets
from privaudit.trials.calibration.judged import JudgedSet, Standing
from privaudit.trials.calibration.kind import coarse, kind_of, share_among
from privaudit.unlearning.application.problem import UnlearningProblem
from privaudit.unlearning.requests.forget_set import ForgetSet
from tests.conftest import Run

TEACHER, GENTLE, FAST, LABELS = (
    Candidate("shadow-teacher"),
    Candidate.of("shadow-teacher", peak=0.3),
    Candidate.of("shadow-teacher", peak=1.0),
    Candidate.of("rl", learning_rate=0.01),
)


@pytest.fixture(scope="module")
def audit(small_audit: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the small audit, to unlearn from."""
    root = tmp_path_factory.mktemp("calibration")
    for name in ("store", "out"):
        shutil.copytree(small_audit["root"] / name, root / name)
    return root


@pytest.fixture(scope="module")
def bench(audit: Path) -> OpenedAudit:
    settings = UnlearnSettings(store=audit / "store", out=audit / "out", workers=1)
    with opened(settings, dry_run=True) as found:
        return found


def problem_of(bench: OpenedAudit, rows: Any, *, scattered: bool = True) -> UnlearningProblem:
    forget = ForgetSet(np.sort(np.asarray(rows)).astype(np.int64), scattered)
    return UnlearningProblem.of(bench.bench, bench.plan.arrays, forget, 0)


def kind(problem: UnlearningProblem) -> ForgetSetKind:
    return kind_of(problem, problem.load())


def nearest(bench: OpenedAudit, middle: int, count: int) -> Any:
    flat = bench.plan.data.x_train.reshape(300, -1).astype(np.float64)
    return np.argsort(np.square(flat - flat[middle]).sum(axis=1), kind="stable")[:count]


def standing(nothing: float, tows: dict[Candidate, tuple[float, ...]], spread: float = 0.0) -> Standing:
    """Mean ToW over sets; draws differ from the mean by noise of this size, each candidate's own."""
    random = np.random.default_rng(0)

    def drawn(value: float) -> Drawn:
        return Drawn(value, value + spread * random.standard_normal(1000))

    sets = max(len(found) for found in tows.values())
    return Standing((drawn(nothing),) * sets, {one: tuple(map(drawn, found)) for one, found in tows.items()})


def decided(
    found: Standing, gradients: dict[Candidate, int], beyond: Candidate | None = None
) -> tuple[Candidate | None, str]:
    return choose(found, gradients, TEACHER, beyond)


def test_a_trial_says_on_which_forget_set_each_figure_is_and_what_doing_nothing_has_there() -> None:
    """Of 4 forget samples the retrained model knows none, the original one all, the candidate 1; else all are right."""
    knows, quarter, none = (np.where(np.arange(4) < count, 1.0, -1.0) for count in (4, 1, 0))
    right = np.ones(8)
    retrained, original, tried = ({"forget": one, "retain": right, "test": right} for one in (none, knows, quarter))
    judged = JudgedSet(cast(Any, SimpleNamespace(seed=0)), retrained, original, {TEACHER: tried}, number=2)
    assert judged.words_on(TEACHER) == "ToW 0.750 on held-out forget set 2 (doing nothing: 0.000)"
    assert judged.words_on(GENTLE) == "ruined the model on held-out forget set 2"


def test_neighbours_of_a_cluster_are_its_own_and_those_of_strangers_are_not() -> None:
    random = np.random.default_rng(0)
    points = random.standard_normal((500, 8)).astype(np.float32)
    points[:20] = 5 + 0.1 * random.standard_normal((20, 8))
    assert share_among(points, np.arange(20)) == 1.0
    assert share_among(points, np.arange(100, 120)) < 5 * 20 / 500
    assert share_among(points, np.array([3])) == 0.0


def test_each_kind_of_forget_set_is_known_and_said(bench: OpenedAudit) -> None:
    labels = bench.plan.data.y_train
    whole = kind(problem_of(bench, np.flatnonzero(labels == 1), scattered=False))
    assert (whole.name, whole.size) == ("class", 1)
    riskiest = np.argsort(bench.bench.table["rank"].to_numpy())[:24]
    assert (kind(problem_of(bench, riskiest)).name, kind(problem_of(bench, riskiest)).by) == ("concentrated", "risk")
    few, many = np.array([5, 100, 150, 201]), np.random.default_rng(1).permutation(300)[:60]
    assert kind(problem_of(bench, few)).name == "few"
    scattered = kind(problem_of(bench, many))
    assert scattered.name == "scattered"
    assert "60 of 300" in scattered.words


def test_twenty_near_neighbours_are_a_concentrated_set(bench: OpenedAudit) -> None:
    inputs = bench.plan.arrays.pool_inputs.copy()
    # One person's pictures: the same one, hardly changed.
    inputs[40:60] = inputs[40] + np.random.default_rng(0).integers(0, 3, inputs[40:60].shape).astype(inputs.dtype)
    arrays = replace(bench.plan.arrays, pool_inputs=inputs)
    forget = ForgetSet(np.arange(40, 60), True)
    problem = UnlearningProblem.of(bench.bench, arrays, forget, 0)
    found = kind(problem)
    assert (found.name, found.by) == ("concentrated", "inputs")
    assert "nearest neighbours" in found.words
    for one in held_out_sets(problem, problem.load(), found):
        assert len(one.rows) == 24
        assert share_among(inputs.reshape(300, -1).astype(np.float32), one.rows) > 2 * 20 / 300


def test_held_out_sets_are_disjoint_and_leave_the_request_alone(bench: OpenedAudit) -> None:
    labels = bench.plan.data.y_train
    cases = {
        "few": [5, 100, 150, 201],
        "scattered": np.random.default_rng(1).permutation(300)[:60],
        "risk": np.argsort(bench.bench.table["rank"].to_numpy())[:24],
        "class": np.flatnonzero(labels == 1),
    }
    for name, rows in cases.items():
        problem = problem_of(bench, rows, scattered=name != "class")
        found = held_out_sets(problem, problem.load(), kind(problem))
        assert found
        every = np.concatenate([problem.forget.rows, *(one.rows for one in found)])
        assert len(np.unique(every)) == len(every), name
    # Of three classes one goes and two are held out, one at a time.
    assert [np.unique(labels[one.rows]).size for one in found] == [1, 1]


def test_no_canary_and_nobody_of_the_request_is_held_out_with_a_class(bench: OpenedAudit) -> None:
    arrays, labels = bench.plan.arrays, bench.plan.data.y_train
    # Canaries lie behind the training samples.
    more = replace(
        arrays,
        pool_inputs=np.concatenate([arrays.pool_inputs, arrays.pool_inputs[:9]]),
        pool_labels=np.concatenate([arrays.pool_labels, np.arange(9) % 3]),
    )
    forget = ForgetSet(np.flatnonzero(labels == 1), False)
    problem = UnlearningProblem.of(bench.bench, more, forget, 0)
    found = held_out_sets(problem, problem.load(), kind(problem))
    assert found
    assert max(one.rows.max() for one in found) < len(labels)
    # A request that has someone of every class leaves no class to hold out.
    every = np.union1d(forget.rows, [np.flatnonzero(labels == label)[0] for label in (0, 2)])
    problem = problem_of(bench, every, scattered=False)
    assert not held_out_sets(problem, problem.load(), kind(problem))


def test_sizes_are_about_the_same() -> None:
    assert [coarse(size) for size in (1, 5, 20, 21, 72, 144, 150, 1000)] == [1, 6, 24, 24, 64, 128, 128, 1024]
    assert all(max(coarse(size) / size, size / coarse(size)) < 1.26 for size in range(1, 3000))


def test_the_cheapest_within_noise_is_chosen_and_the_better_of_two_as_cheap() -> None:
    gradients = {FAST: 1000, GENTLE: 1050, LABELS: 2000}
    found = standing(0.6, {FAST: (0.95, 0.95), GENTLE: (0.955, 0.955), LABELS: (0.96, 0.96)})
    assert decided(found, gradients)[0] == GENTLE
    # Beyond noise the best counts, whatever it costs.
    found = standing(0.6, {FAST: (0.9, 0.9), GENTLE: (0.9, 0.9), LABELS: (0.96, 0.96)})
    chosen, why = decided(found, gradients)
    assert chosen == LABELS
    assert "the best of 3 candidates" in why


def test_the_usual_method_gives_way_to_what_is_surely_better_and_to_nothing_else() -> None:
    """The best of nine on two sets of twenty is the best by chance in part."""
    gradients = {TEACHER: 1, GENTLE: 1, FAST: 1}
    found = standing(0.7, {TEACHER: (0.93, 0.93), GENTLE: (0.945, 0.945), FAST: (0.9, 0.9)})
    chosen, why = decided(found, gradients)
    assert chosen == TEACHER
    assert "none of 3 candidates" in why
    assert decided(standing(0.7, {TEACHER: (0.90, 0.90), GENTLE: (0.96, 0.96)}, spread=0.05), gradients)[0] == TEACHER
    assert decided(standing(0.7, {TEACHER: (0.90, 0.90), GENTLE: (0.96, 0.96)}), gradients)[0] == GENTLE
    # So it is where it is a little behind doing nothing.
    assert decided(standing(0.94, {TEACHER: (0.925, 0.925), GENTLE: (0.955, 0.955)}, 0.03), gradients)[0] == TEACHER
    assert decided(standing(0.94, {TEACHER: (0.925, 0.925), GENTLE: (0.955, 0.955)}), gradients)[0] == GENTLE
    # Of what stands beyond a grid's end it is the same.
    beyond = Candidate.of("rl", learning_rate=0.005)
    found = standing(0.3, {TEACHER: (0.96, 0.97), beyond: (0.98, 0.98)})
    assert decided(found, gradients | {beyond: 1}, beyond)[0] == TEACHER
    found = standing(0.3, {TEACHER: (0.8, 0.8), GENTLE: (0.9, 0.9), beyond: (0.98, 0.98)})
    assert decided(found, gradients | {beyond: 1}, beyond)[0] is None


def test_where_trials_tell_nothing_the_usual_method_is_taken_unless_it_does_harm() -> None:
    chosen, why = decided(standing(0.95, {TEACHER: (0.955, 0.955), LABELS: (0.956, 0.956)}), {TEACHER: 1, LABELS: 1})
    assert chosen == TEACHER
    assert "where noise is" in why
    assert "too little to forget" in why
    # A lead that is large may still be chance.
    assert decided(standing(0.90, {TEACHER: (0.95, 0.95)}, spread=0.2), {TEACHER: 1})[0] == TEACHER


def test_where_the_best_stands_at_the_end_of_a_grid_another_that_is_good_is_taken() -> None:
    beyond = Candidate.of("rl", learning_rate=0.005)
    chosen, why = choose_within(standing(0.3, {TEACHER: (0.96, 0.98), GENTLE: (0.9, 0.9), beyond: (0.99, 1.0)}), beyond)
    assert chosen == TEACHER
    assert "end of what was tried" in why
    assert "0.970" in why
    assert choose_within(standing(0.3, {TEACHER: (0.9, 0.9), beyond: (0.99, 1.0)}), beyond)[0] is None
    # Tried on the first set alone, or no better than doing nothing: no choice either.
    assert choose_within(standing(0.3, {TEACHER: (0.99,), beyond: (0.99, 1.0)}), beyond)[0] is None
    assert choose_within(standing(0.97, {TEACHER: (0.97, 0.97), beyond: (0.99, 1.0)}), beyond)[0] is None


def test_sets_that_are_memorised_far_less_than_the_request_stand_for_nothing(bench: OpenedAudit) -> None:
    riskiest = problem_of(bench, np.argsort(bench.bench.table["rank"].to_numpy())[:24])

    def calibration(held: float) -> CalibrationOf:
        table = bench.bench.table.copy()
        table["memorisation"] = held
        table.loc[riskiest.forget.rows, "memorisation"] = 0.8
        problem = replace(riskiest, bench=replace(riskiest.bench, table=table))
        return CalibrationOf(bench.plan, problem, Sequencing(order="none"), True, {})

    found = calibration(0.3).without_trials()
    assert found is not None
    assert (found.method, found.parameters, found.cost.trials) == ("shadow-teacher", {}, 0)
    assert "0.80" in found.why
    assert "0.30" in found.why
    assert calibration(0.41).without_trials() is None
    table = bench.bench.table.assign(memorisation=0.04 * (np.arange(300) == 7))
    hardly = replace(riskiest, bench=replace(riskiest.bench, table=table), forget=ForgetSet(np.arange(6, 30), True))
    assert CalibrationOf(bench.plan, hardly, Sequencing(order="none"), True, {}).without_trials() is None


def test_sets_are_held_out_that_are_memorised_as_much_as_the_request(bench: OpenedAudit) -> None:
    """Every fifth sample is known by heart: of four at random, of none of them, and of those alone."""
    table = bench.bench.table.assign(memorisation=(np.arange(300) % 5 == 0).astype(float))
    for rows, level in (([1, 2, 3, 4], 0.0), ([5, 10, 20, 21], 0.75), ([1, 2, 3, 5], 0.25)):
        problem = problem_of(bench, rows)
        problem = replace(problem, bench=replace(problem.bench, table=table))
        found = kind(problem)
        assert (found.name, found.memorised) == ("few", level)
        for one in held_out_sets(problem, problem.load(), found):
            # Of so few, one sample is a quarter.
            assert abs(table["memorisation"][one.rows].mean() - level) <= 0.25
    levels = []
    for many in (np.random.default_rng(1).permutation(300)[:60], np.arange(0, 300, 5)):
        problem = problem_of(bench, many)
        levels.append(kind(replace(problem, bench=replace(problem.bench, table=table))).memorised)
    assert levels == [None, 1.0]


def test_what_doing_nothing_beats_is_no_choice() -> None:
    # Any training is a little behind where nothing is to be forgotten.
    assert (
        decided(standing(0.995, {TEACHER: (0.983, 0.983), GENTLE: (0.98, 0.98)}), {TEACHER: 1, GENTLE: 1})[0] == TEACHER
    )
    assert decided(standing(0.95, {TEACHER: (0.90, 0.90)}), {TEACHER: 1})[0] is None
    assert decided(standing(0.95, {LABELS: (0.955, 0.955)}), {LABELS: 1})[0] is None
    assert decided(Standing(standing(0.9, {TEACHER: (1.0,)}).nothing, {}), {})[0] is None


def test_only_what_was_tried_on_every_set_can_be_chosen() -> None:
    found = standing(0.5, {FAST: (0.99,), TEACHER: (0.9, 0.9)})
    assert decided(found, {FAST: 1, TEACHER: 1})[0] == TEACHER


def test_where_samples_lie_close_together_the_usual_method_has_a_teacher_of_its_own() -> None:
    for by in ("inputs", "features"):
        close = ForgetSetKind(name="concentrated", by=by, size=20, words="")
        assert usual_for(close) in candidates_for(close, 20)
        assert usual_for(close).get("fresh_near") > 0
    others = [ForgetSetKind(name=name, size=20, words="") for name in ("few", "scattered", "class")]
    for other in (*others, ForgetSetKind(name="concentrated", by="risk", size=20, words="")):
        assert usual_for(other) == TEACHER


def test_the_end_of_a_grid_has_something_beyond_it() -> None:
    assert edges(GENTLE) == [(TEACHER, Candidate.of("shadow-teacher", peak=0.15))]
    assert edges(TEACHER) == []
    assert edges(LABELS)[0][1].get("learning_rate") == pytest.approx(0.005)


def test_no_candidate_takes_more_than_a_third_of_a_retraining() -> None:
    for name in ("class", "concentrated", "few", "scattered"):
        found = candidates_for(ForgetSetKind(name=name, size=20, words=""), epochs=20)
        assert max(one.cost(20) for one in found) <= 0.35 + 1e-9
        assert found[0] == TEACHER
        assert len(set(found)) == len(found)


def test_a_request_calibrates_once_and_the_next_reuses_it(audit: Path, bench: OpenedAudit, privaudit: Run) -> None:
    settings = UnlearnSettings(forget="random:30", order="risk", store=audit / "store", out=audit / "out", workers=1)
    store = bench.plan.store.folder
    before = set(store.rglob("*"))
    planned = resolve(settings, bench, dry_run=True)
    assert planned.calibration is not None
    assert (planned.calibration.kind.name, planned.calibration.models) == ("scattered", 2)
    assert planned.calibration.seconds > 0
    assert set(store.rglob("*")) == before

    first = resolve(settings, bench)
    found = first.chosen.calibration
    assert found is not None
    assert found.kind.name == "scattered"
    assert (found.cost.models, found.cost.reused) == (2, False)
    assert found.cost.trials > len(found.candidates) >= 9
    assert first.method == found.method
    assert first.chosen.why.startswith("since --order risk is asked for")
    (kept,) = artifacts.CALIBRATION.within(store)
    assert "sample_id" not in kept.read_text()
    # The models that it took are gone: the calibration and its seal are all that is left.
    assert {path.suffix for path in set(store.rglob("*")) - before if path.is_file()} == {".json", ".sha256"}

    other = resolve(settings.changed(seed=7), bench)
    assert other.chosen.calibration is not None
    assert other.chosen.calibration.cost.reused
    assert other.method == first.method

    places = ("--store", audit / "store", "--out", audit / "out", "--workers", "1", "--reference", "shadow", "--json")
    done = privaudit("unlearn", "--order", "risk", "--forget", "random:30", *places)
    assert done.returncode in (0, 3), done.stderr
    answer = json.loads(done.stdout)
    assert answer["chosen"]["calibration"]["cost"] == answer["calibration"]
    assert answer["calibration"]["reused"]
    assert "calibrating" not in done.stderr

    where = AuditSettings(store=audit / "store", out=audit / "out")
    verified = run_verify(where, None)
    assert verified.damaged == verified.missing == []
    (entry,) = list_audits(audit / "store", audit / "out")
    assert entry.calibrations == {kept.stem: first.method}
    assert kept in plan_purge(where, None, "random:5", 0).removed


def test_without_an_order_a_dear_calibration_gives_way_to_what_is_exact(
    bench: OpenedAudit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unlearn_request, "expected_seconds", lambda plan, members: 7200.0)
    settings = UnlearnSettings(forget="random:30", store=bench.plan.store.root)
    monkeypatch.setattr("privaudit.trials.calibration.calibrate.expected_seconds", lambda plan, members: 7200.0)
    found = resolve(settings, bench, dry_run=True)
    assert found.method == "retrain"
    assert "a calibration for forget sets of this kind" in found.chosen.why
    asked = resolve(settings.changed(retrain_below=0.0), bench, dry_run=True)
    assert asked.calibration is not None
    assert asked.settings.order == "none"
