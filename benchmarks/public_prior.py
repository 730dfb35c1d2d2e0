"""Does a prior learned on public images, a Gaussian over whole images, rebuild more? On the models of an audit.

    privaudit score --dataset mnist --samples 10000 --shadows 4 --invert 0
    python benchmarks/public_prior.py shadow_models/mnist-cnn-… --data-dir DIR [--tune]

λ (x − μ)ᵀ Σ⁻¹ (x − μ) / d takes the place of total variation in a group's objective; --tune tries it beside that too,
under several λ, on groups that are not judged. μ and Σ are those of images that the attacked model was never trained on
and that are in no group. Groups, labels, starts and steps are the same with and without; differences are paired over
groups, with t-intervals.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
import torch
from scipy import stats

from privaudit.audit.inversion.realistic_run import MEASURES, realistic_stage
from privaudit.audit.reopening import reopen_plan
from privaudit.config import read_settings
from privaudit.inversion.inversion_jobs import AttackSetting, read_result
from privaudit.inversion.threat_models import group_matching
from privaudit.inversion.threat_models.group_jobs import GroupJob, attack_groups
from privaudit.inversion.threat_models.group_judgement import share_of_groups
from privaudit.inversion.threat_models.ladder import LADDER
from privaudit.shadow.store import open_audit

#: Groups that are judged, and tuned on.
ALONE = dict.fromkeys(("one-record", "quantised-1", "pruned-99", "noised-0.001", "noised-0.01"), 32)
JUDGED = ALONE | {"batch-4": 16, "batch-8": 8, "batch-32": 4}
TUNED = {"batch-4": 8, "batch-8": 4}

#: Rows of the seeded order: the judged come first, then those tuned on; none of them is public.
JUDGED_ROWS, TUNED_ROWS = 128, 32

#: The part of Σ that is a multiple of the identity; λ that are tried, and the one that tuning chose.
SHRUNK, WEIGHTS, CHOSEN = 0.05, (1e-4, 1e-3, 1e-2, 1e-1), 1e-2

Found = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Prior:
    """N(μ, Σ) over flat images on the 0–1 scale."""

    mean: torch.Tensor
    precision: torch.Tensor

    @classmethod
    def of(cls, images: npt.NDArray[Any]) -> Prior:
        """Learn it from ``[m, H, W, C]``, flattened as networks take them: channels first."""
        flat = images.transpose(0, 3, 1, 2).reshape(len(images), -1).astype(np.float64)
        covariance = np.cov(flat.T)
        even = np.trace(covariance) / len(covariance) * np.eye(len(covariance))
        precision = np.linalg.inv((1 - SHRUNK) * covariance + SHRUNK * even)
        return cls(torch.from_numpy(flat.mean(0)).float(), torch.from_numpy(precision).float())

    def __call__(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean penalty of a group's images ``[G, n, C, H, W]``, ``[G]``, and its derivative."""
        apart = images.detach().flatten(2) - self.mean
        pulled = apart @ self.precision
        share = 1 / (apart.shape[1] * apart.shape[2])
        return share * (pulled * apart).sum((1, 2)), (2 * share * pulled).reshape(images.shape)


def attack(job: GroupJob, setting: AttackSetting, prior: Prior, weight: float) -> Found:
    """Run one job with the penalty of ``weight``."""
    plain = group_matching.objective

    def penalised(*given: Any) -> tuple[torch.Tensor, torch.Tensor]:
        (value, slope), (penalty, pull) = plain(*given), prior(given[2])
        return value + weight * penalty, slope + weight * pull

    with patch.object(group_matching, "objective", penalised if weight else plain):
        attack_groups(job, setting, lambda _: None)
    return read_result(job.path)


def run(at: AttackSetting, priors: dict[str, Prior], name: str, rows: npt.NDArray[np.int64], weight: float) -> Found:
    """Results ``[G, n]`` by name, of groups ``rows``, one half of them under either model."""
    threat, found = next(one for one in LADDER if one.name == name), []
    halves = np.array_split(np.arange(len(rows)), len(priors))
    with tempfile.TemporaryDirectory() as folder:
        for (model, prior), half in zip(priors.items(), halves, strict=True):
            job = GroupJob(threat, model, rows[half], int(half[0]), Path(folder) / f"{model}.npz")
            found.append(attack(job, at, prior, weight))
    return {key: np.concatenate([one[key] for one in found]) for key in found[0]}


def line(title: str, found: Found, before: Found, seconds: float) -> str:
    """Each measure, a share with its interval, its difference to the plain attack, and what chance comes to."""
    said = [title]
    for measure in MEASURES:
        each, null = found[measure].astype(float), found[f"null_{measure}"].mean()
        share = share_of_groups(each) if measure != "psnr" else None
        within = "" if share is None or share.ci is None else f" ({share.ci[0]:.3f}–{share.ci[1]:.3f})"
        said.append(f"{measure} {each.mean():.3f}{within}, {difference(found, before, measure)}, by chance {null:.3f}")
    beyond, as_before = ({"psnr": one["psnr"] - one["null_psnr"].mean(1)} for one in (found, before))
    return " | ".join([*said, f"psnr beyond chance {difference(beyond, as_before, 'psnr')}", f"{seconds:.1f} s"])


def difference(found: Found, before: Found, measure: str) -> str:
    """The mean difference, paired over groups."""
    apart = (found[measure].astype(float) - before[measure]).mean(1)
    half = stats.t.ppf(0.975, len(apart) - 1) * apart.std(ddof=1) / np.sqrt(len(apart))
    return f"{apart.mean():+.3f} ({apart.mean() - half:+.3f} to {apart.mean() + half:+.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("audit", type=Path, help="folder of a stored audit of small images with four shadow models")
    parser.add_argument("--data-dir", default="data")
    parser.add_argument("--tune", action="store_true", help="every λ, on groups that are not judged")
    options = parser.parse_args()
    torch.set_num_threads(1)
    given = {"dataset": "digits", "data_dir": options.data_dir, "invert_settings": "realistic"}
    plan = reopen_plan(open_audit(options.audit.parent, options.audit.name), read_settings(given, None))
    if (stage := realistic_stage(plan)) is None:
        raise SystemExit("nothing to invert")
    setting, order, seen = stage.setting(), stage.realistic.order, plan.store.read_design()
    public = ~np.isin(np.arange(len(order)), order[: JUDGED_ROWS + TUNED_ROWS])
    unseen = {model: np.flatnonzero(public & ~seen[int(model)]) for model in stage.models}
    print("learned on images that were never trained on:", {model: len(rows) for model, rows in unseen.items()})
    priors = {model: Prior.of(setting.pixels.to_unit(setting.inputs[rows])) for model, rows in unseen.items()}
    without = replace(setting, attack=setting.attack.model_copy(update={"total_variation": 0.0}))
    weights, before = WEIGHTS if options.tune else (CHOSEN,), Found()
    tried = [("total variation", setting, 0.0), *((f"λ = {one}", without, one) for one in weights)]
    if options.tune:
        tried += [(f"both, λ = {one}", setting, one) for one in weights]
    for name, groups in (TUNED if options.tune else JUDGED).items():
        size, first = next(one.together for one in LADDER if one.name == name), JUDGED_ROWS if options.tune else 0
        rows = order[first : first + groups * size].reshape(groups, size)
        for title, at, weight in tried:
            began = time.process_time()
            found = run(at, priors, name, rows, weight)
            before = before if weight else found
            print(line(f"{name}: {title}", found, before, time.process_time() - began), flush=True)


if __name__ == "__main__":
    main()
