"""Handing over in cycles: who is chosen, when it is enough, who decides, what is counted, how a killed run goes on."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from privaudit.commands.unlearning.unlearn_request import request_of
from privaudit.config import UnlearnSettings
from privaudit.results.unlearning.ledger import Evidence, Ledger, Look
from privaudit.shadow.design import paired_design
from privaudit.testing import practice_context
from privaudit.training.loop import Samples
from privaudit.training.recipe import RECIPES
from privaudit.unlearning.application import deciding_models
from privaudit.unlearning.guard import halve_rate
from privaudit.unlearning.methods.shadow_teacher import ShadowTeacher
from privaudit.unlearning.parameters import with_changes
from privaudit.unlearning.schedule.cycles import Exposure, cycles_of, enough
from privaudit.unlearning.schedule.journal import StageJournal
from privaudit.unlearning.schedule.sequence import run_sequence
from privaudit.unlearning.schedule.trajectory import Trajectory
from privaudit.unlearning.teachers import average, seen_neighbours, split_pairs


def exposure(*ratio: float, expected: float = 0.2, within: float = 0.1) -> Exposure:
    return Exposure(10 + np.arange(len(ratio)), np.array(ratio), expected, within)


def look(known: float) -> Look:
    return Look(at=0, known=known, expected=0.2, within=0.1, handed=1)


def test_those_who_look_seen_are_handed_over_and_at_most_half() -> None:
    assert exposure(1, -1, 3, -2, 2, -3).most_exposed().tolist() == [10, 12, 14]
    assert exposure(1, 5, 3, 4, 2, -3).most_exposed().tolist() == [11, 12, 13]  # the half that looks it most
    assert exposure(-1, -5, 3, -4).most_exposed().tolist() == [12]
    assert exposure(-1, -5, -3, -4).most_exposed().tolist() == [10, 12]  # none: the half that comes closest
    assert exposure(-2.0).most_exposed().tolist() == [10]


def test_it_is_enough_when_no_more_look_seen_than_among_the_never_seen_or_nothing_is_gained() -> None:
    seen, unseen = exposure(1, 1, -1, -1), exposure(1, -1, -1, -1)
    assert enough([], unseen) is None
    assert enough([look(0.9)], unseen) is None  # a network wins back in a second cycle what it lost in the first
    why = str(enough([look(0.9), look(0.6)], unseen))
    assert why.startswith("it looks never-seen: 25% of the forget set looks trained on, where")
    assert "nothing more was gained" in str(enough([look(0.9), look(0.51)], seen))
    assert enough([look(0.9), look(0.6)], seen) is None


class Scripted:
    """Says in turn who looks seen."""

    by = "a script"

    def __init__(self, rows: Any, *ratios: Any) -> None:
        self._rows, self._ratios, self.asked = rows, [np.asarray(ratio, float) for ratio in ratios], 0

    def exposure(self, model: nn.Module) -> Exposure:
        self.asked += 1
        return Exposure(self._rows, self._ratios[min(self.asked, len(self._ratios)) - 1], 0.1, 0.05)


class Watched(ShadowTeacher):
    """Keeps what it was handed."""

    handed: list[list[int]]

    def step(self, batch: torch.Tensor) -> None:
        self.handed = [*getattr(self, "handed", []), batch.tolist()]
        super().step(batch)


def test_a_cycle_trains_on_those_it_hands_over_and_on_the_retained_and_on_nobody_else() -> None:
    work = replace(practice_context(forget=12), recipe=RECIPES["fast"].model_copy(update={"batch_size": 12}))
    changes = {"cycle_effort": 0.2, "cycles": 3, "oversampling": 1}
    method = Watched(work, with_changes(Watched.defaults, changes))
    first = [1] * 4 + [-1] * 8
    second = [-1] * 10 + [1] * 2
    decider = Scripted(work.forget, first, second, [-1] * 12)
    taken: list[int] = []
    take = work.samples.take

    def noted(rows: torch.Tensor) -> torch.Tensor:
        taken.extend(rows.tolist())
        return take(rows)

    samples = Samples(work.samples.inputs, work.samples.labels)
    object.__setattr__(samples, "take", noted)
    method.context = replace(work, samples=samples)
    stages = cycles_of(work.forget, method.cycle_budget, method.cycles)
    ledger = run_sequence(method, stages, lambda _: None, decider=decider)
    assert {row for batch in method.handed for row in batch} == {0, 1, 2, 3, 10, 11}
    assert not set(taken) & set(range(4, 10))
    assert [entry.samples for entry in ledger.stages] == [4, 2]
    assert [entry.forget_steps for entry in ledger.stages] == [
        round(method.cycle_budget * 4 / 12),
        round(method.cycle_budget * 2 / 12),
    ]
    # Whoever is handed over, a cycle is the same share of a retraining of 20 epochs.
    for entry in ledger.stages:
        assert entry.forget_steps + entry.retain_steps == pytest.approx(0.2 * 20 * 48, rel=0.15)
    assert ledger.stopped is not None
    assert ledger.stopped.startswith("it looks never-seen: 0% of the forget set looks trained on, where 10% ± 5%")
    evidence = ledger.evidence
    assert evidence is not None
    assert [(one.known, one.handed) for one in evidence.looks] == [(0.3333, 4), (0.1667, 2), (0, 0)]
    assert evidence.looks[-1].never_seen
    assert Ledger.model_validate(ledger.to_json()).evidence == Evidence(by="a script", looks=evidence.looks)


class Killed(BaseException):
    """As if the process had ended."""


def run(folder: Path | None, kill_after: float | None) -> tuple[dict[str, torch.Tensor], Ledger, int]:
    work = practice_context(forget=12)
    method = ShadowTeacher(work, with_changes(ShadowTeacher.defaults, {"cycle_effort": 0.1, "cycles": 3}))
    ratio = [1] * 6 + [-1] * 6
    decider = Scripted(work.forget, ratio, [*ratio[1:], -1], ratio[2:] + [-1] * 2, ratio[3:] + [-1] * 3)
    planned = 3 * method.cycle_budget
    trajectory = Trajectory(work.samples, work.forget, planned)
    journal = None if folder is None else StageJournal(folder, trajectory)
    if folder is not None and kill_after is None:
        decider.asked = 1  # the first look was before the interruption

    def report(done: float) -> None:
        if kill_after is not None and done > kill_after:
            raise Killed

    stages = cycles_of(work.forget, method.cycle_budget, 3)
    ledger = run_sequence(method, stages, report, watch=trajectory, journal=journal, decider=decider)
    state = {name: tensor.clone() for name, tensor in work.model.state_dict().items()}
    return state, ledger, method.cycle_budget


def test_a_killed_run_goes_on_by_cycle_bit_for_bit(tmp_path: Path) -> None:
    whole, ledger, budget = run(None, None)
    assert len(ledger.stages) == 3
    with pytest.raises(Killed):
        run(tmp_path, 0.6 * budget)
    again, of_again, _ = run(tmp_path, None)
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    assert of_again.evidence == ledger.evidence
    assert of_again.retain_steps_run == ledger.retain_steps_run


def test_a_guard_that_halves_the_rate_halves_that_of_every_step() -> None:
    """This method sets its rate anew at every step, so that halving the optimiser's alone would do nothing."""
    work = practice_context(forget=12)
    method = ShadowTeacher(work, ShadowTeacher.defaults)
    batch = torch.arange(12)
    method.step(batch)
    before = method._optimizer.param_groups[0]["lr"]
    assert halve_rate(method)
    method._taught = 0
    method.step(batch)
    assert method._optimizer.param_groups[0]["lr"] == pytest.approx(before / 2)


def test_a_teacher_is_one_that_saw_the_fewest_of_the_near_neighbours_to_be_forgotten() -> None:
    """Two tight groups of one label: of the first group's others two models saw none, of the second's one did."""
    centres = np.array([0.0, 0.0, 0.0, 50.0, 50.0, 50.0, 100.0, 100.0])
    x = (centres + np.arange(8) / 10)[:, None].astype(np.float32)
    samples = Samples.from_arrays(x, np.zeros(8, np.int64), "cpu")
    rows = np.array([0, 1, 3, 4])  # 2 and 5 are near, and stay
    keep = np.zeros((4, 8), bool)
    keep[[0, 1], 1] = True
    keep[[0, 2, 3], 4] = True
    keep[:, 2] = True
    seen = seen_neighbours(samples, rows, keep, 2)
    assert seen[:, 0].tolist() == [1, 1, 0, 0]
    assert seen[:, 2].tolist() == [1, 0, 1, 1]
    assert seen[:, 1].tolist() == seen[:, 3].tolist() == [0, 0, 0, 0]

    class Says(nn.Module):
        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return torch.eye(4)[self.number].expand(len(inputs), 4) * 5

    asked = [(Says(number), ~keep[number, rows]) for number in range(4)]
    found = average(asked, samples, rows, 4, seen)
    assert found.who is not None
    assert found.who[0] in (2, 3)
    assert found.who[2] == 1
    assert found.answers.argmax(1).tolist() == found.who.tolist()


def test_a_model_that_saw_all_of_a_few_samples_is_not_asked_about_none() -> None:
    """Networks that reshape, and forests, take no batch of no samples."""

    class Reshapes(nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return inputs.reshape(len(inputs), -1)

    samples = Samples.from_arrays(np.eye(3, dtype=np.float32), np.arange(3), "cpu")
    speaks = [np.array(rows) for rows in ([True, True], [False, False])]
    found = average([(Reshapes(), one) for one in speaks], samples, np.array([0, 2]), 3)
    assert found.count.tolist() == [1, 1]
    assert found.mean.argmax(1).tolist() == [0, 2]


PAIRS, SAMPLES = 8, 40


class Stored:
    """Signals of 16 shadow models: who saw a sample has a margin about 4, who did not about 0."""

    def __init__(self, keep: Any, margins: Any) -> None:
        self._keep, self._margins = keep, margins
        self.read: set[int] = set()

    def read_signals(self, keys: Any) -> Any:
        rows = [int(re.findall(r"\d+", str(key))[-1]) for key in keys]
        self.read |= set(rows)
        return self._margins[rows][:, :, None]


def decided(monkeypatch: pytest.MonkeyPatch, margins: Any, of_model: Any) -> tuple[Exposure, set[int], Any]:
    keep = paired_design(SAMPLES, 2 * PAIRS, 0)
    stored = Stored(keep, margins)
    teaching = np.flatnonzero(split_pairs(2 * PAIRS, 0).teaching)
    rows = np.arange(10)
    who = np.array([next(int(one) for one in teaching if not keep[one, row]) for row in rows])
    bench = SimpleNamespace(shadows=2 * PAIRS, store=stored, keep=lambda: keep, specification=SimpleNamespace(seed=0))
    problem: Any = SimpleNamespace(bench=bench, forget=SimpleNamespace(rows=rows, scattered=True))
    monkeypatch.setattr(deciding_models, "signal", lambda signals, _: signals)
    monkeypatch.setattr(deciding_models, "margin_of", lambda *_: of_model)
    return deciding_models.DecidingModels(problem, who).exposure(nn.Identity()), stored.read, who


def test_who_judges_or_taught_a_sample_does_not_decide_about_it(monkeypatch: pytest.MonkeyPatch) -> None:
    keep = paired_design(SAMPLES, 2 * PAIRS, 0)
    margins = np.where(keep, 4.0, 0.0) + 0.5 * np.random.default_rng(0).normal(size=keep.shape)
    of_model = np.array([4.0] * 5 + [0.0] * 5)
    found, read, who = decided(monkeypatch, margins, of_model)
    assert (found.ratio > 0).tolist() == [True] * 5 + [False] * 5
    assert found.known == 0.5
    assert found.expected < 0.1  # of the models that never saw a sample hardly one looks as if it had
    split = split_pairs(2 * PAIRS, 0)
    assert read == set(np.flatnonzero(split.teaching).tolist())
    other = margins.copy()
    for row, teacher in enumerate(who):
        other[[teacher, teacher ^ 1], row] = other[[teacher, teacher ^ 1], row][::-1]  # as if it were the other side
    again, _, _ = decided(monkeypatch, other, of_model)
    np.testing.assert_allclose(again.ratio, found.ratio, rtol=1e-6)
    wrong = margins.copy()
    wrong[split.teaching, :10] = 4 - wrong[split.teaching, :10]
    assert (decided(monkeypatch, wrong, of_model)[0].ratio > 0).tolist() == [False] * 5 + [True] * 5


@pytest.mark.parametrize(("kept", "decides"), [(0, True), (1, False)])
def test_of_a_whole_class_the_models_own_answers_decide_and_of_a_part_nobody_does(kept: int, decides: bool) -> None:
    labels = np.array([0] * (4 + kept) + [1] * 4)
    forget = SimpleNamespace(rows=np.arange(4), scattered=False)
    problem: Any = SimpleNamespace(labels=labels, forget=forget, retain=np.arange(4, len(labels)))
    method = ShadowTeacher(practice_context(forget=4), with_changes(ShadowTeacher.defaults, {"cycles": 3}))
    found = deciding_models.decider_of(problem, method)
    assert isinstance(found, deciding_models.ClassAnswers) == decides
    assert (found is None) != decides


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, False),
        ({"parameter": ("cycles=3",)}, True),
        ({"parameter": ("cycles=3",), "order": "none"}, True),
        ({"parameter": ("cycles=3",), "order": "risk"}, False),
        ({"parameter": ("cycles=3",), "groups": 2}, False),
        ({"parameter": ("cycles=3",), "guard": "off"}, False),
        ({"parameter": ("cycles=3",), "tune": True}, False),
    ],
)
def test_evidence_decides_where_cycles_are_asked_for_and_neither_an_order_nor_an_exact_budget_is(
    asked: dict[str, Any], expected: bool
) -> None:
    request = request_of(UnlearnSettings(method="shadow-teacher", **asked))
    assert request is not None
    assert request.by_evidence == expected
    assert (request.sequencing.order == "none") == (expected or asked.get("order") == "none")
