"""Shadow models on a GPU, in one call: how fast, how much of the card, and what the attack then finds.

    python benchmarks/gpu.py --data-dir data                       16 ResNet-18 on CIFAR-10
    python benchmarks/gpu.py --data-dir data --at-once 1 2 4       … as many models at a time as is fastest
    python benchmarks/gpu.py --samples 256 --shadows 2 --epochs 1  anywhere, to see that it runs

Data as uint8 on the device, augmented there a batch at a time; channels-last; bf16 where the hardware has it; the loop,
the design and the attack of every audit. Whether torch.compile pays, and how many models at a time (processes that
share the card), is measured first, on a few steps, and printed. The published figures to compare with are AUC .670 and
4.64% TPR at 0.1% FPR (16 ResNet-18, online LiRA with one variance for all samples, two queries: an image and its
mirror image).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from privaudit import files
from privaudit.attacks import lira
from privaudit.config import available_cores
from privaudit.data import load_dataset
from privaudit.engines.base import Report, run_jobs
from privaudit.engines.local import LocalEngine
from privaudit.progress import Progress, progress, readable_time
from privaudit.seeds import derive_seed
from privaudit.shadow.design import paired_design
from privaudit.shadow.trainer import AuditArrays, ModelSpecification, one_thread, signals_on
from privaudit.signals import signal
from privaudit.statistics.roc import auc, roc
from privaudit.training.hardware import resolve_hardware
from privaudit.training.loop import Samples, as_network_input, train
from privaudit.training.recipe import resolve_recipe
from privaudit.training.views import parse_queries

#: Dense bf16 multiplications and additions a second, in 10¹², by what torch calls the card: NVIDIA's data sheets "H200
#: Tensor Core GPU" and "H100 Tensor Core GPU" (1,979 and, over PCIe, 1,513 with sparsity: half of it), "A100 Tensor
#: Core GPU" (312) and "L4 Tensor Core GPU" (242 with sparsity). The first name that fits counts.
LIMITS = {"H200": 989.5, "H100 PCIe": 756.5, "H100": 989.5, "A100": 312.0, "L4": 121.0}

#: A multiplication and an addition; forward, and twice as much backward.
PER_MULTIPLICATION = 2 * 3

#: Batches of one measurement of the trial, after as many to warm up.
TRIAL_BATCHES = 30

QUERIES = parse_queries("flip")


@dataclass(frozen=True)
class Job:
    """One shadow model; ``batches`` cuts the training short, for the trial."""

    index: int
    members: npt.NDArray[np.int64]
    batches: int | None = None


@dataclass(frozen=True)
class Setting:
    """What all shadow models share."""

    specification: ModelSpecification
    arrays: AuditArrays
    compiled: bool
    folder: Path


def train_job(job: Job, setting: Setting, report: Report) -> None:
    """Train one model, ask it, and leave its signals and seconds."""
    specification, arrays = setting.specification, setting.arrays
    hardware, recipe, members = specification.hardware, specification.recipe, job.members
    with one_thread(hardware):
        torch.backends.cudnn.benchmark = hardware.device == "cuda"
        pool = Samples.from_arrays(arrays.pool_inputs, arrays.pool_labels, hardware.device)
        model = specification.build("shadow", job.index)
        runner: Any = torch.compile(model) if setting.compiled else model
        seed = derive_seed(specification.seed, "shadow", job.index)
        if job.batches is not None:
            # A part of an epoch twice: the first time compiles and chooses kernels.
            members = members[: min(len(members), job.batches * recipe.batch_size)]
            recipe = recipe.model_copy(update={"epochs": 1, "learning_rate": 1e-9})

        def on_epoch(epoch: int) -> None:
            if job.batches is None:
                report(float(epoch * len(members)))

        start = time.perf_counter()
        record = train(runner, pool, members, recipe, seed, hardware, on_epoch)
        facts = {"seconds": record.seconds, "first": record.seconds, "samples": len(members) * recipe.epochs}
        if job.batches is not None:
            # What compiling takes beyond the steps themselves.
            _wait_for_device(hardware.device)
            facts["first"] = time.perf_counter() - start
            facts["seconds"] = train(runner, pool, members, recipe, seed, hardware).seconds
        else:
            files.write_array(setting.folder / f"{job.index}.npy", signals_on(model, pool, queries=QUERIES))
    files.write_json(setting.folder / f"{job.index}.json", facts)


def _wait_for_device(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def engine_for(device: str, at_once: int) -> LocalEngine:
    """``at_once`` models at a time on every GPU; on a CPU at most one a core."""
    if device == "cuda":
        return LocalEngine.of(device, at_once * torch.cuda.device_count())
    return LocalEngine.of(device, min(at_once, available_cores()))


@dataclass(frozen=True)
class Way:
    """One way to use the card, and what a trial found."""

    compiled: bool
    at_once: int
    speed: float
    overhead: float

    def seconds(self, samples: int) -> float:
        """For the whole work: the training, and what it takes each process to begin, side by side."""
        return samples / self.speed + self.overhead

    def sentence(self) -> str:
        """For people."""
        compiled = "torch.compile" if self.compiled else "as it is"
        return f"{compiled}, {self.at_once} at a time: {self.speed:,.0f} samples/s, {self.overhead:.0f} s to begin"


def try_way(setting: Setting, keep: npt.NDArray[np.bool_], way: Way) -> Way:
    """Measure a few batches of as many models at a time."""
    engine = engine_for(setting.specification.hardware.device, way.at_once)
    with tempfile.TemporaryDirectory() as folder:
        trial = replace(setting, compiled=way.compiled, folder=Path(folder))
        jobs = [Job(index, np.flatnonzero(keep[index % len(keep)]), TRIAL_BATCHES) for index in range(engine.width)]
        run_jobs(train_job, jobs, trial, engine, Progress("trial", 1.0))
        facts = [files.read_json(Path(folder) / f"{job.index}.json") for job in jobs]
    speed = sum(one["samples"] / one["seconds"] for one in facts)
    overhead = max(max(0.0, one["first"] - one["seconds"]) for one in facts)
    return replace(way, speed=speed, overhead=overhead)


def multiplications(model: nn.Module, inputs: torch.Tensor) -> float:
    """Multiplications of a forward pass of one sample, in convolutions and fully connected layers."""
    from privaudit.workflow.inversion_plan import multiplications as count

    model.eval()
    return count(model, as_network_input(inputs))


def card_limit(device: str) -> tuple[str, float | None]:
    """The card's name and its bf16 limit in operations a second; None where it is not in `LIMITS`."""
    if device != "cuda":
        return "no GPU", None
    name = torch.cuda.get_device_name()
    found = next((limit for part, limit in LIMITS.items() if part in name), None)
    return name, None if found is None else found * 1e12 * torch.cuda.device_count()


def attack(folder: Path, keep: npt.NDArray[np.bool_]) -> tuple[float, float] | None:
    """AUC and TPR at 0.1% FPR of online LiRA over all targets of the rotation; None below the fewest models."""
    if len(keep) < lira.FEWEST_MODELS:
        return None
    margins = np.stack([signal(files.read_array(folder / f"{index}.npy"), "margin") for index in range(len(keep))])
    scores = lira.online(margins, keep, variance="global").ravel()
    return auc(scores, keep.ravel()), roc(scores, keep.ravel()).tpr_at(0.001)[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="resnet18")
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--data-dir", type=Path, default=None)
    parser.add_argument("--samples", type=int, default=None, help="of the training set [all]")
    parser.add_argument("--shadows", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--learning-rate", type=float, default=0.1)
    parser.add_argument("--augment", default="crop-flip", choices=["none", "flip", "crop", "crop-flip"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "bf16"])
    parser.add_argument(
        "--at-once", type=int, nargs="+", default=[1, 2], help="models at a time a GPU; the fastest wins"
    )
    parser.add_argument(
        "--compile", default="auto", choices=["auto", "on", "off"], help="auto: on a GPU, where a trial says it pays"
    )
    options = parser.parse_args()
    hardware = resolve_hardware(options.device, options.precision)
    data = load_dataset(options.dataset, data_dir=options.data_dir, samples=options.samples, seed=options.seed)
    changes = {name: getattr(options, name) for name in ("epochs", "batch_size", "learning_rate", "augment")}
    specification = ModelSpecification(
        network=options.network,
        input_shape=data.input_shape,
        classes=data.classes,
        statistics=data.channel_statistics(),
        recipe=resolve_recipe("fast", changes),
        seed=options.seed,
        hardware=hardware,
    )
    arrays = AuditArrays(data.x_train, data.y_train, data.x_test, data.y_test, np.arange(0))
    keep = paired_design(len(data), options.shadows, options.seed)
    name, limit = card_limit(hardware.device)
    print(f"{options.shadows} × {options.network} on {data.source}, {len(data):,} samples, {options.epochs} epochs")
    print(f"  {hardware.device} ({name}), {hardware.precision}, batches of {options.batch_size}")
    work = int(keep.sum()) * options.epochs
    with tempfile.TemporaryDirectory(prefix="privaudit-") as folder:
        setting = Setting(specification, arrays, False, Path(folder))
        on_gpu = hardware.device == "cuda"
        compiled = {"on": [True], "off": [False], "auto": [False, True] if on_gpu else [False]}[options.compile]
        ways = [Way(each, at_once, 0.0, 0.0) for each in compiled for at_once in options.at_once]
        begun = time.perf_counter()
        if len(ways) > 1:
            ways = [try_way(setting, keep, way) for way in ways]
            for way in ways:
                print(f"  trial: {way.sentence()}")
        best = min(ways, key=lambda way: way.seconds(work) if way.speed else 0.0)
        print(f"  trials took {readable_time(time.perf_counter() - begun)}")
        jobs = [Job(index, np.flatnonzero(row)) for index, row in enumerate(keep)]
        begun = time.perf_counter()
        with progress(f"training {len(jobs)} models", work) as bar:
            engine = engine_for(hardware.device, best.at_once)
            run_jobs(train_job, jobs, replace(setting, compiled=best.compiled), engine, bar)
        seconds = time.perf_counter() - begun
        found = attack(Path(folder), keep)
    print(f"  {seconds:.1f} s from the first model's start to the last one's signals, {work / seconds:,.0f} samples/s")
    done = PER_MULTIPLICATION * multiplications(specification.build("size"), _two(arrays, hardware.device)) * work
    share = "" if limit is None else f", {100 * done / seconds / limit:.1f}% of the card's {limit / 1e12:,.0f}"
    print(f"  {done / seconds / 1e12:.2f} · 10¹² operations/s of training{share}")
    if found is None:
        print(f"  no attack: it needs {lira.FEWEST_MODELS} shadow models, here are {options.shadows}")
    else:
        print(f"  online LiRA: AUC {found[0]:.4f}, TPR at 0.1% FPR {100 * found[1]:.2f}%")


def _two(arrays: AuditArrays, device: str) -> torch.Tensor:
    return torch.from_numpy(np.array(arrays.pool_inputs[:2])).to(device)


if __name__ == "__main__":
    # Processes are to find these functions in a module: what torch keeps of the GPU can't be sent with them.
    import gpu

    gpu.main()
