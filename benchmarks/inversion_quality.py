"""What a second of gradient inversion brings: image quality against processor time, on the models of an audit.

    privaudit score --dataset mnist --samples 10000 --shadows 4 --invert 0
    python benchmarks/inversion_quality.py shadow_models/mnist-cnn-… --samples 64 [--few]

Every attack runs as an audit's jobs do (label and features read off, search, judgement among the reference images) on
the same random samples under the same two models, in one process with one thread. Quality is averaged over models and
starts; *best* is the start of the lowest objective. A difference is that to the first row, the preset `from-noise`
(three starts, once the default; one with --few), paired over samples, with a t-interval. At the end the null rates of
both attacks: images that were never trained on, the image of another sample's gradient, and gradients of noise alone.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import stats

from privaudit.audit.inversion.inversion_plan import measured, plan_inversion
from privaudit.audit.inversion.inversion_stage import InversionStage
from privaudit.audit.reopening import reopen_plan
from privaudit.config import read_settings
from privaudit.inversion.image_similarity import place
from privaudit.inversion.inversion_jobs import InversionJob, InversionSetting, Tier, invert_job, read_result
from privaudit.inversion.presets import FROM_NOISE, MatchingAttack, RefiningAttack, resolve_attack
from privaudit.scoring.inversion_scores import chosen
from privaudit.shadow.store import open_audit
from privaudit.statistics.intervals import wilson
from privaudit.training.hardware import keep_freed_memory

#: Noise beside which a gradient is nothing.
DROWNED = 1e3

Found = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Variant:
    """One attack: its tier, and in gradient matching its settings."""

    name: str
    tier: Tier
    attack: MatchingAttack
    starts: int


@dataclass(frozen=True)
class Case:
    """An audit's models and the samples that are attacked."""

    setting: InversionSetting
    models: list[str]
    rows: npt.NDArray[np.int64]

    def run(self, variant: Variant) -> tuple[float, Found]:
        """Processor seconds a sample and model, and results ``[M, R, n, …]`` by name."""
        setting, size = replace(self.setting, attack=variant.attack), self.setting.calibration.batch
        found: list[Found] = []
        start = time.process_time()
        with tempfile.TemporaryDirectory() as folder:
            rows, numbers = np.tile(self.rows, variant.starts), np.repeat(np.arange(variant.starts), len(self.rows))
            for model in self.models:
                for at in range(0, len(rows), size):
                    path, part = Path(folder) / "found.npz", slice(at, at + size)
                    invert_job(
                        InversionJob(variant.tier, model, rows[part], numbers[part], path, 0.0), setting, lambda _: None
                    )
                    found.append(read_result(path))
        seconds = (time.process_time() - start) / (len(self.rows) * len(self.models))
        shape = (len(self.models), variant.starts, len(self.rows))
        return seconds, {
            name: (joined := np.concatenate([one[name] for one in found])).reshape(*shape, *joined.shape[1:])
            for name in found[0]
        }


def some_variants(shape: tuple[int, ...]) -> Iterator[Variant]:
    """One start of either default, features alone, and the default as it is: for networks on which the rest is dear."""
    noise, new = resolve_attack(FROM_NOISE, shape), resolve_attack("default", shape)
    yield Variant(f"{FROM_NOISE}, {noise.steps} steps, 1 start", "matching", noise, 1)
    yield Variant("features alone, 1 start", "features", noise, 1)
    for starts in (1, new.restarts):
        yield Variant(f"default, {new.steps} steps, starts: {starts}", "matching", new, starts)


def variants(shape: tuple[int, ...]) -> Iterator[Variant]:
    """Today's default and the one before at several lengths, and features alone."""
    noise, new = resolve_attack(FROM_NOISE, shape), resolve_attack("default", shape)
    yield Variant(f"{FROM_NOISE}, {noise.steps} steps, 3 starts", "matching", noise, noise.restarts)
    for share in (8, 4, 2, 1):
        short = noise.model_copy(update={"steps": noise.steps // share})
        yield Variant(f"{FROM_NOISE}, {short.steps} steps, 1 start", "matching", short, 1)
    yield Variant("features alone, 1 start", "features", noise, 1)
    if not isinstance(new, RefiningAttack):
        return
    for steps in (10, 20, 40):
        short = new.model_copy(update={"steps": steps})
        yield Variant(f"default, {steps} steps, 1 start", "matching", short, 1)
    endless = new.model_copy(update={"patience": new.steps})
    yield Variant(f"default, {new.steps} steps, 1 start, no early end", "matching", endless, 1)
    signed = new.model_copy(update={"optimiser": "signed-adam", "rate": 0.05, "patience": new.steps})
    yield Variant(f"features, then signed Adam, {new.steps} steps, 1 start", "matching", signed, 1)
    yield Variant(f"default, {new.steps} steps, 2 starts", "matching", new, 2)


def of_samples(found: Found) -> dict[str, npt.NDArray[np.float64]]:
    """Quality of each sample ``[n]``: means over models and starts, and of the best starts."""
    means = {name: found[name].astype(np.float64).mean(axis=(0, 1)) for name in ("psnr", "ssim", "recovered")}
    return means | {
        f"best {name}": chosen(found[name].astype(np.float64), found["objective"]).mean(axis=0)
        for name in ("psnr", "recovered")
    }


def paired(values: npt.NDArray[np.float64], others: npt.NDArray[np.float64]) -> str:
    """The mean difference with its 95% interval."""
    apart = values - others
    half = stats.t.ppf(0.975, len(apart) - 1) * apart.std(ddof=1) / np.sqrt(len(apart))
    return f"{apart.mean():+.2f} ({apart.mean() - half:+.2f} to {apart.mean() + half:+.2f})"


def share(hits: npt.NDArray[Any]) -> str:
    """A share of samples, averaged over models and starts, with Wilson's interval for as many samples."""
    each = hits.astype(np.float64).mean(axis=(0, 1))
    low, high = wilson(float(each.sum()), len(each))
    return f"{100 * each.mean():.1f}% ({100 * low:.1f}–{100 * high:.1f})"


def curves(case: Case, tried: Iterable[Variant]) -> None:
    print("attack | ms a sample and model | times fewer | PSNR | difference | best | difference | SSIM | recovered")
    before: dict[str, npt.NDArray[np.float64]] = {}
    seconds_before = 0.0
    for variant in tried:
        seconds, found = case.run(variant)
        quality = of_samples(found)
        before, seconds_before = (before, seconds_before) if before else (quality, seconds)
        print(
            f"{variant.name} | {1e3 * seconds:.0f} | {seconds_before / seconds:.1f} | {quality['psnr'].mean():.2f} | "
            f"{paired(quality['psnr'], before['psnr'])} | {quality['best psnr'].mean():.2f} | "
            f"{paired(quality['best psnr'], before['best psnr'])} | {quality['ssim'].mean():.3f} "
            f"{paired(quality['ssim'], before['ssim'])} | {share(found['recovered'])} "
            f"{paired(quality['recovered'], before['recovered'])}",
            flush=True,
        )


def nulls(case: Case, shape: tuple[int, ...], unseen: tuple[npt.NDArray[Any], npt.NDArray[np.int64]]) -> None:
    """The same attacks on images that no model has seen, and what they make of the wrong gradient."""
    images, labels = unseen
    count = len(case.rows)
    never = replace(
        case.setting, inputs=images, labels=labels, sample_ids=np.arange(len(images)), reference=np.arange(len(images))
    )
    for preset in (FROM_NOISE, "default"):
        attack = resolve_attack(preset, shape)
        variant = Variant(preset, "matching", attack, 1)
        _, found = replace(case, setting=never, rows=np.arange(count)).run(variant)
        print(f"{preset}, never trained on: PSNR {found['psnr'].mean():.2f}, recovered {share(found['recovered'])}")
        print(f"{preset}, another sample's gradient: recovered {share(_shifted(found['images'], never, count))}")
        _, found = replace(case, setting=replace(case.setting, clip=1.0, noise=DROWNED)).run(variant)
        print(f"{preset}, noise alone: PSNR {found['psnr'].mean():.2f}, recovered {share(found['recovered'])}")


def _shifted(images: npt.NDArray[Any], setting: InversionSetting, count: int) -> npt.NDArray[np.bool_]:
    """Whether each sample is recovered by the image that was found for the next one."""
    held, divisor = setting.held_against()
    rows = np.arange(count)
    truths = setting.pixels.to_unit(setting.inputs[rows])
    judged = [
        place(np.roll(start, -1, axis=0), truths, held, rows, divisor).recovered for model in images for start in model
    ]
    return np.stack(judged).reshape(*images.shape[:2], count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("audit", type=Path, help="folder of a stored audit with at least four shadow models")
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--data-dir", default="data")
    parser.add_argument("--init", action="store_true", help="attack fresh networks instead")
    parser.add_argument("--noise", type=float, default=0.0, help="clip gradients to 1 and add noise of this deviation")
    parser.add_argument("--no-nulls", action="store_true")
    parser.add_argument("--few", action="store_true", help="four rows, the first of them one start from noise")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    given = {
        "dataset": "digits",
        "data_dir": options.data_dir,
        "invert": options.samples,
        "invert_at": "init" if options.init else "trained",
        "gradient_noise": options.noise,
        "gradient_clip": 1.0 if options.noise else None,
    }
    plan = reopen_plan(open_audit(options.audit.parent, options.audit.name), read_settings(given, None))
    inversion = plan_inversion(plan)
    if inversion is None or inversion.chosen is None:
        raise SystemExit("nothing to invert")
    stage = InversionStage(plan, inversion, measured(plan, inversion, keep=False))
    case = Case(stage.setting(), inversion.matching_models, inversion.chosen)
    print(f"{plan.name}, {len(case.rows)} samples under {len(case.models)} models, {stage.calibration.engine}")
    shape = plan.data.input_shape
    curves(case, some_variants(shape) if options.few else variants(shape))
    if not options.no_nulls:
        nulls(case, shape, (plan.data.x_test, plan.data.y_test))


if __name__ == "__main__":
    main()
