"""Methods that run once: no order, no groups, the same ledger."""

from __future__ import annotations

from collections.abc import Callable

from privaudit.training.loop import seeded_layers
from privaudit.unlearning.base import StopUnlearning, Unlearner
from privaudit.unlearning.sequence import Ledger


def run_once(unlearner: Unlearner, report: Callable[[float], None]) -> Ledger:
    """Let the method run; count the samples whose gradients it took.

    Parameters
    ----------
    unlearner
        With ``takes_forget_steps`` False.
    report
        Told the share of the work that is done, 0 … 1.
    """
    context = unlearner.context
    stopped = None
    with seeded_layers(context.generator.initial_seed(), context.samples.labels.device):
        try:
            unlearner.run(report)
        except StopUnlearning as reason:
            stopped = str(reason)
    context.model.eval()
    spent = unlearner.forget_steps_beside
    return Ledger(spent, spent, unlearner.retain_steps, stopped)
