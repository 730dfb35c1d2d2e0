"""Every unlearning method against steps computed by hand; what is frozen stays; what is spent is counted."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from scipy.special import rel_entr as relative_entropy
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from privaudit.errors import EvidenceError, UsageError
from privaudit.evaluation.measures.utility import tug_of_war
from privaudit.results.unlearning.run import Accuracies
from privaudit.runtime import files
from privaudit.shadow.store import AuditStore, shadow_key
from privaudit.testing import ContractError, check_unlearner, practice_context
from privaudit.training.hardware import Hardware
from privaudit.training.loop import Samples
from privaudit.training.recipe import RECIPES, Recipe
from privaudit.trials.tuning import TRIALS, candidates, held_out_set
from privaudit.unlearning.base import UNLEARNERS, Context, Methods, Parameters, Unlearner
from privaudit.unlearning.divergence_losses import distillation, jensen_shannon, l1_norm
from privaudit.unlearning.methods.bad_teacher import BadTeacher
from privaudit.unlearning.methods.fine_tuning import FineTuning
from privaudit.unlearning.methods.l1_sparse import L1Sparse
from privaudit.unlearning.methods.neggrad_plus import NegGradPlus
from privaudit.unlearning.methods.salun import SaliencyUnlearning, salient
from privaudit.unlearning.methods.scrub import Scrub
from privaudit.unlearning.methods.shadow_teacher import ShadowTeacher, cycle
from privaudit.unlearning.methods.ssd import DampeningParameters, SelectiveDampening, dampening
from privaudit.unlearning.parameters import parse_changes, setting, with_changes
from privaudit.unlearning.requests.forget_set import ForgetSet
from privaudit.unlearning.retain_sampler import RetainStream, batches, share_of_batch
from privaudit.unlearning.schedule.one_shot import run_once
from privaudit.unlearning.schedule.sequence import plan_stages, run_sequence
from privaudit.unlearning.schedule.stages import Stage
from privaudit.unlearning.teachers import Teachers, average, split_pairs
from privaudit.unlearning.without_classes import mixed, own_answers, share_left
from tests.conftest import Run, unlearn

FEATURES, CLASSES = 4, 3
METHODS = UNLEARNERS.names()
#: Methods whose batches are mostly retained samples, or D as it is: they let BatchNorm learn.
MIXING = ("ft", "l1-sparse", "rl", "salun", "scrub", "shadow-teacher")
STEPPING = [name for name in METHODS if UNLEARNERS.load(name).takes_forget_steps]


class Linear(nn.Module):
    """z = W x: softmax regression, whose gradients are known in closed form."""

    def __init__(self, weight: np.ndarray[Any, Any]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.from_numpy(weight).float())

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs @ self.weight.T


def linear_context(forget: int = 5, samples: int = 20, seed: int = 0) -> tuple[Context, Any, Any, Any]:
    """A context of softmax regression, and its W ``[C, D]``, x ``[N, D]`` and y ``[N]`` as float64."""
    random = np.random.default_rng(seed)
    weight, x = random.normal(size=(CLASSES, FEATURES)), random.normal(size=(samples, FEATURES)).astype(np.float32)
    y = random.integers(0, CLASSES, samples)
    context = Context(
        model=Linear(weight),
        samples=Samples.from_arrays(x, y, "cpu"),
        forget=np.arange(forget),
        retain=np.arange(forget, samples),
        classes=CLASSES,
        unseen_loss=lambda: 5.0,
        hardware=Hardware("cpu", "fp32"),
        generator=torch.Generator().manual_seed(0),
        build=lambda *_: Linear(np.full((CLASSES, FEATURES), 0.5)),
    )
    return context, weight.astype(np.float32).astype(float), x.astype(float), y


def ce_gradient(weight: Any, x: Any, y: Any) -> Any:
    """∇_W of the mean cross-entropy: (p − e_y) xᵀ."""
    error = softmax(x @ weight.T, axis=1) - np.eye(CLASSES)[y]
    return error.T @ x / len(x)


def kl_gradient(weight: Any, x: Any, teacher: Any) -> Any:
    """∇_W of the mean KL(teacher ‖ p): (p − q) xᵀ."""
    return (softmax(x @ weight.T, axis=1) - teacher).T @ x / len(x)


def adam_first_step(gradient: Any, rate: float) -> Any:
    """Adam's first step after bias correction: η g / (|g| + ε)."""
    return rate * gradient / (np.abs(gradient) + 1e-8)


def weight_of(context: Context) -> Any:
    return next(context.model.parameters()).detach().numpy().astype(float)


def everything(context: Context) -> torch.Tensor:
    return torch.from_numpy(context.forget)


# Divergences.


def test_distillation_is_the_mean_over_samples_and_not_over_classes() -> None:
    random = np.random.default_rng(1)
    student, teacher = random.normal(size=(2, 7, 4)) * 3
    for temperature in (1.0, 2.0):
        p, q = softmax(teacher / temperature, axis=1), softmax(student / temperature, axis=1)
        expected = temperature**2 * relative_entropy(p, q).sum(axis=1).mean()
        found = distillation(torch.from_numpy(student), torch.from_numpy(teacher), temperature)
        assert float(found) == pytest.approx(expected)


def test_divergences_by_definition_with_certain_teachers_too() -> None:
    random = np.random.default_rng(2)
    student = random.normal(size=(6, 4)) * 3
    teacher = random.dirichlet(np.ones(4), 6)
    teacher[0] = [0, 1, 0, 0]
    p, logits, probabilities = softmax(student, axis=1), torch.from_numpy(student), torch.from_numpy(teacher)
    mean = (p + teacher) / 2
    expected = (relative_entropy(p, mean) + relative_entropy(teacher, mean)).sum(axis=1) / 2
    np.testing.assert_allclose(jensen_shannon(logits, probabilities), expected, atol=1e-12)
    apart = jensen_shannon(torch.tensor([[100.0, 0]]).double(), torch.tensor([[0.0, 1]]).double())
    assert float(apart) == pytest.approx(math.log(2))
    weights = [nn.Parameter(torch.tensor([[-1.0, 2], [0, 3]])), nn.Parameter(torch.tensor([-4.0]))]
    assert l1_norm(weights).item() == 10


# The stream of retain samples.


def test_the_stream_passes_over_everything_before_it_repeats() -> None:
    stream = RetainStream(np.arange(10, 17), torch.Generator().manual_seed(0), torch.device("cpu"))
    taken = torch.cat([stream.take(3) for _ in range(7)])
    assert sorted(taken[:7].tolist()) == sorted(taken[7:14].tolist()) == list(range(10, 17))
    assert sum(len(stream.take_share(0.3)) for _ in range(10)) == 3
    assert [share_of_batch(128, ratio) for ratio in (0, 1, 9, 1000)] == [128, 64, 12, 1]
    assert [len(part) for part in batches(torch.arange(129), 128)] == [65, 64]
    assert [len(part) for part in batches(torch.arange(1), 128)] == [1]


# Methods, step by step.


def test_fine_tuning_is_a_step_of_cross_entropy_on_what_remains() -> None:
    context, weight, x, y = linear_context()
    method = FineTuning(context, Parameters(1, 0.1, 15))
    assert run_once(method, lambda _: None).retain_steps_run == 15
    np.testing.assert_allclose(weight_of(context), weight - 0.1 * ce_gradient(weight, x[5:], y[5:]), rtol=1e-4)


def test_l1_pulls_every_weight_towards_zero_less_and_less() -> None:
    context, weight, x, y = linear_context()
    parameters = with_changes(L1Sparse.defaults, {"passes": 2, "learning_rate": 0.1, "batch_size": 15, "gamma": 0.3})
    shares: list[float] = []
    run_once(L1Sparse(context, parameters), shares.append)
    velocity = ce_gradient(weight, x[5:], y[5:]) + 0.3 * np.sign(weight)
    after = weight - 0.1 * velocity
    # Half of it is done: half of the norm's weight is left. Momentum is .9.
    velocity = 0.9 * velocity + ce_gradient(after, x[5:], y[5:]) + 0.15 * np.sign(after)
    np.testing.assert_allclose(weight_of(context), after - 0.1 * velocity, rtol=1e-4)
    assert shares == [0.5, 1]


def test_bad_teacher_follows_the_ignorant_on_what_is_forgotten_and_the_original_on_the_rest() -> None:
    context, weight, x, _ = linear_context()
    parameters = with_changes(BadTeacher.defaults, {"learning_rate": 0.01, "retain_share": 1, "batch_size": 20})
    method = BadTeacher(context, parameters)
    assert method.forget_batch_size == 5
    method.step(everything(context))
    teacher = softmax(x @ weight.T, axis=1)
    teacher[:5] = softmax(x[:5] @ np.full((FEATURES, CLASSES), 0.5), axis=1)
    expected = weight - adam_first_step(kl_gradient(weight, x, teacher), 0.01)
    np.testing.assert_allclose(weight_of(context), expected, atol=1e-5)
    assert method.retain_steps == 15


def test_bad_teacher_draws_its_share_once() -> None:
    context, *_ = linear_context()
    parameters = with_changes(BadTeacher.defaults, {"retain_share": 0.4, "passes": 4})
    ledger = run_sequence(BadTeacher(context, parameters), plan_stages([context.forget], 4), lambda _: None)
    assert ledger.retain_steps_run == 4 * 6  # 40% of 15


def test_neggrad_plus_weighs_descent_and_ascent() -> None:
    context, weight, x, y = linear_context(forget=10)
    method = NegGradPlus(context, with_changes(NegGradPlus.defaults, {"learning_rate": 0.1, "alpha": 0.8}))
    method.step(everything(context))
    expected = 0.8 * ce_gradient(weight, x[10:], y[10:]) - 0.2 * ce_gradient(weight, x[:10], y[:10])
    np.testing.assert_allclose(weight_of(context), weight - 0.1 * expected, rtol=1e-4)
    assert method.retain_steps == 10


def test_scrub_disobeys_and_obeys() -> None:
    _, original, x, y = linear_context()
    changes = {"learning_rate": 0.01, "epochs": 1, "batch_size": 15, "temperature": 2, "gamma": 0.7, "alpha": 0.4}
    parameters = with_changes(Scrub.defaults, changes)
    weight = original + np.random.default_rng(3).normal(size=original.shape) / 4
    teacher = softmax(x @ original.T / 2, axis=1)

    def moved() -> Scrub:
        context, *_ = linear_context()
        method = Scrub(context, parameters)
        next(context.model.parameters()).data.copy_(torch.from_numpy(weight))
        return method

    # T² KL at temperature T has the gradient T (p_T − q_T) xᵀ.
    method = moved()
    method.step(torch.arange(4))  # not the whole of D_u: the epoch does not turn yet
    gradient = -2 * kl_gradient(weight / 2, x[:4], teacher[:4])
    np.testing.assert_allclose(weight_of(method.context), weight - adam_first_step(gradient, 0.01), atol=1e-5)
    assert method.retain_steps == 0

    method = moved()
    method.finish()
    gradient = 0.7 * ce_gradient(weight, x[5:], y[5:]) + 0.4 * 2 * kl_gradient(weight / 2, x[5:], teacher[5:])
    np.testing.assert_allclose(weight_of(method.context), weight - adam_first_step(gradient, 0.01), atol=1e-5)
    assert method.retain_steps == 15


@pytest.mark.parametrize("groups", [1, 3])
def test_scrub_disobeys_in_just_m_epochs(groups: int, monkeypatch: pytest.MonkeyPatch) -> None:
    context, *_ = linear_context(forget=6, samples=21)
    method = Scrub(context, with_changes(Scrub.defaults, {"epochs": 5, "passes": 2, "batch_size": 3}))
    told: list[str] = []
    real = Unlearner.descend

    def spy(self: Unlearner, loss: torch.Tensor, optimizer: torch.optim.Optimizer) -> None:
        told.append("away" if loss.item() <= 1e-6 else "back")  # −KL ≤ 0 < CE + KL
        real(self, loss, optimizer)

    monkeypatch.setattr(Unlearner, "descend", spy)
    nested = [context.forget[: 6 * (group + 1) // groups] for group in range(groups)]
    ledger = run_sequence(method, plan_stages(nested, 2), lambda _: None)
    assert ledger.forget_steps_run == 12
    assert ledger.retain_steps_run == 5 * 15
    assert "".join(told).count("back") == 25
    if groups == 1:
        # Two epochs of two batches that disobey, each before an epoch of five that obey; then three more of these.
        assert told == (["away"] * 2 + ["back"] * 5) * 2 + ["back"] * 15


def test_saliency_moves_the_top_half_and_nothing_else() -> None:
    context, weight, x, y = linear_context()
    method = SaliencyUnlearning(context, with_changes(SaliencyUnlearning.defaults, {"learning_rate": 0.5}))
    size = np.abs(ce_gradient(weight, x[:5], y[:5]))
    mask = size >= np.median(size)
    np.testing.assert_array_equal(method.mask[0].numpy(), mask)
    assert method.forget_steps_beside == 5
    # Weight decay, as a recipe might have it, and momentum must not move what is masked.
    method._optimizer.param_groups[0]["weight_decay"] = 0.1
    for _ in range(3):
        method.step(everything(context))
    moved = next(context.model.parameters()).detach() != torch.from_numpy(weight).float()
    np.testing.assert_array_equal(moved.numpy(), mask)
    assert method.details() == {"share_of_weights": 0.5}


def test_saliency_ranks_all_layers_together() -> None:
    masks = salient([torch.tensor([[5.0, -1], [0, 2]]), torch.tensor([-9.0, 0.5])], 0.5)
    assert masks[0].tolist() == [[True, False], [False, True]]
    assert masks[1].tolist() == [True, False]
    assert sum(int(mask.sum()) for mask in salient([torch.zeros(7)], 3 / 7)) == 3  # ties too


def test_dampening_squares_the_gradient_of_one_sample_at_a_time() -> None:
    context, weight, x, y = linear_context()
    error = softmax(x @ weight.T, axis=1) - np.eye(CLASSES)[y]
    squares = (error[:, :, None] * x[:, None, :]) ** 2
    of_forget, of_all = squares[:5].mean(axis=0), squares.mean(axis=0)
    of_batch = ce_gradient(weight, x[:5], y[:5]) ** 2
    assert not np.allclose(of_batch, of_forget, rtol=0.2)  # the pitfall would show
    selected = of_forget > 1.2 * of_all
    assert 0 < selected.sum() < selected.size
    method = SelectiveDampening(context, with_changes(SelectiveDampening.defaults, {"alpha": 1.2, "dampening": 0.7}))
    ledger = run_once(method, lambda _: None)
    expected = np.where(selected, weight * np.minimum(0.7 * of_all / of_forget, 1), weight)
    np.testing.assert_allclose(weight_of(context), expected, rtol=1e-4)
    assert (ledger.forget_steps_run, ledger.retain_steps_run) == (5, 15)
    assert method.details() == {"weights_dampened": int(selected.sum())}


def test_dampening_never_makes_a_weight_larger() -> None:
    to_forget, to_all = torch.tensor([4.0, 4.0, 1.0]), torch.tensor([1.0, 3.0, 1.0])
    # λ I_D / I_u is 2 for the first, which is selected; the second and third are not.
    assert dampening(to_forget, to_all, 2.0, 8.0).tolist() == [1.0, 1.0, 1.0]
    assert dampening(to_forget, to_all, 2.0, 2.0).tolist() == [0.5, 1.0, 1.0]


def test_dampening_that_can_select_nothing_says_so() -> None:
    context, weight, *_ = linear_context(forget=5, samples=20)
    parameters = DampeningParameters(1, 0, alpha=4)  # a quarter is to be forgotten: I_u / I_D is at most 4
    ledger = run_once(SelectiveDampening(context, parameters), lambda _: None)
    assert ledger.stopped is not None
    assert "at most 4 times is possible" in ledger.stopped
    np.testing.assert_allclose(weight_of(context), weight)
    factor = dampening(torch.tensor([4.0, 4, 0, 1]), torch.tensor([1.0, 2, 1, 0]), 2.5, 2.0)
    assert factor.tolist() == [0.5, 1, 1, 0]


# What all have in common.


@pytest.mark.parametrize("name", METHODS)
def test_every_method_keeps_the_contract(name: str) -> None:
    check_unlearner(name)


@pytest.mark.parametrize("name", [name for name in METHODS if name not in MIXING])
def test_batchnorm_statistics_stay(name: str) -> None:
    """Whatever looks at forget samples alone, or at a mix that is not that of the data, must not move them."""
    context = practice_context()
    before = {key: value.clone() for key, value in context.model.state_dict().items() if "running" in key}
    method = UNLEARNERS.load(name)
    unlearner = method(context, method.defaults)
    if method.takes_forget_steps:
        unlearner.step(everything(context))
    else:
        run_once(unlearner, lambda _: None)
    assert before
    assert all(torch.equal(value, context.model.state_dict()[key]) for key, value in before.items())


def test_scrub_moves_batchnorm_statistics_by_what_remains_alone() -> None:
    context = practice_context()
    method = Scrub(context, Scrub.defaults)
    before = context.model.state_dict()["1.running_mean"].clone()
    method.step(everything(context)[:6])
    assert torch.equal(before, context.model.state_dict()["1.running_mean"])
    method.step(everything(context)[6:])
    assert not torch.equal(before, context.model.state_dict()["1.running_mean"])


@pytest.mark.parametrize("name", [name for name in METHODS if name != "ssd"])
def test_rate_zero_changes_no_bit(name: str) -> None:
    context = practice_context()
    before = [weight.detach().clone() for weight in context.model.parameters()]
    method = UNLEARNERS.load(name)
    rate = "peak" if name == "shadow-teacher" else "learning_rate"
    unlearner = method(context, with_changes(method.defaults, {rate: 0}))
    if method.takes_forget_steps:
        run_sequence(unlearner, plan_stages([context.forget], 2), lambda _: None)
    else:
        run_once(unlearner, lambda _: None)
    assert all(map(torch.equal, before, context.model.parameters()))


# The check itself: a method that breaks the contract is told what it breaks.


class Broken(Unlearner):
    """Shrinks the weights of the last layer."""

    defaults: ClassVar[Parameters] = Parameters(2, 0.1, 4)

    def step(self, batch: torch.Tensor) -> None:
        with torch.no_grad():
            for weight in self.context.model.parameters():
                weight.mul_(1 - self.parameters.learning_rate)


class OfGlobalRandomness(Broken):
    def __init__(self, context: Context, parameters: Parameters) -> None:
        super().__init__(context, parameters)
        torch.randn(1)


class OfTime(Broken):
    ticks: ClassVar[list[int]] = []

    def step(self, batch: torch.Tensor) -> None:
        self.ticks.append(1)
        next(self.context.model.parameters()).data.mul_(1 + len(self.ticks) / 1000)


class OfOtherSamples(Broken):
    def step(self, batch: torch.Tensor) -> None:
        super().step(batch)
        self.context.samples.inputs[batch] = 0


class OfNothing(Broken):
    def step(self, batch: torch.Tensor) -> None:
        pass


class OfInfinity(Broken):
    def step(self, batch: torch.Tensor) -> None:
        next(self.context.model.parameters()).data.fill_(math.inf)


class OfStealth(Broken):
    """Descends on retain samples that it does not count."""

    def step(self, batch: torch.Tensor) -> None:
        super().step(batch)
        retain = torch.from_numpy(self.context.retain)
        self.logits(torch.cat([batch, retain])).sum().backward()


class OfItsOwnWill(Broken):
    def step(self, batch: torch.Tensor) -> None:
        next(self.context.model.parameters()).data.mul_(0.9)


class OfNoJson(Broken):
    def details(self) -> dict[str, Any]:
        return {"weights": self.context.model}


class OfTwoMinds(Broken):
    takes_forget_steps: ClassVar[bool] = False


class OfNoDefaults(Unlearner):
    def step(self, batch: torch.Tensor) -> None:
        pass


class OfPairs(Broken):
    """Can't forget one sample alone."""

    def step(self, batch: torch.Tensor) -> None:
        super().step(batch)
        if len(batch) < 2:
            raise ValueError("one sample")


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (OfGlobalRandomness, "torch's global generator"),
        (OfTime, "the same seed differ"),
        (OfOtherSamples, "changes the samples"),
        (OfNothing, "changes no weight"),
        (OfInfinity, "not numbers"),
        (OfStealth, "and counts"),
        (OfItsOwnWill, "with learning rate 0"),
        (OfNoJson, "not JSON"),
        (OfTwoMinds, "needs `run`"),
        (OfNoDefaults, "defaults must be Parameters"),
        (int, "no subclass"),
    ],
)
def test_the_check_catches(method: type[Unlearner], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        check_unlearner(method)


def test_the_check_passes_what_is_right_and_tries_one_request() -> None:
    check_unlearner(Broken)
    with pytest.raises(ValueError, match="one sample"):
        check_unlearner(OfPairs)


def test_a_method_of_another_package_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True)
    class Entry:
        name: str
        value: str

    def entries(group: str) -> list[Entry]:
        values = {"mine": f"{__name__}:Broken", "number": f"{__name__}:FEATURES", "absent": "no_such_package:Method"}
        return [Entry(*pair) for pair in values.items()] if group == "privaudit.unlearners" else []

    monkeypatch.setattr("privaudit.runtime.registry.entry_points", entries)
    methods = Methods("unlearner", {"ga": "privaudit.unlearning.methods.gradient_ascent:GradientAscent"})
    assert methods.names() == ["absent", "ga", "mine", "number"]
    assert methods.load("mine").__name__ == "Broken"
    with pytest.raises(UsageError, match="must be a subclass of Unlearner"):
        methods.load("number")
    with pytest.raises(UsageError, match="can't be loaded"):
        methods.load("absent")


# Parameters.


@dataclass(frozen=True)
class Some(Parameters):
    alpha: float = setting(0.5, "a share", high=1)
    rounds: int = setting(3, "a count", low=1)


def test_parameters_by_name() -> None:
    some = Some(5, 0.1)
    assert with_changes(some, parse_changes(("alpha=.25", "rounds=4", "batch-size=1e1"))) == Some(5, 0.1, 10, 0.25, 4)
    assert some.describe() == "passes=5, learning_rate=0.1, batch_size=128, alpha=0.5, rounds=3"
    assert "learning_rate" not in DampeningParameters(1, 0).describe()


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (("beta=1",), "no parameter 'beta'"),
        (("alpha=much",), "must be a number"),
        (("alpha=2",), "between 0 and 1"),
        (("alpha=nan",), "must be a number"),
        (("rounds=1.5",), "a whole number"),
        (("rounds=0",), "at least 1"),
        (("passes=0",), "a positive number"),
        (("batch_size=0",), "at least 1"),
        (("learning_rate=inf",), "at least 0"),
        (("alpha",), "must be NAME=VALUE"),
        (("alpha=",), "must be NAME=VALUE"),
        (("alpha=1", "alpha=0"), "given twice"),
    ],
)
def test_wrong_parameters_are_told(texts: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        with_changes(Some(5, 0.1), parse_changes(texts))


def test_an_unknown_parameter_lists_what_the_method_has() -> None:
    with pytest.raises(UsageError) as caught:
        with_changes(SelectiveDampening.defaults, {"learning_rate": 0.1})
    assert caught.value.hint == "This method has: alpha=10, dampening=1."


# Teachers.


def test_teaching_and_judging_pairs_are_disjoint_whole_pairs() -> None:
    for shadows in (6, 8, 10, 16, 64):
        for seed in range(5):
            split = split_pairs(shadows, seed)
            assert not (split.teaching & split.judging).any()
            assert (split.teaching | split.judging).all()
            assert np.array_equal(split.teaching[::2], split.teaching[1::2])
            assert split.judging.sum() >= 4
            assert split.teaching.sum() >= 2
    assert len({split_pairs(16, seed).teaching.tobytes() for seed in range(20)}) > 5
    with pytest.raises(EvidenceError, match="too few to teach and to judge"):
        split_pairs(4, 0)


def test_teachers_speak_of_what_they_never_saw() -> None:
    """One that saw a sample would give it away: it must have no part in that sample's mean."""
    context, *_ = linear_context()
    random = np.random.default_rng(4)
    weights = random.normal(size=(3, CLASSES, FEATURES))
    speaks = np.array([[1, 1, 0, 0, 1], [1, 0, 1, 0, 1], [1, 0, 0, 1, 1]], bool)
    rows = np.arange(5)
    asked = zip(map(Linear, weights), speaks, strict=True)
    teachers = average(asked, context.samples, rows, CLASSES)
    x = context.samples.inputs[:5].numpy().astype(float)
    probabilities = np.exp(log_softmax(np.einsum("mcd,nd->mnc", weights, x), axis=2))
    for sample in range(5):
        own = probabilities[speaks[:, sample], sample]
        np.testing.assert_allclose(teachers.mean[sample], own.mean(axis=0), rtol=1e-5)
        spread = relative_entropy(own, own.mean(axis=0)).sum(axis=1).mean()
        assert float(teachers.divergence[sample]) == pytest.approx(spread, abs=1e-6)
        assert teachers.one is not None
        one = teachers.one[sample].numpy()
        assert sum(np.allclose(one, answer, rtol=1e-5) for answer in own) == 1  # of one of them, and not of the mean
    assert teachers.count.tolist() == [3, 1, 1, 1, 3]
    assert teachers.position(torch.tensor([4, 0])).tolist() == [4, 0]
    with pytest.raises(EvidenceError, match="has no teacher"):
        average([(Linear(weights[0]), speaks[0])], context.samples, rows, CLASSES)


def test_a_class_that_is_gone_has_no_say_and_its_mass_goes_to_the_others_in_proportion() -> None:
    """All of class 2, most of class 1 and a sample of class 0: own answer, a mixture, the shadow models'."""
    random = np.random.default_rng(7)
    weight, x = random.normal(size=(CLASSES, FEATURES)), random.normal(size=(12, FEATURES)).astype(np.float32)
    y = np.array([2, 2, 1, 1, 1, 0, 1, 0, 0, 0, 0, 0])
    samples = Samples.from_arrays(x, y, "cpu")
    forget, retain = np.arange(6), np.arange(6, 12)
    left = share_left(y, forget, retain, CLASSES)
    assert left.tolist() == pytest.approx([5 / 6, 1 / 4, 0])
    own = softmax(x[:6] @ weight.T, axis=1)
    said = random.dirichlet(np.ones(CLASSES), 6)
    shadow = Teachers(forget, torch.from_numpy(said).float(), torch.zeros(6), np.full(6, 4))
    rows, answers = own_answers(Linear(weight), samples, forget, left)
    found = mixed((rows, answers), shadow, left, y).mean.numpy()

    def without(probability: Any, *classes: int) -> Any:
        kept = probability.copy()
        kept[..., list(classes)] = 0
        return kept / kept.sum(axis=-1, keepdims=True)

    np.testing.assert_allclose(found[:2], without(own[:2], 2), rtol=1e-5)
    expected = 0.5 * without(own[2:5], 1, 2) + 0.5 * without(said[2:5], 2)  # a quarter is left: half of a half
    np.testing.assert_allclose(found[2:5], expected, rtol=1e-5)
    np.testing.assert_allclose(found[5], without(said[5], 2), rtol=1e-5)
    alone = mixed((rows, answers), None, left, y)
    np.testing.assert_allclose(alone.mean, answers)
    assert alone.count.tolist() == [1] * 6


def taught(context: Context, said: Any) -> Context:
    teachers = Teachers(np.arange(len(said)), torch.from_numpy(said).float(), torch.zeros(len(said)), np.full(5, 4))
    return replace(context, teachers=lambda: teachers)


def test_shadow_teacher_follows_the_teachers_and_keeps_the_rest_as_the_model_was_trained() -> None:
    """Nesterov and weight decay of the recipe, one mean over taught and retained samples, a cycle over the budget."""
    context, weight, x, y = linear_context()
    said = np.random.default_rng(6).dirichlet(np.ones(CLASSES), 5)
    recipe = Recipe(
        name="own", epochs=8, batch_size=20, learning_rate=0.2, momentum=0.5, weight_decay=0.1, nesterov=True,
        schedule="constant",
    )  # fmt: skip
    context = replace(taught(context, said), recipe=recipe)
    method = ShadowTeacher(context, with_changes(ShadowTeacher.defaults, {"effort": 0.5, "peak": 0.4, "most": 0.25}))
    # Half of 8 epochs over 15 retain samples are 60 gradients, a quarter of them of forget samples: three passes.
    assert method.passes == 3
    assert method.forget_batch_size == 5
    method.step(everything(context))
    gradient = 0.25 * kl_gradient(weight, x[:5], said) + 0.75 * ce_gradient(weight, x[5:], y[5:]) + 0.1 * weight
    # A sixth of the budget lies behind at the middle of the first of three steps: still warming up.
    rate = 0.4 * 0.2 * (1 / 6) / 0.2
    np.testing.assert_allclose(weight_of(context), weight - rate * (1 + 0.5) * gradient, rtol=1e-4)
    assert method.retain_steps == 15
    assert [cycle(share) for share in (0.1, 0.2, 0.6, 1, 1.7)] == pytest.approx([0.5, 1, 0.5, 0, 0], abs=1e-9)
    with pytest.raises(UsageError, match="not applicable: none left"):
        ShadowTeacher(replace(context, teachers=None, no_teachers="none left"), ShadowTeacher.defaults)


def test_shadow_teacher_oversamples_and_spends_a_quarter_of_a_retraining_whatever_is_forgotten() -> None:
    for forget in (1, 2, 20):
        context, *_ = linear_context(forget=forget, samples=200)
        said = np.full((forget, CLASSES), 1 / CLASSES)
        method = ShadowTeacher(taught(context, said), ShadowTeacher.defaults)
        ledger = run_sequence(method, plan_stages([context.forget], method.passes), lambda _: None)
        spent = ledger.forget_steps_run + ledger.retain_steps_run
        assert spent == pytest.approx(0.25 * 20 * (200 - forget), rel=0.1)  # the recipe where none is known: 20 epochs
        # Four times their share, at most a quarter of a batch, and of half a batch (64) all of them once.
        share = min(4 * forget / 200, 0.25, forget / 64)
        assert ledger.forget_steps_run / spent == pytest.approx(share, rel=0.1)


class Noting(ShadowTeacher):
    """Notes how many forget samples each step is handed."""

    handed: ClassVar[list[int]] = []

    def step(self, batch: torch.Tensor) -> None:
        self.handed.append(len(batch))
        super().step(batch)


def test_who_is_handed_over_last_is_unlearned_at_the_height_of_the_rate() -> None:
    """Up over a fifth of the budget, down from the middle of the last stage on; at once, down from the height on."""
    recipe = Recipe(name="own", epochs=8, batch_size=20, learning_rate=0.5, momentum=0.0, schedule="constant")
    changes = {"peak": 0.8, "oversampling": 1.0, "most": 0.25}
    for sizes, share, falls in (
        ([5], "matched", 0.2),
        ([1, 2, 5], "matched", 1 - 5 / 8 / 2),
        ([1, 2, 5], "per-stage", 1 - 5 / 8 / 2),
        ([5, 5], "matched", 0.75),
    ):
        context, *_ = linear_context()
        context = replace(taught(context, np.full((5, CLASSES), 1 / CLASSES)), recipe=recipe)
        method = Noting(context, with_changes(ShadowTeacher.defaults, changes))
        stages = plan_stages([np.arange(size) for size in sizes], 16, share)
        rates: list[float] = []
        Noting.handed = []
        handle = register_optimizer_step_post_hook(lambda one, *_, seen=rates: seen.append(one.param_groups[0]["lr"]))
        try:
            run_sequence(method, stages, lambda _: None)
        finally:
            handle.remove()
        ends = np.cumsum(Noting.handed)
        done = (ends - np.array(Noting.handed) / 2) / ends[-1]
        fall = (1 + np.cos(np.pi * np.clip((done - falls) / (1 - falls), 0, 1))) / 2
        expected = 0.8 * 0.5 * np.where(done < falls, np.minimum(1, done / 0.2), fall)
        np.testing.assert_allclose(rates, expected, atol=1e-9)
        last = done > 1 - stages[-1].budget / ends[-1]
        assert len(sizes) == 1 or np.mean(np.isclose(np.array(rates)[last], 0.4)) >= 0.4


def test_the_rate_falls_to_nothing_where_stages_choose_fewer_than_were_planned() -> None:
    recipe = Recipe(name="own", epochs=8, batch_size=20, learning_rate=0.5, momentum=0.0, schedule="constant")
    context, *_ = linear_context()
    context = replace(taught(context, np.full((5, CLASSES), 1 / CLASSES)), recipe=recipe)
    method = ShadowTeacher(context, with_changes(ShadowTeacher.defaults, {"oversampling": 1.0}))
    five, two = np.arange(5), np.arange(2)
    stages = [Stage(five, 40, lambda *_: two), Stage(five, 40, lambda *_: two)]
    rates: list[float] = []
    handle = register_optimizer_step_post_hook(lambda one, *_: rates.append(one.param_groups[0]["lr"]))
    try:
        spent = run_sequence(method, stages, lambda _: None).forget_steps_run
    finally:
        handle.remove()
    assert spent == 32  # two fifths of 80
    assert max(rates) == pytest.approx(0.6 * 0.5)
    assert rates[-1] < 0.1 * max(rates)


def test_of_longer_stages_the_last_steps_enter_the_average() -> None:
    """Weights are averaged over as many steps as there are, and not over those of one pass alone."""
    recipe = RECIPES["airbench"].model_copy(update={"epochs": 40, "batch_size": 12})
    context = replace(practice_context(), recipe=recipe)
    method = ShadowTeacher(context, ShadowTeacher.defaults)
    groups = [context.forget[: len(context.forget) // 2], context.forget]
    run_sequence(method, plan_stages(groups, method.passes, "per-stage"), lambda _: None)
    assert method._step == pytest.approx(method._steps, rel=0.1)


def test_shadow_teacher_learns_batchnorm_and_ends_with_the_average_where_the_recipe_does() -> None:
    context = practice_context()
    before = {key: value.clone() for key, value in context.model.state_dict().items() if "running_mean" in key}
    seen: list[torch.Tensor] = []
    weight = next(context.model.parameters())

    def watch(*_: object) -> None:
        seen.append(weight.detach().clone())

    recipe = RECIPES["airbench"].model_copy(update={"epochs": 40, "batch_size": 12})
    method = ShadowTeacher(replace(context, recipe=recipe), ShadowTeacher.defaults)
    handle = register_optimizer_step_post_hook(watch)
    try:
        run_sequence(method, plan_stages([context.forget], method.passes), lambda _: None)
    finally:
        handle.remove()
    after = context.model.state_dict()
    assert not any(torch.equal(value, after[key]) for key, value in before.items())
    assert not torch.equal(weight, seen[-1])  # the last step's weights were replaced by the average
    assert len(seen) >= 40


def test_each_of_the_teachers_is_as_often_the_one() -> None:
    random = np.random.default_rng(8)
    x = random.normal(size=(3000, FEATURES)).astype(np.float32)
    samples = Samples.from_arrays(x, np.zeros(3000, np.int64), "cpu")
    weights = random.normal(size=(4, CLASSES, FEATURES))
    speaks = np.ones(3000, bool)
    asked = [(Linear(weight), speaks) for weight in weights]
    one = average(asked, samples, np.arange(3000), CLASSES).answers.numpy()
    said = np.stack([softmax(x @ weight.T, axis=1) for weight in weights])
    whose = np.abs(said - one).sum(axis=2).argmin(axis=0)
    np.testing.assert_allclose(said[whose, np.arange(3000)], one, rtol=1e-4, atol=1e-6)
    assert np.bincount(whose, minlength=4) == pytest.approx([750] * 4, abs=100)


# By the command line.


@pytest.fixture(scope="module")
def own_audit(small_audit: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("methods")
    for name in ("store", "out"):
        shutil.copytree(small_audit["root"] / name, root / name)
    return root


def test_shadow_models_teach_and_the_others_have_no_say(privaudit: Run, own_audit: Path, tmp_path: Path) -> None:
    """With the weights of the judging models exchanged the unlearned model is the same, to the bit."""
    shutil.copytree(own_audit / "store", tmp_path / "store")
    shutil.copytree(own_audit / "out", tmp_path / "out")
    name = next(path.name for path in (tmp_path / "store").iterdir() if path.is_dir())
    store = AuditStore(tmp_path / "store", name)
    judging = [store.model(shadow_key(int(index))) for index in np.flatnonzero(split_pairs(8, 3).judging)]
    contents = [path.read_bytes() for path in judging]
    for path, content in zip(judging, [*contents[1:], contents[0]], strict=True):
        files.write_bytes(path, content)
        files.seal(path)
    models = []
    for root in (own_audit, tmp_path):
        results = unlearn(privaudit, root, "--method", "shadow-teacher", "--order", "none")
        models.append((Path(results["folder"]) / "model.safetensors").read_bytes())
    assert models[0] == models[1]
    assert results["details"]["teachers"] == 2  # 4 of 8 models teach; each sample was seen by one of each pair
    assert results["details"]["teacher_training_samples"] == 0
    # A quarter of thirty epochs over 270, a fifth of every batch to be forgotten.
    assert results["forget_steps_run"] == results["forget_steps"] == round(0.25 * 0.25 * 30 * 270)
    assert results["tow"] > results["tow_do_nothing"]


def test_a_class_is_taught_by_the_original_without_it_or_by_fresh_teachers(privaudit: Run, own_audit: Path) -> None:
    arguments = ["--method", "shadow-teacher", "--forget", "class:1", "--order", "none", "--reference", "shadow"]
    results = unlearn(privaudit, own_audit, *arguments)
    assert results["judging_shadows"] == results["shadows"]  # none of them taught
    assert results["accuracy"]["unlearned"]["forget"] < 0.3
    assert results["accuracy"]["unlearned"]["retain"] > 0.9
    fresh = ["--parameter", "fresh_teachers=2", "--parameter", "fresh_share=0.5"]
    results = unlearn(privaudit, own_audit, *arguments, *fresh)
    retained = 300 - results["forget"]
    trained = 2 * round(0.5 * retained) * 30  # two teachers, half of D_r each, thirty epochs
    assert results["details"]["teacher_training_samples"] == trained
    assert results["retain_steps_run"] > trained
    assert results["accuracy"]["unlearned"]["forget"] < 0.3
    assert results["accuracy"]["unlearned"]["retain"] > 0.8


def test_a_method_that_runs_once_knows_no_order(privaudit: Run, own_audit: Path) -> None:
    first = unlearn(privaudit, own_audit, "--method", "ft", "--order", "risk", "--parameter", "passes=2")
    again = unlearn(privaudit, own_audit, "--method", "ft", "--order", "loss", "--passes", "2")
    assert first["run"] == again["run"]
    assert (first["order"], first["groups"], first["forget_steps"]) == ("none", None, 0)
    assert first["retain_steps_run"] == 2 * 270


def test_tuning_leaves_the_forget_set_and_the_reported_half_alone(privaudit: Run, own_audit: Path) -> None:
    results = unlearn(privaudit, own_audit, "--method", "ga", "--order", "none", "--tune")
    tuning = results["tuning"]
    assert len(tuning["trials"]) == 6
    best = max(tuning["trials"], key=lambda trial: trial["tow"])
    assert tuning["chosen"] == best["parameters"]
    assert results["parameters"]["learning_rate"] == best["parameters"]["learning_rate"]
    for trial in tuning["trials"]:
        assert trial["tow"] == pytest.approx(
            tug_of_war(Accuracies(**trial["accuracy"]), Accuracies(**tuning["reference"]))
        )
    fixed = privaudit(
        *("unlearn", "--method", "ga", "--tune", "--learning-rate", "0.1"),
        *("--store", own_audit / "store", "--out", own_audit / "out"),
    )
    assert fixed.returncode == 2
    assert "nothing to search" in fixed.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--method", "ga", "--parameter", "alpha=1"], "no parameter 'alpha'"),
        (["--method", "ssd", "--learning-rate", "0.1"], "no parameter 'learning_rate'"),
        (["--method", "retrain", "--tune"], "retrain has no parameters"),
        (["--method", "retrain", "--learning-rate", "0.1"], "retrain has no parameters"),
        (["--method", "ga", "--u-lira", "998"], "--shadows 998 keeps"),
        (["--method", "ga", "--learning-rate", "inf"], "learning_rate = inf: Input should be a finite number"),
        (["--method", "scrub", "--parameter", "epochs=0"], "at least 1"),
    ],
)
def test_mistaken_parameters_are_told(privaudit: Run, own_audit: Path, arguments: list[str], message: str) -> None:
    done = privaudit("unlearn", "--store", own_audit / "store", "--out", own_audit / "out", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_destroyed_model_is_told(privaudit: Run, own_audit: Path) -> None:
    """Weights beyond all numbers: ruined without the guard, and with it the model as it was."""
    for guard, outcome in (("off", "ruined"), ("on", "unchanged")):
        arguments = ["--method", "ga", "--learning-rate", "1e30", "--reference", "shadow", "--forget", "random:20"]
        arguments += ["--guard", guard]
        done = privaudit("unlearn", "--store", own_audit / "store", "--out", own_audit / "out", *arguments)
        assert done.returncode == 3, done.stderr
        assert f"error: the model is {outcome}" in done.stderr
        assert done.stdout.startswith("RUINED: " if guard == "off" else "NOT forgotten: ")
        assert "The model is rejected: nothing is removed." in done.stdout.splitlines()[0]
        assert "model.safetensors" not in done.stdout
        (folder,) = {Path(line.split(": ")[1]).parent for line in done.stdout.splitlines() if "record:" in line}
        record = json.loads((folder / "record.json").read_text())
        assert (record["outcome"], record["removed"], len(record["attempted"])) == (outcome, [], 20)
        assert (record["method"]["guard"] is None) == (guard == "off")
        assert privaudit("verify", "--store", own_audit / "store", "--out", own_audit / "out").returncode == 0
    listed = json.loads(privaudit("list", "--store", own_audit / "store", "--out", own_audit / "out", "--json").stdout)
    outcomes = {run["run"]: run["outcome"] for audit in listed["audits"] for run in audit["runs"]}
    assert {"ruined", "unchanged"} <= set(outcomes.values())
    assert outcomes[folder.name] == "unchanged"
    gated = privaudit("gate", "--out", own_audit / "out", "--store", own_audit / "store", "--unlearned", "latest")
    assert gated.returncode == 3
    assert "unchanged: breached" in gated.stdout


def test_held_out_sets_are_of_the_same_kind_and_disjoint() -> None:
    labels = np.arange(100) % 5
    scattered = held_out_set(labels, ForgetSet(np.arange(10), True), 0)
    assert scattered.scattered
    assert len(scattered.rows) == 10
    assert not set(scattered.rows) & set(range(10))
    assert np.array_equal(scattered.rows, held_out_set(labels, ForgetSet(np.arange(10), True), 0).rows)
    assert len(held_out_set(labels, ForgetSet(np.arange(80), True), 0).rows) == 10  # half of what is retained
    of_class = held_out_set(labels, ForgetSet(np.flatnonzero(labels == 2), False), 0)
    assert len(np.unique(labels[of_class.rows])) == 1
    assert len(of_class.rows) == 20
    assert 2 not in labels[of_class.rows]
    with pytest.raises(UsageError, match="too little would be retained"):
        held_out_set(np.arange(10) % 2, ForgetSet(np.arange(0, 10, 2), False), 0)


def test_every_method_is_tried_equally_often() -> None:
    assert {name: len(candidates(UNLEARNERS.load(name), set())) for name in METHODS} == dict.fromkeys(METHODS, TRIALS)
    for name in METHODS:
        method = UNLEARNERS.load(name)
        for changes in candidates(method, set()):
            with_changes(method.defaults, changes)
    assert candidates(NegGradPlus, {"alpha"}) == [{"learning_rate": 0.01}, {"learning_rate": 0.03}]
