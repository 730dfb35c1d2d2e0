"""Stage after stage, one budget: hands batches of the forget set to a method, and keeps the ledger."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from privaudit.errors import UsageError
from privaudit.results.unlearning.ledger import Evidence, Ledger, Look, StageEntry
from privaudit.training.loop import seeded_layers
from privaudit.unlearning.base import StopUnlearning, Unlearner
from privaudit.unlearning.guard import Guard, forget_optimizer_state
from privaudit.unlearning.retain_sampler import RetainStream
from privaudit.unlearning.schedule.cycles import Decider, enough
from privaudit.unlearning.schedule.stages import Stage, plan_stages

__all__ = ["Journal", "Ledger", "Progress", "Stage", "StageEntry", "Watch", "plan_stages", "run_sequence"]


class Watch(Protocol):
    """Looks at the model while it forgets."""

    def look(self, spent: int, model: nn.Module, *, anew: bool = False) -> None:
        """Called before the first step, now and then, and after the last, with the gradients spent so far.

        ``anew``: the model was taken back, so that what was seen at this point is not what it is now.
        """


@dataclass
class Progress:
    """How far a sequence has come: what a journal keeps between stages."""

    entries: list[StageEntry]
    reached: npt.NDArray[np.int64]
    looks: list[Look] = field(default_factory=list)
    #: Whom the cycle that runs hands over; None where stages say it.
    chosen: npt.NDArray[np.int64] | None = None
    #: Whether no stage follows the one that runs.
    is_last: bool = False

    @property
    def spent(self) -> int:
        """Forget-sample gradients of the finished stages."""
        return sum(entry.forget_steps for entry in self.entries)


class Journal(Protocol):
    """Remembers finished stages, so that a killed run goes on after the last of them."""

    def load(self, unlearner: Unlearner) -> Progress | None:
        """Put the method back where the last finished stage left it; None where there is nothing to go on from."""

    def save(self, unlearner: Unlearner, progress: Progress) -> None:
        """Called inside the seeded context after every stage but the last."""


def run_sequence(
    unlearner: Unlearner,
    stages: list[Stage],
    report: Callable[[float], None],
    *,
    reset_state: bool = False,
    watch: Watch | None = None,
    journal: Journal | None = None,
    guard: Guard | None = None,
    decider: Decider | None = None,
) -> Ledger:
    """Hand every stage's samples to the method until its budget is spent or the method refuses to go on.

    Parameters
    ----------
    unlearner
        Freshly made, on the original model.
    stages
        From `privaudit.unlearning.schedule.stages`.
    report
        Told the forget-sample gradients spent so far.
    reset_state
        Forget the optimiser's state (momentum, say) between stages.
    watch
        Looks at the model now and then.
    journal
        Lets a killed run go on by stage, bit for bit.
    guard
        Takes back steps that wreck the model.
    decider
        Makes a cycle of each stage, chooses whom it hands over, and ends the run where D_u looks never-seen.
    """
    planned = sum(stage.budget for stage in stages)
    context, stopped = unlearner.context, None
    if decider is None:
        unlearner.foresee(planned, planned - stages[-1].budget)
    if any(stage.retain is not None for stage in stages):
        check_retain_can_change(unlearner)
    with seeded_layers(context.generator.initial_seed(), context.samples.device):
        progress = (journal.load(unlearner) if journal is not None else None) or Progress([], np.empty(0, np.int64))
        if watch is not None and not progress.entries:
            watch.look(0, context.model)
        for number, stage in enumerate(stages[len(progress.entries) :], start=len(progress.entries)):
            if number and reset_state:
                forget_optimizer_state(unlearner)
            if decider is not None and (why := _choose_cycle(decider, unlearner, stage, progress)):
                # It is done, and not given up.
                stopped = _finish(unlearner, planned) or why
            progress.is_last = number == len(stages) - 1
            stopped = stopped or _run_stage(unlearner, stage, progress, report, watch, guard)
            if stopped:
                stopped = f"{stopped} (after {progress.spent:,} of {planned:,} forget-sample gradients)"
                break
            if journal is not None and number < len(stages) - 1:
                journal.save(unlearner, progress)
        stopped = stopped or _finish(unlearner, planned)
        if guard is not None and guard.record.stopped is None:
            guard.at_end(progress.spent)
        if watch is not None:
            watch.look(progress.spent, context.model, anew=guard is not None and bool(guard.record.undone))
    context.model.eval()
    return Ledger(
        forget_steps=planned,
        forget_steps_run=progress.spent,
        retain_steps_run=unlearner.retain_steps,
        stopped=stopped,
        stages=tuple(progress.entries),
        forget_steps_beside=unlearner.forget_steps_beside,
        guard=None if guard is None else guard.record,
        evidence=None if decider is None else _evidence(decider, context.model, progress),
    )


def _choose_cycle(decider: Decider, unlearner: Unlearner, stage: Stage, progress: Progress) -> str | None:
    """Look at the model; return why to stop, or tell method and ledger whom the cycle hands over."""
    exposure = decider.exposure(unlearner.context.model)
    why = enough(progress.looks, exposure)
    if why is None:
        progress.chosen = exposure.most_exposed()
        progress.looks.append(exposure.look(progress.spent, len(progress.chosen)))
        unlearner.begin_cycle(progress.chosen, stage.budget_for(progress.chosen))
    return why


def _evidence(decider: Decider, model: nn.Module, progress: Progress) -> Evidence:
    """What was seen before every cycle, and what is to be seen after the last."""
    return Evidence(by=decider.by, looks=(*progress.looks, decider.exposure(model).look(progress.spent, 0)))


def _finish(unlearner: Unlearner, planned: int) -> str | None:
    """Let the method end what it does after its last step; return why it refused, if it did."""
    try:
        unlearner.finish()
    except StopUnlearning as reason:
        return f"{reason} (after all {planned:,} forget-sample gradients)"
    return None


def _run_stage(
    unlearner: Unlearner,
    stage: Stage,
    progress: Progress,
    report: Callable[[float], None],
    watch: Watch | None,
    guard: Guard | None,
) -> str | None:
    """Run one stage and enter it into ``progress``; return why the method stopped, if it did."""
    start = time.perf_counter()
    looking, before = 0.0, progress.spent
    device = unlearner.context.samples.device
    rows = progress.chosen if progress.chosen is not None else stage.rows_now(unlearner.context.model, progress.reached)
    budget = stage.budget_for(rows)
    if progress.is_last and progress.chosen is None:
        # Stages that choose for themselves may have spent less than was planned: only now is it known how much it is.
        unlearner.foresee(before + budget, before)
    if stage.retain is not None:
        change_retain(unlearner, stage.retain)
    retained, spent, stopped = unlearner.retain_steps, 0, None
    try:
        for batch in _batches(rows, budget, unlearner):
            unlearner.step(torch.from_numpy(batch).to(device, non_blocking=True))
            spent += len(batch)
            report(float(before + spent))
            if watch is not None:
                looked = time.perf_counter()
                watch.look(before + spent, unlearner.context.model)
                looking += time.perf_counter() - looked
            if guard is not None:
                guard.after_step(before + spent, len(batch))
        if progress.chosen is not None:
            unlearner.end_cycle()
    except StopUnlearning as reason:
        stopped = str(reason)
    entry = StageEntry(
        samples=len(rows),
        planned=len(stage.rows),
        allowed=stage.budget,
        forget_steps=spent,
        retain_steps=unlearner.retain_steps - retained,
        seconds=round(time.perf_counter() - start - looking, 3),
    )
    progress.entries.append(entry)
    progress.reached = np.union1d(progress.reached, rows)
    return stopped


def check_retain_can_change(unlearner: Unlearner) -> None:
    """Raise `UsageError` unless the method draws from all of D_r, and from nothing that it prepared beforehand."""
    streams = [value for value in vars(unlearner).values() if isinstance(value, RetainStream)]
    if not streams or any(len(stream) != len(unlearner.context.retain) for stream in streams):
        raise UsageError(
            "--stage-retain complement: this method "
            + ("chooses its retain samples beforehand" if streams else "uses no retain samples"),
            hint="Use it with rl, salun, neggrad-plus, scrub or shadow-teacher.",
        )


def change_retain(unlearner: Unlearner, retain: npt.NDArray[np.int64]) -> None:
    """Let the method draw its retain samples from these rows of the pool from now on."""
    context = unlearner.context
    unlearner.context = replace(context, retain=retain)
    for name, value in vars(unlearner).items():
        if isinstance(value, RetainStream):
            setattr(unlearner, name, RetainStream(retain, context.generator, context.samples.labels.device))


def _batches(rows: npt.NDArray[np.int64], budget: int, unlearner: Unlearner) -> Iterator[npt.NDArray[np.int64]]:
    """Batches of the rows, reshuffled every pass, until exactly the budget is handed out."""
    size = unlearner.forget_batch_size
    left = budget if len(rows) else 0
    while left > 0:
        shuffled = rows[torch.randperm(len(rows), generator=unlearner.context.generator).numpy()]
        for start in range(0, len(shuffled), size):
            batch = shuffled[start : start + size][:left]
            left -= len(batch)
            yield batch
            if left == 0:
                return
