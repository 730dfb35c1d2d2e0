"""What an audit will cost, from a few steps of everything that it does on its own data."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from typing import Any

from privaudit.inversion.jobs import Tier
from privaudit.inversion.proxies import ITERATIONS
from privaudit.progress import readable_time
from privaudit.shadow.trainer import TrainingJob
from privaudit.signals import SIGNALS
from privaudit.statistics.roc import FEWEST_FALSE_POSITIVES
from privaudit.training.views import QUERIES
from privaudit.workflow.inversion import FEATURE_BATCH, PROXY_BATCH, setting_of
from privaudit.workflow.inversion_plan import InversionPlan, measured
from privaudit.workflow.plan import AuditPlan
from privaudit.workflow.stopwatch import Cost, Measured, measure, peak_memory

#: Attacks, intervals, controls and both reports: seconds of a core, and more for each sample under each model (from
#: 1,437 × 32, 10,000 × 16 and 60,000 × 16 on the machine of docs/performance.md).
SCORING_SECONDS, SCORING_SECONDS_PER_CELL = 5.0, 2.8e-5

#: Where the processes got less than this share of their cores while they were measured, that is said.
IDLE = 0.8

#: Float32 numbers, and float64 statistics and scores of them.
SINGLE, DOUBLE = 4, 8


@dataclass(frozen=True)
class Estimate:
    """What an audit will cost, and the finest question that its size can answer.

    Parameters
    ----------
    models
        To train.
    training, inverting, scoring
        Seconds of the processor and of the clock from the first job to the last; the clock's are as long as the
        machine stays as busy as it was.
    busy
        The share of a core that each process got while it was measured, in (0, 1].
    memory_bytes, gpu_memory_bytes
        The most that all processes together will have in memory, and that each will have on its GPU.
    disk_bytes
        What will be written.
    smallest_fpr
        The smallest false positive rate that leaves enough false positives to count.
    """

    models: int
    training: Cost
    inverting: Cost
    scoring: Cost
    busy: float
    memory_bytes: int
    gpu_memory_bytes: int
    disk_bytes: int
    smallest_fpr: float

    @property
    def total(self) -> Cost:
        """All of it."""
        return self.training + self.inverting + self.scoring

    def sentences(self) -> list[str]:
        """For people."""
        total = self.total
        gpu = f", {self.gpu_memory_bytes / 1e9:,.1f} GB on each GPU" if self.gpu_memory_bytes else ""
        said = [
            f"{self.models} models to train, about {readable_time(self.training.wall)}; inversions about "
            f"{readable_time(self.inverting.wall)}; scores and report about {readable_time(self.scoring.wall)}; "
            f"together about {readable_time(total.wall)}",
            f"{self.memory_bytes / 1e9:,.1f} GB of memory{gpu}, {self.disk_bytes / 1e6:,.0f} MB of disk; the smallest "
            f"false positive rate that this size resolves is {self.smallest_fpr:.2g}",
        ]
        if self.busy < IDLE:
            said.append(
                f"the machine is busy: while this was measured its processes got {100 * self.busy:.0f}% of their "
                f"cores. Left alone it would take about {readable_time(total.processor)}; if others come and go, "
                "anything between or beyond"
            )
        return said

    def to_json(self) -> dict[str, Any]:
        """As ``--dry-run --json`` prints it."""
        return {
            "to_train": self.models,
            "seconds": round(self.total.wall, 1),
            "seconds_on_an_idle_machine": round(min(self.total.processor, self.total.wall), 1),
            "training_seconds": round(self.training.wall, 1),
            "inversion_seconds": round(self.inverting.wall, 1),
            "scoring_seconds": round(self.scoring.wall, 1),
            "share_of_cores": round(self.busy, 3),
            "memory_bytes": self.memory_bytes,
            "gpu_memory_bytes": self.gpu_memory_bytes,
            "disk_bytes": self.disk_bytes,
            "smallest_fpr": self.smallest_fpr,
        }


def estimate(plan: AuditPlan, missing: list[TrainingJob], inversion: InversionPlan | None, *, keep: bool) -> Estimate:
    """Measure, then multiply.

    Parameters
    ----------
    plan, inversion
        What will be done.
    missing
        The models that are yet to be trained.
    keep
        Whether the calibration of the inversions may be kept in the store.
    """
    tiers = {} if inversion is None else searches_of(inversion)
    setting = None
    if inversion is not None and tiers:
        setting = setting_of(plan, inversion, measured(plan, inversion, keep=keep), ITERATIONS)
    nothing = Cost(0.0, 0.0)
    found = Measured(nothing, nothing, {}, peak_memory(), 0)
    if missing or tiers:
        found = measure(plan, setting, tuple(tiers), plan.workers)
    batch = 1 if setting is None else setting.calibration.batch
    sizes: dict[Tier, int] = {"proxies": PROXY_BATCH, "features": FEATURE_BATCH, "matching": batch}
    inverting = nothing
    for tier, (count, steps) in tiers.items():
        start, step = found.searches[tier]
        jobs = [min(sizes[tier], count - first) for first in range(0, count, sizes[tier])]
        inverting += makespan([(start + step * steps) * size for size in jobs], plan.workers)
    cells = plan.shadows * len(plan.arrays.pool_labels)
    scoring = SCORING_SECONDS + SCORING_SECONDS_PER_CELL * cells
    busy = found.busy()
    return Estimate(
        models=len(missing),
        training=makespan(_trainings(plan, missing, found), plan.workers),
        inverting=inverting,
        scoring=Cost(scoring, scoring / busy),
        busy=busy,
        memory_bytes=_memory(plan, found),
        gpu_memory_bytes=found.gpu_memory,
        disk_bytes=_disk(plan, len(missing), inversion),
        smallest_fpr=min(1.0, FEWEST_FALSE_POSITIVES / (plan.shadows * len(plan.data) / 2)),
    )


def searches_of(inversion: InversionPlan) -> dict[Tier, tuple[int, int]]:
    """By tier: how many searches, and of how many steps each at most."""
    curved = len(inversion.curved)
    found: dict[Tier, tuple[int, int]] = {"proxies": (curved, ITERATIONS + 1)}
    if inversion.has_features:
        # Where the first layer gives its input away there is nothing to search for.
        steps = 0 if inversion.structure.first is not None else inversion.features.steps
        found["features"] = (len(inversion.pool) * len(inversion.feature_models), steps)
    if inversion.matched:
        runs = inversion.matched * len(inversion.matching_models) * inversion.attack.restarts
        found["matching"] = (runs, inversion.attack.steps)
    return {tier: (count, steps) for tier, (count, steps) in found.items() if count}


def makespan(durations: list[Cost], workers: int) -> Cost:
    """How long jobs take that start in this order, each as soon as one of the workers is free."""
    free = [(0.0, 0.0)] * min(workers, len(durations))
    for cost in durations:
        wall, processor = heapq.heappop(free)
        heapq.heappush(free, (wall + cost.wall, processor + cost.processor))
    return Cost(max((processor for _, processor in free), default=0.0), max((wall for wall, _ in free), default=0.0))


def _trainings(plan: AuditPlan, missing: list[TrainingJob], found: Measured) -> list[Cost]:
    """What each model takes: its epochs, and the questions that it is asked afterwards."""
    asked = _views(plan) * (len(plan.arrays.pool_labels) + len(plan.arrays.test_labels))
    asked += len(plan.arrays.control_rows)
    epochs = plan.specification.recipe.epochs
    return [found.training * (len(job.members) * epochs) + found.querying * asked for job in missing]


def _views(plan: AuditPlan) -> int:
    return sum(len(QUERIES[name]) for name in plan.stored_queries)


def _memory(plan: AuditPlan, found: Measured) -> int:
    """This process with everything that scoring reads and makes, and the others at their peak."""
    cells = plan.shadows * (len(plan.arrays.pool_labels) + len(plan.arrays.test_labels))
    scoring = cells * (SINGLE * len(SIGNALS) * _views(plan) + 2 * DOUBLE)
    others = plan.workers if plan.workers > 1 else 0
    return max(peak_memory(), 0 if others else found.memory) + scoring + others * found.memory


def _disk(plan: AuditPlan, models: int, inversion: InversionPlan | None) -> int:
    """Weights, signals and what inversions find."""
    weights: int = sum(
        tensor.numel() * tensor.element_size() for tensor in plan.specification.build("size").state_dict().values()
    )
    rows = _views(plan) * (len(plan.arrays.pool_labels) + len(plan.arrays.test_labels)) + len(plan.arrays.control_rows)
    total = models * (weights + SINGLE * len(SIGNALS) * rows)
    if inversion is not None:
        # Feature matching keeps what its images are worth, not the images.
        images, _ = searches_of(inversion).get("matching", (0, 0))
        total += images * SINGLE * math.prod(plan.data.input_shape)
    return total
