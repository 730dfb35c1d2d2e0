"""Reconstructions of every class from one model, as a job that leaves them in the store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from privaudit.engines.base import Report
from privaudit.inversion.classes.class_ascent import reconstruct_classes
from privaudit.inversion.classes.class_prior import ClassPrior
from privaudit.inversion.image_scale import PixelScale
from privaudit.runtime import files
from privaudit.shadow.specification import ModelSpecification
from privaudit.shadow.store import AuditStore
from privaudit.shadow.trainer import load_model, one_thread

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class SampleScale:
    """From samples as they are stored to flat ones on a common scale, and from these to a network's input.

    Parameters
    ----------
    shape
        Of one input: ``(H, W, C)`` or ``(D,)``.
    pixels
        Of images; None of features.
    mean, deviation
        float32 ``[D]`` of features, by held-out samples; empty of images.
    """

    shape: tuple[int, ...]
    pixels: PixelScale | None
    mean: Floats
    deviation: Floats

    @classmethod
    def of(cls, train: npt.NDArray[Any], held_out: npt.NDArray[Any]) -> SampleScale:
        """Of training samples, whose range of pixels counts, and of held-out ones, whose spread does."""
        shape = tuple(int(side) for side in train.shape[1:])
        if train.ndim == 4:
            return cls(shape, PixelScale.of(train), np.zeros(0, np.float32), np.zeros(0, np.float32))
        spread = held_out.std(axis=0, dtype=np.float64)
        deviation = np.where(spread > 1e-8, spread, 1.0).astype(np.float32)
        return cls(shape, None, held_out.mean(axis=0, dtype=np.float64).astype(np.float32), deviation)

    def flat(self, samples: npt.NDArray[Any]) -> Floats:
        """Return samples as float32 ``[N, D]``."""
        if self.pixels is not None:
            return np.ascontiguousarray(self.pixels.to_unit(samples).reshape(len(samples), -1))
        found: Floats = (samples.astype(np.float32) - self.mean) / self.deviation
        return found

    def to_input(self, flat: torch.Tensor) -> torch.Tensor:
        """Return what the network takes."""
        if self.pixels is not None:
            return self.pixels.to_input(flat.reshape(-1, *self.shape)).permute(0, 3, 1, 2)
        mean, deviation = (torch.from_numpy(part).to(flat.device) for part in (self.mean, self.deviation))
        return flat * deviation + mean


@dataclass(frozen=True)
class ClassJob:
    """One model, and where its reconstructions go."""

    key: str
    path: Path


@dataclass(frozen=True)
class ClassSetting:
    """What all jobs have in common."""

    store: AuditStore
    specification: ModelSpecification
    prior: ClassPrior
    scale: SampleScale


def class_job(job: ClassJob, setting: ClassSetting, report: Report) -> None:
    """Reconstruct every class from one model, and seal what was found: float32 ``[C, D]``."""
    specification = setting.specification
    with one_thread(specification.hardware):
        model = load_model(specification, setting.store.model(job.key))
        device = specification.hardware.torch_device
        found = reconstruct_classes(model, setting.prior, specification.classes, setting.scale.to_input, device)
    files.write_array(job.path, found)
    files.seal(job.path)
    report(1.0)


@torch.inference_mode()
def predicted(setting: ClassSetting, key: str, flat: Floats) -> npt.NDArray[np.int64]:
    """Which class a model takes flat samples for."""
    specification = setting.specification
    with one_thread(specification.hardware):
        model = load_model(specification, setting.store.model(key))
        inputs = setting.scale.to_input(torch.from_numpy(flat).to(specification.hardware.torch_device))
        return np.asarray(model(inputs).argmax(dim=1).cpu().numpy(), np.int64)
