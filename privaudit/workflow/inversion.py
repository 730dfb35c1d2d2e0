"""The inversion stage of `privaudit score`: run what is missing, judge it, join it to the score table."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from privaudit import files
from privaudit.engines.base import run_jobs
from privaudit.inversion.calibration import Calibration
from privaudit.inversion.jobs import InversionJob, InversionSetting, Tier, invert_job, read_result
from privaudit.inversion.proxies import ITERATIONS
from privaudit.progress import progress, talk
from privaudit.scoring import inversion as scoring
from privaudit.seeds import generator
from privaudit.shadow.store import TARGET
from privaudit.workflow.inversion_images import RECONSTRUCTIONS, remove_images, write_pictures, write_reconstructions
from privaudit.workflow.inversion_plan import CURVATURE_STEPS, InversionPlan, measured, with_chosen
from privaudit.workflow.inversion_results import Judge, Results
from privaudit.workflow.plan import AuditPlan

#: Part of every inversion's identity. Raise it whenever the same configuration would come to other images.
INVERSION_FORMAT = 1

#: Searches in one job of feature matching, and samples in one of proxies.
FEATURE_BATCH, PROXY_BATCH = 128, 256


def run_inversion(
    plan: AuditPlan, inversion: InversionPlan, table: pd.DataFrame, folder: Path
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Invert, judge and join.

    Returns
    -------
    tuple
        The score table with inversion's columns, and the ``inversion`` object of the results.
    """
    start = time.monotonic()
    stage = _Stage(plan, inversion, measured(plan, inversion, keep=True))
    curved = stage.run("proxies", [stage.proxy_model], inversion.curved, 1, "inverting: curvature (T0)")
    uncurved = np.setdiff1d(inversion.normed, inversion.curved)
    normed = stage.run("proxies", [stage.proxy_model], uncurved, 1, "inverting: gradient norms (T0)", iterations=0)
    features = None
    if inversion.has_features:
        features = stage.run("features", inversion.feature_models, inversion.pool, 1, "inverting: features (T1)")
    high: npt.NDArray[np.int64] | None = None
    if inversion.chosen is None:
        high, low = _pick_groups(plan, inversion, features, curved)
        inversion = with_chosen(inversion, np.concatenate([high, low]))
    rows = np.zeros(0, np.int64) if inversion.chosen is None else inversion.chosen
    matching = None
    if len(rows):
        title = "inverting: gradient matching (T2)"
        matching = stage.run("matching", inversion.matching_models, rows, inversion.attack.restarts, title)
    seconds = time.monotonic() - start
    judge = Judge(plan, inversion, table, rows, high)
    joined = scoring.join(table, judge.columns(features, matching, curved, (uncurved, normed)))
    said = judge.results(features, matching, joined)
    said |= {
        "engine": stage.calibration.to_json(),
        "seconds": round(seconds, 1),
        "notes": list(inversion.notes),
        "reconstructions": None,
    }
    remove_images(folder)
    if matching is not None:
        write_reconstructions(plan, rows, inversion, matching, folder)
        said["reconstructions"] = RECONSTRUCTIONS
    write_pictures(plan, inversion, rows, high, matching, folder)
    for warning in said["warnings"]:
        talk(f"  warning: {warning}")
    return joined, said


@dataclass(frozen=True)
class _Stage:
    """Runs batches of one tier, those that the store has not finished yet, and reads them all."""

    plan: AuditPlan
    inversion: InversionPlan
    calibration: Calibration

    @property
    def proxy_model(self) -> str:
        """Proxies are of the target, which saw every sample; at initialisation of a fresh network."""
        return TARGET

    def run(
        self,
        tier: Tier,
        models: list[str],
        rows: npt.NDArray[np.int64],
        restarts: int,
        title: str,
        iterations: int = ITERATIONS,
    ) -> Results:
        """Results ``[M, R, n, …]`` by name."""
        setting = setting_of(self.plan, self.inversion, self.calibration, iterations)
        jobs = [job for model in models for job in self._jobs(tier, model, rows, restarts, setting)]
        missing = [job for job in jobs if not self._is_done(job)]
        if missing:
            with progress(title, sum(job.work for job in missing)) as bar:
                run_jobs(invert_job, missing, setting, self.plan.engine, bar)
        if not jobs:
            return {}
        found = [read_result(job.path) for job in jobs]
        shape = (len(models), restarts, len(rows))
        return {
            name: (joined := np.concatenate([one[name] for one in found])).reshape(*shape, *joined.shape[1:])
            for name in found[0]
        }

    def _jobs(
        self, tier: Tier, model: str, rows: npt.NDArray[np.int64], restarts: int, setting: InversionSetting
    ) -> list[InversionJob]:
        every_row, every_restart = np.tile(rows, restarts), np.repeat(np.arange(restarts), len(rows))
        steps = {
            "proxies": CURVATURE_STEPS if setting.iterations else 1,
            "features": setting.features.steps,
            "matching": setting.attack.steps,
        }[tier]
        size = {"proxies": PROXY_BATCH, "features": FEATURE_BATCH, "matching": self.calibration.batch}[tier]
        folder = self.plan.store.folder / "inversion" / _digest(tier, setting)
        jobs = []
        for start in range(0, len(every_row), size):
            part = slice(start, start + size)
            batch = np.stack([every_row[part], every_restart[part]])
            name = f"{tier}-{model}-{hashlib.sha256(batch.astype(np.int64).tobytes()).hexdigest()[:16]}.npz"
            jobs.append(InversionJob(tier, model, batch[0], batch[1], folder / name, float(batch.shape[1] * steps)))
        return jobs

    def _is_done(self, job: InversionJob) -> bool:
        state = files.inspect_seal(job.path)
        if state is files.Seal.DAMAGED:
            talk(f"  damaged: {files.set_aside(job.path)} (its checksum differs); it is made again")
        return state is files.Seal.WHOLE


def setting_of(
    plan: AuditPlan, inversion: InversionPlan, calibration: Calibration, iterations: int
) -> InversionSetting:
    """What all jobs of the stage have in common."""
    settings = plan.settings
    return InversionSetting(
        inputs=plan.data.x_train,
        labels=plan.data.y_train,
        sample_ids=plan.data.sample_ids,
        reference=inversion.reference,
        store=plan.store,
        specification=plan.specification,
        at=settings.invert_at,
        attack=inversion.attack,
        features=inversion.features,
        pixels=inversion.pixels,
        clip=settings.gradient_clip,
        noise=settings.gradient_noise,
        calibration=calibration,
        iterations=iterations,
    )


def _digest(tier: Tier, setting: InversionSetting) -> str:
    """Names everything that decides a tier's results besides the audit itself."""
    what: dict[str, Any] = {
        "format": INVERSION_FORMAT,
        "tier": tier,
        "at": setting.at,
        "engine": setting.calibration.engine,
        "batch": setting.calibration.batch,
    }
    if tier == "proxies":
        what["iterations"] = setting.iterations
    else:
        attack = setting.attack if tier == "matching" else setting.features
        what |= {
            "attack": attack.model_dump(mode="json"),
            "clip": setting.clip,
            "noise": setting.noise,
            "reference": hashlib.sha256(setting.reference.tobytes()).hexdigest(),
        }
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]


def _pick_groups(
    plan: AuditPlan, inversion: InversionPlan, features: Results | None, curved: Results
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """MI-high: the most invertible of the pool. MI-low: as many others at random. Risk has no say in either."""
    pool, size = inversion.pool, inversion.group
    if features:
        ease = features["psnr"].mean(axis=(0, 1))
    else:
        ease = -curved["curvature"].reshape(-1)[np.searchsorted(inversion.curved, pool)]
    order = np.lexsort((pool, -ease))
    high = pool[order[:size]]
    others = np.sort(pool[order[size:]])
    low = generator(plan.settings.seed, "inversion-low").permutation(others)[:size]
    return np.sort(high), np.sort(low)


def without_inversion(table: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """The score table with inversion's columns, all null; images of an earlier scoring go, which it says nothing of."""
    remove_images(folder)
    return scoring.join(table, {})
