"""The inversion stage of `privaudit score`: run what is missing, judge it, join it to the score table."""

from __future__ import annotations

import hashlib
import io
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from privaudit import files
from privaudit.attacks import lira
from privaudit.attacks.lira import FEWEST_MODELS
from privaudit.engines.local import run_jobs
from privaudit.inversion.calibration import Calibration
from privaudit.inversion.jobs import InversionJob, InversionSetting, Tier, invert_job, read_result
from privaudit.inversion.proxies import ITERATIONS
from privaudit.progress import progress, talk
from privaudit.scoring import inversion as scoring
from privaudit.scoring.risk import attack_success
from privaudit.seeds import generator
from privaudit.shadow.store import TARGET, shadow_keys
from privaudit.signals import signal
from privaudit.statistics.comparison import compare
from privaudit.statistics.similarity import place
from privaudit.workflow.inversion_plan import CURVATURE_STEPS, InversionPlan, measured, with_chosen
from privaudit.workflow.plan import AuditPlan

#: Part of every inversion's identity. Raise it whenever the same configuration would come to other images.
INVERSION_FORMAT = 1

RECONSTRUCTIONS, PICTURES = "reconstructions.npz", "inversion-pictures.npz"

#: Searches in one job of feature matching, and samples in one of proxies.
FEATURE_BATCH, PROXY_BATCH = 128, 256

#: Samples that null rates are counted on, and pictures shown of either group.
NULL_SAMPLES, SHOWN = 500, 10

HIGH, LOW, CHOSEN = "high", "low", "chosen"

Results = dict[str, npt.NDArray[Any]]


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
    judge = _Judge(plan, inversion, table, rows, high)
    joined = scoring.join(table, judge.columns(features, matching, curved, (uncurved, normed)))
    said = judge.results(features, matching, joined)
    said |= {
        "engine": stage.calibration.to_json(),
        "seconds": round(seconds, 1),
        "notes": list(inversion.notes),
        "reconstructions": None,
    }
    files.remove(folder / RECONSTRUCTIONS)
    if matching is not None:
        _write_reconstructions(plan, rows, inversion, matching, folder)
        said["reconstructions"] = RECONSTRUCTIONS
    _write_pictures(plan, inversion, rows, high, matching, folder)
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
        setting = self._setting(iterations)
        jobs = [job for model in models for job in self._jobs(tier, model, rows, restarts, setting)]
        missing = [job for job in jobs if not self._is_done(job)]
        if missing:
            with progress(title, sum(job.work for job in missing)) as bar:
                run_jobs(invert_job, missing, setting, self.plan.workers, bar)
        if not jobs:
            return {}
        found = [read_result(job.path) for job in jobs]
        shape = (len(models), restarts, len(rows))
        return {
            name: (joined := np.concatenate([one[name] for one in found])).reshape(*shape, *joined.shape[1:])
            for name in found[0]
        }

    def _setting(self, iterations: int) -> InversionSetting:
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


@dataclass(frozen=True)
class _Judge:
    """Turns results into columns and findings."""

    plan: AuditPlan
    inversion: InversionPlan
    table: pd.DataFrame
    rows: npt.NDArray[np.int64]
    high: npt.NDArray[np.int64] | None

    @property
    def _random(self) -> npt.NDArray[np.bool_]:
        """Which of the rows were drawn at random: what holds for the data is told from these alone."""
        return np.ones(len(self.rows), np.bool_) if self.high is None else ~np.isin(self.rows, self.high)

    def columns(
        self,
        features: Results | None,
        matching: Results | None,
        curved: Results,
        normed: tuple[npt.NDArray[np.int64], Results],
    ) -> dict[str, tuple[npt.NDArray[np.int64], npt.NDArray[Any]]]:
        """Column -> rows and values, as `privaudit.scoring.inversion.join` takes them."""
        inversion = self.inversion
        found: dict[str, tuple[npt.NDArray[np.int64], npt.NDArray[Any]]] = {}
        norms = [(inversion.curved, curved), normed]
        norms = [(rows, results) for rows, results in norms if results]
        where = np.concatenate([rows for rows, _ in norms])
        found["gradient_norm"] = (where, np.concatenate([one["gradient_norm"].reshape(-1) for _, one in norms]))
        found["curvature"] = (inversion.curved, curved["curvature"].reshape(-1))
        if features:
            scores = scoring.feature_scores(features)
            found |= {name: (inversion.pool, values) for name, values in scores.items()}
        if matching:
            found |= {name: (self.rows, values) for name, values in scoring.sample_scores(matching).items()}
            groups = np.where(self._random, LOW, HIGH) if self.high is not None else np.full(len(self.rows), CHOSEN)
            found["inversion_group"] = (self.rows, groups.astype(object))
        return found

    def results(self, features: Results | None, matching: Results | None, joined: pd.DataFrame) -> dict[str, Any]:
        """The ``inversion`` object."""
        plan, inversion, settings = self.plan, self.inversion, self.plan.settings
        warnings: list[str] = []
        risk, models = _risk_of_other_models(plan, joined)
        said: dict[str, Any] = {
            "at": settings.invert_at,
            "preset": settings.invert_preset,
            "asked": None if settings.invert is None else str(settings.invert),
            "attack": inversion.attack.model_dump(mode="json"),
            "feature_attack": inversion.features.model_dump(mode="json"),
            "gradient_noise": settings.gradient_noise,
            "gradient_clip": settings.gradient_clip,
            "reference": len(inversion.reference),
            "risk_models": models,
            "risk_of_others": models < plan.shadows,
            "proxies": {"curvature": len(inversion.curved), "gradient_norm": len(inversion.normed)},
            "features": None,
            "matching": None,
            "groups": None,
        }
        if features:
            said["features"] = {
                "kind": "closed form" if inversion.structure.first is not None else "feature matching",
                "samples": len(inversion.pool),
                "models": len(inversion.feature_models),
                "outcomes": scoring.outcomes(features),
                "psnr_quantiles": _quantiles(features["psnr"]),
                "reliability": scoring.reliability(features["psnr"]),
                "confounders": self._confounders(features, inversion.pool, risk, joined),
            }
            warnings += self._no_ranking(said["features"], "T1")
        if matching:
            random = self._random
            drawn = {name: values[:, :, random] for name, values in matching.items()}
            said["matching"] = {
                "samples": len(self.rows),
                "random": int(random.sum()),
                "models": len(inversion.matching_models),
                "restarts": inversion.attack.restarts,
                "outcomes": scoring.outcomes(drawn),
                "psnr_quantiles": _quantiles(drawn["psnr"]),
                "labels_right": float(drawn["label_right"].mean()) if "label_right" in drawn else None,
                "steps": float(matching["steps"].mean()),
                "objective_and_psnr": scoring.confounders(
                    drawn["psnr"].reshape(-1), {"objective": drawn["objective"].reshape(-1)}
                )["objective"],
                "reliability": scoring.reliability(drawn["psnr"]),
                "confounders": self._confounders(drawn, self.rows[random], risk, joined),
            }
            warnings += self._no_ranking(said["matching"], "T2")
        if matching and self.high is not None:
            said["groups"] = self._groups(matching, risk, joined)
        said["null"] = self._null_rates(matching)
        said["warnings"] = warnings
        return said

    def _no_ranking(self, tier: dict[str, Any], name: str) -> list[str]:
        reason = scoring.no_ranking(tier["outcomes"]["recovered"]["rate"])
        return [] if reason is None else [f"inversion, {name}: {reason}"]

    def _confounders(
        self, runs: Results, rows: npt.NDArray[np.int64], risk: npt.NDArray[Any], joined: pd.DataFrame
    ) -> dict[str, Any]:
        """What the PSNR goes with, on the same samples. Loss and gradient norm are those of the attacked models."""
        images = self.inversion.pixels.to_unit(self.plan.data.x_train[rows])
        return scoring.confounders(
            runs["psnr"].mean(axis=(0, 1)),
            {
                "loss": np.log(np.maximum(runs["loss"], 1e-12)).mean(axis=(0, 1)),
                "gradient_norm": np.log(np.maximum(runs["gradient_norm"], 1e-12)).mean(axis=(0, 1)),
                "curvature": joined["curvature"].to_numpy()[rows],
                "contrast": images.reshape(len(rows), -1).std(axis=1),
                "risk": risk[rows],
            },
        )

    def _groups(self, matching: Results, risk: npt.NDArray[Any], joined: pd.DataFrame) -> dict[str, Any]:
        """Figure 2: the groups held against each other."""
        random = self._random
        high, low = self.rows[~random], self.rows[random]
        entropy, psnr = joined["entropy"].to_numpy(), joined["psnr"].to_numpy()
        success = joined["inversion_success"].to_numpy()
        values = {"risk": risk, "entropy": entropy, "psnr": psnr, "success": success}
        return {
            "size": len(high),
            "chosen_by": "feature matching (T1)" if self.inversion.has_features else "curvature (T0)",
            "high": scoring.outcomes({name: found[:, :, ~random] for name, found in matching.items()}),
            "compared": {name: compare(of[high], of[low]).to_json() for name, of in values.items()},
            "values": {name: {HIGH: _rounded(values[name][high]), LOW: _rounded(values[name][low])}
                       for name in ("risk", "entropy")},
        }  # fmt: skip

    def _null_rates(self, matching: Results | None) -> dict[str, Any]:
        """What guesses that owe nothing to the gradient achieve."""
        plan, inversion = self.plan, self.inversion
        drawn = generator(plan.settings.seed, "inversion-null").permutation(inversion.pool)[:NULL_SAMPLES]
        images = inversion.pixels.to_unit(plan.data.x_train[drawn])
        reference, own = self._reference(drawn)
        nearest = place(images, images, reference, own).nearest
        labels, known = plan.data.y_train[drawn], plan.data.y_train[inversion.reference]
        means = {label: reference[known == label].mean(axis=0) for label in np.unique(known)}
        typical = np.stack([means.get(label, reference.mean(axis=0)) for label in labels])
        guesses = {"nearest_other": reference[nearest], "class_mean": typical}
        said = {
            name: scoring.null_rates(images, guess, place(guess, images, reference, own))
            for name, guess in guesses.items()
        }
        if matching and len(self.rows) > 1:
            # Everybody gets the reconstruction of the next sample of the same class.
            order = np.lexsort((self.rows, plan.data.y_train[self.rows]))
            best = scoring.chosen(matching["images"], matching["objective"])[0]
            truths = inversion.pixels.to_unit(plan.data.x_train[self.rows[order]])
            reference, own = self._reference(self.rows[order])
            others = np.roll(best[order], 1, axis=0)
            said["other_reconstruction"] = scoring.null_rates(truths, others, place(others, truths, reference, own))
        return said

    def _reference(self, rows: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        known = self.inversion.reference
        return self.inversion.pixels.to_unit(self.plan.data.x_train[known]), positions_in(known, rows)


def positions_in(known: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Where each row stands in a sorted list; −1 where it does not."""
    place_of = np.minimum(np.searchsorted(known, rows), len(known) - 1)
    return np.where(known[place_of] == rows, place_of, -1)


def _risk_of_other_models(plan: AuditPlan, joined: pd.DataFrame) -> tuple[npt.NDArray[Any], int]:
    """Risk of every row under the shadow models that no inversion touched, and how many these are.

    Who is inverted was chosen by what some models say; risk is taken from the others, where enough of them are left.
    """
    used = {2 * pair + side for pair in (0, 1) for side in (0, 1)} if plan.settings.invert_at == "trained" else set()
    left = np.array([index for index in range(plan.shadows) if index not in used])
    if len(left) < FEWEST_MODELS + 2:
        return joined["risk"].to_numpy(np.float64), plan.shadows
    keys = [shadow_keys(plan.shadows)[index] for index in left]
    keep = plan.store.read_design()[left]
    margin = signal(plan.store.read_signals(keys)[:, :, 0], plan.settings.statistic)
    return attack_success(lira.online(margin, keep), keep), len(left)


def _quantiles(values: npt.NDArray[Any]) -> list[float]:
    return [round(float(value), 3) for value in np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95])]


def _rounded(values: npt.NDArray[Any]) -> list[float]:
    return [float(f"{value:.6g}") for value in values]


def _write_reconstructions(
    plan: AuditPlan, rows: npt.NDArray[np.int64], inversion: InversionPlan, matching: Results, folder: Path
) -> None:
    """All images found, ``[M, R, n, H, W, C]`` on the 0–1 scale, beside the score table, for their owner only."""
    _write_arrays(
        folder / RECONSTRUCTIONS,
        sample_ids=plan.data.sample_ids[rows],
        models=np.array(inversion.matching_models),
        images=matching["images"],
        objective=matching["objective"],
        psnr=matching["psnr"],
    )


def _write_pictures(
    plan: AuditPlan,
    inversion: InversionPlan,
    rows: npt.NDArray[np.int64],
    high: npt.NDArray[np.int64] | None,
    matching: Results | None,
    folder: Path,
) -> None:
    """Some originals with what was made of them, where ``--show-samples`` asks for it; else what is there goes."""
    path = folder / PICTURES
    if not plan.settings.show_samples or matching is None:
        files.remove(path)
        return
    random = generator(plan.settings.seed, "inversion-pictures")
    groups = {LOW: rows} if high is None else {HIGH: high, LOW: np.setdiff1d(rows, high)}
    names, shown = [], []
    for name, members in groups.items():
        some = np.sort(random.permutation(members)[:SHOWN])
        shown.append(some)
        names += [name] * len(some)
    at = np.searchsorted(rows, np.concatenate(shown))
    objective = matching["objective"][0]
    best = np.nan_to_num(objective, nan=np.inf).argmin(axis=0)[at]
    _write_arrays(
        path,
        groups=np.array(names),
        originals=_bytes(inversion.pixels.to_unit(plan.data.x_train[rows[at]])),
        images=_bytes(matching["images"][0, best, at]),
        psnr=matching["psnr"][0, best, at],
        recovered=matching["recovered"][0, best, at],
    )


def _bytes(unit: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    whole: npt.NDArray[np.uint8] = np.round(255 * np.clip(unit, 0, 1)).astype(np.uint8)
    return whole


def _write_arrays(path: Path, **arrays: npt.NDArray[Any]) -> None:
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **arrays)
    files.write_bytes(path, content.getvalue())
    files.seal(path)


def without_inversion(table: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """The score table with inversion's columns, all null; images of an earlier scoring go, which it says nothing of."""
    for name in (RECONSTRUCTIONS, PICTURES):
        files.remove(folder / name)
    return scoring.join(table, {})
