"""Unlearning methods where a plain case says nothing: temperatures, running means, what is left over."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import softmax
from torch import nn

from privaudit.config import Sequencing
from privaudit.evaluation.measures.relearn import RelearnSettings, mean_loss, relearn_time
from privaudit.shadow.design import paired_design
from privaudit.shadow.store import shadow_key
from privaudit.testing import practice_context
from privaudit.training.hardware import Hardware
from privaudit.training.loop import Samples
from privaudit.unlearning import teachers as stored_teachers
from privaudit.unlearning.ascent_guard import AscentGuard
from privaudit.unlearning.base import UNLEARNERS, Parameters, StopUnlearning, Unlearner
from privaudit.unlearning.batch_statistics import train_frozen
from privaudit.unlearning.methods.bad_teacher import BadTeacher
from privaudit.unlearning.methods.fine_tuning import FineTuning
from privaudit.unlearning.methods.gradient_ascent import GradientAscent
from privaudit.unlearning.methods.neggrad_plus import NegGradPlus
from privaudit.unlearning.methods.random_labels import RandomLabels
from privaudit.unlearning.methods.salun import SaliencyUnlearning, salient
from privaudit.unlearning.methods.scrub import Scrub
from privaudit.unlearning.methods.shadow_teacher import ShadowTeacher
from privaudit.unlearning.parameters import with_changes
from privaudit.unlearning.retain_sampler import RetainStream
from privaudit.unlearning.schedule.one_shot import run_once
from privaudit.unlearning.schedule.sequence import plan_stages, run_sequence
from privaudit.unlearning.schedule.stages import Stage, sequence_of
from privaudit.unlearning.schedule.trajectory import Trajectory
from privaudit.unlearning.teachers import PairSplit, Teachers
from tests.test_methods import (
    CLASSES,
    FEATURES,
    Linear,
    ce_gradient,
    everything,
    kl_gradient,
    linear_context,
    weight_of,
)


def test_the_climb_that_stops_ascent_is_a_running_mean() -> None:
    """Half again as high as allowed, time after time: 1.5 (1 − .8ᵗ) passes 1 at the fifth."""
    context, *_ = linear_context()
    guard = AscentGuard(GradientAscent(context, Parameters(1, 0.1)))
    before = float(guard._before[context.forget].mean())
    loss = before + 1.5 * (guard.ceiling - before)
    for _ in range(4):
        guard.check(everything(context), torch.tensor(loss))
    with pytest.raises(StopUnlearning, match="would destroy"):
        guard.check(everything(context), torch.tensor(loss))


def test_bad_teacher_asks_teachers_and_model_at_one_temperature() -> None:
    context, weight, x, _ = linear_context()
    changes = {"retain_share": 1, "batch_size": 20, "temperature": 3}
    BadTeacher(context, with_changes(BadTeacher.defaults, changes)).step(everything(context))
    teacher = softmax(x @ weight.T / 3, axis=1)
    teacher[:5] = softmax(x[:5] @ np.full((FEATURES, CLASSES), 0.5) / 3, axis=1)
    gradient = next(context.model.parameters()).grad
    assert gradient is not None
    # T² KL at temperature T has the gradient T (p_T − q_T) xᵀ.
    np.testing.assert_allclose(gradient.numpy(), 3 * kl_gradient(weight / 3, x, teacher), atol=1e-5)


def test_scrub_disobeys_at_one_temperature() -> None:
    context, original, x, _ = linear_context()
    method = Scrub(context, with_changes(Scrub.defaults, {"temperature": 3}))
    weight = original + np.random.default_rng(3).normal(size=original.shape) / 4
    next(context.model.parameters()).data.copy_(torch.from_numpy(weight))
    method.step(torch.arange(4))
    gradient = next(context.model.parameters()).grad
    assert gradient is not None
    expected = -3 * kl_gradient(weight / 3, x[:4], softmax(x[:4] @ original.T / 3, axis=1))
    np.testing.assert_allclose(gradient.numpy(), expected, atol=1e-5)


def test_a_loss_that_has_reached_lambda_takes_no_part() -> None:
    """v_i = 1 where l_i < λ: midway between 2 and 3 it is 2.5, and 2.5 is not below it."""
    scores = np.array([1.0, 2.0, 3.0, 4.0])
    context, *_ = linear_context()
    wanted = Sequencing(order="loss", groups=2, pace="self-paced")
    stages = sequence_of(lambda _: (np.arange(4), scores), context.model, wanted, 1)
    nothing = np.empty(0, np.int64)
    assert stages[0].rows_now(context.model, nothing).tolist() == [0, 1]
    scores[1] = 2.5
    assert stages[0].rows_now(context.model, nothing).tolist() == [0]


def test_fine_tuning_ends_with_what_is_left_of_the_last_pass() -> None:
    context, *_ = linear_context()
    ledger = run_once(FineTuning(context, Parameters(1, 0.1, 10)), lambda _: None)
    assert ledger.retain_steps_run == 15


@pytest.mark.parametrize("name", ["ft", "l1-sparse", "rl", "salun"])
def test_who_trains_on_what_remains_moves_batchnorm_statistics_and_ends_in_eval_mode(name: str) -> None:
    context = practice_context()
    before = context.model.state_dict()["1.running_mean"].clone()
    method = UNLEARNERS.load(name)
    parameters = with_changes(method.defaults, {"passes": 1})
    unlearner = method(context, parameters)
    if method.takes_forget_steps:
        run_sequence(unlearner, plan_stages([context.forget], 1), lambda _: None)
    else:
        run_once(unlearner, lambda _: None)
    assert not torch.equal(before, context.model.state_dict()["1.running_mean"])
    assert not context.model.training


def test_frozen_training_keeps_dropout_and_freezes_statistics() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout()).eval()
    train_frozen(model)
    assert [module.training for module in model] == [True, False, True]


def test_two_steps_carry_momentum() -> None:
    """Descent and ascent in balance, and random labels at two classes, of which one is left: v ← .9 v + g."""
    context, weight, x, y = linear_context(forget=10)
    method = NegGradPlus(context, with_changes(NegGradPlus.defaults, {"learning_rate": 0.1, "alpha": 0.8}))
    velocity, after = np.zeros_like(weight), weight
    for _ in range(2):
        method.step(everything(context))
        gradient = 0.8 * ce_gradient(after, x[10:], y[10:]) - 0.2 * ce_gradient(after, x[:10], y[:10])
        velocity = 0.9 * velocity + gradient
        after = after - 0.1 * velocity
    np.testing.assert_allclose(weight_of(context), after, rtol=1e-4)

    context, weight, x, _ = linear_context()
    y = np.arange(20) % 2
    context = replace(context, samples=Samples.from_arrays(x.astype(np.float32), y, "cpu"), classes=2)
    wrong = np.concatenate([1 - y[:5], y[5:]])
    random_labels = RandomLabels(context, Parameters(2, 0.1, 20))
    velocity, after = np.zeros_like(weight), weight
    for _ in range(2):
        random_labels.step(everything(context))
        velocity = 0.9 * velocity + ce_gradient(after, x, wrong)
        after = after - 0.1 * velocity
    np.testing.assert_allclose(weight_of(context), after, rtol=1e-4)


def test_ascent_asks_its_guard_before_it_moves() -> None:
    makes: tuple[Any, ...] = (GradientAscent, NegGradPlus)
    for method in makes:
        context, weight, *_ = linear_context()
        unlearner = method(context, with_changes(method.defaults, {"learning_rate": 0.5}))
        unlearner.guard._allowed = -1.0
        with pytest.raises(StopUnlearning, match="would destroy"):
            unlearner.step(everything(context))
        np.testing.assert_array_equal(weight_of(context), weight)


@pytest.mark.parametrize("seed", range(4))
def test_saliency_is_that_of_all_forgotten_together_in_eval_mode(seed: int) -> None:
    """Parts of two, two and one count by their samples, and dropout has no say."""
    context, weight, x, y = linear_context(seed=seed)
    parameters = with_changes(SaliencyUnlearning.defaults, {"batch_size": 2})
    size = np.abs(ce_gradient(weight, x[:5], y[:5]))
    mask = SaliencyUnlearning(context, parameters).mask[0].numpy()
    np.testing.assert_array_equal(mask, size >= np.median(size))

    practice = practice_context()
    rows = torch.from_numpy(practice.forget)
    pictures = practice.samples.inputs[rows].permute(0, 3, 1, 2).float() / 255
    practice.model.eval()
    loss = nn.functional.cross_entropy(practice.model(pictures), practice.samples.labels[rows])
    expected = salient(list(torch.autograd.grad(loss, list(practice.model.parameters()))), 0.5)
    torch.manual_seed(seed)
    practice.model.train()
    found = SaliencyUnlearning(practice, SaliencyUnlearning.defaults).mask
    same = [float((ours == theirs).float().mean()) for ours, theirs in zip(found, expected, strict=True)]
    assert min(same) > 0.95


class Handed(Unlearner):
    """Notes the batches that it is handed, and whether it was asked to finish; refuses after so many."""

    defaults = Parameters(1, 0.1, 4)
    most = 100

    def __init__(self, context: Any, parameters: Parameters) -> None:
        super().__init__(context, parameters)
        self.batches: list[list[int]] = []
        self.finished = False

    def step(self, batch: torch.Tensor) -> None:
        if len(self.batches) == self.most:
            raise StopUnlearning("enough")
        self.batches.append(batch.tolist())

    def finish(self) -> None:
        self.finished = True


class Reluctant(Handed):
    most = 1


def test_batches_are_cut_where_the_budget_ends_and_drawn_from_the_methods_generator() -> None:
    context, *_ = linear_context(forget=6)
    torch.manual_seed(99)
    method = Handed(context, Handed.defaults)
    ledger = run_sequence(method, [Stage(context.forget, 9)], lambda _: None)
    assert ledger.forget_steps_run == 9
    random = torch.Generator().manual_seed(0)
    first, second = (torch.randperm(6, generator=random).tolist() for _ in range(2))
    assert method.batches == [first[:4], first[4:], second[:3]]
    assert method.finished
    assert context.generator.get_state().equal(random.get_state())
    stream = RetainStream(context.retain, torch.Generator().manual_seed(5), torch.device("cpu"))
    order = torch.randperm(14, generator=torch.Generator().manual_seed(5))
    assert stream.take(14).tolist() == context.retain[order].tolist()


def test_who_refused_is_not_asked_to_finish() -> None:
    context, *_ = linear_context(forget=6)
    method = Reluctant(context, Reluctant.defaults)
    ledger = run_sequence(method, [Stage(context.forget, 6)], lambda _: None)
    assert ledger.stopped == "enough (after 4 of 6 forget-sample gradients)"
    assert not method.finished


def test_disjoint_stages_that_are_ranked_anew_hand_over_each_sample_once() -> None:
    """The order turns round after each stage: what any earlier stage handed over must not come again."""
    context, *_ = linear_context(forget=6)
    scores = {row: float(row) for row in range(6)}

    def ranking(_: nn.Module) -> Any:
        rows = np.array(sorted(scores, key=lambda row: scores[row]), np.int64)
        return rows, np.array([scores[int(row)] for row in rows])

    class Turning(Handed):
        def step(self, batch: torch.Tensor) -> None:
            super().step(batch)
            scores.update({row: -score for row, score in scores.items()})

    wanted = Sequencing(order="loss", groups=3, rerank="dynamic", grouping="disjoint")
    method = Turning(context, Handed.defaults)
    run_sequence(method, sequence_of(ranking, context.model, wanted, 1), lambda _: None)
    assert [sorted(batch) for batch in method.batches] == [[0, 1], [4, 5], [2, 3]]


def test_the_cost_of_fresh_teachers_is_counted() -> None:
    context, *_ = linear_context()
    answers = torch.full((5, CLASSES), 1 / CLASSES)
    teachers = Teachers(np.arange(5), answers, torch.zeros(5), np.full(5, 2), trained_samples=70)
    method = ShadowTeacher(replace(context, teachers=lambda: teachers), ShadowTeacher.defaults)
    assert method.retain_steps == 70


def test_a_model_is_looked_at_about_twenty_times() -> None:
    context, *_ = linear_context()
    watch = Trajectory(context.samples, context.forget, 200)
    for spent in range(201):
        watch.look(spent, context.model)
    assert watch.steps.tolist() == list(range(0, 201, 10))
    assert watch.margins.shape == (21, 5)


def test_relearning_in_batches_trains_in_training_mode_in_the_order_of_the_seed_up_to_the_limit() -> None:
    """Against a loop written out here, dropout and BatchNorm on; a loss that is no number is infinite."""
    hardware = Hardware("cpu", "fp32")
    settings = RelearnSettings(learning_rate=0.05, batch_size=5, limit=4, look_every=1)

    def losses(seed: int) -> list[float]:
        work = practice_context()
        rows, random = torch.from_numpy(work.forget), torch.Generator().manual_seed(seed)
        order = torch.cat([rows[torch.randperm(len(rows), generator=random)] for _ in range(4)])
        optimizer = torch.optim.SGD(work.model.parameters(), lr=0.05, momentum=0.9)
        torch.manual_seed(seed)
        found = []
        for step in range(4):
            batch = order[5 * step : 5 * step + 5]
            work.model.train()
            pictures = work.samples.inputs[batch].permute(0, 3, 1, 2).float() / 255
            optimizer.zero_grad()
            nn.functional.cross_entropy(work.model(pictures), work.samples.labels[batch]).backward()
            optimizer.step()
            found.append(mean_loss(work.model, work.samples, work.forget))
        return found

    for seed in (1, 2):
        expected = losses(seed)
        work = practice_context()
        assert min(expected) < mean_loss(work.model, work.samples, work.forget)
        target = min(expected) + 1e-4
        first = next(step for step, loss in enumerate(expected, 1) if loss <= target)
        found = relearn_time(work.model, work.samples, work.forget, target, seed, hardware, settings)
        assert found.steps == first
        impossible = relearn_time(work.model, work.samples, work.forget, target - 2e-4, seed, hardware, settings)
        assert impossible.steps is None
    assert losses(1) != losses(2)
    context, *_ = linear_context()
    next(context.model.parameters()).data.fill_(float("nan"))
    assert mean_loss(context.model, context.samples, context.forget) == float("inf")


def test_a_stored_model_teaches_just_what_it_never_saw(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows in any order: each is taught by the mean of those teaching models that were trained without it."""
    context, _, x, _ = linear_context()
    weights = np.random.default_rng(5).normal(size=(8, CLASSES, FEATURES))
    keep = paired_design(20, 8, 0)
    teaching = np.arange(8) // 2 % 2 == 0
    store: Any = SimpleNamespace(model=lambda key: key)
    specification: Any = SimpleNamespace(classes=CLASSES)
    of_key = {shadow_key(model): Linear(weights[model]) for model in range(8)}
    monkeypatch.setattr("privaudit.runtime.files.demand_whole", lambda *_: None)
    monkeypatch.setattr(stored_teachers, "load_model", lambda _, key: of_key[key])
    rows = np.array([13, 2, 7])
    found = stored_teachers.teachers_of(
        store, specification, context.samples, rows, keep, PairSplit(teaching, ~teaching)
    )
    assert found.rows.tolist() == [2, 7, 13]
    for place, row in enumerate([2, 7, 13]):
        speaks = teaching & ~keep[:, row]
        assert speaks.sum() == found.count[place] == 2
        expected = np.mean([softmax(weight @ x[row]) for weight in weights[speaks]], axis=0)
        np.testing.assert_allclose(found.mean[place], expected, rtol=1e-5)
        assert found.position(torch.tensor([row])).tolist() == [place]
