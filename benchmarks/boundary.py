"""What labels alone give away along the decision boundary, by how many questions may be asked about a sample.

    python benchmarks/boundary.py --store shadow_models --samples 200 --queries 150 500 1500 [AUDIT]

Asks an audit's stored models, trains nothing. Beside it on the same samples: how often the label of altered copies
holds, and the margin, which takes all that a model says.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from privaudit.audit.reopening import reopen_plan
from privaudit.commands.defence import output_measures
from privaudit.commands.defence.boundary import Walk
from privaudit.commands.defence.output_measures import measure_outputs
from privaudit.config import AuditSettings
from privaudit.report.content import wording
from privaudit.shadow.store import open_audit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("audit", nargs="?")
    parser.add_argument("--store", type=Path, default=Path("shadow_models"))
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--queries", type=int, nargs="+", default=[150, 500, 1500])
    parser.add_argument("--shadows", type=int, default=16)
    options = parser.parse_args()
    plan = reopen_plan(open_audit(options.store, options.audit), AuditSettings(store=options.store))
    every_model: Any = SimpleNamespace(shadows=options.shadows, outliers=None)
    # The attacks beside it are asked about the same samples, and no others.
    output_measures.MOST_LOGITS = options.samples * options.shadows * plan.data.classes
    for queries in options.queries:
        started = time.process_time()
        outputs = measure_outputs(plan, every_model, Walk(options.samples, queries))
        if outputs is None or (walk := outputs.boundary) is None:
            raise SystemExit("the store does not hold every model")
        print(f"{plan.name}: {walk.samples:,} samples, {options.shadows} models, up to {queries:,} questions: ", end="")
        print(f"{walk.seconds:.0f} s for the walks, {time.process_time() - started:.0f} s of processor for everything")
        for name, attack in walk.attacks.items():
            print(f"  {name:<26} AUC {wording.area(attack)}, at 1% {wording.found_at(attack, '0.01')}", flush=True)


if __name__ == "__main__":
    main()
