"""The network made to be trained in ten epochs, and what its recipe adds to the loop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from privaudit.errors import UsageError
from privaudit.networks import build_network
from privaudit.networks.airbench import EPOCHS_OF_FIRST_BIAS, Whitening, build_airbench
from privaudit.networks.build import assemble
from privaudit.shadow.specification import ModelSpecification
from privaudit.shadow.trainer import one_thread, train_with_new_seeds
from privaudit.training.averaging import AverageWeights
from privaudit.training.hardware import Hardware
from privaudit.training.loop import Samples, logits_of, make_optimizer, train
from privaudit.training.recipe import RECIPES, Recipe, resolve_recipe

CPU = Hardware("cpu", "fp32")
SCALE = ((0.5,) * 3, (0.25,) * 3)


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    """As jobs compute: threads of a busy machine wait for each other."""
    with one_thread(CPU):
        yield


def thin(input_shape: tuple[int, ...], classes: int) -> torch.nn.Module:
    """The same network with few channels: what holds for it holds for any."""
    return build_airbench(input_shape, classes, width=8)


def network(shape: tuple[int, int, int] = (16, 16, 3)) -> Any:
    return assemble(thin, "thin", shape, 4, ((0.5,) * shape[2], (0.25,) * shape[2]), 0)


def first_layer(side: int) -> Any:
    return build_airbench((side, side, 3), 10).whitening


def pictures(count: int = 60, side: int = 16) -> Samples:
    """Smooth noise: neighbouring pixels are alike, as in photographs."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (count, side // 4, side // 4, 3))
    images = coarse.repeat(4, axis=1).repeat(4, axis=2) + random.integers(-9, 10, (count, side, side, 3))
    return Samples.from_arrays(images.clip(0, 255).astype(np.uint8), np.arange(count) % 4, "cpu")


@pytest.mark.parametrize("shape", [(16, 16, 3), (28, 28, 1), (32, 32, 3), (48, 40, 3), (64, 64, 3), (96, 96, 1)])
def test_it_takes_images_of_16_to_96_pixels(shape: tuple[int, int, int]) -> None:
    model = network(shape)
    logits = model(torch.rand(3, shape[2], *shape[:2]))
    assert logits.shape == (3, 4)
    logits.sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_smaller_images_are_refused_with_what_takes_them() -> None:
    with pytest.raises(UsageError, match="at least 16×16, not 8×8") as refused:
        build_network("airbench", (8, 8, 1), 4, ((0.5,), (0.25,)), 0)
    assert refused.value.hint == "Use --network cnn."


def test_its_work_hardly_grows_with_the_image() -> None:
    for side in (32, 64, 96):
        assert first_layer(side)(torch.rand(1, 3, side, side)).shape[-1] == 31


def test_whitened_patches_are_uncorrelated_and_of_variance_one() -> None:
    layer = Whitening(3, 32)
    images = torch.rand(64, 3, 1, 1) + 0.3 * torch.rand(64, 1, 32, 32) + 0.6 * torch.rand(64, 3, 32, 32)
    images = images - images.mean()
    layer.fit(images)
    out = layer(images)
    flat = out[:, : layer.channels // 2].transpose(0, 1).flatten(1)
    second_moment = flat @ flat.T / flat.shape[1]
    assert torch.allclose(second_moment, torch.eye(len(second_moment)), atol=0.08)
    assert torch.allclose(out[:, layer.channels // 2 :], -out[:, : layer.channels // 2], atol=1e-5)


def test_larger_patches_keep_the_directions_of_largest_variance() -> None:
    layer = Whitening(3, 64)
    assert layer.filters.shape == (48, 3, 4, 4)
    images = torch.rand(30, 3, 64, 64) - 0.5
    layer.fit(images)
    patches = torch.nn.functional.unfold(images, 4, stride=2).transpose(1, 2).reshape(-1, 48).double()
    values = torch.linalg.eigvalsh(patches.T @ patches / len(patches)).flip(0)[:24]
    norms = layer.filters[:24].flatten(1).norm(dim=1).double()
    assert torch.allclose(norms, (values + 5e-4).rsqrt(), rtol=1e-3)


def test_a_model_takes_its_filters_from_its_own_members_alone() -> None:
    """A shadow model that is OUT for a sample must not have seen its pixels, in the first layer either."""
    samples = pictures()
    other = replace(samples, inputs=samples.inputs.clone())
    other.inputs[40:] = torch.randint(0, 256, other.inputs[40:].shape, dtype=torch.uint8)
    recipe = resolve_recipe("airbench", {"epochs": 1, "batch_size": 16})
    specification = ModelSpecification("airbench-narrow", (16, 16, 3), 4, SCALE, recipe, 0, CPU)
    first, second = (train_with_new_seeds(specification, each, np.arange(40), ["0"])[0] for each in (samples, other))
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name
    third = train_with_new_seeds(specification, other, np.arange(60), ["0"])[0]
    assert not torch.equal(
        first.state_dict()["network.whitening.filters"], third.state_dict()["network.whitening.filters"]
    )


def test_the_first_layers_bias_rests_after_three_epochs_and_wakes_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    model = network()
    learned = []

    def look(epoch: int) -> None:
        learned.append(model.network.whitening.bias.detach().clone())

    recipe = resolve_recipe("airbench", {"epochs": 5, "batch_size": 20}).model_copy(update={"averaging": False})
    train(model, pictures(), np.arange(60), recipe, 0, CPU, look)
    moved = [not torch.equal(before, after) for before, after in pairwise(learned)]
    assert moved == [True] * (EPOCHS_OF_FIRST_BIAS - 1) + [False, False]
    assert model.network.whitening.bias.requires_grad


def test_the_scale_of_its_norms_is_no_parameter() -> None:
    names = [name for name, _ in network().named_parameters()]
    assert not any(name.endswith("2.weight") for name in names if "blocks" in name)
    assert "network.whitening.filters" in network().state_dict()
    assert "network.whitening.filters" not in names


def test_biases_of_norms_learn_faster_and_decay_by_as_much() -> None:
    model = network()
    optimizer = make_optimizer(model, RECIPES["airbench"])
    others, biases = optimizer.param_groups
    assert len(biases["params"]) == 6
    assert biases["lr"] == pytest.approx(64 * others["lr"])
    assert biases["lr"] * biases["weight_decay"] == pytest.approx(others["lr"] * others["weight_decay"])
    assert len(others["params"]) + 6 == len(list(model.parameters()))
    plain = make_optimizer(network(), RECIPES["fast"])
    assert len(plain.param_groups) == 1


def test_the_rate_rises_from_a_fifth_and_falls_to_seven_hundredths() -> None:
    recipe = RECIPES["airbench"]
    steps = 10_000
    rates = np.array([recipe.rate_at(step, steps) for step in range(steps)]) / recipe.learning_rate
    assert rates[0] == pytest.approx(0.2, abs=1e-3)
    assert rates[-1] == pytest.approx(0.07, abs=1e-3)
    assert rates.argmax() == pytest.approx(0.23 * steps, abs=1)
    assert rates.max() == pytest.approx(1, abs=1e-3)
    assert np.allclose(np.diff(rates, 2)[[10, 5000]], 0, atol=1e-9)


def test_the_average_follows_the_weights_ever_more_slowly() -> None:
    """Against the recursion written out: a += (1 - kept) (w - a); w = a."""
    model = torch.nn.Linear(1, 1, bias=False)
    weight = model.weight
    with torch.no_grad():
        weight.zero_()
        steps, value, average = 23, 0.0, 0.0
        averaging = AverageWeights(model, steps)
        for step in range(1, steps + 1):
            weight += 1
            value += 1
            averaging.after_step(step)
            if step % 5 == 0 or step == steps:
                kept = 1.0 if step == steps else 0.95**5 * (step / steps) ** 3
                average += (1 - kept) * (value - average)
                value = average
            assert float(weight) == pytest.approx(value, rel=1e-5)


def test_audits_named_before_these_parameters_came_keep_their_names() -> None:
    assert set(RECIPES["fast"].identity()) == {
        *("name", "epochs", "batch_size", "learning_rate", "momentum", "nesterov", "weight_decay", "schedule"),
        *("warmup", "milestones", "drop", "augment"),
    }
    named = RECIPES["airbench"].identity()
    assert Recipe.model_validate(named) == RECIPES["airbench"]
    assert named["bias_rate"] == 64


def test_it_learns() -> None:
    samples = pictures(120)
    labels = (samples.inputs.float().mean((1, 2, 3)) > 127).long()
    model = network()
    recipe = resolve_recipe("airbench", {"epochs": 30, "batch_size": 30})
    record = train(model, Samples(samples.inputs, labels), np.arange(120), recipe, 0, CPU)
    assert record.epoch_losses[-1] < record.epoch_losses[0]
    assert (logits_of(model, samples).argmax(1) == labels.numpy()).mean() > 0.9
