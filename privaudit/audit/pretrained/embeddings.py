"""What a frozen network makes of every image, once: embeddings, kept with the audit, on which heads are trained."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from privaudit.config import available_cores
from privaudit.data import Dataset
from privaudit.errors import DataError
from privaudit.networks.classifier import Classifier
from privaudit.networks.pretrained.build import embedder, width_of_head
from privaudit.networks.pretrained.description import Pretrained
from privaudit.runtime import files
from privaudit.runtime.progress import progress
from privaudit.runtime.user_code import user_code
from privaudit.shadow.specification import ModelSpecification
from privaudit.shadow.trainer import one_thread
from privaudit.training.hardware import Hardware
from privaudit.training.loop import as_network_input

FloatArray = npt.NDArray[np.float32]

#: Images that go through the network at once. Part of what decides the last bits of an embedding.
BATCH = 32


@dataclass(frozen=True)
class Embedded:
    """Embeddings float32 ``[N, D]`` of the training and of the test samples, in the order of the data."""

    train: FloatArray
    test: FloatArray

    @property
    def parts(self) -> tuple[FloatArray, FloatArray]:
        """Both, the training samples' first."""
        return self.train, self.test

    def statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and deviation of each number over the training samples; a constant one gets deviation 1."""
        mean, deviation = self.train.mean(0, dtype=np.float64), self.train.std(0, dtype=np.float64)
        return tuple(map(float, mean)), tuple(map(float, np.where(deviation > 1e-8, deviation, 1.0)))

    def write(self, path: Path) -> None:
        """Write both parts as one array, and seal it."""
        files.write_array(path, np.concatenate([self.train, self.test]))
        files.seal(path)


def embeddings_of(specification: ModelSpecification, data: Dataset, path: Path) -> Embedded:
    """Read the audit's embeddings where they are whole, and make them anew where not."""
    if files.is_whole(path):
        kept = files.read_array(path)
        if kept.ndim == 2 and len(kept) == len(data) + len(data.y_test):
            return Embedded(kept[: len(data)], kept[len(data) :])
    return embed(of_a_head(specification), data, specification.hardware)


def of_heads(specification: ModelSpecification, made: Embedded) -> ModelSpecification:
    """Return the specification of heads that take these embeddings."""
    return replace(specification, input_shape=made.train.shape[1:], statistics=made.statistics())


def of_a_head(specification: ModelSpecification) -> Pretrained:
    """The pretrained network that a specification of heads is of."""
    assert specification.pretrained is not None  # noqa: S101 - heads are of one
    return specification.pretrained


def embed(pretrained: Pretrained, data: Dataset, hardware: Hardware) -> Embedded:
    """Put every image through the frozen network once, in eval mode and fp32.

    Each batch is computed by one thread, several side by side: the bits do not depend on how many.

    Raises
    ------
    DataError
        Where what it makes of an image is not a number.
    """
    model = embedder(pretrained, data.classes).to(hardware.torch_device)
    total = len(data) + len(data.y_test)
    threads = available_cores() if hardware.device == "cpu" else 1
    with one_thread(hardware), progress(f"embedding {total:,} images", total) as bar:
        parts = [_embed(model, images, hardware, threads, bar.advance) for images in (data.x_train, data.x_test)]
    for part, found in zip(("training", "test"), parts, strict=True):
        wrong = np.flatnonzero(~np.isfinite(found).all(axis=1))
        if len(wrong):
            raise DataError(
                f"what the network makes of {part} row {wrong[0]} is not numbers ({len(wrong):,} such rows)"
            )
    return Embedded(*parts)


def _embed(
    model: Classifier, images: npt.NDArray[Any], hardware: Hardware, threads: int, told: Callable[[int], None]
) -> FloatArray:
    def of_batch(start: int) -> FloatArray:
        # Each thread of Python's has its own say whether gradients are taken.
        with torch.inference_mode():
            batch = torch.from_numpy(np.ascontiguousarray(images[start : start + BATCH]))
            found = model(as_network_input(batch.to(hardware.torch_device)))
            embeddings: FloatArray = found.float().cpu().numpy()
            return embeddings

    parts = []
    with user_code(), ThreadPoolExecutor(threads) as pool:
        for part in pool.map(of_batch, range(0, len(images), BATCH)):
            parts.append(part)
            told(len(part))
    return np.concatenate(parts)


def stand_in(specification: ModelSpecification, data: Dataset) -> Embedded:
    """Noise of the embeddings' shape: to tell what a training takes, not what comes of it."""
    random, width = np.random.default_rng(0), width_of_head(of_a_head(specification), data.classes)
    train, test = (random.standard_normal((size, width), dtype=np.float32) for size in (len(data), len(data.y_test)))
    return Embedded(train, test)
