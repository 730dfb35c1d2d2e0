"""The guard: what wrecks a model is taken back, whatever the method; what does not is left alone, to the bit."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch.nn import functional

from privaudit.config import Sequencing
from privaudit.evaluation.measures.outcome import RUIN, RUIN_SHARE
from privaudit.results.unlearning.ledger import GuardRecord
from privaudit.testing import practice_context
from privaudit.training.loop import Samples
from privaudit.unlearning import guard as guards
from privaudit.unlearning.application.problem import UnlearningProblem
from privaudit.unlearning.application.run_method import Request, guard_of
from privaudit.unlearning.base import UNLEARNERS, Context, Parameters, StopUnlearning, Unlearner
from privaudit.unlearning.guard import COST, HALVINGS, LOST, LOST_OF_WHAT_IS_KNOWN, Guard, Slice
from privaudit.unlearning.requests.forget_set import ForgetSet
from privaudit.unlearning.schedule.journal import StageJournal
from privaudit.unlearning.schedule.one_shot import run_once
from privaudit.unlearning.schedule.sequence import Ledger, plan_stages, run_sequence
from privaudit.unlearning.schedule.trajectory import Trajectory


def learned() -> Context:
    """The practice problem with a model that knows its samples, so that there is something to lose."""
    work = practice_context(forget=12)
    optimizer = torch.optim.Adam(work.model.parameters(), lr=0.01)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        work.model.train()
        for _ in range(60):
            rows = torch.arange(len(work.samples))
            loss = functional.cross_entropy(work.model(images(work.samples)), work.samples.labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    work.model.eval()
    return work


def images(samples: Samples) -> torch.Tensor:
    return samples.inputs.permute(0, 3, 1, 2).float() / 255


def state(work: Context) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in work.model.state_dict().items()}


def right(work: Context) -> float:
    with torch.no_grad():
        return float((work.model.eval()(images(work.samples)).argmax(1) == work.samples.labels).float().mean())


def guarded(unlearner: Unlearner, planned: float = 24) -> Guard:
    """A guard whose validation samples are the pool's own: what is known of them can be lost."""
    return Guard(unlearner, unlearner.context.samples, np.arange(12, 60), planned, seed=0)


def go(unlearner: Unlearner, guard: Guard | None, **more: Any) -> Ledger:
    if not unlearner.takes_forget_steps:
        return run_once(unlearner, lambda _: None, guard)
    return run_sequence(unlearner, plan_stages([unlearner.context.forget], 2), lambda _: None, guard=guard, **more)


@pytest.mark.parametrize("name", sorted(UNLEARNERS))
def test_a_guard_that_never_acts_changes_no_bit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards, "COST", 2.0)
    monkeypatch.setattr(guards, "COST_MEANWHILE", 2.0)
    monkeypatch.setattr(guards, "COST_AT_THE_HEIGHT", 2.0)
    method, found = UNLEARNERS.load(name), []
    for watched in (False, True):
        work = practice_context(forget=12)
        unlearner = method(work, method.defaults)
        ledger = go(unlearner, guarded(unlearner) if watched else None)
        found.append((state(work), ledger.retain_steps_run, ledger.forget_steps_run))
        if watched:
            assert ledger.guard is not None
            assert ledger.guard.looks > 0
            assert not ledger.guard.undone
    assert found[0][1:] == found[1][1:]
    for key, tensor in found[0][0].items():
        assert torch.equal(tensor, found[1][0][key]), key


class Wrecker(Unlearner):
    """A user's own: throws the weights about, as far as its learning rate says; ``attribute`` is where that is kept."""

    defaults: ClassVar[Parameters] = Parameters(passes=2, learning_rate=64.0, batch_size=3)

    def step(self, batch: torch.Tensor) -> None:
        with torch.no_grad():
            for weight in self.context.model.parameters():
                weight.add_(torch.randn(weight.shape, generator=self.context.generator), alpha=self.rate)

    @property
    def rate(self) -> float:
        return self.parameters.learning_rate


class Poisoner(Wrecker):
    """Writes what is no number."""

    def step(self, batch: torch.Tensor) -> None:
        with torch.no_grad():
            next(iter(self.context.model.parameters())).fill_(float("nan"))


class Rateless(Wrecker):
    """Has no learning rate to halve."""

    defaults: ClassVar[Parameters] = Parameters(passes=2, learning_rate=0.0, batch_size=3)

    @property
    def rate(self) -> float:
        return 64.0


@pytest.mark.parametrize("method", [Wrecker, Poisoner, Rateless])
def test_what_wrecks_a_model_is_taken_back_and_stopped(method: type[Unlearner]) -> None:
    work = learned()
    before, knew = state(work), right(work)
    assert knew > 0.95
    ledger = go(method(work, method.defaults), None)
    assert right(work) < 0.7 or not torch.isfinite(work.model(images(work.samples))).all()
    work = learned()
    unlearner = method(work, method.defaults)
    ledger = go(unlearner, guarded(unlearner))
    record = ledger.guard
    assert record is not None
    assert ledger.stopped is not None
    assert "the guard stopped it at its last good state" in ledger.stopped
    assert record.stopped is not None
    assert right(work) >= knew * (1 - COST)
    assert record.halvings == (0 if method is Rateless else HALVINGS)
    assert len(record.undone) == record.halvings + 1
    # Nothing of it was ever good: the model is as it was, and what was spent is counted as undone.
    assert all(torch.equal(before[name], tensor) for name, tensor in work.model.state_dict().items())
    assert ledger.to_json()["guard"]["forget_steps_undone"] == ledger.forget_steps_run > 0
    json.dumps(ledger.to_json(), allow_nan=False)


def test_halved_often_enough_the_run_goes_on() -> None:
    """A rate that wrecks at first and not once it is halved: the run reaches its end, changed and whole."""
    work = learned()
    method = UNLEARNERS.load("ga")
    unlearner: Any = method(work, Parameters(passes=2, learning_rate=2.0, batch_size=12))
    unlearner.guard.check = lambda *_: None  # ascent's own brake is not what is tried here
    before, knew = state(work), right(work)
    ledger = go(unlearner, guarded(unlearner))
    assert ledger.guard is not None
    assert ledger.guard.undone
    assert right(work) >= knew * (1 - COST) - 12 / 60
    assert unlearner.parameters.learning_rate == 2.0 / 2**ledger.guard.halvings
    assert before.keys() == state(work).keys()


class Once(Wrecker):
    """Runs once, and reports on its way."""

    takes_forget_steps: ClassVar[bool] = False

    def run(self, report: Callable[[float], None]) -> None:
        for number in range(1, 5):
            self.step(torch.arange(1))
            report(number / 4)


def test_a_method_that_runs_once_is_watched_too() -> None:
    work = learned()
    knew = right(work)
    unlearner = Once(work, Once.defaults)
    ledger = go(unlearner, guarded(unlearner, 1.0))
    assert ledger.guard is not None
    assert ledger.guard.undone
    assert not ledger.guard.held_out
    assert right(work) >= knew * (1 - COST)


class Fades(Wrecker):
    """Loses a little, which is allowed meanwhile, and never wins it back."""

    takes_forget_steps: ClassVar[bool] = False

    def run(self, report: Callable[[float], None]) -> None:
        with torch.no_grad():
            for weight in self.context.model.parameters():
                weight.zero_()
        raise StopUnlearning("it had enough")


def test_what_did_not_come_back_by_the_end_is_taken_back() -> None:
    work = learned()
    knew = right(work)
    unlearner = Fades(work, Fades.defaults)
    ledger = go(unlearner, guarded(unlearner, 1.0))
    assert ledger.stopped == "it had enough"
    assert ledger.guard is not None
    assert "did not come back" in str(ledger.guard.stopped)
    assert right(work) == knew


class Killed(BaseException):
    """As if the process had ended."""


def run_stages(folder: Path | None, kill_after: int | None) -> tuple[dict[str, torch.Tensor], GuardRecord, Trajectory]:
    work = learned()
    unlearner = Wrecker(work, Parameters(passes=6, learning_rate=0.6, batch_size=3))
    trajectory = Trajectory(work.samples, work.forget, 72)
    guard = guarded(unlearner, 72)
    journal = None if folder is None else StageJournal(folder, trajectory, guard)

    def report(done: float) -> None:
        if kill_after is not None and done > kill_after:
            raise Killed

    groups = [work.forget[:4], work.forget[:8], work.forget]
    ledger = run_sequence(unlearner, plan_stages(groups, 6), report, watch=trajectory, journal=journal, guard=guard)
    assert ledger.guard is not None
    return state(work), ledger.guard, trajectory


def test_a_killed_run_goes_on_as_it_was_guarded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards, "HALVINGS", 30)
    whole, record, trajectory = run_stages(None, None)
    assert record.undone
    for kill_after in (20, 50):
        with pytest.raises(Killed):
            run_stages(tmp_path, kill_after)
        again, of_again, seen = run_stages(tmp_path, None)
        assert all(torch.equal(whole[name], again[name]) for name in whole)
        assert of_again == record
        assert np.array_equal(seen.margins, trajectory.margins)


def test_a_record_comes_back_from_json() -> None:
    work = learned()
    unlearner = Wrecker(work, Wrecker.defaults)
    record = go(unlearner, guarded(unlearner)).guard
    assert record is not None
    assert GuardRecord.model_validate(json.loads(json.dumps(record.to_json()))) == record


def test_watching_a_long_run_takes_a_small_part_of_its_work() -> None:
    """Counted, not timed: an answer costs a third of a step on the same sample."""
    work = learned()
    method = UNLEARNERS.load("rl")
    unlearner = method(work, Parameters(passes=400, learning_rate=0.0, batch_size=60))
    guard = guarded(unlearner, 400 * 12)
    ledger = run_sequence(unlearner, plan_stages([work.forget], 400), lambda _: None, guard=guard)
    assert ledger.guard is not None
    answers = ledger.guard.looks * sum(ledger.guard.watched.values())
    assert answers < 0.1 * 3 * (ledger.forget_steps_run + ledger.retain_steps_run)
    assert ledger.guard.looks > 12


@pytest.mark.parametrize(("cools", "undone"), [(False, 1), (True, 0)])
def test_what_is_lost_at_the_height_of_a_rate_that_falls_to_nothing_may_come_back(
    monkeypatch: pytest.MonkeyPatch, cools: bool, undone: int
) -> None:
    """Of a method that ends cold, a fall by two fifths on the way is no ruin; of another that trains on D_r it is."""
    work = learned()
    method: Any = UNLEARNERS.load("rl")
    unlearner = method(work, method.defaults)
    monkeypatch.setattr(type(unlearner), "cools_down", cools)
    guard = guarded(unlearner)
    alright = [(one.right, True) for one in guard._slices]
    assert [len(one.rows) for one in guard._slices] == [len(one.rows) for one in guard._last]
    fallen = [(one.right & (np.arange(len(one.right)) % 5 >= 2), True) for one in guard._slices]
    monkeypatch.setattr(guard, "_ask", lambda _: fallen)
    guard._look(6.0)
    assert len(guard.record.undone) == undone
    monkeypatch.setattr(guard, "_ask", lambda _: alright)
    guard.at_end(24.0)
    assert guard.record.stopped is None


@pytest.mark.parametrize(("known", "lost", "kept"), [(0.55, 0.045, True), (0.55, 0.06, False), (0.2, 0.04, False)])
def test_at_the_end_that_is_taken_back_which_an_outcome_calls_ruin(known: float, lost: float, kept: bool) -> None:
    """Of 1,000: five points, or a quarter of what is above guessing. A twentieth of 55% is what retraining costs."""
    assert (LOST, LOST_OF_WHAT_IS_KNOWN) == (RUIN, RUIN_SHARE)
    work = learned()
    guard = guarded(UNLEARNERS.load("rl")(work, UNLEARNERS.load("rl").defaults))
    guard._classes = 10
    before = np.arange(1000) < 1000 * known
    one = Slice("validation", work.samples, np.arange(1000), before, np.arange(1000) < 256)
    assert len(one.meanwhile().rows) == len(one.meanwhile().right) == 256
    now = np.arange(1000) < round(1000 * (known - lost))
    assert (guard._what_is_wrong([(now, True)], [one]) is None) == kept


@pytest.mark.parametrize("before", [False, True])
def test_a_class_that_goes_is_not_missed(before: bool) -> None:
    """A model that never answers with it any more has done what it should; were its samples watched, that were ruin.

    So it is where the class went before, and a single sample of another class is to go now.
    """
    whole = learned()
    labels = whole.samples.labels.numpy()
    gone, one = np.flatnonzero(labels == 1), np.array([0])
    forget, earlier = (one, gone) if before else (gone, one[:0])
    work = replace(whole, forget=forget, retain=np.setdiff1d(np.arange(60), np.union1d(gone, forget)))
    bench: Any = SimpleNamespace(seed=0)
    problem = UnlearningProblem(
        bench, ForgetSet(forget, before), work.retain, work.samples, work.samples, 0, Path("nowhere"), earlier
    )
    method = UNLEARNERS.load("rl")
    unlearner = method(work, method.defaults)
    guard = guard_of(problem, Request("rl", method.defaults, Sequencing(), 0, guard=True), unlearner, 24)
    assert guard is not None
    assert guard.record.watched["validation"] == (labels[problem.validation] != 1).sum() > 0
    careless = Guard(unlearner, work.samples, problem.validation, 24, 0)
    last: Any = list(work.model.children())[-1]
    with torch.no_grad():
        last.bias[1] = -1e4
    for watching, stopped in ((guard, False), (careless, True)):
        watching.at_end(24.0)
        assert bool(watching.record.stopped) == stopped
