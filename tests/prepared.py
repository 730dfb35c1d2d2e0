"""A folder in which the commands of the documentation can be run: data, and files of every kind that they name."""

from __future__ import annotations

import re
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.conftest import ROOT, save_noisy_images

UINT8 = np.dtype[np.uint8]

OWN = """
import numpy as np
from torch import nn


def photos():
    arrays = np.load("photos.npz")
    return {name: arrays[name] for name in ("x_train", "y_train", "x_test", "y_test")}


def network(input_shape, classes):
    height, width, channels = input_shape
    return nn.Sequential(nn.Flatten(), nn.Linear(height * width * channels, classes))


def fit(model, inputs, labels, seed, device, report):
    import torch
    from torch.nn.functional import cross_entropy

    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        cross_entropy(model(inputs), labels).backward()
        optimizer.step()


data, net = photos, network
"""


def make_folder(folder: Path) -> None:
    """Write everything but audits into ``folder``."""
    random = np.random.default_rng(0)
    _write_mnist(folder / "data" / "MNIST" / "raw", random)
    _write_cifar10(folder / "data" / "cifar10", random)
    save_noisy_images(folder / "photos.npz")
    for name in ("logits.npz", "models.npz", "FILE.npz"):
        _write_logits(folder / name)
    _write_answers(folder / "answers.npz", random)
    (folder / "own.py").write_text(OWN, "utf-8")
    _write_weights(folder / "own.pt")
    # Every row of the generated MNIST, so that any subset of it is there.
    rows = [f"{sample},{'north' if sample % 3 else 'south'}" for sample in range(200)]
    (folder / "people.csv").write_text("\n".join(["sample_id,region", *rows]) + "\n", "utf-8")
    _write_customers(folder / "customers.csv", random)
    page = (ROOT / "docs" / "commands.md").read_text("utf-8")
    (settings,) = re.findall(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (folder / "audit.toml").write_text(settings, "utf-8")
    (folder / "sweep.toml").write_text("[decayed]\nweight_decay = 0.01\n", "utf-8")
    shutil.copytree(ROOT / "examples", folder / "examples", ignore=shutil.ignore_patterns("__pycache__"))


def _write_answers(path: Path, random: np.random.Generator) -> None:
    """Logits of one model, surer of its members."""
    labels, member = random.integers(0, 3, 200), np.arange(200) < 100
    logits = random.normal(size=(200, 3))
    logits[np.arange(200), labels] += 1 + member
    np.savez(path, logits=logits, labels=labels, member=member)


def _images(random: np.random.Generator, labels: Any, shape: tuple[int, ...]) -> np.ndarray[Any, UINT8]:
    """A pattern for each class, under noise."""
    patterns = random.integers(0, 256, (10, *shape))
    noise = random.integers(0, 256, (len(labels), *shape))
    found: np.ndarray[Any, UINT8] = (0.6 * patterns[labels] + 0.4 * noise).astype(np.uint8)
    return found


def _write_mnist(folder: Path, random: np.random.Generator) -> None:
    """Torchvision's layout, 200 and 100 samples."""
    folder.mkdir(parents=True)
    labels = np.arange(300, dtype=np.uint8) % 10
    images = _images(random, labels, (28, 28))
    for part, rows in (("train", slice(0, 200)), ("t10k", slice(200, 300))):
        for kind, array in (("images-idx3", images[rows]), ("labels-idx1", labels[rows])):
            header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
            (folder / f"{part}-{kind}-ubyte").write_bytes(header + array.tobytes())


def _write_cifar10(folder: Path, random: np.random.Generator) -> None:
    """A tree of JPEG images, 20 and 10 a class."""
    labels = np.arange(300) % 10
    for number, (image, label) in enumerate(zip(_images(random, labels, (32, 32, 3)), labels, strict=True)):
        place = folder / ("train" if number < 200 else "test") / f"class-{label}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{number:04d}.jpg")


def _write_customers(path: Path, random: np.random.Generator) -> None:
    """A table of 300 rows, with ids of words and some cells missing."""
    age = random.normal(45, 12, 300).round(1)
    columns = {
        "customer_id": [f"K-{number:05d}" for number in random.permutation(300)],
        "age": np.where(random.random(300) < 0.05, "", age.astype(str)),
        "region": random.choice(["north", "south"], 300),
        "joined": [f"{1 + number % 28}.{1 + number % 12}.2024" for number in range(300)],
        "notes": [f"note {number}" for number in range(300)],
        "churned": np.where(age + random.normal(0, 12, 300) > 45, "yes", "no"),
    }
    rows = [",".join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    path.write_text("\n".join([",".join(columns), *rows]) + "\n", "utf-8")


def _write_logits(path: Path) -> None:
    """Sixteen models in pairs, 400 samples: the true class is further ahead where it was seen."""
    random = np.random.default_rng(1)
    half = np.stack([random.permutation(400) < 200 for _ in range(8)])
    keep = np.stack([half, ~half], axis=1).reshape(16, 400)
    labels = random.integers(0, 3, 400)
    logits = random.normal(size=(16, 400, 3))
    logits[:, np.arange(400), labels] += 1 + keep
    np.savez(path, logits=logits.astype(np.float32), keep=keep, labels=labels)


def _write_weights(path: Path) -> None:
    """A state dict of `OWN`'s network."""
    import torch

    torch.manual_seed(0)
    torch.save({"1.weight": torch.randn(3, 64) / 8, "1.bias": torch.zeros(3)}, path)
