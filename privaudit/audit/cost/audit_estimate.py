"""What an audit will cost, from a few steps of everything that it does on its own data."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, replace

from privaudit.audit.cost.stopwatch import Cost, Measured, measure, peak_memory
from privaudit.audit.inversion.inversion_plan import InversionPlan, measured
from privaudit.audit.inversion.inversion_stage import InversionStage
from privaudit.audit.inversion.unfinished_searches import Searches, unfinished
from privaudit.audit.plan import AuditPlan
from privaudit.results.audit.score_results import ScoreEstimate
from privaudit.runtime.progress import readable_time
from privaudit.shadow.trainer import TrainingJob
from privaudit.signals import SIGNALS
from privaudit.statistics.roc import FEWEST_FALSE_POSITIVES
from privaudit.training.views import QUERIES

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
    models, searches
        To train, and to invert samples by: what the store has not finished yet.
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
    searches: int
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

    def with_searches(self, count: int, seconds: float) -> Estimate:
        """Return the same with more searches, which take so many seconds."""
        return replace(self, searches=self.searches + count, inverting=self.inverting + Cost(seconds, seconds))

    def sentences(self) -> list[str]:
        """For people."""
        total = self.total
        gpu = f", {self.gpu_memory_bytes / 1e9:,.1f} GB on each GPU" if self.gpu_memory_bytes else ""
        parts = [
            f"{self.models} models to train, about {readable_time(self.training.wall)}" if self.models else "",
            f"inversions about {readable_time(self.inverting.wall)}" if self.searches else "",
            f"scores and report about {readable_time(self.scoring.wall)}",
            f"together about {readable_time(total.wall)}" if self.models or self.searches else "",
        ]
        said = [
            "; ".join(part for part in parts if part),
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

    def result(self, plan: AuditPlan) -> ScoreEstimate:
        """Return it as ``--dry-run --json`` prints it."""
        return ScoreEstimate(
            audit=plan.name,
            samples=len(plan.data),
            shadows=plan.shadows,
            to_train=self.models,
            to_invert=self.searches,
            seconds=round(self.total.wall, 1),
            seconds_on_an_idle_machine=round(min(self.total.processor, self.total.wall), 1),
            training_seconds=round(self.training.wall, 1),
            inversion_seconds=round(self.inverting.wall, 1),
            scoring_seconds=round(self.scoring.wall, 1),
            share_of_cores=round(self.busy, 3),
            memory_bytes=self.memory_bytes,
            gpu_memory_bytes=self.gpu_memory_bytes,
            disk_bytes=self.disk_bytes,
            smallest_fpr=self.smallest_fpr,
        )


def estimate(
    plan: AuditPlan,
    missing: list[TrainingJob],
    inversion: InversionPlan | None,
    *,
    keep: bool,
    measured_before: Measured | None = None,
) -> Estimate:
    """Measure, then multiply.

    Parameters
    ----------
    plan, inversion
        What will be done.
    missing
        The models that are yet to be trained.
    keep
        Whether the calibration of the inversions may be kept in the store.
    measured_before
        What trainings of the same network took, where that was measured already and nothing is to be inverted.
    """
    pending: list[Searches] = []
    setting = None
    if inversion is not None:
        stage = InversionStage(plan, inversion, measured(plan, inversion, keep=keep))
        pending, setting = unfinished(stage), stage.setting()
    tiers = tuple(dict.fromkeys(one.tier for one in pending))
    nothing = Cost(0.0, 0.0)
    found = Measured(nothing, nothing, {}, peak_memory(), 0)
    if measured_before is not None and not tiers:
        found = measured_before
    elif missing or tiers:
        found = measure(plan, setting if tiers else None, tiers, plan.workers)
    inverting = nothing
    for one in pending:
        start, step = found.searches[one.tier]
        inverting += makespan([(start + step * one.steps) * size for size in one.jobs], plan.workers)
    cells = plan.shadows * len(plan.arrays.pool_labels)
    scoring = SCORING_SECONDS + SCORING_SECONDS_PER_CELL * cells
    busy = found.busy()
    return Estimate(
        models=len(missing),
        searches=sum(one.count for one in pending),
        training=makespan(_trainings(plan, missing, found), plan.workers),
        inverting=inverting,
        scoring=Cost(scoring, scoring / busy),
        busy=busy,
        memory_bytes=_memory(plan, found),
        gpu_memory_bytes=found.gpu_memory,
        disk_bytes=_disk(plan, len(missing), pending),
        smallest_fpr=min(1.0, FEWEST_FALSE_POSITIVES / (plan.shadows * len(plan.data) / 2)),
    )


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


def _disk(plan: AuditPlan, models: int, pending: list[Searches]) -> int:
    """Weights, signals and what inversions find."""
    weights: int = sum(
        tensor.numel() * tensor.element_size() for tensor in plan.specification.build("size").state_dict().values()
    )
    if plan.specification.estimator is not None:
        # Of every sample a digest, and what is said of each class.
        known = len(plan.arrays.pool_labels) + len(plan.arrays.test_labels)
        weights = known * (DOUBLE + SINGLE * plan.data.classes)
    rows = _views(plan) * (len(plan.arrays.pool_labels) + len(plan.arrays.test_labels)) + len(plan.arrays.control_rows)
    # Feature matching keeps what its images are worth, not the images.
    images = sum(searches.count for searches in pending if searches.tier == "matching")
    return models * (weights + SINGLE * len(SIGNALS) * rows) + images * SINGLE * math.prod(plan.data.input_shape)
