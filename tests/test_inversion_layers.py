"""Matching by layers against autograd: the same numbers, the same images, and no network that it has no rules for."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn.functional import one_hot

from privaudit.inversion import calibration
from privaudit.inversion.calibration import calibrate
from privaudit.inversion.gradient_engines.engine_choice import make_engine
from privaudit.inversion.gradient_engines.layers import NoRule
from privaudit.inversion.gradient_engines.layerwise import Layerwise
from privaudit.inversion.gradient_engines.sample_gradients import Vmapped, norms, observe
from privaudit.inversion.image_scale import PixelScale
from privaudit.inversion.matching import Canvas, match_gradients, matching_cost
from privaudit.inversion.presets import MatchingAttack
from privaudit.networks.build import build_network
from privaudit.shadow.specification import ModelSpecification
from privaudit.training.hardware import Hardware
from privaudit.training.recipe import resolve_recipe
from tests.test_inversion import CLASSES, PIXELS, convolutional, network, samples


def paper() -> nn.Module:
    return build_network("cnn", (12, 12, 1), CLASSES, ((0.4,), (0.3,)), 0).eval()


def lenet() -> nn.Module:
    return network(
        nn.Conv2d(1, 12, 5, padding=2, stride=2), nn.Sigmoid(), nn.Conv2d(12, 12, 5, padding=2, stride=2), nn.Sigmoid(),
        nn.Flatten(), nn.Linear(12 * 9, CLASSES),
    )  # fmt: skip


def crooked() -> nn.Module:
    """Oblong kernels, strides that leave a rest, dilation, windows that overlap, no bias here and there."""
    return network(
        nn.Conv2d(1, 6, (3, 5), stride=(2, 1), padding=(1, 2), dilation=(1, 2), bias=False), nn.Tanh(), nn.Dropout(),
        nn.MaxPool2d(3, 1, 1), nn.Conv2d(6, 4, 2, stride=3, dilation=(1, 2), bias=False), nn.Sigmoid(),
        nn.Sequential(nn.AvgPool2d((1, 2), 1), nn.AdaptiveAvgPool2d(1)), nn.Flatten(), nn.Linear(4, 7, bias=False),
        nn.Identity(), nn.Tanh(), nn.Linear(7, CLASSES),
    )  # fmt: skip


def flat() -> nn.Module:
    return network(nn.Flatten(), nn.Linear(144, 20), nn.ReLU(), nn.Linear(20, CLASSES))


def late() -> nn.Module:
    """Pooling and an activation come before the first parameters; few channels come late."""
    return network(
        nn.MaxPool2d(2), nn.Tanh(), nn.Conv2d(1, 3, 3), nn.Sigmoid(), nn.Conv2d(3, 4, 2), nn.Flatten(),
        nn.Linear(36, CLASSES),
    )  # fmt: skip


@pytest.mark.parametrize("make", [paper, lenet, crooked, flat, late, lambda: convolutional(nn.ReLU)])
def test_cost_and_slope_are_those_of_autograd(make: Callable[[], nn.Module]) -> None:
    """In double precision, for labels that are distributions and for rows that do not sum to one."""
    model = make().double()
    images, _ = samples(4)
    images = images.double()
    labels = torch.rand(4, CLASSES, generator=torch.Generator().manual_seed(3)).double()
    plain, layerwise = Vmapped(model), Layerwise(model)
    seen = tuple(part.detach() for part in plain(images.flip(0), labels))
    leaf = images.clone().requires_grad_()
    found = plain(leaf, labels)
    cost, slopes = matching_cost(found, seen, "cosine")
    (expected,) = torch.autograd.grad(found, leaf, slopes)
    assert float(expected.abs().max()) > 1e-6
    ours, slope = layerwise.match(images, labels, layerwise.prepared(seen), norms(seen))
    assert torch.allclose(ours, cost, rtol=0, atol=1e-12)
    assert torch.allclose(slope, expected, rtol=0, atol=1e-11 * float(expected.abs().max()))


def test_images_in_colour() -> None:
    model = build_network("cnn", (8, 12, 3), CLASSES, ((0.4,) * 3, (0.3,) * 3), 0).eval().double()
    generator = torch.Generator().manual_seed(4)
    images, labels = torch.rand(3, 3, 8, 12, generator=generator).double(), one_hot(torch.arange(3), CLASSES).double()
    plain, layerwise = Vmapped(model), Layerwise(model)
    seen = tuple(part.detach() for part in plain(images.flip(0), labels))
    leaf = images.clone().requires_grad_()
    found = plain(leaf, labels)
    (expected,) = torch.autograd.grad(found, leaf, matching_cost(found, seen, "cosine")[1])
    _, slope = layerwise.match(images, labels, layerwise.prepared(seen), norms(seen))
    assert torch.allclose(slope, expected, rtol=0, atol=1e-11 * float(expected.abs().max()))


def test_a_gradient_of_zero_has_no_direction() -> None:
    model, (images, labels) = convolutional(nn.ReLU), samples(2)
    engine = Layerwise(model)
    nothing = tuple(torch.zeros_like(part) for part in engine(images, labels))
    cost, slope = engine.match(images, labels, engine.prepared(nothing), norms(nothing))
    assert torch.equal(cost, torch.ones(2))
    assert torch.equal(slope, torch.zeros_like(images))


def test_the_same_images_are_recovered() -> None:
    """As many and as well after the same steps."""
    model, (images, labels) = convolutional(nn.ReLU), samples(8)
    attack = MatchingAttack(name="test", rate=0.1, steps=250, total_variation=1e-3)
    canvas = Canvas.of(model, PIXELS, standardised=False)
    starts = torch.rand(images.shape, generator=torch.Generator().manual_seed(7))
    errors = []
    for engine in (Vmapped(model), Layerwise(model)):
        found = match_gradients(engine, observe(engine, images, labels), labels, starts, attack, canvas)
        errors.append((found.images - images).square().mean((1, 2, 3)))
    plain, layerwise = errors
    assert abs(int((plain < 0.01).sum()) - int((layerwise < 0.01).sum())) <= 1
    assert (layerwise < 0.01).sum() >= 6
    assert abs(float((plain.log10() - layerwise.log10()).mean())) < 0.3


class Twice(nn.Linear):
    """A layer with a mind of its own."""

    def forward(self, taken: torch.Tensor) -> torch.Tensor:
        return super().forward(2 * taken)


def tied() -> nn.Module:
    layer = nn.Linear(144, 144)
    return network(nn.Flatten(), layer, nn.Tanh(), layer, nn.Linear(144, CLASSES))


def hooked() -> nn.Module:
    model = flat()
    model.get_submodule("network.2").register_forward_hook(lambda _, __, given: 2 * given)
    return model


def test_rows_of_an_image_are_no_rows() -> None:
    model, (images, labels) = network(nn.Linear(12, 4), nn.Flatten(), nn.Linear(48, CLASSES)), samples(2)
    engine = make_engine("layerwise", model, 4)
    seen = observe(engine, images, labels)
    with pytest.raises(NoRule, match="rows"):
        match_gradients(
            engine,
            seen,
            labels,
            images,
            MatchingAttack(name="test", steps=1),
            Canvas.of(model, PIXELS, standardised=False),
        )


@pytest.mark.parametrize(
    "make",
    [
        lambda: network(nn.Flatten(), Twice(144, CLASSES)),
        tied,
        hooked,
        lambda: network(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(400, CLASSES)),
        lambda: network(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3, groups=2), nn.Flatten(), nn.Linear(256, CLASSES)),
        lambda: network(nn.Conv2d(1, 4, 3, padding=1, padding_mode="circular"), nn.Flatten(), nn.Linear(576, CLASSES)),
        lambda: network(nn.Flatten(2), nn.Flatten(), nn.Linear(144, CLASSES)),
        lambda: build_network("resnet18", (12, 12, 1), CLASSES, ((0.4,), (0.3,)), 0).eval(),
    ],
)
def test_networks_without_a_rule_are_refused(make: Callable[[], nn.Module]) -> None:
    with pytest.raises(NoRule):
        make_engine("layerwise", make(), 4)


# The calibration chooses.

CNN = ModelSpecification(
    "cnn", (12, 12, 1), CLASSES, ((0.4,), (0.3,)), resolve_recipe("fast", {}), 0, Hardware("cpu", "fp32")
)
#: Seconds a step: of one search if looped, else of all eight.
SECONDS = {"looped": 1.0, "vmapped": 4.0, "layerwise": 2.0}


@pytest.fixture
def stopwatch(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    seconds = dict(SECONDS)
    monkeypatch.setattr(calibration, "_seconds_of_step", lambda kind, *_: seconds[kind])
    return seconds


def test_the_fastest_engine_is_taken(stopwatch: dict[str, float]) -> None:
    found = calibrate(CNN, PixelScale(0.0, 1.0, 1.0), batch=8)
    assert (found.engine, found.matching_seconds) == ("layerwise", 0.25)
    assert found.reason is None
    stopwatch["layerwise"] = 3.9
    found = calibrate(CNN, PixelScale(0.0, 1.0, 1.0), batch=8)
    assert (found.engine, found.matching_seconds) == ("vmapped", 0.5)
    stopwatch["vmapped"] = 8.0
    found = calibrate(CNN, PixelScale(0.0, 1.0, 1.0), batch=8)
    assert (found.engine, found.matching_seconds) == ("looped", 1.0)


def test_an_engine_whose_slopes_are_wrong_is_not_taken(
    stopwatch: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    right = Layerwise.match
    monkeypatch.setattr(
        Layerwise,
        "match",
        lambda *given: tuple(factor * part for factor, part in zip((1, 1.01), right(*given), strict=True)),
    )
    found = calibrate(CNN, PixelScale(0.0, 1.0, 1.0), batch=8)
    assert found.engine == "vmapped"
    assert found.reason is not None
    assert "layerwise" in found.reason
