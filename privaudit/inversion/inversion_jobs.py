"""One batch of inversions as a job that leaves its results in the store, sealed."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from privaudit.engines.base import Report
from privaudit.engines.kept_results import REMEDY
from privaudit.inversion.analytic import FeatureMatched, FeatureReader, match_features, recover_input
from privaudit.inversion.gradient_engines.engine_choice import make_engine
from privaudit.inversion.gradient_engines.sample_gradients import (
    GradientEngine,
    Gradients,
    named,
    norms,
    observe,
    soft_cross_entropy,
)
from privaudit.inversion.image_scale import PixelScale
from privaudit.inversion.image_similarity import place, psnr_of_error, ssim
from privaudit.inversion.label_recovery import recover_labels
from privaudit.inversion.matching import Canvas, match_gradients
from privaudit.inversion.network_structure import Structure, find_structure
from privaudit.inversion.presets import FeatureAttack, MatchingAttack, RefiningAttack
from privaudit.inversion.proxies import proxies_of
from privaudit.results.audit.inversion_results import EngineChoice
from privaudit.runtime import files
from privaudit.runtime.seeds import derive_seed
from privaudit.shadow.specification import ModelSpecification
from privaudit.shadow.store import AuditStore
from privaudit.shadow.trainer import load_model, one_thread

Tier = Literal["proxies", "features", "matching"]


def positions_in(known: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Where each row stands in a sorted list; −1 where it does not."""
    place_of = np.minimum(np.searchsorted(known, rows), len(known) - 1)
    return np.where(known[place_of] == rows, place_of, -1)


@dataclass(frozen=True)
class AttackSetting:
    """What all jobs have in common, whatever their attacker sees, as every worker gets it.

    Parameters
    ----------
    inputs, labels
        Of the pool.
    reference
        Rows of the pool that reconstructions are held against, sorted.
    store, specification
        Whose models are attacked.
    at
        ``"trained"`` models, or fresh ones at ``"init"``.
    attack, pixels
        How images are sought.
    """

    inputs: npt.NDArray[Any]
    labels: npt.NDArray[np.int64]
    reference: npt.NDArray[np.int64]
    store: AuditStore
    specification: ModelSpecification
    at: Literal["trained", "init"]
    attack: MatchingAttack
    pixels: PixelScale

    def model(self, key: str) -> nn.Module:
        """The attacked model in eval mode: that of the store, or the fresh network that it could have started from."""
        if self.at == "init":
            return self.specification.build("untrained", key).eval()
        return load_model(self.specification, self.store.model(key))

    def held_against(self) -> tuple[npt.NDArray[Any], float]:
        """The reference images, and what turns them into unit ones: bytes are divided where they are compared."""
        reference = self.inputs[self.reference]
        return (reference, 255.0) if reference.dtype == np.uint8 else (self.pixels.to_unit(reference), 1.0)

    def positions(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Which reference each of ``rows`` is; −1 where it is none."""
        return positions_in(self.reference, rows)

    def distribution(self, labels: torch.Tensor) -> torch.Tensor:
        """Labels as distributions over classes."""
        return nn.functional.one_hot(labels, self.specification.classes).float()


@dataclass(frozen=True)
class InversionSetting(AttackSetting):
    """The setting of attacks on the gradient of one sample.

    Parameters
    ----------
    sample_ids
        Of the pool.
    features
        Feature matching.
    clip, noise
        A defence: see `privaudit.inversion.gradient_engines.sample_gradients.observe`.
    calibration
        How to run it.
    iterations
        Power iterations for the curvature; 0 leaves it out.
    """

    sample_ids: npt.NDArray[np.int64]
    features: FeatureAttack
    clip: float | None
    noise: float
    calibration: EngineChoice
    iterations: int


@dataclass(frozen=True)
class InversionJob:
    """Some searches against one model: ``rows[i]`` of the pool from start number ``restarts[i]``."""

    tier: Tier
    model: str
    rows: npt.NDArray[np.int64]
    restarts: npt.NDArray[np.int64]
    path: Path
    work: float


def invert_job(job: InversionJob, setting: InversionSetting, report: Report) -> None:
    """Run one job and seal its results: an ``.npz`` of one entry a search."""
    with one_thread(setting.specification.hardware):
        found = _Bench(job, setting).run(report)
    keep_result(job.path, found)
    report(job.work)


def keep_result(path: Path, found: dict[str, npt.NDArray[Any]]) -> None:
    """Write what a job came to, and seal it."""
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **found)
    files.write_bytes(path, content.getvalue())
    files.seal(path)


def read_result(path: Path) -> dict[str, npt.NDArray[Any]]:
    """What a finished job left."""
    files.demand_whole(path, REMEDY)
    with np.load(path, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


class _Bench:
    """One job with its model and data on the device."""

    def __init__(self, job: InversionJob, setting: InversionSetting) -> None:
        self.job, self.setting = job, setting
        device = setting.specification.hardware.torch_device
        self.model = setting.model(job.model)
        self.engine: GradientEngine = make_engine(setting.calibration.engine, self.model, setting.calibration.batch)
        self.unit = setting.pixels.to_unit(setting.inputs[job.rows])
        images = torch.from_numpy(self.unit).permute(0, 3, 1, 2).to(device)
        self.inputs = setting.pixels.to_input(images)
        self.labels = torch.from_numpy(setting.labels[job.rows]).to(device)
        self.structure: Structure = find_structure(self.model, self.inputs[:2])

    def run(self, report: Report) -> dict[str, npt.NDArray[Any]]:
        """Results by name, ``[n, …]`` each."""
        return {"proxies": self._proxies, "features": self._features, "matching": self._matching}[self.job.tier](report)

    def _proxies(self, report: Report) -> dict[str, npt.NDArray[Any]]:
        """T0."""
        setting, starts = self.setting, self._noise("power-iteration", normal=True)
        found = proxies_of(self.engine, self.inputs, setting.distribution(self.labels), starts, setting.iterations)
        return {
            "gradient_norm": _array(found.gradient_norm),
            "curvature": _array(found.curvature),
        }

    def _features(self, report: Report) -> dict[str, npt.NDArray[Any]]:
        """T1: in closed form where the first layer allows it, else by feature matching."""
        read, beside = [], []
        # Whole gradients are large: of each batch only what is read stays.
        for start in range(0, len(self.inputs), self.setting.calibration.batch):
            part = slice(start, start + self.setting.calibration.batch)
            seen = self._observed(part)
            read.append(self._read(seen))
            beside.append(self._confounders(seen, part))
        values, starts = torch.cat(read), self._noise("feature-start")
        found = self._of_features(values, starts, self.setting.features, _Count(report).add)
        judged = self._judge(found.images)
        judged.pop("images")
        joined = {name: np.concatenate([one[name] for one in beside]) for name in beside[0]}
        return judged | {"objective": _array(found.objective)} | joined

    @property
    def _layer(self) -> str:
        """The layer whose input is read off its gradient."""
        layer = self.structure.first or self.structure.last
        assert layer is not None  # noqa: S101 - no such job is made without a layer to read
        return layer

    def _read(self, seen: Gradients) -> torch.Tensor:
        gradients = named(self.model, seen)
        return recover_input(gradients[f"{self._layer}.weight"], gradients[f"{self._layer}.bias"])

    def _of_features(
        self, values: torch.Tensor, starts: torch.Tensor, attack: FeatureAttack, on_step: Callable[[int], None] | None
    ) -> FeatureMatched:
        """Images that have the features that were read; where these are the image itself nothing is sought."""
        if self.structure.first is not None:
            own_units = Canvas.of(self.model, self.setting.pixels, standardised=True)
            images = own_units.unit(values.reshape(starts.shape)).clamp(0, 1)
            return FeatureMatched(images, torch.zeros(len(images)))
        canvas = Canvas.of(self.model, self.setting.pixels, standardised=False)
        return match_features(FeatureReader(self.model, self._layer), values, starts, attack, canvas, on_step)

    def _matching(self, report: Report) -> dict[str, npt.NDArray[Any]]:
        """T2."""
        attack, everything = self.setting.attack, slice(None)
        seen = self._observed(everything)
        recovered = self._recovered_labels(named(self.model, seen))
        labels = self.labels if recovered is None else recovered
        canvas = Canvas.of(self.model, self.setting.pixels, standardised=attack.standardised)
        starts = self._noise("matching-start", normal=attack.start == "normal")
        if isinstance(attack, RefiningAttack):
            starts = self._of_features(self._read(seen), starts, attack.features, None).images
        done = _Count(report)
        found = match_gradients(self.engine, seen, self.setting.distribution(labels), starts, attack, canvas, done.add)
        results = self._judge(found.images) | self._confounders(seen, everything)
        results |= {"objective": _array(found.objective), "steps": found.steps.cpu().numpy()}
        if recovered is not None:
            results["label_right"] = _array(recovered == self.labels)
        return results

    def _confounders(self, seen: Gradients, part: slice) -> dict[str, npt.NDArray[Any]]:
        """The norm of the gradient that was seen, and the loss that it came from."""
        with torch.no_grad():
            loss = soft_cross_entropy(self.model(self.inputs[part]), self.setting.distribution(self.labels[part]))
        return {"gradient_norm": _array(norms(seen)), "loss": _array(loss)}

    def _observed(self, part: slice) -> Gradients:
        setting, job = self.setting, self.job
        seeds = [
            derive_seed(setting.specification.seed, "gradient-noise", job.model, int(sample))
            for sample in setting.sample_ids[job.rows[part]]
        ]
        labels = self.setting.distribution(self.labels[part])
        return observe(self.engine, self.inputs[part], labels, clip=setting.clip, noise=setting.noise, seeds=seeds)

    def _recovered_labels(self, gradients: dict[str, torch.Tensor]) -> torch.Tensor | None:
        """Labels read off the last layer; None where the attack does not, or there is no such layer to read."""
        last = self.structure.last
        if self.setting.attack.joint_label or last is None:
            return None
        return recover_labels(gradients.get(f"{last}.bias"), gradients[f"{last}.weight"])

    def _noise(self, purpose: str, *, normal: bool = False) -> torch.Tensor:
        """A start for each search, ``[n, C, H, W]``, that depends on its sample, model and number alone."""
        setting, job = self.setting, self.job
        starts = []
        for sample, restart in zip(setting.sample_ids[job.rows], job.restarts, strict=True):
            seed = derive_seed(setting.specification.seed, "inversion", purpose, job.model, int(sample), int(restart))
            draw = torch.randn if normal else torch.rand
            starts.append(draw(self.inputs.shape[1:], generator=torch.Generator().manual_seed(seed)))
        return torch.stack(starts).to(self.inputs.device)

    def _judge(self, images: torch.Tensor) -> dict[str, npt.NDArray[Any]]:
        """Hold reconstructions against the truth and against all reference images."""
        setting, job = self.setting, self.job
        found = _array(images.permute(0, 2, 3, 1))
        held, divisor = setting.held_against()
        placed = place(found, self.unit, held, setting.positions(job.rows), divisor)
        return {
            "images": found,
            "psnr": psnr_of_error(placed.error),
            "ssim": ssim(found, self.unit),
            "nn_margin": placed.margin,
            "id_rank": placed.rank,
            "recovered": placed.recovered,
        }


class _Count:
    """Counts the steps of searches, in the units of the progress."""

    def __init__(self, report: Report) -> None:
        self._report, self._done = report, 0.0

    def add(self, searches: int) -> None:
        self._done += searches
        self._report(self._done)


def _array(tensor: torch.Tensor) -> npt.NDArray[Any]:
    return tensor.detach().cpu().numpy()
