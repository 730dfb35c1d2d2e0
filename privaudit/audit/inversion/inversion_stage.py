"""The jobs of the inversion stage, round by round: which there are, which are finished, what they found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from privaudit.audit.inversion.inversion_images import Results
from privaudit.audit.inversion.inversion_plan import InversionPlan
from privaudit.audit.plan import AuditPlan
from privaudit.engines.base import run_jobs
from privaudit.engines.kept_results import is_done
from privaudit.inversion.inversion_jobs import InversionJob, InversionSetting, Tier, invert_job, read_result
from privaudit.inversion.proxies import ITERATIONS
from privaudit.results.audit.inversion_results import EngineChoice
from privaudit.runtime import files
from privaudit.runtime.identity import Identity, digest_of
from privaudit.runtime.progress import progress
from privaudit.runtime.seeds import generator
from privaudit.shadow.store import TARGET

#: Part of every inversion's identity. Raise it whenever the same configuration would come to other images.
INVERSION_FORMAT = 1

#: Searches in one job of feature matching, and samples in one of proxies.
FEATURE_BATCH, PROXY_BATCH = 128, 256


@dataclass(frozen=True)
class Round:
    """Searches of one kind: ``restarts`` for each of ``rows`` against each of ``models``.

    Parameters
    ----------
    steps
        That each search takes at most; 0 where its result is a closed form.
    iterations
        Of the power iteration for the curvature; 0 where only the gradient's norm is wanted.
    """

    tier: Tier
    title: str
    models: list[str]
    rows: npt.NDArray[np.int64]
    restarts: int
    steps: int
    iterations: int = ITERATIONS


@dataclass(frozen=True)
class InversionStage:
    """Lays a stage out as rounds, runs of each what the store has not finished yet, and reads all of it."""

    plan: AuditPlan
    inversion: InversionPlan
    calibration: EngineChoice

    def curvature(self) -> Round:
        """T0 of the target, which saw every sample; at initialisation of a fresh network."""
        title = "inverting: curvature (T0)"
        return Round("proxies", title, [TARGET], self.inversion.curved, 1, ITERATIONS + 1)

    def norms(self) -> Round:
        """The norms of the gradients of the other samples."""
        others = np.setdiff1d(self.inversion.normed, self.inversion.curved)
        return Round("proxies", "inverting: gradient norms (T0)", [TARGET], others, 1, 1, iterations=0)

    def features(self) -> Round | None:
        """T1; None where no layer's features can be read."""
        inversion = self.inversion
        if not inversion.has_features:
            return None
        # Where the first layer gives its input away there is nothing to search for.
        steps = 0 if inversion.structure.first is not None else inversion.features.steps
        return Round("features", "inverting: features (T1)", inversion.feature_models, inversion.pool, 1, steps)

    def matching(self, rows: npt.NDArray[np.int64]) -> Round:
        """T2."""
        attack, title = self.inversion.attack, "inverting: gradient matching (T2)"
        return Round("matching", title, self.inversion.matching_models, rows, attack.restarts, attack.steps)

    def run(self, searches: Round) -> Results:
        """Results ``[M, R, n, …]`` by name."""
        setting, jobs = self.setting(searches.iterations), self.jobs(searches)
        missing = [job for job in jobs if not is_done(job.path)]
        if missing:
            with progress(searches.title, sum(job.work for job in missing)) as bar:
                run_jobs(invert_job, missing, setting, self.plan.engine, bar)
        return self.read(searches)

    def read(self, searches: Round) -> Results:
        """The same, of a finished round."""
        found = [read_result(job.path) for job in self.jobs(searches)]
        if not found:
            return {}
        shape = (len(searches.models), searches.restarts, len(searches.rows))
        return {
            name: (joined := np.concatenate([one[name] for one in found])).reshape(*shape, *joined.shape[1:])
            for name in found[0]
        }

    def unfinished(self, searches: Round) -> list[InversionJob]:
        """The jobs that are yet to be run; nothing is touched."""
        return [job for job in self.jobs(searches) if not files.is_whole(job.path)]

    def jobs(self, searches: Round) -> list[InversionJob]:
        """Every job of a round, finished or not."""
        tier, rows, restarts = searches.tier, searches.rows, searches.restarts
        every_row, every_restart = np.tile(rows, restarts), np.repeat(np.arange(restarts), len(rows))
        size = {"proxies": PROXY_BATCH, "features": FEATURE_BATCH, "matching": self.calibration.batch}[tier]
        folder = self.folder(tier, searches.iterations)
        jobs = []
        for model in searches.models:
            for start in range(0, len(every_row), size):
                part = slice(start, start + size)
                batch = np.stack([every_row[part], every_restart[part]])
                name = f"{tier}-{model}-{digest_of(batch.astype(np.int64))[:16]}.npz"
                work = float(batch.shape[1] * max(1, searches.steps))
                jobs.append(InversionJob(tier, model, batch[0], batch[1], folder / name, work))
        return jobs

    def folder(self, tier: Tier, iterations: int = ITERATIONS) -> Path:
        """Where the searches of a tier are kept: its name says everything that decides them."""
        return self.plan.store.folder / "inversion" / _digest(tier, self.setting(iterations))

    def setting(self, iterations: int = ITERATIONS) -> InversionSetting:
        """What all jobs have in common."""
        plan, inversion, settings = self.plan, self.inversion, self.plan.settings
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
            calibration=self.calibration,
            iterations=iterations,
        )

    def pick_groups(
        self, features: Results | None, curved: Results
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """MI-high: the most invertible of the pool. MI-low: as many others at random. Risk has no say in either."""
        pool, size = self.inversion.pool, self.inversion.group
        if features:
            ease = features["psnr"].mean(axis=(0, 1))
        else:
            ease = -curved["curvature"].reshape(-1)[np.searchsorted(self.inversion.curved, pool)]
        order = np.lexsort((pool, -ease))
        high = pool[order[:size]]
        others = np.sort(pool[order[size:]])
        low = generator(self.plan.settings.seed, "inversion-low").permutation(others)[:size]
        return np.sort(high), np.sort(low)


def _digest(tier: Tier, setting: InversionSetting) -> str:
    """Names everything that decides a tier's results besides the audit itself."""
    what: dict[str, object] = {
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
            "reference": setting.reference,
        }
    return Identity.of(**what).digest()
