"""Methods that run once: no order, no groups, the same ledger."""

from __future__ import annotations

from collections.abc import Callable

from privaudit.results.unlearning.ledger import Ledger
from privaudit.training.loop import seeded_layers
from privaudit.unlearning.base import StopUnlearning, Unlearner
from privaudit.unlearning.guard import Guard


def run_once(unlearner: Unlearner, report: Callable[[float], None], guard: Guard | None = None) -> Ledger:
    """Let the method run; count the samples whose gradients it took.

    Parameters
    ----------
    unlearner
        With ``takes_forget_steps`` False.
    report
        Told the share of the work that is done, 0 … 1.
    guard
        Takes back what wrecks the model, whenever the method reports, and at its end.
    """
    context = unlearner.context
    stopped = None
    done = 0.0

    def tell(share: float) -> None:
        nonlocal done
        done = share
        report(share)
        if guard is not None:
            guard.after_step(share, 0)

    with seeded_layers(context.generator.initial_seed(), context.samples.labels.device):
        try:
            unlearner.run(tell)
        except StopUnlearning as reason:
            stopped = str(reason)
        if guard is not None and guard.record.stopped is None:
            guard.at_end(done)
    context.model.eval()
    spent = unlearner.forget_steps_beside
    return Ledger(
        forget_steps=spent,
        forget_steps_run=spent,
        retain_steps_run=unlearner.retain_steps,
        stopped=stopped,
        guard=None if guard is None else guard.record,
    )
