"""Gradient matching from what features give away, held against torch's own L-BFGS and against longer searches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from privaudit.inversion.analytic import FeatureReader, match_features, recover_input
from privaudit.inversion.gradient_engines.engine_choice import make_engine
from privaudit.inversion.gradient_engines.sample_gradients import Gradients, named, observe
from privaudit.inversion.matching import Canvas, Matched, match_gradients, total_variation
from privaudit.inversion.network_structure import find_structure
from privaudit.inversion.optimisers import Plateau
from privaudit.inversion.presets import (
    FROM_NOISE,
    FeatureAttack,
    MatchingAttack,
    RefiningAttack,
    feature_attack,
    resolve_attack,
)
from tests.test_inversion import PIXELS, convolutional, network, samples

FEATURES = FeatureAttack(steps=40, total_variation=1e-3)

Begun = tuple[nn.Module, torch.Tensor, torch.Tensor, Gradients, torch.Tensor]


@pytest.fixture(scope="module")
def begun() -> Begun:
    """A network, images, labels, the gradients that are seen, and images with the features that these give away."""
    model, (images, labels) = convolutional(nn.ReLU), samples(6)
    return model, images, labels, *begin(model, images, labels)


def refining(**changes: object) -> RefiningAttack:
    usual = {"name": "test", "optimiser": "lbfgs", "rate": 1.0, "steps": 40, "total_variation": 1e-3}
    return RefiningAttack.model_validate(usual | {"features": FEATURES} | changes)


def begin(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> tuple[Gradients, torch.Tensor]:
    """The gradients that are seen, and images with the features that they give away."""
    seen = observe(make_engine("looped", model, 1), images, labels)
    last = str(find_structure(model, images[:2]).last)
    gradients = named(model, seen)
    values = recover_input(gradients[f"{last}.weight"], gradients[f"{last}.bias"])
    noise = torch.rand(images.shape, generator=torch.Generator().manual_seed(3))
    canvas = Canvas.of(model, PIXELS, standardised=False)
    return seen, match_features(FeatureReader(model, last), values, noise, FEATURES, canvas).images


def refine(model: nn.Module, seen: Gradients, labels: torch.Tensor, starts: torch.Tensor, attack: MatchingAttack,
           calls: list[int] | None = None) -> Matched:  # fmt: skip
    canvas = Canvas.of(model, PIXELS, standardised=False)
    on_step = None if calls is None else calls.append
    return match_gradients(make_engine("layerwise", model, 8), seen, labels, starts, attack, canvas, on_step)


def test_each_search_takes_the_steps_of_torchs_lbfgs() -> None:
    """One image after the other, by torch's own optimiser and double backward; pixels are put back in their range."""
    model = network(nn.Conv2d(1, 6, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(6 * 144, 5)).double()
    images, labels = (tensor.double() for tensor in samples(2))
    attack = refining(steps=8, patience=8, total_variation=1e-2)
    engine = make_engine("vmapped", model, 8)
    seen = observe(engine, images, labels)
    starts = 0.7 * images + 0.3 * torch.rand(images.shape, generator=torch.Generator().manual_seed(1)).double()
    found = match_gradients(engine, seen, labels, starts, attack, Canvas.of(model, PIXELS, standardised=False))
    parameters = [parameter.requires_grad_() for parameter in model.parameters()]
    for row in range(2):
        image = starts[row : row + 1].clone().requires_grad_()
        wanted = torch.cat([part[row] for part in seen])
        optimiser = torch.optim.LBFGS([image], lr=1.0, max_iter=1)
        visited: list[tuple[float, torch.Tensor]] = []

        def closure(image: torch.Tensor = image, row: int = row, wanted: torch.Tensor = wanted) -> torch.Tensor:
            loss = nn.functional.cross_entropy(model(image), labels[row : row + 1])
            parts = torch.autograd.grad(loss, parameters, create_graph=True)
            gradient = torch.cat([part.flatten() for part in parts])
            value = 1 - nn.functional.cosine_similarity(gradient, wanted, dim=0) + 1e-2 * total_variation(image).sum()
            (image.grad,) = torch.autograd.grad(value, image)
            visited.append((float(value.detach()), image.detach().clone()))  # noqa: B023 - called in this round alone
            return value

        for _ in range(attack.steps):
            optimiser.step(closure)
            with torch.no_grad():
                image.clamp_(0, 1)
        lowest, best = min(visited, key=lambda one: one[0])
        assert float(found.objective[row]) == pytest.approx(lowest, rel=1e-6)
        assert torch.allclose(found.images[row], best[0], atol=1e-6)


def test_a_plateau_is_what_a_loop_over_one_search_finds() -> None:
    random = np.random.default_rng(0)
    values = np.exp(-np.cumsum(random.exponential(0.02, size=(30, 20)) * random.integers(0, 2, (30, 20)), axis=0))
    plateau = Plateau(20, 4, torch.device("cpu"))
    ours = np.stack([plateau.reached(torch.from_numpy(step)).numpy() for step in values])
    for row in range(20):
        bar, since = float("inf"), 0
        for step in range(30):
            since = 0 if values[step, row] < 0.99 * bar else since + 1
            bar = values[step, row] if since == 0 else bar
            assert bool(ours[step, row]) == (since >= 4)
    assert ours.any(axis=0).sum() > 5


def test_a_search_that_ends_early_is_about_as_good_as_a_long_one(begun: Begun) -> None:
    """By its own objective, whose scale is 0 to 2: it saves steps, and a long one comes hardly lower."""
    model, _, labels, seen, starts = begun
    early = refine(model, seen, labels, starts, refining(patience=8, steps=60))
    long = refine(model, seen, labels, starts, refining(patience=60, steps=60))
    assert (early.steps <= long.steps).all()
    assert early.steps.float().mean() < 0.8 * long.steps.float().mean()
    assert (long.objective <= early.objective + 1e-7).all()
    assert (early.objective / long.objective).median() < 1.2
    assert (early.objective - long.objective).max() < 0.003


def test_ends_do_not_disturb_the_searches_that_go_on() -> None:
    """Each comes to what it comes to alone, though others leave the batch before it."""
    model = convolutional(nn.Tanh).double()
    images, labels = (tensor.double() for tensor in samples(4))
    seen = observe(make_engine("looped", model, 1), images, labels)
    blend = torch.tensor([0.0, 0.02, 0.3, 0.6], dtype=torch.float64).reshape(-1, 1, 1, 1)
    starts = (1 - blend) * images + blend * images.flip(-1)
    attack = refining(patience=1, steps=14)
    calls: list[int] = []
    together = refine(model, seen, labels, starts, attack, calls)
    assert calls[-1] < calls[0]
    for row in range(4):
        part = slice(row, row + 1)
        alone = refine(model, tuple(one[part] for one in seen), labels[part], starts[part], attack)
        assert int(alone.steps) == int(together.steps[row])
        assert torch.allclose(alone.images[0], together.images[row], atol=1e-6)


def test_fewer_steps_from_features_come_nearer_than_many_from_noise(begun: Begun) -> None:
    model, images, labels, seen, starts = begun
    noise = torch.rand(images.shape, generator=torch.Generator().manual_seed(7))
    long = MatchingAttack(name="test", rate=0.2, steps=120, total_variation=1e-3)
    refined = (refine(model, seen, labels, starts, refining()).images - images).square().mean((1, 2, 3))
    sought = (refine(model, seen, labels, noise, long).images - images).square().mean((1, 2, 3))
    assert refined.log().mean() < sought.log().mean()
    assert refined.log().mean() < (starts - images).square().mean((1, 2, 3)).log().mean()
    assert refining().effort < 0.6 * long.effort


@pytest.mark.parametrize(
    ("shape", "rate", "steps", "variation"),
    [((28, 28, 1), 0.2, 200, 0.01), ((8, 8, 1), 0.2, 200, 0.001), ((32, 32, 3), 0.1, 300, 0.3)],
)
def test_the_default_from_before_is_known_by_its_settings(
    shape: tuple[int, ...], rate: float, steps: int, variation: float
) -> None:
    """They name the searches in the stores of earlier audits: not one may be added, or change."""
    assert resolve_attack(FROM_NOISE, shape).model_dump(mode="json") == {
        "name": "default",
        "cost": "cosine",
        "optimiser": "signed-adam",
        "rate": rate,
        "steps": steps,
        "restarts": 3,
        "total_variation": pytest.approx(variation),
        "box": True,
        "standardised": False,
        "start": "uniform",
        "joint_label": False,
    }


def test_how_a_search_begins_is_part_of_its_name() -> None:
    usual = resolve_attack("default", (28, 28, 1))
    assert isinstance(usual, RefiningAttack)
    assert usual.model_dump(mode="json")["features"] == feature_attack((28, 28, 1)).model_dump(mode="json")


def test_features_that_are_fewer_than_the_pixels_are_no_beginning() -> None:
    images, _ = samples(3)
    wide, pooled = convolutional(nn.ReLU), network(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)
    )  # fmt: skip
    plain = network(nn.Flatten(), nn.Linear(144, 4), nn.ReLU(), nn.Linear(4, 5))
    unbiased = convolutional(nn.ReLU, bias=False)
    found = [find_structure(model, images).determines(model, 144) for model in (wide, pooled, plain, unbiased)]
    assert found == [True, False, True, False]
