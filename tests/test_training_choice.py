"""Which network and recipe an audit gets where nobody says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from privaudit.audit.network_and_recipe import FEWEST_STEPS, choose_training
from privaudit.config import AuditSettings, defaults_for
from privaudit.data import Dataset, load_dataset
from privaudit.errors import UsageError


def images(side: int, count: int, channels: int = 3) -> Dataset:
    digits = load_dataset("digits")
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (count, side, side, channels)).astype(np.uint8)
    labels = np.arange(count) % 10
    own: dict[str, Any] = {"x_train": pixels, "y_train": labels, "x_test": pixels[:20], "y_test": labels[:20]}
    return replace(digits, name="own", sample_ids=np.arange(count), paths=None, **own)


def choice(data: Dataset, dataset: str = "own.npz", **settings: Any) -> tuple[str, Any]:
    asked = AuditSettings(dataset=dataset, **settings)
    return choose_training(asked, defaults_for(dataset, "cpu", data.is_image), data)


def test_images_of_16_pixels_and_more_get_the_network_made_for_short_training() -> None:
    network, recipe = choice(images(32, 10_000), "cifar10")
    assert network == "airbench-narrow"
    assert (recipe.name, recipe.epochs, recipe.augment) == ("airbench", 12, "shift-flip")
    assert choice(images(16, 400))[0] == "airbench-narrow"


def test_smaller_images_get_the_cnn() -> None:
    network, recipe = choice(images(15, 400))
    assert (network, recipe.name, recipe.epochs) == ("cnn", "fast", 20)


def test_digits_are_trained_as_ever() -> None:
    data = load_dataset("digits")
    network, recipe = choice(data, "digits")
    assert (network, recipe.name, recipe.epochs, recipe.augment) == ("cnn", "fast", 40, "none")


def test_a_named_network_keeps_its_recipe() -> None:
    """Earlier audits of the cnn keep their names: it trains as it did when it was the default."""
    network, recipe = choice(images(32, 10_000), "cifar10", network="cnn")
    assert (network, recipe.name, recipe.epochs, recipe.augment) == ("cnn", "fast", 20, "none")
    assert choice(images(32, 400), network="resnet18")[1].name == "fast"
    assert choice(images(32, 400), network="airbench-wide")[1].name == "airbench"
    assert choice(images(32, 400), network="airbench_of_mine.py:net")[1].name == "fast"
    assert choice(images(32, 400), network="airbench:net")[1].name == "fast"


def test_few_samples_get_smaller_batches_and_very_few_more_epochs() -> None:
    expected = {40: (32, 240), 500: (32, 30), 3_000: (64, 12), 10_000: (256, 12), 20_000: (256, 12)}
    for count, (batch, epochs) in expected.items():
        recipe = choice(images(16, count))[1]
        assert (recipe.batch_size, recipe.epochs) == (batch, epochs)
        assert recipe.epochs * -(-(count // 2) // recipe.batch_size) >= FEWEST_STEPS
        assert recipe.learning_rate == pytest.approx(0.5 * batch / 256)
    assert choice(images(16, 500), batch_size=128)[1].learning_rate == pytest.approx(0.25)
    assert choice(images(16, 500), batch_size=128, learning_rate=0.3)[1].learning_rate == 0.3


def test_what_was_asked_for_goes_before_every_default() -> None:
    recipe = choice(images(32, 400), epochs=3, batch_size=16, augment="none", recipe="airbench", network="cnn")[1]
    assert (recipe.name, recipe.epochs, recipe.batch_size, recipe.augment) == ("airbench", 3, 16, "none")
    assert choice(images(32, 400), recipe="paper")[1].epochs == 200
    assert choice(images(32, 400), recipe="fast")[1].epochs == 20


def test_views_of_feature_vectors_are_refused() -> None:
    data = images(16, 400)
    features = {name: getattr(data, name).reshape(len(getattr(data, name)), -1) / 255 for name in ("x_train", "x_test")}
    flat = replace(data, **{name: array.astype(np.float32) for name, array in features.items()})
    assert choice(flat)[0] == "mlp"
    assert choice(flat, recipe="airbench", network="mlp")[1].augment == "none"
    with pytest.raises(UsageError, match="augment 'crop' is for images"):
        choice(flat, augment="crop")


def test_a_recipe_beside_a_function_that_trains_is_a_mistake() -> None:
    with pytest.raises(UsageError, match="--recipe means nothing with --training"):
        choice(images(16, 400), training="own.py:fit", recipe="airbench")
