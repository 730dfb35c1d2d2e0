"""Training speed against the textbook loop, in one run: medians of interleaved measurements.

    python benchmarks/training.py --network cnn --dataset mnist --data-dir data
    python benchmarks/training.py --network resnet18 --dataset cifar10 --data-dir data

Ours is what an audit does: one process a core, one thread each, uint8 data in memory, channels-last, bf16 where the
hardware has it. The textbook form is what tutorials do: a dataset of PIL images with torchvision transforms, a
DataLoader, fp32, torch's default number of threads, one model at a time. Same network, batch size and optimiser
settings; both see the same number of samples.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from joblib import Parallel, delayed
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import transforms

from privaudit.config import available_cores
from privaudit.data import Dataset, load_dataset
from privaudit.networks import build_network
from privaudit.training.hardware import Hardware, keep_freed_memory, resolve_hardware
from privaudit.training.loop import Samples, train
from privaudit.training.recipe import Recipe, resolve_recipe

Scale = tuple[tuple[float, ...], tuple[float, ...]]


class PictureDataset(torch.utils.data.Dataset[Any]):
    """What torchvision's MNIST and CIFAR10 do for one sample: array, PIL image, transform."""

    def __init__(self, data: Dataset, transform: Any) -> None:
        self._images = data.x_train.squeeze(-1) if data.x_train.shape[-1] == 1 else data.x_train
        self._labels = data.y_train.tolist()
        self._transform = transform

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        return self._transform(Image.fromarray(self._images[row])), self._labels[row]


def ours(data: Dataset, network: str, recipe: Recipe, hardware: Hardware, scale: Scale, seed: int) -> None:
    """Train one model in this process with one thread."""
    from torch import set_num_threads  # a worker gets this function by value, and torch itself can't be pickled

    set_num_threads(1)
    keep_freed_memory()
    model = build_network(network, data.input_shape, data.classes, scale, seed)
    samples = Samples.from_arrays(data.x_train, data.y_train, "cpu")
    train(model, samples, np.arange(len(data)), recipe, seed, hardware)


def textbook(data: Dataset, network: str, recipe: Recipe, scale: Scale, loader_workers: int) -> float:
    """Train one model the way tutorials do; return its seconds."""
    steps = []
    if recipe.augment == "crop-flip":
        steps += [transforms.RandomCrop(data.input_shape[0], padding=4), transforms.RandomHorizontalFlip()]
    pictures = PictureDataset(data, transforms.Compose([*steps, transforms.ToTensor()]))
    loader = DataLoader(pictures, recipe.batch_size, shuffle=True, num_workers=loader_workers)
    model = build_network(network, data.input_shape, data.classes, scale, 0)
    model = model.to(memory_format=torch.contiguous_format)
    optimizer = torch.optim.SGD(
        model.parameters(), recipe.learning_rate, recipe.momentum, weight_decay=recipe.weight_decay
    )
    model.train()
    start = time.perf_counter()
    for _ in range(recipe.epochs):
        for inputs, labels in loader:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(inputs), labels).backward()
            optimizer.step()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="cnn")
    parser.add_argument("--dataset", default="mnist")
    parser.add_argument("--data-dir", type=Path, default=None)
    parser.add_argument("--samples", type=int, default=8192, help="samples a measurement trains on, per model")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--augment", default="none", choices=["none", "crop-flip"])
    options = parser.parse_args()
    data = load_dataset(options.dataset, data_dir=options.data_dir, samples=options.samples)
    recipe = resolve_recipe("fast", {"epochs": 1, "augment": options.augment})
    hardware, cores, scale = resolve_hardware("cpu", "auto"), available_cores(), data.channel_statistics()
    threads = torch.get_num_threads()
    speeds: dict[str, list[float]] = {"ours": [], "textbook": [], "textbook, 2 loader processes": []}
    arguments = (data, options.network, recipe, hardware, scale)
    with Parallel(n_jobs=cores) as pool:
        pool(delayed(ours)(*arguments, seed) for seed in range(cores))  # start the workers and warm up
        for _ in range(options.rounds):
            start = time.perf_counter()
            pool(delayed(ours)(*arguments, seed) for seed in range(cores))
            speeds["ours"].append(cores * len(data) / (time.perf_counter() - start))
            torch.set_num_threads(threads)
            for name, loader_workers in (("textbook", 0), ("textbook, 2 loader processes", 2)):
                speeds[name].append(len(data) / textbook(data, options.network, recipe, scale, loader_workers))
    print(f"{options.network} on {options.dataset}, {len(data):,} samples, {cores} cores, {hardware.precision}")
    for name, values in speeds.items():
        print(f"  {name:<30} {statistics.median(values):>9,.0f} samples/s (median of {len(values)})")
    best = max(speeds["textbook"], speeds["textbook, 2 loader processes"], key=statistics.median)
    ratios = [mine / theirs for mine, theirs in zip(speeds["ours"], best, strict=True)]
    print(f"  ratio to the better textbook form: {statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})")


if __name__ == "__main__":
    main()
