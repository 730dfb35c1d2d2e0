"""What unlearning costs beside retraining: processor time of one core, in turn, in one process.

    python benchmarks/unlearning.py --store shadow_models --out reports --audit cifar10-cnn-1a2b3c4d --data-dir data
    python benchmarks/unlearning.py --methods ga shadow-teacher --orders none risk --rounds 3

Each round retrains once without the forget set, by the audit's recipe, and then runs every method in every order from
the audit's target model. Processor time, not wall time: what else the machine does changes it little. Seconds include
what a method needs to begin (teachers' answers, masks) and leave out looking at the model on its way.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import torch

from privaudit.audit.reopening import reopen_plan
from privaudit.commands.unlearning.unlearn_inputs import with_scores
from privaudit.config import AuditSettings, Sequencing
from privaudit.shadow.store import open_audit
from privaudit.shadow.trainer import one_thread, train_with_new_seeds
from privaudit.unlearning.application.problem import UnlearningProblem
from privaudit.unlearning.application.run_method import Request, run_method
from privaudit.unlearning.base import UNLEARNERS
from privaudit.unlearning.requests.forget_set import choose_forget_set


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, default=Path("shadow_models"))
    parser.add_argument("--out", type=Path, default=Path("reports"))
    parser.add_argument("--audit", default=None, help="the latest of the store where none is named")
    parser.add_argument("--data-dir", type=Path, default=None)
    parser.add_argument("--forget", default="random:10%")
    parser.add_argument("--methods", nargs="+", default=["ga", "shadow-teacher"])
    parser.add_argument("--orders", nargs="+", default=["none", "risk"])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    base = AuditSettings(store=options.store, out=options.out, data_dir=options.data_dir)
    plan = reopen_plan(open_audit(options.store, options.audit), base)
    audit = with_scores(plan, options.out / plan.name)
    plan, table, specification = audit.plan, audit.bench.table, audit.plan.specification
    forget = choose_forget_set(options.forget, table, plan.data.class_names, 0)
    problem = UnlearningProblem.of(audit.bench, plan.arrays, forget, 0)
    pool, retain = problem.pool, problem.retain
    # The first optimiser of a process makes torch import its compiler for seconds.
    torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.0)
    retraining: list[float] = []
    ratios: dict[str, list[float]] = {}
    with one_thread(specification.hardware):
        for number in range(options.rounds):
            began = time.process_time()
            train_with_new_seeds(specification, pool, retain, ("benchmark", number))
            retraining.append(time.process_time() - began)
            for method in options.methods:
                for order in options.orders if UNLEARNERS.load(method).takes_forget_steps else ["none"]:
                    request = Request(method, UNLEARNERS.load(method).defaults, Sequencing(order=order), number)
                    began = time.process_time()
                    run_method(problem, request, watched=False)
                    share = (time.process_time() - began) / retraining[-1]
                    ratios.setdefault(f"{method}, order {order}", []).append(share)
    print(
        f"{plan.name}: forgetting {len(forget.rows):,} of {len(table):,}, {specification.hardware.precision}, one "
        f"thread; retraining takes {statistics.median(retraining):.1f} s of processor time"
    )
    for name, shares in ratios.items():
        low, high = 100 * min(shares), 100 * max(shares)
        print(
            f"  {name:<32} {100 * statistics.median(shares):>5.1f}% of it ({low:.1f}–{high:.1f}, {len(shares)} rounds)"
        )


if __name__ == "__main__":
    main()
