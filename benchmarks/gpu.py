"""Shadow models on a GPU, in one call: how fast, how much of the card, and what the attack then finds.

    python benchmarks/gpu.py --write cifar10.npz --data-dir data         images once, for the calls that follow
    python benchmarks/gpu.py --dataset cifar10.npz                       16 ResNet-18 on all of them
    python benchmarks/gpu.py --dataset cifar10.npz --seconds 120         … as many pairs as fit into that time
    python benchmarks/gpu.py --dataset cifar10.npz --cudnn fast          … by cuDNN's fastest kernels
    python benchmarks/gpu.py --dataset cifar10.npz --at-once 1 2 4       … as many at a time as a trial finds best
    python benchmarks/gpu.py --samples 256 --shadows 4 --epochs 1        anywhere, to see that it runs

The jobs are those of `privaudit score`: its plan, its design, its training, its signals, its engine. A network that has
a recipe of its own name is trained by it. The published figures to compare ResNet-18's with are AUC .670 and 4.64% TPR
at 0.1% FPR (16 models, online LiRA with one variance for all samples, two queries: an image and its mirror image).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from privaudit.attacks import lira
from privaudit.audit.plan import AuditPlan, plan_audit
from privaudit.config import read_settings
from privaudit.data import load_dataset
from privaudit.engines.base import Report, run_jobs
from privaudit.engines.local import LocalEngine
from privaudit.results.measures import Attack
from privaudit.runtime import torch_globals
from privaudit.runtime.progress import Progress, progress
from privaudit.shadow.specification import ModelSpecification
from privaudit.shadow.store import shadow_keys
from privaudit.shadow.trainer import AuditArrays, TrainingJob, one_thread, read_record, train_job, train_with_new_seeds
from privaudit.signals import signal
from privaudit.statistics.jackknife import Refits
from privaudit.statistics.performance import performance
from privaudit.statistics.roc import auc, roc
from privaudit.training.loop import Samples, as_network_input
from privaudit.training.recipe import RECIPES

#: Dense bf16 multiplications and additions a second, in 10¹², by what torch calls the card: NVIDIA's data sheets "H200
#: Tensor Core GPU" and "H100 Tensor Core GPU" (1,979 and, over PCIe, 1,513 with sparsity: half of it), "A100 Tensor
#: Core GPU" (312) and "L4 Tensor Core GPU" (242 with sparsity). The first name that fits counts.
LIMITS = {"H200": 989.5, "H100 PCIe": 756.5, "H100": 989.5, "A100": 312.0, "L4": 121.0}

#: A multiplication and an addition; forward, and twice as much backward.
PER_MULTIPLICATION = 2 * 3

#: Batches of one measurement of a trial, after as many to warm up.
TRIAL_BATCHES = 30

#: How networks without a recipe of their own are trained here.
USUAL = {"epochs": 20, "batch_size": 256, "learning_rate": 0.1, "augment": "crop-flip"}


class Compiled(ModelSpecification):
    """Networks that run through torch.compile."""

    def build(self, *purpose: str | int) -> nn.Module:
        model = super().build(*purpose)
        model.compile()
        return model


@dataclass(frozen=True)
class Shared:
    """What all jobs share; with ``trial`` they only measure, and leave their seconds there."""

    arrays: AuditArrays
    cudnn: Literal["deterministic", "fast"]
    trial: Path | None = None


def say(line: str) -> None:
    """Print a line at once: whoever ends this early has what is known by then."""
    print(line, flush=True)


def run_job(job: TrainingJob, shared: Shared, report: Report) -> None:
    """Train one model and leave its files in the store, as every audit does; or measure a few of its batches."""
    torch_globals.CUDNN = shared.cudnn
    if shared.trial is None:
        train_job(job, shared.arrays, report)
        return
    specification, arrays = job.specification, shared.arrays
    recipe = specification.recipe.model_copy(update={"epochs": 1})
    few = job.members[: TRIAL_BATCHES * recipe.batch_size]
    short = replace(specification, recipe=recipe)
    with one_thread(specification.hardware):
        pool = Samples.from_arrays(arrays.pool_inputs, arrays.pool_labels, specification.hardware.device)
        for _ in range(2):
            _, record, _ = train_with_new_seeds(short, pool, few, [job.key])
    (shared.trial / job.key).write_text(str(len(few) / record.seconds))


def speed_of(plan: AuditPlan, jobs: Sequence[TrainingJob], shared: Shared, engine: LocalEngine) -> float:
    """Samples a second of all processes together, over a few batches of as many models."""
    with tempfile.TemporaryDirectory() as folder:
        trial = replace(shared, trial=Path(folder))
        run_jobs(run_job, jobs[: engine.width], trial, engine, Progress("trial", 1.0))
        return sum(float(path.read_text()) for path in Path(folder).iterdir())


def engine_for(plan: AuditPlan, at_once: int | None) -> LocalEngine:
    """``at_once`` models at a time on every GPU, or one process each on a CPU; None: what an audit takes."""
    hardware = plan.specification.hardware
    cards = torch.cuda.device_count() if hardware.device == "cuda" and hardware.card is None else 1
    return LocalEngine.of(hardware.device, None if at_once is None else at_once * cards, hardware.card)


def fastest(plan: AuditPlan, jobs: Sequence[TrainingJob], shared: Shared, choices: Sequence[int]) -> LocalEngine:
    """The engine of the fastest of several widths, each tried and told; without a choice nothing is tried."""
    if len(choices) < 2:
        return engine_for(plan, choices[0] if choices else None)
    speeds = {}
    for at_once in choices:
        speeds[at_once] = speed_of(plan, jobs, shared, engine_for(plan, at_once))
        say(f"  trial: {at_once} at a time: {speeds[at_once]:,.0f} samples/s")
    return engine_for(plan, max(speeds, key=lambda at_once: speeds[at_once]))


def train_within(jobs: Sequence[TrainingJob], shared: Shared, engine: LocalEngine, seconds: float | None) -> int:
    """Train the models, or as many as fit into this time, some at a time; how many there are then."""
    size = len(jobs) if seconds is None else max(2, engine.width + engine.width % 2)
    begun, done = time.perf_counter(), 0
    while done < len(jobs):
        started, part = time.perf_counter(), jobs[done : done + size]
        work = sum(len(job.members) * job.specification.recipe.epochs for job in part)
        with progress(f"training {len(part)} models", work) as bar:
            run_jobs(run_job, part, shared, engine, bar)
        done += len(part)
        now = time.perf_counter()
        if seconds is not None:
            say(f"  {done} models after {now - begun:.0f} s")
            if now - begun + (now - started) > seconds:
                break
    return done


def multiplications(model: nn.Module, inputs: torch.Tensor) -> float:
    """Multiplications of a forward pass of one sample, in convolutions and fully connected layers."""
    from privaudit.audit.inversion.inversion_plan import multiplications as count

    model.eval()
    return count(model, as_network_input(inputs))


def card_limit(device: str) -> tuple[str, float | None]:
    """The card's name and its bf16 limit in operations a second; None where it is not in `LIMITS`."""
    if device != "cuda":
        return "no GPU", None
    name = torch.cuda.get_device_name()
    found = next((limit for part, limit in LIMITS.items() if part in name), None)
    return name, None if found is None else found * 1e12 * torch.cuda.device_count()


def tell_attacks(signals: npt.NDArray[np.float32], keep: npt.NDArray[np.bool_]) -> None:
    """Online LiRA over all targets of the rotation: the tool's own, with intervals, and the published protocol's."""
    margin = signal(signals, "margin")
    pair = np.broadcast_to((np.arange(len(keep)) // 2)[:, np.newaxis], keep.shape)
    published = lira.online(margin, keep, variance="global").ravel()
    at = roc(published, keep.ravel()).tpr_at(0.001)[0]
    say(f"  online LiRA, global variance: AUC {auc(published, keep.ravel()):.4f}, TPR at 0.1% FPR {100 * at:.2f}%")
    refits = Refits(len(keep), lambda left: lira.online(margin[left], keep[left]))
    found = performance(lira.online(margin, keep), keep, pair, ((scores, keep[left]) for left, scores in refits))
    say(f"  online LiRA, shrunk variance: {in_words(found)}")


def in_words(found: Attack) -> str:
    """AUC and TPR with their intervals, where there are any."""
    words = [f"AUC {found.auc:.4f}" + _between(found.auc_ci, 1, 4)]
    for fpr, tpr in found.tpr_at_fpr.items():
        if tpr is not None:
            words.append(f"TPR at {100 * float(fpr):g}% FPR {100 * tpr:.2f}%" + _between(found.tpr_ci[fpr], 100, 2))
    return ", ".join(words)


def _between(interval: Any, times: int, digits: int) -> str:
    return "" if interval is None else f" ({times * interval[0]:.{digits}f} to {times * interval[1]:.{digits}f})"


def tell_speed(plan: AuditPlan, work: int, seconds: float) -> None:
    """Samples a second, and the share of what the card could do."""
    say(f"  {seconds:.1f} s from the first model's start to the last one's signals, {work / seconds:,.0f} samples/s")
    device = plan.specification.hardware.device
    two = torch.from_numpy(np.array(plan.arrays.pool_inputs[:2])).to(device)
    try:
        operations = PER_MULTIPLICATION * multiplications(plan.specification.build("size"), two) * work
    except Exception as error:  # The rest is worth more than this line.
        say(f"  its operations can't be counted: {error}")
        return
    _, limit = card_limit(device)
    share = "" if limit is None else f", {100 * operations / seconds / limit:.1f}% of the card's {limit / 1e12:,.0f}"
    say(f"  {operations / seconds / 1e12:.2f} · 10¹² operations/s of training{share}")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="resnet18")
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--data-dir", type=Path, default=None)
    parser.add_argument("--samples", type=int, default=None, help="of the training set [all]")
    parser.add_argument("--shadows", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=None, help="train as many pairs of models as fit into this")
    parser.add_argument("--epochs", type=int, default=None)
    parser.add_argument("--batch-size", type=int, default=None)
    parser.add_argument("--learning-rate", type=float, default=None)
    parser.add_argument("--augment", default=None, help="none, flip, crop, crop-flip")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1")
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "bf16"])
    parser.add_argument("--at-once", type=int, nargs="*", default=[], help="models at a time a GPU; the fastest wins")
    parser.add_argument("--cudnn", default="deterministic", choices=["deterministic", "fast"])
    parser.add_argument("--compile", default="off", choices=["on", "off"], help="torch.compile, with what it costs")
    parser.add_argument("--write", type=Path, default=None, help="write the dataset to this .npz, and stop")
    return parser.parse_args()


def write(options: argparse.Namespace) -> None:
    """Read the images once, for calls that follow."""
    begun = time.perf_counter()
    data = load_dataset(options.dataset, data_dir=options.data_dir, samples=options.samples, seed=options.seed)
    np.savez(options.write, x_train=data.x_train, y_train=data.y_train, x_test=data.x_test, y_test=data.y_test)
    say(f"{len(data):,} + {len(data.y_test):,} images in {options.write} after {time.perf_counter() - begun:.1f} s")


def plan_of(options: argparse.Namespace, store: Path) -> AuditPlan:
    """The audit that these options come to, of the whole dataset unless they say otherwise."""
    own = options.network in RECIPES
    recipe = {name: getattr(options, name) for name in USUAL}
    if not own:
        recipe = {name: USUAL[name] if value is None else value for name, value in recipe.items()}
    named = ("network", "dataset", "data_dir", "shadows", "seed", "device", "precision")
    flags = {name: getattr(options, name) for name in named} | recipe
    flags |= {"recipe": options.network if own else "fast", "queries": "flip", "store": store, "out": store / "out"}
    # More than any dataset has is all of it.
    return plan_audit(read_settings(flags | {"samples": options.samples or whole(options)}, None))


def whole(options: argparse.Namespace) -> int:
    """How many training samples there are."""
    if str(options.dataset).endswith(".npz"):
        with np.load(options.dataset, allow_pickle=False) as arrays:
            return len(arrays["y_train"])
    return len(load_dataset(options.dataset, data_dir=options.data_dir, samples=None, seed=options.seed))


def main() -> None:
    options = read_options()
    if options.write is not None:
        write(options)
        return
    with tempfile.TemporaryDirectory(prefix="privaudit-") as folder:
        plan = plan_of(options, Path(folder))
        specification = plan.specification
        if options.compile == "on":
            specification = Compiled(**{item.name: getattr(specification, item.name) for item in fields(specification)})
        recipe, hardware = specification.recipe, specification.hardware
        say(f"{plan.shadows} × {options.network} on {plan.data.source}, {len(plan.data):,} samples")
        say(f"  {hardware.device} ({card_limit(hardware.device)[0]}), {hardware.precision}, cuDNN {options.cudnn}")
        say(f"  {in_a_row(recipe.model_dump())}")
        keep = plan.design(plan.shadows)
        # The target is no shadow model, and comes first.
        jobs = [replace(job, specification=specification) for job in plan.jobs(keep)[1:]]
        shared = Shared(plan.arrays, options.cudnn)
        engine = fastest(plan, jobs, shared, options.at_once)
        say(f"  {engine.width} at a time")
        begun = time.perf_counter()
        done = train_within(jobs, shared, engine, options.seconds)
        seconds = time.perf_counter() - begun
        keys = shadow_keys(done)
        records = [read_record(plan.store, key) for key in keys]
        accuracy = float(np.mean([one["test_accuracy"] for one in records]))
        say(f"  {done} of {plan.shadows} models, test accuracy {accuracy:.4f}")
        alone = [one["members"] * recipe.epochs / one["seconds"] for one in records]
        say(f"  {min(engine.width, done) * float(np.mean(alone)):,.0f} samples/s of all processes while they train")
        tell_speed(plan, int(keep[:done].sum()) * recipe.epochs, seconds)
        if done < lira.FEWEST_MODELS:
            say(f"  no attack: it needs {lira.FEWEST_MODELS} shadow models, here are {done}")
            return
        tell_attacks(plan.store.read_signals(keys), keep[:done])


def in_a_row(values: dict[str, Any]) -> str:
    """``name value, name value``."""
    return ", ".join(f"{name} {value}" for name, value in values.items())


if __name__ == "__main__":
    # Processes are to find these functions in a module: what torch keeps of the GPU can't be sent with them.
    import gpu

    gpu.main()
