"""Gradient inversion against closed forms, torch's own optimisers, explicit Jacobians and gradients of noise."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import one_hot

from privaudit.errors import UsageError
from privaudit.inversion.analytic import FeatureReader, match_features, recover_input
from privaudit.inversion.gradient_engines.engine_choice import Kind, make_engine
from privaudit.inversion.gradient_engines.sample_gradients import Vmapped, named, norms, observe
from privaudit.inversion.image_scale import PixelScale
from privaudit.inversion.image_similarity import place
from privaudit.inversion.label_recovery import recover_labels
from privaudit.inversion.matching import Canvas, Objective, match_gradients, matching_cost, total_variation
from privaudit.inversion.network_structure import check_invertible, find_structure
from privaudit.inversion.optimisers import LBFGS, Adam, Schedule
from privaudit.inversion.presets import PRESETS, FeatureAttack, MatchingAttack
from privaudit.inversion.proxies import proxies_of
from privaudit.networks.build import Standardise
from privaudit.statistics.intervals import wilson

PIXELS = PixelScale(0.0, 1.0, 1.0)
CLASSES = 5


def network(*layers: nn.Module, channels: int = 1, seed: int = 0) -> nn.Sequential:
    """Standardisation, then these layers, as the registry builds them; initialised anew by seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        body = nn.Sequential(*layers)
        for layer in body.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.reset_parameters()
    standardise = Standardise([0.4] * channels, [0.3] * channels, 3)
    return nn.Sequential(OrderedDict(standardise=standardise, network=body)).eval()


def convolutional(activation: Callable[[], nn.Module], *, bias: bool = True, seed: int = 0) -> nn.Sequential:
    return network(
        nn.Conv2d(1, 8, 3, padding=1), activation(), nn.MaxPool2d(2), nn.Conv2d(8, 12, 3, padding=1), activation(),
        nn.Flatten(), nn.Linear(12 * 36, CLASSES, bias=bias), seed=seed,
    )  # fmt: skip


def samples(count: int, side: int = 12, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Smooth images on the 0–1 scale, and their labels as distributions."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(count, 1, side // 3, side // 3, generator=generator)
    images = nn.functional.interpolate(noise, size=(side, side), mode="bilinear")
    return images, one_hot(torch.arange(count) % CLASSES, CLASSES).float()


def seen_by(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
    return named(model, observe(make_engine("looped", model, 1), images, labels))


# What is exact.


@pytest.mark.parametrize("layers", [1, 2], ids=["linear model", "first layer of two"])
def test_a_fully_connected_first_layer_gives_the_image_away(layers: int) -> None:
    body: list[nn.Module] = [nn.Flatten(), nn.Linear(144, CLASSES if layers == 1 else 40)]
    body += [] if layers == 1 else [nn.ReLU(), nn.Linear(40, CLASSES)]
    model = network(*body)
    images, labels = samples(20)
    structure = find_structure(model, images[:3])
    assert structure.first == "network.1"
    gradients = seen_by(model, images, labels)
    found = recover_input(gradients["network.1.weight"], gradients["network.1.bias"])
    canvas = Canvas.of(model, PIXELS, standardised=True)
    assert (canvas.unit(found.reshape(images.shape)) - images).abs().max() < 1e-5


def test_features_are_read_off_the_last_layer() -> None:
    model = convolutional(nn.Tanh)
    images, labels = samples(8)
    structure = find_structure(model, images[:3])
    assert (structure.last, structure.first) == ("network.6", None)
    gradients = seen_by(model, images, labels)
    features = FeatureReader(model, "network.6")(images)
    assert torch.allclose(
        recover_input(gradients["network.6.weight"], gradients["network.6.bias"]), features, atol=1e-5
    )


def test_a_zero_gradient_tells_nothing() -> None:
    assert (recover_input(torch.zeros(2, 3, 4), torch.zeros(2, 3)) == 0).all()


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.Sigmoid])
@pytest.mark.parametrize("bias", [True, False])
def test_labels_are_recovered(activation: Callable[[], nn.Module], bias: bool) -> None:
    images, labels = samples(40)
    for seed in range(3):
        gradients = seen_by(convolutional(activation, bias=bias, seed=seed), images, labels)
        found = recover_labels(gradients.get("network.6.bias"), gradients["network.6.weight"])
        assert torch.equal(found, labels.argmax(1))


def test_labels_of_two_classes_without_a_bias() -> None:
    """With features that are never negative the label's row is the one with the smaller sum (iDLG)."""
    weight = torch.tensor([0.3, -0.3]).reshape(1, 2, 1) * torch.rand(4, 1, 6)
    assert (recover_labels(None, weight) == 1).all()


# Engines agree.


def in_place_with_norms() -> nn.Sequential:
    model = network(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3),
        nn.GroupNorm(2, 8), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(8 * 16, CLASSES),
    )  # fmt: skip
    norm = model.get_submodule("network.1")
    norm.get_buffer("running_mean").normal_(generator=torch.Generator().manual_seed(2))
    norm.get_buffer("running_var").uniform_(0.5, 2, generator=torch.Generator().manual_seed(3))
    return model


@pytest.mark.parametrize("make", [lambda: convolutional(nn.ReLU), in_place_with_norms], ids=["cnn", "norms"])
def test_engines_agree(make: Callable[[], nn.Module]) -> None:
    model, (images, labels) = make(), samples(6)
    canvas = Canvas.of(model, PIXELS, standardised=False)
    attack = MatchingAttack(name="few", optimiser="adam", rate=0.05, steps=8, restarts=1, total_variation=0.01)
    starts = torch.rand(images.shape, generator=torch.Generator().manual_seed(4))
    found = []
    kinds: list[Kind] = ["looped", "vmapped"]
    if make is not in_place_with_norms:
        kinds.append("layerwise")  # there is no rule for norms
    for kind in kinds:
        engine = make_engine(kind, model, 4)
        seen = observe(engine, images, labels)
        matched = match_gradients(engine, seen, labels, starts, attack, canvas)
        found.append((torch.cat(seen, 1), matched.images, matched.objective))
    alone = found[0]
    for together in found[1:]:
        for ours, theirs in zip(together, alone, strict=True):
            assert torch.allclose(ours, theirs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", ["vmapped", "layerwise"])
def test_searches_do_not_depend_on_their_company(kind: Kind) -> None:
    model, (images, labels) = convolutional(nn.ReLU), samples(5)
    engine = make_engine(kind, model, 8)
    seen = observe(engine, images, labels)
    canvas = Canvas.of(model, PIXELS, standardised=False)
    attack = MatchingAttack(name="few", optimiser="adam", rate=0.05, steps=8, total_variation=0.01)
    starts = torch.rand(images.shape, generator=torch.Generator().manual_seed(5))
    together = match_gradients(engine, seen, labels, starts, attack, canvas)
    alone = match_gradients(engine, tuple(part[2:3] for part in seen), labels[2:3], starts[2:3], attack, canvas)
    assert torch.allclose(together.images[2], alone.images[0], atol=1e-4)


# Optimisers.


def banana(variables: torch.Tensor) -> torch.Tensor:
    x, y = variables[:, 0], variables[:, 1]
    return (1 - x) ** 2 + 10 * (y - x**2) ** 2


@pytest.mark.parametrize("name", ["lbfgs", "adam", "signed-adam"])
def test_batched_optimisers_are_those_of_torch(name: str) -> None:
    starts = torch.tensor([[-1.0, 1.5], [0.3, 0.2], [2.0, -1.0]])
    ours = starts.clone()
    optimiser = LBFGS(ours) if name == "lbfgs" else Adam(ours, signed=name == "signed-adam")
    rate = torch.full((3, 1), 0.05)
    for _ in range(25):
        leaf = ours.clone().requires_grad_()
        value = banana(leaf)
        (slope,) = torch.autograd.grad(value.sum(), leaf)
        ours = optimiser.step(ours, slope, value.detach(), rate)
    for row in range(3):
        theirs = starts[row : row + 1].clone().requires_grad_()
        if name == "lbfgs":
            reference = torch.optim.LBFGS([theirs], lr=0.05, max_iter=25)

            def closure(theirs: torch.Tensor = theirs, reference: torch.optim.LBFGS = reference) -> torch.Tensor:
                reference.zero_grad()
                loss = banana(theirs).sum()
                loss.backward()
                return loss

            reference.step(closure)
        else:
            adam = torch.optim.Adam([theirs], lr=0.05)
            for _ in range(25):
                adam.zero_grad()
                banana(theirs).sum().backward()
                if name == "signed-adam" and theirs.grad is not None:
                    theirs.grad.sign_()
                adam.step()
        assert torch.allclose(ours[row], theirs.detach()[0], atol=1e-4)


def test_on_a_hill_lbfgs_is_torchs_too() -> None:
    """Where the surface bends down, what was learnt of its curvature counts for nothing."""

    def hill(at: torch.Tensor) -> torch.Tensor:
        return at.cos().sum(1) + 0.3 * at[:, 0] * at[:, 1]

    starts = torch.tensor([[0.3, -0.2], [0.05, 0.4]], dtype=torch.float64)
    ours = starts.clone()
    optimiser = LBFGS(ours)
    for _ in range(20):
        leaf = ours.clone().requires_grad_()
        value = hill(leaf)
        (slope,) = torch.autograd.grad(value.sum(), leaf)
        ours = optimiser.step(ours, slope, value.detach(), torch.full((2, 1), 0.1, dtype=torch.float64))
    for row in range(2):
        theirs = starts[row : row + 1].clone().requires_grad_()
        reference = torch.optim.LBFGS([theirs], lr=0.1, max_iter=20)

        def closure(theirs: torch.Tensor = theirs, reference: torch.optim.LBFGS = reference) -> torch.Tensor:
            reference.zero_grad()
            loss = hill(theirs).sum()
            loss.backward()
            return loss

        reference.step(closure)
        assert torch.allclose(ours[row], theirs.detach()[0], atol=1e-6)


def test_steps_shrink_to_a_tenth_at_three_moments() -> None:
    """At 3/8, 5/8 and 7/8 of the steps, while the objective falls."""
    schedule = Schedule(1, 0.2, 80, torch.device("cpu"))
    rates = [float(schedule.rates(step, torch.tensor([0.9**step]))) for step in range(80)]
    assert rates == pytest.approx([0.2] * 30 + [0.02] * 20 + [0.002] * 20 + [0.0002] * 10)


def test_solved_searches_leave_the_batch() -> None:
    """One search starts at the solution: it stops at once, the other goes on as if it were alone."""
    model, (images, labels) = convolutional(nn.Tanh), samples(2)
    engine = make_engine("vmapped", model, 8)
    seen = observe(engine, images, labels)
    canvas = Canvas.of(model, PIXELS, standardised=False)
    attack = MatchingAttack(name="few", optimiser="adam", cost="l2", steps=12, restarts=1)
    starts = torch.stack([images[0], torch.rand(images[1].shape, generator=torch.Generator().manual_seed(6))])
    calls: list[int] = []
    found = match_gradients(engine, seen, labels, starts, attack, canvas, calls.append)
    assert found.steps.tolist() == [1, 12]
    assert calls == [2] + [1] * 11
    alone = match_gradients(engine, tuple(part[1:] for part in seen), labels[1:], starts[1:], attack, canvas)
    assert torch.allclose(found.images[1], alone.images[0], atol=1e-4)
    assert torch.allclose(found.images[0], images[0], atol=1e-6)


def test_the_best_image_of_a_search_is_returned_and_not_its_last() -> None:
    """It starts next to the solution and a long step leads away: what it started from is the best it has seen."""
    model, (images, labels) = convolutional(nn.Tanh), samples(3)
    engine = make_engine("vmapped", model, 8)
    canvas = Canvas.of(model, PIXELS, standardised=False)
    seen = observe(engine, images, labels)
    starts = (0.1 + 0.8 * images) * torch.tensor([1.0, 0.99, 0.98]).reshape(-1, 1, 1, 1)
    attack = MatchingAttack(
        name="long", optimiser="adam", cost="l2", steps=4, restarts=1, rate=0.9, total_variation=0.0
    )
    found = match_gradients(engine, seen, labels, starts, attack, canvas)
    at_start, _ = matching_cost(observe(engine, starts, labels), seen, "l2")
    assert torch.allclose(found.images, starts, atol=1e-6)
    assert torch.allclose(found.objective, at_start, rtol=1e-3)
    assert found.steps.tolist() == [4, 4, 4]


def test_what_is_returned_has_the_objective_that_is_told() -> None:
    """Computed anew for the images: with steps of every length, each search keeps its own best."""
    model, (images, labels) = convolutional(nn.Tanh), samples(5)
    engine = make_engine("vmapped", model, 8)
    canvas = Canvas.of(model, PIXELS, standardised=False)
    seen = observe(engine, images, labels)
    starts = torch.rand(images.shape, generator=torch.Generator().manual_seed(3))
    for rate in (0.02, 0.3):
        attack = MatchingAttack(
            name="some", optimiser="adam", cost="l2", steps=15, restarts=1, rate=rate, total_variation=0.01
        )
        found = match_gradients(engine, seen, labels, starts, attack, canvas)
        cost, _ = matching_cost(observe(engine, found.images, labels), seen, "l2")
        steps_up = (found.images[..., 1:, :] - found.images[..., :-1, :]).abs().flatten(1).mean(1)
        steps_across = (found.images[..., 1:] - found.images[..., :-1]).abs().flatten(1).mean(1)
        assert torch.allclose(found.objective, cost + 0.01 * (steps_up + steps_across), rtol=1e-3)


def test_the_best_image_of_a_search_by_features_is_returned() -> None:
    """Its objective, computed anew, is the one that is told, and with steps too long it is not that of the last."""
    model, (images, _) = convolutional(nn.Tanh), samples(4)
    reader, canvas = FeatureReader(model, "network.6"), Canvas.of(model, PIXELS, standardised=False)
    with torch.no_grad():
        features = reader(images).detach().clone()
    starts = (0.05 + 0.9 * images).contiguous()
    attack = FeatureAttack(steps=6, rate=0.9, total_variation=0.0)
    found = match_features(reader, features, starts, attack, canvas)
    with torch.no_grad():
        apart = (reader(found.images) - features).square().sum(1) / features.square().sum(1)
    assert torch.allclose(found.objective, apart, rtol=1e-4)
    assert torch.allclose(found.images, starts, atol=1e-6), "the first was the best"


def test_the_slope_of_an_objective_is_that_of_all_of_it() -> None:
    """Cost and variation together, by differences along random directions."""
    # Without a maximum in it: where that changes hands there is no slope.
    model = network(nn.Conv2d(1, 4, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(4 * 144, CLASSES))
    images, labels = samples(3)
    engine = make_engine("vmapped", model, 8)
    canvas = Canvas.of(model, PIXELS, standardised=False)
    generator = torch.Generator().manual_seed(4)
    seen, at = observe(engine, images, labels), torch.rand(3, images[0].numel(), generator=generator)
    for weight in (0.0, 30.0):
        attack = MatchingAttack(name="some", cost="l2", steps=1, restarts=1, total_variation=weight)
        objective = Objective(engine, seen, labels, images.shape[1:], attack, canvas)
        _, slope = objective(at)
        along = torch.randn(at.shape, generator=generator)
        rise = (objective(at + 5e-4 * along)[0] - objective(at - 5e-4 * along)[0]) / 1e-3
        # A few neighbours change places on the way.
        assert torch.allclose((slope * along).sum(1), rise, rtol=0.03, atol=0.03 + 0.03 * weight)


def test_a_search_that_goes_nowhere_ends_when_its_step_has_shrunk_three_times() -> None:
    """No unit is awake, so no pixel matters: of 200 steps each stall takes 20, and the fourth is the end."""
    model = network(nn.Flatten(), nn.Linear(144, 6), nn.ReLU(), nn.Linear(6, CLASSES))
    with torch.no_grad():
        model.get_parameter("network.1.bias").fill_(-100.0)
    images, labels = samples(2)
    engine = make_engine("vmapped", model, 8)
    seen = tuple(part + 1 for part in observe(engine, images, labels))
    attack = MatchingAttack(name="stuck", optimiser="adam", cost="l2", steps=200, restarts=1, total_variation=0.0)
    found = match_gradients(engine, seen, labels, images, attack, Canvas.of(model, PIXELS, standardised=False))
    assert found.steps.tolist() == [81, 81]


def test_the_largest_derivative_is_taken_whatever_its_sign() -> None:
    given = torch.tensor([[0.5, -2.0, 3.0]])
    slopes = torch.tensor([[-2.0, 0.0, 1e-6]])
    found = recover_input(slopes.unsqueeze(2) * given.unsqueeze(1), slopes)
    assert torch.allclose(found, given)
    found = recover_input(slopes[:, :2].unsqueeze(2) * given.unsqueeze(1), slopes[:, :2])
    assert torch.allclose(found, given)


def test_feature_matching_weighs_variation() -> None:
    model, (images, _) = convolutional(nn.Tanh), samples(4)
    reader, canvas = FeatureReader(model, "network.6"), Canvas.of(model, PIXELS, standardised=False)
    with torch.no_grad():
        features = reader(images).detach().clone()
    starts = torch.rand(images.shape, generator=torch.Generator().manual_seed(5))
    found = match_features(reader, features, starts, FeatureAttack(steps=4, total_variation=0.5), canvas)
    with torch.no_grad():
        apart = (reader(found.images) - features).square().sum(1) / features.square().sum(1)
    assert torch.allclose(found.objective, apart + 0.5 * total_variation(found.images), rtol=1e-4)


def test_total_variation_counts_both_directions() -> None:
    """Stripes of 0 and 1: neighbours differ by 1 across them and by 0 along them; a checkerboard differs both ways."""
    rows = torch.zeros(1, 1, 4, 6)
    rows[:, :, ::2] = 1
    columns = rows.new_zeros(1, 1, 4, 6)
    columns[..., ::2] = 1
    board = (rows + columns) % 2
    assert total_variation(torch.cat([rows, columns, board, 0 * rows])).tolist() == [1, 1, 2, 0]


# Attacks find images, and find nothing where there is nothing.


def test_the_default_kind_of_attack_recovers_images() -> None:
    model, (images, labels) = convolutional(nn.ReLU), samples(6)
    engine = make_engine("vmapped", model, 8)
    canvas = Canvas.of(model, PIXELS, standardised=False)
    attack = MatchingAttack(name="test", rate=0.1, steps=250, total_variation=1e-3)
    starts = torch.rand(images.shape, generator=torch.Generator().manual_seed(7))
    found = match_gradients(engine, observe(engine, images, labels), labels, starts, attack, canvas)
    error = (found.images - images).square().mean((1, 2, 3))
    assert (error < 0.01).sum() >= 5
    assert (error < 0.2 * (starts - images).square().mean((1, 2, 3))).all()


def test_dlg_recovers_image_and_label_on_an_untrained_sigmoid_network() -> None:
    model = network(
        nn.Conv2d(1, 12, 5, padding=2, stride=2), nn.Sigmoid(), nn.Conv2d(12, 12, 5, padding=2), nn.Sigmoid(),
        nn.Flatten(), nn.Linear(12 * 36, CLASSES),
    )  # fmt: skip
    for parameter in model.parameters():
        parameter.data.uniform_(-0.5, 0.5, generator=torch.Generator().manual_seed(8))
    images, labels = samples(4)
    engine = make_engine("vmapped", model, 8)
    attack = PRESETS["dlg"].model_copy(update={"steps": 200})
    canvas = Canvas.of(model, PIXELS, standardised=attack.standardised)
    starts = torch.randn(images.shape, generator=torch.Generator().manual_seed(9))
    nothing_known = torch.full_like(labels, 1 / CLASSES)
    found = match_gradients(engine, observe(engine, images, labels), nothing_known, starts, attack, canvas)
    error = (found.images - images).square().mean((1, 2, 3))
    assert (error < 1e-4).sum() >= 2  # bimodal, as it is known to be: a start either converges or is lost


def test_gradients_of_noise_give_nothing_away() -> None:
    """Truths are random, gradients too: no more is recovered or identified than chance allows."""
    model = convolutional(nn.ReLU)
    images, labels = samples(40, seed=10)
    engine = make_engine("vmapped", model, 40)
    generator = torch.Generator().manual_seed(11)
    noise = tuple(torch.randn(part.shape, generator=generator) for part in observe(engine, images, labels))
    starts = torch.rand(images.shape, generator=generator)
    canvas = Canvas.of(model, PIXELS, standardised=False)
    attack = MatchingAttack(name="test", rate=0.1, steps=60, total_variation=1e-2)
    found = match_gradients(engine, noise, labels, starts, attack, canvas)
    truths = images.permute(0, 2, 3, 1).numpy()
    placed = place(found.images.permute(0, 2, 3, 1).numpy(), truths, truths, np.arange(40))
    assert placed.recovered.mean() == 0
    low, _ = wilson((placed.rank == 1).sum(), 40)
    assert low <= 1 / 40  # chance


def test_feature_matching_recovers_images() -> None:
    model, (images, _) = convolutional(nn.Tanh), samples(6)
    reader = FeatureReader(model, "network.6")
    starts = torch.rand(images.shape, generator=torch.Generator().manual_seed(12))
    canvas = Canvas.of(model, PIXELS, standardised=False)
    with torch.no_grad():
        features = reader(images).clone()
    found = match_features(reader, features, starts, FeatureAttack(steps=200, total_variation=1e-3), canvas)
    assert (found.images - images).square().mean((1, 2, 3)).max() < 0.01


# What is measured beside them.


def test_curvature_is_the_largest_eigenvalue() -> None:
    model = network(nn.Flatten(), nn.Linear(36, 6), nn.Tanh(), nn.Linear(6, CLASSES))
    images, labels = samples(3, side=6)
    engine = Vmapped(model)
    starts = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    found = proxies_of(engine, images, labels, starts, iterations=400)
    for row in range(3):

        def direction(flat: torch.Tensor, row: int = row) -> torch.Tensor:
            gradients = torch.cat(engine(flat.reshape(1, 1, 6, 6), labels[row : row + 1]), 1)[0]
            return gradients / gradients.square().sum().sqrt()

        jacobian = torch.autograd.functional.jacobian(direction, images[row].flatten())
        largest = torch.linalg.eigvalsh(jacobian.T @ jacobian)[-1]
        assert found.curvature[row] == pytest.approx(float(largest), rel=1e-2)
        gradient = torch.cat(engine(images[row : row + 1], labels[row : row + 1]), 1)
        assert found.gradient_norm[row] == pytest.approx(float(gradient.norm()), rel=1e-5)


def test_variation_counts_rows_and_columns_alike() -> None:
    """By hand, and the same of an image on its side."""
    image = torch.tensor([[0.0, 1.0, 3.0], [0.0, 1.0, 3.0]]).reshape(1, 1, 2, 3)
    across, down = total_variation(image), total_variation(image.transpose(2, 3))
    assert float(across) > 0
    assert float(across) == pytest.approx(float(down))
    random = torch.rand(2, 3, 5, 7, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(total_variation(random), total_variation(random.transpose(2, 3)))


def test_a_clip_leaves_small_gradients_as_they_are() -> None:
    model, (images, labels) = convolutional(nn.ReLU), samples(6)
    engine = Vmapped(model)
    plain = observe(engine, images, labels)
    clipped = observe(engine, images, labels, clip=10 * float(norms(plain).max()))
    assert all(torch.equal(part, other) for part, other in zip(plain, clipped, strict=True))


def test_a_defence_clips_and_adds_noise() -> None:
    model, (images, labels) = convolutional(nn.ReLU), samples(6)
    engine = Vmapped(model)
    plain = observe(engine, images, labels)
    clipped = observe(engine, images, labels, clip=0.5)
    assert norms(clipped).max() <= 0.5 + 1e-5
    scale = (0.5 / norms(plain)).clamp_max(1).unsqueeze(1)
    assert all(torch.allclose(part * scale, other) for part, other in zip(plain, clipped, strict=True))
    longest = float(norms(plain).max())
    above = observe(engine, images, labels, clip=2 * longest)
    assert all(torch.equal(part, other) for part, other in zip(plain, above, strict=True)), "a clip lengthens none"
    between = float(norms(plain).median())
    some = norms(observe(engine, images, labels, clip=between))
    assert torch.allclose(some, norms(plain).clamp_max(between))
    assert (some < between - 1e-6).any()
    seeds = [1, 2, 3, 4, 5, 1]
    noisy = observe(engine, images, labels, noise=0.1, seeds=seeds)
    noise = torch.cat([other - part for part, other in zip(plain, noisy, strict=True)], 1)
    assert float(noise.std()) == pytest.approx(0.1, rel=0.05)
    assert torch.allclose(noise[0], noise[5], atol=1e-5)  # one sample's restarts see one gradient
    assert not torch.allclose(noise[0], noise[1], atol=1e-3)


def test_networks_that_mix_samples_are_refused() -> None:
    model = network(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, track_running_stats=False), nn.Flatten(), nn.Linear(400, CLASSES)
    )
    with pytest.raises(UsageError, match="depends on the batch"):
        check_invertible(model, samples(4)[0])


def test_networks_without_a_derivative_are_refused() -> None:
    class Rounded(nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return (inputs > 0.5).float().detach()

    model = network(Rounded(), nn.Flatten(), nn.Linear(144, CLASSES))
    with pytest.raises(UsageError, match="differentiated"):
        check_invertible(model, samples(4)[0])


def test_a_last_layer_that_is_not_linear_is_seen() -> None:
    model = network(nn.Conv2d(1, CLASSES, 12), nn.Flatten())
    structure = find_structure(model, samples(3)[0])
    assert (structure.last, structure.first) == (None, None)


def test_pixel_scale_of_floats_is_that_of_the_data() -> None:
    images = np.linspace(-2, 3, 96, dtype=np.float32).reshape(2, 4, 4, 3)
    scale = PixelScale.of(images)
    unit = scale.to_unit(images)
    assert (unit.min(), unit.max()) == (0, 1)
    assert np.allclose(scale.to_input(torch.from_numpy(unit)).numpy(), images, atol=1e-6)
    blank = np.full((2, 4, 4, 1), 2.5, np.float32)
    assert not PixelScale.of(blank).to_unit(blank).any(), "without a range there is nothing to divide by"
    assert PixelScale.of(np.zeros((1, 4, 4, 1), np.uint8)) == PixelScale(0, 1, 255)


@pytest.mark.parametrize("kind", ["cosine", "l2"])
def test_the_cost_and_its_derivative(kind: str) -> None:
    generator = torch.Generator().manual_seed(13)
    found, seen = (
        tuple(torch.randn(4, size, generator=generator, dtype=torch.float64) for size in (3, 8)) for _ in "ab"
    )
    leaves = tuple(part.clone().requires_grad_() for part in found)
    a, b = torch.cat(leaves, 1), torch.cat(seen, 1)
    wanted = (a - b).square().sum(1) if kind == "l2" else 1 - nn.functional.cosine_similarity(a, b)
    slopes = torch.autograd.grad(wanted.sum(), leaves)
    value, by_gradient = matching_cost(found, seen, kind)
    assert torch.allclose(value, wanted)
    assert all(torch.allclose(ours, theirs) for ours, theirs in zip(by_gradient, slopes, strict=True))
