"""How long a network trains until it is right on a share of the test images: time to accuracy.

    python benchmarks/accuracy.py --data-dir data --network airbench-narrow airbench --epochs 8 12 16 --reach .85 .89
    python benchmarks/accuracy.py --data-dir data --network resnet18 --epochs 8 16 --epoch-only

Every schedule is a training of its own, from the first step to a rate of nothing: what an accuracy costs is the
shortest one that ends at or above it. Processor seconds of one thread, as a worker of an audit has; two cores train two
models in that time. ``--epoch-only`` times a part of an epoch instead and says what whole schedules would take.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from privaudit.audit.network_and_recipe import choose_training
from privaudit.config import AuditSettings, defaults_for, has_own_recipe
from privaudit.data import Dataset, load_dataset
from privaudit.networks import build_network
from privaudit.shadow.trainer import one_thread
from privaudit.training.hardware import Hardware, resolve_hardware
from privaudit.training.loop import Samples, logits_of, train
from privaudit.training.recipe import Recipe

#: Batches that stand for an epoch with ``--epoch-only``.
FEW_BATCHES = 8


@dataclass(frozen=True)
class Trained:
    """One schedule: its epochs, processor seconds, and the share of the test images that it is right on."""

    epochs: int
    seconds: float
    accuracy: float | None


def recipe_of(network: str, epochs: int, data: Dataset) -> Recipe:
    """The recipe of an audit with this network, for that many epochs; augmented."""
    augment = None if has_own_recipe(network) else "crop-flip"
    settings = AuditSettings(dataset=data.name, network=network, epochs=epochs, augment=augment)
    return choose_training(settings, defaults_for(data.name, "cpu", True), data)[1]


def run(network: str, epochs: int, data: Dataset, hardware: Hardware, epoch_only: bool) -> Trained:
    """Train one model by one schedule, or time a part of an epoch of it."""
    recipe = recipe_of(network, epochs, data)
    everyone = np.arange(len(data))
    model = build_network(network, data.input_shape, data.classes, data.channel_statistics(), 0)
    model = model.to(hardware.torch_device)
    samples = Samples.from_arrays(data.x_train, data.y_train, hardware.device)
    if epoch_only:
        some = everyone[: FEW_BATCHES * recipe.batch_size]
        once = recipe.model_copy(update={"epochs": 1, "learning_rate": 1e-9})
        train(model, samples, some[: recipe.batch_size], once, 0, hardware)
        begun = time.process_time()
        train(model, samples, some, once, 0, hardware)
        return Trained(epochs, (time.process_time() - begun) / len(some) * len(data) * epochs, None)
    begun = time.process_time()
    train(model, samples, everyone, recipe, 0, hardware)
    seconds = time.process_time() - begun
    test = Samples.from_arrays(data.x_test, data.y_test, hardware.device)
    return Trained(epochs, seconds, float((logits_of(model, test).argmax(1) == data.y_test).mean()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--samples", type=int, help="of the training set [all]")
    parser.add_argument("--network", nargs="+", default=["airbench-narrow", "airbench", "cnn"])
    parser.add_argument("--epochs", nargs="+", type=int, default=[8, 12, 16, 24])
    parser.add_argument("--reach", nargs="+", type=float, default=[0.85, 0.89])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--epoch-only", action="store_true")
    options = parser.parse_args()
    hardware = resolve_hardware(options.device, "auto")
    data = load_dataset(options.dataset, data_dir=options.data_dir, samples=options.samples, seed=0)
    print(f"{data.source}, {len(data):,} training images, {hardware.device} {hardware.precision}, one thread")
    for network in options.network:
        trained: list[Trained] = []
        with one_thread(hardware):
            for epochs in sorted(options.epochs):
                trained.append(run(network, epochs, data, hardware, options.epoch_only))
                accuracy = trained[-1].accuracy
                told = "" if accuracy is None else f", right on {accuracy:.4f}"
                print(f"  {network}, {epochs} epochs: {trained[-1].seconds:,.0f} s{told}", flush=True)
        for goal in [] if options.epoch_only else options.reach:
            first = next((one for one in trained if one.accuracy is not None and one.accuracy >= goal), None)
            told = "not reached" if first is None else f"{first.seconds:,.0f} s ({first.epochs} epochs)"
            print(f"  {network}, {goal:.0%}: {told}")


if __name__ == "__main__":
    main()
