"""Stages of unlearning: orders, paces, re-ranking, budgets, and runs that are killed and go on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch

from privaudit.config import Sequencing
from privaudit.errors import UsageError
from privaudit.runtime.seeds import derive_seed
from privaudit.unlearning.base import Parameters, StopUnlearning, Unlearner
from privaudit.unlearning.methods.bad_teacher import BadTeacher
from privaudit.unlearning.methods.gradient_ascent import GradientAscent
from privaudit.unlearning.methods.random_labels import RandomLabels
from privaudit.unlearning.methods.scrub import Scrub
from privaudit.unlearning.retain_sampler import RetainStream
from privaudit.unlearning.schedule.journal import NotKept, StageJournal
from privaudit.unlearning.schedule.ordering import group_ends, order_rows, score_of, split_groups
from privaudit.unlearning.schedule.sequence import Ledger, run_sequence
from privaudit.unlearning.schedule.stages import (
    Ranking,
    Stage,
    check_sequencing,
    growing_thresholds,
    plan_stages,
    sequence_of,
)
from privaudit.unlearning.schedule.trajectory import Trajectory
from tests.test_unlearning import context, score_rows, state

Rows = npt.NDArray[np.int64]


def test_every_order_is_a_plain_sort() -> None:
    random = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "sample_id": np.arange(100, 140),
            "label": np.arange(40) % 3,
            "risk": random.integers(0, 8, 40) / 8,
            "lira": random.normal(size=40),
            "loss": random.exponential(size=40),
            "entropy": random.exponential(size=40),
            "memorisation": random.uniform(-1, 1, 40),
            "inversion_success": random.random(40),
            "tail": random.random(40) < 0.2,
        }
    )
    for order, column in {
        "entropy": "entropy",
        "memorisation": "memorisation",
        "inversion": "inversion_success",
    }.items():
        values = table[column].to_numpy()
        assert np.array_equal(order_rows(table, order, False, 0), np.argsort(values))
        assert np.array_equal(order_rows(table, order, True, 0), np.argsort(values)[::-1])
    ordered = table.iloc[order_rows(table, "risk", False, 0)]
    assert [tuple(row) for row in ordered[["risk", "lira"]].to_numpy()] == sorted(
        tuple(row) for row in table[["risk", "lira"]].to_numpy()
    )
    assert not np.array_equal(order_rows(table, "random", False, 0), order_rows(table, "random", False, 1))


def test_classes_are_ranked_whole() -> None:
    table = score_rows()  # mean losses: class 0 .2, class 1 .4, class 2 .45
    rows = order_rows(table, "loss", False, 0, "class")
    assert table["label"].to_numpy()[rows].tolist() == [0, 0, 1, 1, 2, 2]
    assert table["loss"].to_numpy()[rows].tolist() == [0.1, 0.3, 0.2, 0.6, 0.4, 0.5]
    assert np.unique(score_of(table, "loss", "class")).tolist() == pytest.approx([0.2, 0.4, 0.45])
    labels = table["label"].to_numpy()[order_rows(table, "random", False, 3, "class")]
    assert (np.diff(labels) != 0).sum() == 2  # each class in one piece


def test_what_was_never_inverted_comes_last_either_way() -> None:
    table = score_rows().assign(inversion_success=[0.5, np.nan, 0.1, 0.9, np.nan, 0.3])
    for descending, first in ((False, [2, 5, 0, 3]), (True, [3, 0, 5, 2])):
        rows = order_rows(table, "inversion", descending, 0)
        assert rows[:4].tolist() == first
        assert set(rows[4:].tolist()) == {1, 4}
    for nothing in (score_rows(), table.assign(inversion_success=np.nan)):
        with pytest.raises(UsageError, match="no inversion_success") as told:
            order_rows(nothing, "inversion", False, 0)
        assert "privaudit score --invert" in str(told.value)


def test_paces() -> None:
    assert group_ends(100, 5, "linear").tolist() == [20, 40, 60, 80, 100]
    assert group_ends(160, 5, "geometric").tolist() == [10, 20, 40, 80, 160]
    assert group_ends(5, 5, "geometric").tolist() == [1, 2, 3, 4, 5]
    for count, groups in ((7, 4), (10, 9), (1000, 12), (3, 3), (1, 1)):
        for pace in ("linear", "geometric"):
            ends = group_ends(count, groups, pace)
            assert len(ends) == groups
            assert ends[-1] == count
            assert (np.diff(ends, prepend=0) > 0).all()
    # Ties are never parted: three values only make three groups at most.
    scores = np.repeat([0.1, 0.5, 0.9], [6, 1, 3])
    assert group_ends(10, 5, "quantile", scores).tolist() == [6, 10]
    assert group_ends(10, 5, "quantile", scores[::-1]).tolist() == [3, 4, 10]
    assert group_ends(10, 5, "quantile", np.arange(10.0)).tolist() == group_ends(10, 5, "linear").tolist()


def test_disjoint_groups_make_up_the_whole() -> None:
    ordered = np.random.default_rng(0).permutation(23)
    groups = split_groups(ordered, group_ends(23, 4, "geometric"), "disjoint")
    assert np.array_equal(np.concatenate(groups), ordered)
    stages = plan_stages(groups, 3)
    assert sum(stage.budget for stage in stages) == 69
    assert [stage.budget for stage in stages] == [3 * len(group) for group in groups]


def test_matched_budgets_are_equal_and_a_stage_each_costs_more() -> None:
    ordered = np.arange(100)
    for groups in (1, 2, 5, 10):
        for kind in ("cumulative", "disjoint"):
            for pace in ("linear", "geometric"):
                parts = split_groups(ordered, group_ends(100, groups, pace), kind)
                assert sum(stage.budget for stage in plan_stages(parts, 5)) == 500
        nested = split_groups(ordered, group_ends(100, groups, "linear"), "cumulative")
        # The paper's budget confound: (G + 1)/2 times the passes.
        assert sum(stage.budget for stage in plan_stages(nested, 5, "per-stage")) == 500 * (groups + 1) / 2


def ranked(values: dict[int, float]) -> Ranking:
    """A ranking whose scores can be changed from outside."""

    def ranking(model: torch.nn.Module) -> tuple[Rows, npt.NDArray[np.float64]]:
        rows = np.array(sorted(values, key=lambda row: values[row]), np.int64)
        return rows, np.array([values[int(row)] for row in rows])

    return ranking


def test_dynamic_stages_follow_the_model() -> None:
    values = {10: 1.0, 11: 2.0, 12: 3.0, 13: 4.0}
    model = torch.nn.Identity()
    nothing = np.empty(0, np.int64)
    wanted = Sequencing(order="loss", groups=2, rerank="dynamic")
    nested = sequence_of(ranked(values), model, wanted, 1)
    disjoint = sequence_of(ranked(values), model, wanted.changed(grouping="disjoint"), 1)
    assert nested[0].rows_now(model, nothing).tolist() == [10, 11]
    assert disjoint[0].rows_now(model, nothing).tolist() == [10, 11]
    values |= {10: 9.0, 13: 0.0}  # unlearning has moved them
    assert nested[0].rows_now(model, nothing).tolist() == [13, 11]
    assert nested[1].rows_now(model, np.array([10, 11])).tolist() == [13, 11, 12, 10]
    assert disjoint[1].rows_now(model, np.array([10, 11])).tolist() == [13, 12]
    assert [stage.rows.tolist() for stage in disjoint] == [[10, 11], [12, 13]]


def test_self_paced_is_algorithm_1() -> None:
    """v_i = 1 where l_i < λ, asked at every stage: who has passed λ drops out, and spends nothing."""
    losses = {3: 0.1, 4: 0.2, 5: 0.2, 6: 0.7, 7: 1.5, 8: 1.5}
    model = torch.nn.Identity()
    stages = sequence_of(ranked(losses), model, Sequencing(order="loss", groups=3, pace="self-paced"), 4)
    nothing = np.empty(0, np.int64)
    assert [stage.rows.tolist() for stage in stages] == [[3, 4], [3, 4, 5, 6], [3, 4, 5, 6, 7, 8]]
    assert sum(stage.budget for stage in stages) == 24
    # Equal losses at the boundary: λ can't part 4 from 5, both lie below it.
    assert stages[0].rows_now(model, nothing).tolist() == [3, 4, 5]
    assert stages[0].budget_for(np.arange(3)) == stages[0].budget
    assert stages[2].rows_now(model, nothing).tolist() == [3, 4, 5, 6, 7, 8]
    losses |= {3: 5.0, 4: 5.0, 5: 5.0}
    assert stages[1].rows_now(model, nothing).tolist() == [6]
    assert stages[1].budget_for(np.array([6])) == round(stages[1].budget / 4)
    losses |= dict.fromkeys(losses, 99.0)
    assert stages[2].rows_now(model, nothing).tolist() == []
    assert stages[2].budget_for(nothing) == 0
    grown = growing_thresholds(np.array([0.1, 0.2, 0.7, 1.5]), np.array([1, 2, 4]))
    assert grown[0] == pytest.approx(0.15)
    assert grown[1] == pytest.approx(0.45)
    assert 1.5 < grown[2] < 1.5 + 1e-9


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"order": "age"}, "unknown order 'age'"),
        ({"pace": "fast"}, "pace = 'fast': unknown pace"),
        ({"grouping": "nested"}, "unknown grouping"),
        ({"rank_by": "person"}, "unknown rank_by"),
        ({"stage_retain": "none"}, "unknown stage_retain"),
        ({"optimizer_state": "keep"}, "unknown optimizer_state"),
        ({"budget": "free"}, "unknown budget"),
        ({"order": "memorisation", "rerank": "dynamic"}, "no new memorisation"),
        ({"order": "loss", "rerank": "dynamic", "rank_by": "class"}, "of a class"),
        ({"order": "risk", "pace": "self-paced"}, "Algorithm 1 as written"),
        ({"order": "loss", "descending": True, "pace": "self-paced"}, "Algorithm 1 as written"),
    ],
)
def test_contradictions_are_told(choices: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_sequencing(Sequencing(**choices))


class Sampler(Unlearner):
    """Records which retain samples it draws from, and has an optimiser with momentum."""

    defaults = Parameters(2, 0.05, 4)

    def __init__(self, work: Any, parameters: Parameters) -> None:
        super().__init__(work, parameters)
        self._optimizer = torch.optim.SGD(work.model.parameters(), lr=parameters.learning_rate, momentum=0.9)
        self._retain = RetainStream(work.retain, work.generator, work.samples.labels.device)
        self.drawn: list[int] = []
        self.momenta: list[int] = []

    def step(self, batch: torch.Tensor) -> None:
        self.momenta.append(len(self._optimizer.state))
        retain = self._retain.take(40)
        self.drawn += retain.tolist()
        self.retain_steps += len(retain)
        self.descend(self.logits(batch).square().mean(), self._optimizer)


def test_the_ledger_names_what_every_stage_spent() -> None:
    work = context()
    stages = plan_stages(split_groups(work.forget, np.array([4, 12]), "cumulative"), 4)
    ledger = run_sequence(Sampler(work, Sampler.defaults), stages, lambda _: None)
    assert [entry.samples for entry in ledger.stages] == [4, 12]
    assert [entry.forget_steps for entry in ledger.stages] == [12, 36]
    assert [entry.retain_steps for entry in ledger.stages] == [3 * 40, 9 * 40]
    assert ledger.forget_steps_run == sum(entry.forget_steps for entry in ledger.stages) == 48 == ledger.forget_steps
    assert ledger.retain_steps_run == sum(entry.retain_steps for entry in ledger.stages)


def test_a_complementary_retain_set_holds_what_is_not_yet_forgotten() -> None:
    work = context()
    wanted = Sequencing(order="none")
    ranking: Ranking = lambda model: (work.forget, np.arange(12.0))  # noqa: E731
    assert sequence_of(ranking, work.model, wanted, 1)[0].retain is None
    wanted = Sequencing(order="loss", groups=2, stage_retain="complement")
    stages = sequence_of(ranking, work.model, wanted, 2, work.retain)
    sampler = Sampler(work, Parameters(2, 0.05, 4))
    run_sequence(sampler, stages[:1], lambda _: None)
    assert set(range(6, 12)) <= set(sampler.drawn)
    assert not set(range(6)) & set(sampler.drawn)
    sampler = Sampler(work, Parameters(2, 0.05, 4))
    run_sequence(sampler, stages[1:], lambda _: None)
    assert not set(range(12)) & set(sampler.drawn)


@pytest.mark.parametrize(("method", "why"), [(BadTeacher, "chooses its retain"), (GradientAscent, "uses no retain")])
def test_who_draws_no_retain_samples_has_no_complement(method: type[Unlearner], why: str) -> None:
    work = context()
    stages = [Stage(work.forget, 12, retain=work.retain)]
    with pytest.raises(UsageError, match=why):
        run_sequence(method(work, method.defaults), stages, lambda _: None)


@pytest.mark.parametrize("reset", [False, True])
def test_the_optimiser_keeps_or_loses_its_state(reset: bool) -> None:
    work = context()
    sampler = Sampler(work, Sampler.defaults)
    stages = plan_stages(split_groups(work.forget, np.array([4, 12]), "disjoint"), 2)
    run_sequence(sampler, stages, lambda _: None, reset_state=reset)
    first_of_second_stage = sampler.momenta[2]
    assert sampler.momenta[0] == 0
    assert sampler.momenta[1] > 0
    assert (first_of_second_stage == 0) == reset


def with_noise() -> Any:
    """A context whose small network has BatchNorm and draws random numbers: a resume must restore both."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = torch.nn.Sequential(
            torch.nn.Conv2d(1, 8, 3, padding=1),
            torch.nn.BatchNorm2d(8),
            torch.nn.ReLU(),
            torch.nn.Flatten(),
            torch.nn.Dropout(0.5),
            torch.nn.Linear(8 * 64, 3),
        )
    return replace(context(), model=model)


class Killed(BaseException):
    """As if the process had ended."""


def run(method: type[Unlearner], folder: Path | None, kill_after: int | None) -> tuple[Any, Ledger, Trajectory]:
    work = with_noise()
    torch.manual_seed(derive_seed(0, "elsewhere"))  # what the process did before must not matter
    stages = plan_stages(split_groups(work.forget, group_ends(12, 4, "linear"), "cumulative"), 6)
    trajectory = Trajectory(work.samples, work.forget, 72)
    journal = None if folder is None else StageJournal(folder, trajectory)
    unlearner = method(work, replace(method.defaults, batch_size=4, learning_rate=1e-3))

    def report(done: float) -> None:
        if kill_after is not None and done > kill_after:
            raise Killed

    ledger = run_sequence(unlearner, stages, report, watch=trajectory, journal=journal)
    if journal is not None:
        journal.close()
    return work.model, ledger, trajectory


@pytest.mark.parametrize("method", [GradientAscent, RandomLabels, Sampler, Scrub])
def test_a_killed_run_goes_on_by_stage_bit_for_bit(tmp_path: Path, method: type[Unlearner]) -> None:
    whole, ledger, trajectory = run(method, None, None)
    for kill_after in (10, 40):  # in the second stage, in the fourth
        with pytest.raises(Killed):
            run(method, tmp_path, kill_after)
        assert len(list((tmp_path / "stages").glob("*.json"))) == 1
        again, of_again, seen = run(method, tmp_path, None)
        assert not (tmp_path / "stages").exists()
        assert all(torch.equal(a, b) for a, b in zip(state(whole).values(), state(again).values(), strict=True))
        assert [entry.forget_steps for entry in of_again.stages] == [entry.forget_steps for entry in ledger.stages]
        assert of_again.retain_steps_run == ledger.retain_steps_run
        assert np.array_equal(seen.steps, trajectory.steps)
        assert np.array_equal(seen.margins, trajectory.margins)


class Hoarder(Sampler):
    """Keeps what can't be written down."""

    def __init__(self, work: Any, parameters: Parameters) -> None:
        super().__init__(work, parameters)
        self._iterator = iter(range(10))


class Late(Sampler):
    """Makes only later what was nothing at first."""

    def __init__(self, work: Any, parameters: Parameters) -> None:
        super().__init__(work, parameters)
        self._late: list[int] | None = None

    def step(self, batch: torch.Tensor) -> None:
        super().step(batch)
        self._late = [1, 2]


def test_what_cannot_be_kept_is_told_and_never_guessed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(Hoarder, tmp_path, None)
    assert "it starts anew" in capsys.readouterr().err
    with pytest.raises(Killed):
        run(Late, tmp_path, 40)
    with pytest.raises(NotKept):
        run(Late, tmp_path, None)


def test_a_damaged_journal_is_not_trusted(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        run(GradientAscent, tmp_path, 40)
    (entry,) = (tmp_path / "stages").glob("*.safetensors")
    entry.write_bytes(entry.read_bytes()[:-1] + b"x")
    work = context()
    trajectory = Trajectory(work.samples, work.forget, 72)
    unlearner = GradientAscent(work, GradientAscent.defaults)
    assert StageJournal(tmp_path, trajectory).load(unlearner) is None


def test_being_watched_changes_nothing() -> None:
    results = []
    for watched in (False, True):
        work = with_noise()
        watch = Trajectory(work.samples, work.forget, 48) if watched else None
        method = RandomLabels(work, Parameters(4, 0.01, 20))
        run_sequence(method, plan_stages([work.forget], 4), lambda _: None, watch=watch)
        results.append(state(work.model))
    assert all(torch.equal(a, b) for a, b in zip(results[0].values(), results[1].values(), strict=True))
    assert watch is not None
    assert watch.steps[0] == 0
    assert watch.steps[-1] == 48
    assert watch.margins.shape == (len(watch.steps), 12)


class Refuses(Sampler):
    """Refuses to go on in its second stage."""

    def step(self, batch: torch.Tensor) -> None:
        if len(self.momenta) == 4:
            raise StopUnlearning("enough")
        super().step(batch)


def test_a_refusal_is_written_into_the_ledger() -> None:
    work = context()
    stages = plan_stages(split_groups(work.forget, np.array([4, 12]), "cumulative"), 4)
    ledger = run_sequence(Refuses(work, Refuses.defaults), stages, lambda _: None)
    assert ledger.stopped == "enough (after 16 of 48 forget-sample gradients)"
    assert [entry.forget_steps for entry in ledger.stages] == [12, 4]
