"""Networks, recipes and the loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from privaudit.errors import TrainingDiverged, UsageError
from privaudit.networks import build_network, check_network, network_source
from privaudit.shadow.specification import ModelSpecification
from privaudit.shadow.trainer import train_with_new_seeds
from privaudit.training.augment import Augmenter
from privaudit.training.hardware import Hardware, resolve_hardware
from privaudit.training.loop import Samples, as_network_input, logits_of, train
from privaudit.training.recipe import RECIPES, Recipe, resolve_recipe
from privaudit.training.views import columns_of, parse_queries, view

CPU = Hardware("cpu", "fp32")


def small_samples(count: int = 96) -> Samples:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (count, 8, 8, 3)).astype(np.uint8)
    return Samples.from_arrays(images, np.arange(count) % 3, "cpu")


def network(name: str = "cnn", shape: tuple[int, ...] = (8, 8, 3), classes: int = 3, seed: int = 0) -> Any:
    statistics = ((0.5,) * shape[-1], (0.25,) * shape[-1])
    return build_network(name, shape, classes, statistics, seed)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("cnn", (28, 28, 1)),
        ("cnn", (8, 8, 1)),
        ("mlp", (12,)),
        ("mlp", (8, 8, 3)),
        ("resnet18", (32, 32, 3)),
        ("resnet18", (64, 64, 3)),
        ("resnet50", (64, 64, 1)),
        ("resnext50", (32, 32, 3)),
    ],
)
def test_networks_fit_the_data(name: str, shape: tuple[int, ...]) -> None:
    model = network(name, shape, classes=7).eval()
    logits = model(torch.rand(2, *((shape[2], *shape[:2]) if len(shape) == 3 else shape)))
    assert logits.shape == (2, 7)


def test_small_images_get_a_small_stem() -> None:
    assert network("resnet18", (32, 32, 3)).network.conv1.stride == (1, 1)
    assert network("resnet18", (64, 64, 3)).network.conv1.stride == (2, 2)
    assert isinstance(network("resnet50", (32, 32, 3)).network.maxpool, torch.nn.Identity)


def test_the_seed_decides_the_weights() -> None:
    torch.manual_seed(1)
    first = network(seed=5).state_dict()
    torch.manual_seed(2)
    second, other = network(seed=5).state_dict(), network(seed=6).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["network.0.weight"], other["network.0.weight"])


def test_features_need_the_mlp() -> None:
    with pytest.raises(UsageError, match="takes images") as error:
        network("cnn", (12,))
    assert "--network mlp" in str(error.value)
    with pytest.raises(UsageError, match="Did you mean 'resnet18'"):
        network("resnet19")


def test_recipes() -> None:
    paper = RECIPES["paper"]
    rates = [paper.rate_at(epoch, 200) for epoch in (0, 99, 100, 149, 150, 199)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])
    assert (paper.epochs, paper.momentum, paper.weight_decay) == (200, 0.9, 5e-4)
    fast = RECIPES["fast"]
    curve = [fast.rate_at(step, 100) for step in range(100)]
    assert max(curve) == pytest.approx(fast.learning_rate, rel=0.05)
    assert np.argmax(curve) in (19, 20)
    assert curve[-1] < 0.01 * fast.learning_rate
    with pytest.raises(UsageError, match="epochs = 0"):
        resolve_recipe("fast", {"epochs": 0})
    with pytest.raises(UsageError, match="augment = 'spin'"):
        resolve_recipe("fast", {"augment": "spin"})
    with pytest.raises(UsageError, match="unknown recipe"):
        resolve_recipe("slow", {})


def test_the_rate_rises_in_proportion_and_falls_as_a_cosine() -> None:
    recipe = resolve_recipe("fast", {"warmup": 0.5, "learning_rate": 0.8})
    rising = [recipe.rate_at(step, 10) for step in range(5)]
    assert rising == pytest.approx([0.08, 0.24, 0.40, 0.56, 0.72])
    falling = [recipe.rate_at(step, 10) for step in range(5, 10)]
    assert falling == pytest.approx([0.4 * (1 + np.cos(np.pi * share)) for share in (0.1, 0.3, 0.5, 0.7, 0.9)])


def test_an_epochs_loss_is_the_mean_over_its_samples() -> None:
    """In batches of 4, 3 and 3, under weights that hardly move."""
    generator = torch.Generator().manual_seed(1)
    samples = Samples(torch.randn(10, 4, generator=generator), torch.arange(10) % 3)
    model = torch.nn.Linear(4, 3)
    wanted = torch.nn.functional.cross_entropy(model(samples.inputs), samples.labels).item()
    recipe = resolve_recipe("fast", {"epochs": 2, "batch_size": 4, "learning_rate": 1e-9})
    record = train(model, samples, np.arange(10), recipe, 0, CPU)
    assert record.epoch_losses == pytest.approx([wanted, wanted], rel=1e-5)


def test_training_fits_noise_and_repeats_to_the_bit() -> None:
    samples, recipe = small_samples(), resolve_recipe("fast", {"epochs": 60})
    models = []
    for _ in range(2):
        model = network()
        record = train(model, samples, np.arange(96), recipe, 7, CPU)
        models.append(model.state_dict())
    assert len(record.epoch_losses) == 60
    assert record.epoch_losses[-1] < 0.1
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])
    logits = logits_of(model, samples)
    assert (logits.argmax(1) == samples.labels.numpy()).mean() > 0.98


def test_only_members_are_seen() -> None:
    samples, recipe = small_samples(), resolve_recipe("fast", {"epochs": 2})
    poisoned = Samples(samples.inputs.clone(), samples.labels.clone())
    poisoned.inputs[50:] = 0
    poisoned.labels[50:] = 1
    states = []
    for pool in (samples, poisoned):
        model = network()
        train(model, pool, np.arange(50), recipe, 7, CPU)
        states.append(model.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_gradient_matches_the_textbook_step() -> None:
    """One full-batch epoch is one step of momentum SGD with weight decay, as torch's plain loop takes it."""
    samples = small_samples(64)
    recipe = Recipe(name="one", epochs=1, batch_size=64, learning_rate=0.1, schedule="constant")
    ours, theirs = network(), network()
    train(ours, samples, np.arange(64), recipe, 0, CPU)
    optimizer = torch.optim.SGD(theirs.parameters(), 0.1, 0.9, weight_decay=5e-4)
    inputs = samples.inputs.permute(0, 3, 1, 2).float() / 255
    torch.nn.functional.cross_entropy(theirs(inputs), samples.labels).backward()
    optimizer.step()
    for name, tensor in ours.state_dict().items():
        torch.testing.assert_close(tensor, theirs.state_dict()[name], atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("nesterov", [False, True])
def test_three_steps_carry_momentum(nesterov: bool) -> None:
    """Full-batch epochs at a rate that changes: the optimiser's state must carry over, as in torch's plain loop."""
    samples = small_samples(64)
    recipe = Recipe(
        name="three", epochs=3, batch_size=64, learning_rate=0.1, schedule="step", milestones=(0.4,), nesterov=nesterov
    )
    ours, theirs = network(), network()
    train(ours, samples, np.arange(64), recipe, 0, CPU)
    optimizer = torch.optim.SGD(theirs.parameters(), 0.1, 0.9, weight_decay=5e-4, nesterov=nesterov)
    inputs = samples.inputs.permute(0, 3, 1, 2).float() / 255
    for rate in (0.1, 0.01, 0.01):
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(theirs(inputs), samples.labels).backward()
        optimizer.step()
    for name, tensor in ours.state_dict().items():
        torch.testing.assert_close(tensor, theirs.state_dict()[name], atol=1e-6, rtol=1e-4)


def test_layers_that_draw_are_seeded() -> None:
    """Dropout reads torch's global generator: the seed must decide it, and nobody else's draws may change."""
    samples, recipe = small_samples(), resolve_recipe("fast", {"epochs": 2})
    torch.manual_seed(1)
    expected = torch.rand(3)
    states = []
    for noise in (0, 5):
        torch.manual_seed(1)
        torch.rand(noise)
        model = torch.nn.Sequential(network(), torch.nn.Dropout(0.5))
        torch.manual_seed(1)
        torch.rand(noise)
        train(model, samples, np.arange(96), recipe, 7, CPU)
        states.append(model.state_dict())
        if noise == 0:
            assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_users_own_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_networks.py").write_text(
        "from torch import nn\n"
        "def small(shape, classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(shape[0] * shape[1] * shape[2], classes))\n"
        "def wrong(shape, classes):\n    return nn.Sequential(nn.Flatten(), nn.Linear(7, classes))\n"
        "def narrow(shape, classes):\n    return nn.Sequential(nn.Flatten(), nn.Linear(192, classes - 1))\n"
        "def number(shape, classes):\n    return 7\n"
        "def fails(shape, classes):\n    raise KeyError('width')\n"
    )
    monkeypatch.chdir(tmp_path)
    check_network(network("own_networks:small"), (8, 8, 3), 3, 128)
    before = network_source("own_networks:small")
    assert before is not None
    assert network_source("cnn") is None
    for name, message in (("wrong", "can't train on inputs"), ("narrow", "returns .2. logits a sample")):
        with pytest.raises(UsageError, match=message):
            check_network(network(f"own_networks:{name}"), (8, 8, 3), 3, 128)
    for name, message in (("number", "is a int"), ("fails", "KeyError: 'width'"), ("absent", "cannot find network")):
        with pytest.raises(UsageError, match=message):
            network(f"own_networks:{name}")
    (tmp_path / "own_networks.py").write_text("# other code, other weights\n")
    monkeypatch.setattr("privaudit.networks.build.import_reference", lambda *_: network)
    assert network_source("own_networks:small") != before


def test_batches_of_one_and_batchnorm() -> None:
    with pytest.raises(UsageError, match="BatchNorm needs 2"):
        check_network(network("resnet18", (8, 8, 3)), (8, 8, 3), 3, 1)
    check_network(network(), (8, 8, 3), 3, 1)


@pytest.mark.parametrize("rate", [float("inf"), float("nan"), 0.0])
def test_rates_that_are_none(rate: float) -> None:
    with pytest.raises(UsageError, match="learning_rate"):
        resolve_recipe("fast", {"learning_rate": rate})


@pytest.mark.parametrize("count", [129, 257])
def test_no_batch_of_one(count: int) -> None:
    samples = small_samples(count)
    model = network("resnet18", (8, 8, 3))
    train(model, samples, np.arange(count), resolve_recipe("fast", {"epochs": 1}), 0, CPU)


def test_divergence_is_caught_and_named() -> None:
    recipe = resolve_recipe("fast", {"epochs": 3, "learning_rate": 1e9})
    with pytest.raises(TrainingDiverged, match="epoch"):
        train(network(), small_samples(), np.arange(96), recipe, 0, CPU)
    specification = ModelSpecification("cnn", (8, 8, 3), 3, ((0.5,) * 3, (0.2,) * 3), recipe, 0, CPU)
    with pytest.raises(TrainingDiverged, match="5 seeds"):
        train_with_new_seeds(specification, small_samples(), np.arange(96), ["x"])


def test_a_seed_that_diverges_is_replaced_and_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    real = train
    calls: list[tuple[Any, ...]] = []

    def fails_once(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 1:
            raise TrainingDiverged("the loss became nan in epoch 1 of 2")
        return real(*arguments)

    monkeypatch.setattr("privaudit.shadow.trainer.train", fails_once)
    recipe = resolve_recipe("fast", {"epochs": 2})
    specification = ModelSpecification("cnn", (8, 8, 3), 3, ((0.5,) * 3, (0.2,) * 3), recipe, 0, CPU)
    _, _, diverged = train_with_new_seeds(specification, small_samples(), np.arange(96), ["0003"])
    assert diverged == ["the loss became nan in epoch 1 of 2"]
    assert calls[0][4] != calls[1][4]


def augmented(images: torch.Tensor, kind: Any, epochs: int = 1, seed: int = 0) -> list[torch.Tensor]:
    """All images as one batch, in their order, in each epoch."""
    augmenter = Augmenter(kind, images.shape[1:], len(images), torch.Generator().manual_seed(seed))
    batches = []
    for epoch in range(epochs):
        augmenter.begin_epoch(epoch, torch.arange(len(images)), [len(images)], torch.device("cpu"))
        batches.append(augmenter(images))
    return batches


def test_augmentation_shifts_and_mirrors() -> None:
    images = torch.arange(2 * 6 * 6).reshape(2, 6, 6, 1).to(torch.uint8) + 1
    assert torch.equal(augmented(images, "none")[0], images)
    many = images[:1].expand(200, -1, -1, -1)
    flipped = augmented(many, "flip")[0]
    mirrored = (flipped == many.flip(2)).flatten(1).all(1)
    assert bool(((flipped == many).flatten(1).all(1) | mirrored).all())
    assert 60 < int(mirrored.sum()) < 140
    cropped = augmented(many, "crop")[0]
    padded = torch.nn.functional.pad(images[0, :, :, 0], (4, 4, 4, 4))
    windows = {tuple(padded[r : r + 6, c : c + 6].flatten().tolist()) for r in range(9) for c in range(9)}
    seen = {tuple(image.flatten().tolist()) for image in cropped}
    assert seen <= windows
    assert len(seen) > 40


def test_each_image_is_mirrored_in_every_other_epoch_and_shifted_over_its_mirrored_edges() -> None:
    image = torch.arange(36, dtype=torch.float32).reshape(6, 6, 1)
    many = image.expand(100, -1, -1, -1)
    padded = torch.nn.functional.pad(image.permute(2, 0, 1)[None], (2, 2, 2, 2), mode="reflect")[0, 0]
    windows = {tuple(padded[r : r + 6, c : c + 6].flatten().tolist()) for r in range(5) for c in range(5)}
    mirrors = {tuple(padded[r : r + 6, c : c + 6].flip(1).flatten().tolist()) for r in range(5) for c in range(5)}
    assert not windows & mirrors
    epochs = [[tuple(one.flatten().tolist()) for one in batch] for batch in augmented(many, "shift-flip", 4)]
    assert {one for epoch in epochs for one in epoch} == windows | mirrors
    first = [one in mirrors for one in epochs[0]]
    assert 30 < sum(first) < 70
    assert [one in mirrors for one in epochs[1]] == [not before for before in first]
    assert [one in mirrors for one in epochs[2]] == first


def test_what_is_drawn_does_not_depend_on_how_it_is_sent() -> None:
    """The draws of an epoch are those that one batch after the other made: weights of earlier audits stay theirs."""
    images = torch.randint(0, 256, (10, 5, 7, 3), dtype=torch.uint8)
    generator = torch.Generator().manual_seed(3)
    expected = []
    for part in images.split([4, 3, 3]):
        shift = torch.randint(0, 9, (2, len(part), 1), generator=generator)
        mirrored = torch.rand((len(part), 1), generator=generator) < 0.5
        padded = torch.nn.functional.pad(part, (0, 0, 4, 4, 4, 4))
        for each, down, right, mirror in zip(padded, shift[0, :, 0], shift[1, :, 0], mirrored[:, 0], strict=True):
            window = each[down : down + 5, right : right + 7]
            expected.append(window.flip(1) if mirror else window)
    augmenter = Augmenter("crop-flip", images.shape[1:], 10, torch.Generator().manual_seed(3))
    augmenter.begin_epoch(0, torch.arange(10), [4, 3, 3], torch.device("cpu"))
    batches = [augmenter(part) for part in images.split([4, 3, 3])]
    assert torch.equal(torch.cat(batches), torch.stack(expected))


def test_inputs_are_channels_last_on_the_unit_scale() -> None:
    images = torch.full((2, 5, 4, 3), 255, dtype=torch.uint8)
    batch = as_network_input(images)
    assert batch.shape == (2, 3, 5, 4)
    assert batch.is_contiguous(memory_format=torch.channels_last)
    assert float(batch.max()) == 1


def test_hardware() -> None:
    assert resolve_hardware("cpu", "fp32") == Hardware("cpu", "fp32")
    assert resolve_hardware("cpu", "auto").precision in ("fp32", "bf16")
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="no CUDA device"):
            resolve_hardware("cuda", "auto")


def test_views_shift_and_mirror() -> None:
    image = torch.arange(1, 10, dtype=torch.uint8).reshape(1, 3, 3, 1)
    assert view(image, 0, 0, True)[0, :, :, 0].tolist() == [[3, 2, 1], [6, 5, 4], [9, 8, 7]]
    assert view(image, 1, 0, False)[0, :, :, 0].tolist() == [[0, 0, 0], [1, 2, 3], [4, 5, 6]]
    assert view(image, 0, -1, False)[0, :, :, 0].tolist() == [[2, 3, 0], [5, 6, 0], [8, 9, 0]]
    assert view(image, 0, 0, False) is image


def test_queries_are_parsed_and_found_again() -> None:
    assert parse_queries("flip") == ("original", "flip")
    assert parse_queries("shift, original,flip,flip") == ("original", "flip", "shift")
    assert columns_of(("original", "flip", "shift"), ("original", "shift")) == [0, 2, 3, 4, 5]
    assert parse_queries("recipe") == parse_queries("recipe", "none") == ("original",)
    assert parse_queries("recipe", "shift-flip") == ("original", "flip", "shift")
    with pytest.raises(UsageError, match="says itself how it augments"):
        parse_queries("recipe", None)
    with pytest.raises(UsageError, match="unknown query 'spin'"):
        parse_queries("original,spin")
