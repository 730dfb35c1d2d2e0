"""DP-SGD: gradients clipped one by one, noise of the right size, batches by chance, and networks that can't be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from privaudit.audit.privacy.private_recipe import statistics_for
from privaudit.config import AuditSettings, has_own_recipe
from privaudit.data import load_dataset
from privaudit.errors import UsageError
from privaudit.networks import build_network
from privaudit.training.hardware import Hardware
from privaudit.training.loop import Samples, as_network_input, train
from privaudit.training.private.clipped_sums import ClippedSums, OfLayers, Vmapped, clipped_sums, is_of_layers
from privaudit.training.private.fitness import WITH_GROUP_NORM, demand_own_gradients
from privaudit.training.private.loop import draw_batch, noisy_mean
from privaudit.training.private.mechanism import PrivateTraining
from privaudit.training.recipe import PRIVATE, RECIPES, Recipe

HARDWARE = Hardware("cpu", "fp32")


def privacy(**changes: Any) -> PrivateTraining:
    given = {"noise_multiplier": 1.0, "max_grad_norm": 1.0, "sample_rate": 0.5, "epsilon": 1.0, "delta": 1e-5}
    return PrivateTraining.model_validate(given | {"accountant": "none"} | changes)


def recipe(epochs: int = 2, rate: float = 0.1, momentum: float = 0.9, **changes: Any) -> Recipe:
    changed = {"privacy": privacy(**changes), "epochs": epochs, "learning_rate": rate, "momentum": momentum}
    return RECIPES[PRIVATE].model_copy(update=changed)


def one_by_one(model: nn.Module, inputs: torch.Tensor, labels: torch.Tensor, norm: float) -> list[torch.Tensor]:
    """The same by plain autograd, a sample at a time."""
    sums = [torch.zeros_like(parameter) for parameter in model.parameters()]
    for sample, label in zip(inputs, labels, strict=True):
        loss = functional.cross_entropy(model(sample[None]), label[None])
        gradient = torch.autograd.grad(loss, list(model.parameters()))
        length = torch.cat([one.flatten() for one in gradient]).norm()
        sums = [total + one * min(1.0, norm / float(length)) for total, one in zip(sums, gradient, strict=True)]
    return sums


class Branching(nn.Module):
    """A network that is no sequence of layers, and has a weight that no layer owns."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))
        self.left, self.right = nn.Linear(12, 3), nn.Linear(12, 3, bias=False)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        flat = inputs.flatten(1)
        logits: torch.Tensor = self.left(flat) * self.scale + self.right(flat).tanh()
        return logits


@pytest.mark.parametrize("norm", [0.3, 100.0])
@pytest.mark.parametrize("network", ["cnn", "mlp", "groupnorm", "branching"])
def test_each_sample_is_clipped_by_itself(network: str, norm: float) -> None:
    torch.manual_seed(0)
    shape = {"groupnorm": (1, 16, 16), "branching": (1, 3, 4)}.get(network, (1, 8, 8))
    if network in ("cnn", "mlp"):
        model: nn.Module = build_network(network, (8, 8, 1), 3, ((0.5,), (0.25,)), 0)
    elif network == "groupnorm":
        model = nn.Sequential(
            nn.Conv2d(1, 4, 3, stride=2, bias=False), nn.GroupNorm(2, 4), nn.GELU(), nn.Flatten(), nn.Linear(196, 3)
        )
    else:
        model = Branching()
    inputs, labels = 2 * torch.rand(5, *shape), torch.tensor([0, 1, 2, 1, 0])
    expected = one_by_one(model, inputs, labels, norm)
    with torch.no_grad():
        total = float(functional.cross_entropy(model(inputs), labels, reduction="sum"))
    engines: list[ClippedSums] = [Vmapped(model, HARDWARE)]
    if network != "branching":
        assert is_of_layers(model)
        engines.append(OfLayers(model, HARDWARE))
    for engine in engines:
        found, loss = engine(inputs, labels, norm)
        assert loss == pytest.approx(total, rel=1e-5)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


class RawNorm(nn.Module):
    """Normalises by a call that nothing of torch's Python sees."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(6))
        self.first, self.last = nn.Linear(16, 6), nn.Linear(6, 3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.last(torch.layer_norm(self.first(inputs.flatten(1)), (6,), self.scale))
        return logits


@pytest.mark.parametrize("norm", ["layer", "instance"])
def test_networks_whose_norms_have_weights_are_trained_in_bf16_as_well(norm: str) -> None:
    torch.manual_seed(0)
    layers = [nn.Flatten(), nn.Linear(16, 6), nn.GELU(), nn.LayerNorm(6), nn.Linear(6, 3)]
    if norm == "instance":
        layers = [
            nn.Conv2d(1, 4, 3, bias=False), nn.InstanceNorm2d(4, affine=True), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3)
        ]  # fmt: skip
    model, inputs, labels = nn.Sequential(*layers), torch.rand(5, 1, 4, 4), torch.tensor([0, 1, 2, 1, 0])
    found, _ = clipped_sums(model, Hardware("cpu", "bf16"))(inputs, labels, 1.0)
    for one, other in zip(found, one_by_one(model, inputs, labels, 1.0), strict=True):
        torch.testing.assert_close(one, other, rtol=0.1, atol=0.02)


def test_a_network_that_bf16_is_not_for_is_told_what_to_do() -> None:
    with pytest.raises(UsageError, match="can't train this network in bf16") as told:
        clipped_sums(RawNorm(), Hardware("cpu", "bf16"))(torch.rand(3, 1, 4, 4), torch.tensor([0, 1, 0]), 1.0)
    assert "--precision fp32" in str(told.value)
    clipped_sums(RawNorm(), HARDWARE)(torch.rand(3, 1, 4, 4), torch.tensor([0, 1, 0]), 1.0)


def test_networks_that_may_do_more_than_their_layers_go_sample_by_sample() -> None:
    layer = nn.Linear(4, 4)
    frozen = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    frozen[0].requires_grad_(False)
    for model in (
        Branching(),
        frozen,
        nn.Sequential(layer, nn.Tanh(), layer),
        nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True), nn.Linear(4, 2)),
        nn.Sequential(nn.Conv2d(2, 2, 1, groups=2), nn.Flatten(), nn.Linear(8, 2)),
    ):
        assert isinstance(clipped_sums(model, HARDWARE), Vmapped)
    sums, _ = clipped_sums(frozen, HARDWARE)(torch.rand(3, 4), torch.tensor([0, 1, 0]), 1.0)
    assert [one.shape for one in sums] == [(2, 4), (2,)]


def test_noise_has_the_deviation_that_was_accounted_for() -> None:
    """On a sum clipped to 2, of a noise multiplier of 3, over 40 samples a batch: 6/40 on each coordinate."""
    parameter = nn.Parameter(torch.zeros(200, 200))
    setting = privacy(noise_multiplier=3.0, max_grad_norm=2.0, sample_rate=0.4)
    generator = torch.Generator().manual_seed(0)
    (noise,) = noisy_mean(None, [parameter], 100, setting, generator)
    assert float(noise.std()) == pytest.approx(0.15, rel=0.02)
    assert abs(float(noise.mean())) < 0.003
    (shifted,) = noisy_mean([torch.full((200, 200), 80.0)], [parameter], 100, setting, generator)
    assert float(shifted.mean()) == pytest.approx(2.0, abs=0.003)
    assert float(shifted.std()) == pytest.approx(0.15, rel=0.02)


def test_batches_are_drawn_independently() -> None:
    """Sizes are binomial, and who is in one batch says nothing of the next."""
    generator = torch.Generator().manual_seed(0)
    drawn = np.zeros((400, 300), np.bool_)
    for row in drawn:
        row[draw_batch(300, 0.2, generator).numpy()] = True
    sizes = drawn.sum(1)
    assert sizes.mean() == pytest.approx(60, abs=3 * np.sqrt(48 / 400))
    assert sizes.var() == pytest.approx(48, rel=0.25)
    together = (drawn[:-1] & drawn[1:]).mean()
    assert together == pytest.approx(0.04, abs=0.003)


def digits() -> tuple[Samples, np.ndarray[Any, Any]]:
    data = load_dataset("digits")
    return Samples.from_arrays(data.x_train[:60], data.y_train[:60], "cpu"), np.arange(60)


def test_without_noise_it_is_gradient_descent() -> None:
    """Everybody in every batch, no gradient clipped, next to no noise: plain descent on the mean loss."""
    samples, members = digits()
    model = build_network("mlp", (8, 8, 1), 10, ((0.5,), (0.25,)), 0)
    twin = build_network("mlp", (8, 8, 1), 10, ((0.5,), (0.25,)), 0)
    quiet = recipe(5, 0.3, 0.0, noise_multiplier=1e-12, max_grad_norm=1e4, sample_rate=1.0)
    record = train(model, samples, members, quiet, 0, HARDWARE)
    assert record.gradients == 300
    inputs = as_network_input(samples.inputs)
    for _ in range(5):
        loss = functional.cross_entropy(twin(inputs), samples.labels)
        with torch.no_grad():
            parameters = list(twin.parameters())
            for one, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
                one.sub_(0.3 * gradient)
    for one, other in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_the_seed_decides_every_bit_and_the_number_of_steps_is_everybodys() -> None:
    samples, members = digits()
    weights: list[torch.Tensor] = []
    told: list[int] = []
    for seed in (1, 1, 2):
        model = build_network("cnn", (8, 8, 1), 10, ((0.5,), (0.25,)), 0)
        train(model, samples, members, recipe(), seed, HARDWARE, told.append)
        weights.append(torch.cat([one.flatten() for one in model.parameters()]))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert told == [1, 2] * 3
    assert recipe(20, sample_rate=0.125).privacy is not None
    assert privacy(sample_rate=0.125).steps(20) == 160


@pytest.mark.parametrize("name", ["airbench-narrow", "resnet18"])
def test_batch_norm_is_refused_and_its_variant_named(name: str) -> None:
    model = build_network(name, (32, 32, 3), 10, ((0.5,) * 3, (0.25,) * 3), 0)
    with pytest.raises(UsageError, match=f"can't train the network '{name}'") as refused:
        demand_own_gradients(model, name)
    assert WITH_GROUP_NORM[name] in str(refused.value.hint)


@pytest.mark.parametrize("name", sorted({*WITH_GROUP_NORM.values(), "mlp"}))
def test_networks_without_it_are_taken(name: str) -> None:
    model = build_network(name, (32, 32, 3), 10, ((0.5,) * 3, (0.25,) * 3), 0)
    demand_own_gradients(model, name)
    assert not has_own_recipe(name)
    with torch.no_grad():
        assert model(torch.rand(2, 3, 32, 32)).shape == (2, 10)
    assert is_of_layers(model) == (name != "resnet18-groupnorm")


def test_a_promise_is_part_of_a_recipe_and_of_no_other() -> None:
    assert "privacy" not in RECIPES["fast"].identity()
    private = recipe()
    assert private.identity()["privacy"] == private.privacy.model_dump() if private.privacy else False
    assert Recipe.model_validate(private.identity()) == private


def test_images_are_standardised_by_numbers_that_are_nobodys() -> None:
    data = load_dataset("digits")
    assert statistics_for(recipe(), data) == ((0.5,), (0.25,))
    assert statistics_for(RECIPES["fast"], data) == data.channel_statistics()


def test_flags_that_contradict_each_other_are_refused() -> None:
    from privaudit.audit.privacy.private_recipe import private_recipe

    data = load_dataset("digits")
    for wrong, said in (
        ({"epsilon": 1.0, "noise_multiplier": 1.0}, "follows"),
        ({"delta": 0.01}, "publishes"),
        ({"augment": "flip"}, "as it is"),
    ):
        with pytest.raises(UsageError, match=said):
            private_recipe(AuditSettings(recipe=PRIVATE, **wrong), data)
