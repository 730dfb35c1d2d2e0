"""SeqUnlearn (Algorithm 1 of the paper, read as docs/methods.md says): groups one after another, one budget.

Nested groups with one pass each would show a forget sample (G + 1)/2 times as often as a one-shot run does. So the
budget of forget-sample gradients is fixed beforehand, and each stage gets a share in proportion to its size: an order
then can't win by spending more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from privaudit.training.loop import seeded_layers
from privaudit.unlearning.base import StopUnlearning, Unlearner


@dataclass(frozen=True)
class Stage:
    """Rows of the pool to forget now, and how many forget-sample gradients that may take."""

    rows: npt.NDArray[np.int64]
    budget: int


@dataclass(frozen=True)
class Ledger:
    """What a sequence was allowed to spend and what it spent, in samples."""

    forget_steps: int
    forget_steps_run: int
    retain_steps_run: int
    stopped: str | None

    def to_json(self) -> dict[str, Any]:
        """As it stands in JSON results."""
        return {
            "forget_steps": self.forget_steps,
            "forget_steps_run": self.forget_steps_run,
            "retain_steps_run": self.retain_steps_run,
            "stopped": self.stopped,
        }


def plan_stages(groups: list[npt.NDArray[np.int64]], passes: float) -> list[Stage]:
    """Share ``passes × |D_u|`` forget-sample gradients among the groups, in proportion to their size, exactly."""
    total = round(passes * len(groups[-1]))
    sizes = np.array([len(group) for group in groups], np.float64)
    ends = np.round(total * np.cumsum(sizes) / sizes.sum()).astype(int)
    shares = np.diff(ends, prepend=0)
    return [Stage(rows, int(share)) for rows, share in zip(groups, shares, strict=True)]


def run_sequence(unlearner: Unlearner, stages: list[Stage], report: Callable[[float], None]) -> Ledger:
    """Hand every stage's samples to the method until its budget is spent or the method refuses to go on."""
    planned = sum(stage.budget for stage in stages)
    spent = 0
    stopped = None
    context = unlearner.context
    device = context.samples.inputs.device
    try:
        with seeded_layers(context.generator.initial_seed(), device):
            for stage in stages:
                for batch in _batches(stage, unlearner):
                    unlearner.step(torch.from_numpy(batch).to(device))
                    spent += len(batch)
                    report(float(spent))
            unlearner.finish()
    except StopUnlearning as reason:
        stopped = f"{reason} (after {spent:,} of {planned:,} forget-sample gradients)"
    context.model.eval()
    return Ledger(planned, spent, unlearner.retain_steps, stopped)


def _batches(stage: Stage, unlearner: Unlearner) -> Iterator[npt.NDArray[np.int64]]:
    """Batches of the stage's rows, reshuffled every pass, until exactly its budget is handed out."""
    size = unlearner.forget_batch_size
    left = stage.budget
    while left > 0:
        shuffled = stage.rows[torch.randperm(len(stage.rows), generator=unlearner.context.generator).numpy()]
        for start in range(0, len(shuffled), size):
            batch = shuffled[start : start + size][:left]
            left -= len(batch)
            yield batch
            if left == 0:
                return
