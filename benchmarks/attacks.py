"""Compare all attacks on finished audits: a Markdown table of AUC and TPR with intervals, and what each costs.

    python benchmarks/attacks.py --store shadow_models --out reports AUDIT [AUDIT ...]

What they find is read from the audits' own results; the cost is the time of scoring every sample under every target,
one thread, the median of three runs, once the models are trained and their signals stored.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

from privaudit.attacks.suite import ATTACKS, Evidence
from privaudit.audit.result_files import RESULTS
from privaudit.audit.stored_signals import read_stored_signals
from privaudit.report.content import wording
from privaudit.runtime import files
from privaudit.scoring.target_audit import split_test
from privaudit.shadow.store import AuditStore


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("audits", nargs="+")
    parser.add_argument("--store", type=Path, default=Path("shadow_models"))
    parser.add_argument("--out", type=Path, default=Path("reports"))
    options = parser.parse_args()
    for audit in options.audits:
        store = AuditStore(options.store, audit)
        results = files.read_json(options.out / audit / RESULTS)
        stored = read_stored_signals(store, results["shadows"])
        validation, _ = split_test(stored.shadow_test.shape[1], results["about"]["identity"]["seed"])
        evidence = Evidence(stored.shadow, stored.keep, population=stored.shadow_test[:, validation])
        print(f"\n{audit}: {results['samples']:,} samples, {results['shadows']} shadow models\n")
        print("| attack | AUC | at 1% false alarms | at 0.1% | at 0.01% | agreement | scoring |")
        print("|---|---|---|---|---|---|---|")
        for name, attack in ATTACKS.items():
            if name not in results["attacks"]:
                continue
            seconds = []
            for _ in range(3):
                start = time.perf_counter()
                attack.score(evidence)
                seconds.append(time.perf_counter() - start)
            found, agreement = results["attacks"][name], results["agreement"].get(name)
            rates = [wording.found_at(found, rate) for rate in ("0.01", "0.001", "0.0001")]
            agrees = "–" if agreement is None or agreement["spearman"] is None else f"{agreement['spearman']:.2f}"
            cost = f"{1000 * statistics.median(seconds):,.0f} ms"
            print(f"| `{name}` | {wording.area(found)} | {' | '.join(rates)} | {agrees} | {cost} |")
        print(
            f"| the target model | {wording.area(results['target'])} | "
            f"{' | '.join(wording.found_at(results['target'], rate) for rate in ('0.01', '0.001', '0.0001'))} | – | – |"
        )


if __name__ == "__main__":
    main()
