"""Hierarchical LiRA against its rivals, over data sets and numbers of shadow models: wins, ties and losses.

    python benchmarks/attack_grid.py --work grid --data-dir data
    python benchmarks/attack_grid.py --work grid --cells wine/mlp mnist/cnn --seeds 3 --shadows 16
    python benchmarks/attack_grid.py --work grid --table

A cell is data and what is trained on them. Each seed draws its own halves (of MNIST and CIFAR-10 its own 10,000 samples
too) and trains its own models, kept below ``--work``; fewer models are the first ones of the same audit. Attacks are
run on the same models, so differences are paired by seed: a win or a loss is one whose 95% t-interval leaves out 0.
Of a single seed (``--seeds 0``) the interval is over that audit's pairs of models, by the jackknife, from 8 models on.
Results are lines of ``results.jsonl``; a line that is there is not made again.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from estimators import write_table

from privaudit.attacks.suite import ATTACKS, Evidence
from privaudit.audit.plan import plan_audit
from privaudit.commands.score import train_missing
from privaudit.config import AuditSettings
from privaudit.scoring.target_audit import split_test
from privaudit.shadow.store import shadow_keys
from privaudit.statistics.audit_difference import Estimate, difference
from privaudit.statistics.intervals import Interval, mean_interval
from privaudit.statistics.jackknife import Refits
from privaudit.statistics.performance import performance
from privaudit.statistics.roc import FEWEST_FALSE_POSITIVES, auc, roc

OURS = "lira-hierarchical"
RIVALS = ("lira-per-sample", "lira", "lira-bayes", "rmia", "base")
SIZES = (4, 8, 16, 32)
RATES = (0.01, 0.001)

IMAGES: dict[str, dict[str, Any]] = {
    "digits": {"dataset": "digits"},
    "mnist": {"dataset": "mnist", "samples": 10_000},
    "cifar10": {"dataset": "cifar10", "samples": 10_000},
}
CELLS = (
    "digits/cnn",
    "mnist/cnn",
    "cifar10/cnn",
    "cifar10/airbench-narrow",
    "breast-cancer/mlp",
    "breast-cancer/random-forest",
    "wine/mlp",
    "wine/random-forest",
    "adult-like/mlp",
    "adult-like/random-forest",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("grid"))
    parser.add_argument("--data-dir", type=Path, default=None)
    parser.add_argument("--cells", nargs="+", default=list(CELLS), choices=CELLS)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(5)))
    parser.add_argument("--shadows", type=int, default=32)
    parser.add_argument("--workers", type=int, default=None, help="models trained at a time [one a core]")
    parser.add_argument("--table", action="store_true", help="print the table of what is there, and no more")
    asked = parser.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    lines = asked.work / "results.jsonl"
    if not asked.table:
        for cell in asked.cells:
            for seed in asked.seeds:
                missing = {size for size in SIZES if size <= asked.shadows}
                missing -= {row["shadows"] for row in read(lines) if (row["cell"], row["seed"]) == (cell, seed)}
                if missing:
                    append(lines, measure(cell, seed, sorted(missing), asked))
    print(table(read(lines)))


def read(lines: Path) -> list[dict[str, Any]]:
    """What was measured."""
    return [json.loads(line) for line in lines.read_text("utf-8").splitlines()] if lines.exists() else []


def append(lines: Path, rows: list[dict[str, Any]]) -> None:
    with lines.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def settings_of(cell: str, seed: int, asked: argparse.Namespace) -> AuditSettings:
    """An audit of a cell."""
    data, trained = cell.split("/")
    options = dict(IMAGES.get(data) or write_table(data, asked.work))
    options["estimator" if trained == "random-forest" else "network"] = trained
    return AuditSettings(
        **options,
        data_dir=asked.data_dir,
        shadows=asked.shadows,
        seed=seed,
        invert=0,
        workers=asked.workers,
        store=asked.work / "store",
        out=asked.work / "reports",
    )


def measure(cell: str, seed: int, sizes: list[int], asked: argparse.Namespace) -> list[dict[str, Any]]:
    """Train what is missing, and run every attack on the first models of each size."""
    plan = plan_audit(settings_of(cell, seed, asked))
    started = time.process_time()
    train_missing(plan, None, announce=False)
    keys = shadow_keys(asked.shadows)
    signals, test = plan.store.read_signals(keys), plan.store.read_control("test", keys)
    keep = plan.store.read_design()[: asked.shadows]
    population = test[:, split_test(test.shape[1], seed)[0]]
    rows = []
    for size in sizes:
        evidence = Evidence(signals[:size], keep[:size], population=population[:size])
        for name in (OURS, *RIVALS):
            scores, member = ATTACKS[name].score(evidence).ravel(), evidence.keep.ravel()
            curve = roc(scores, member)
            resolved = [rate for rate in RATES if rate * curve.negatives >= FEWEST_FALSE_POSITIVES]
            found: dict[str, float] = {f"{rate:g}": curve.tpr_at(rate)[0] for rate in resolved}
            row = {"cell": cell, "seed": seed, "shadows": size, "attack": name, "auc": auc(scores, member)}
            within = influence(name, evidence) if len(asked.seeds) == 1 else None
            rows.append(row | {"tpr": found, "influence": within})
    print(f"{cell}, seed {seed}: {time.process_time() - started:.0f} s of this process", flush=True)
    return rows


def influence(name: str, evidence: Evidence) -> dict[str, list[float]] | None:
    """What each pair of models contributes to the error of the AUC and of each rate."""
    models, attack = len(evidence.keep), ATTACKS[name]
    pairs = np.broadcast_to((np.arange(models) // 2)[:, np.newaxis], evidence.keep.shape)
    refits = Refits(models, lambda left: attack.score(evidence.of_models(left)))
    left_out = ((scores, evidence.keep[left]) for left, scores in refits)
    found = performance(attack.score(evidence), evidence.keep, pairs, left_out).influence
    return None if found is None else {"auc": found.auc, **found.tpr}


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: what hierarchical LiRA finds, and by how much it is ahead of each rival."""
    said = ["| cell | models | seeds | hierarchical | " + " | ".join(RIVALS) + " |", "|---" * (4 + len(RIVALS)) + "|"]
    counts = {(rival, what): [0, 0, 0] for rival in RIVALS for what in ("auc", *map("{:g}".format, RATES))}
    for cell in CELLS:
        for size in SIZES:
            chosen = [row for row in rows if (row["cell"], row["shadows"]) == (cell, size)]
            by = {(row["attack"], row["seed"]): row for row in chosen}
            seeds = sorted({row["seed"] for row in chosen})
            if not seeds:
                continue
            ours = [by[OURS, seed] for seed in seeds]
            columns = [told(ours)]
            for rival in RIVALS:
                theirs = [by[rival, seed] for seed in seeds]
                columns.append("; ".join(differences(ours, theirs, rival, counts)))
            said.append(f"| {cell} | {size} | {len(seeds)} | " + " | ".join(columns) + " |")
    said += ["", "Wins, ties, losses of hierarchical LiRA over cells and sizes:", ""]
    said += ["| by | " + " | ".join(RIVALS) + " |", "|---" * (1 + len(RIVALS)) + "|"]
    for what, name in (("auc", "AUC"), ("0.01", "at 1%"), ("0.001", "at 0.1%")):
        said.append(f"| {name} | " + " | ".join("–".join(map(str, counts[rival, what])) for rival in RIVALS) + " |")
    return "\n".join(said)


def told(rows: list[dict[str, Any]]) -> str:
    """Means over seeds."""
    parts = [f"{np.mean([row['auc'] for row in rows]):.3f}"]
    parts += [
        f"{100 * np.mean([row['tpr'][rate] for row in rows]):.1f}%" for rate in ("0.01",) if rate in rows[0]["tpr"]
    ]
    return ", ".join(parts)


def differences(
    ours: list[dict[str, Any]],
    theirs: list[dict[str, Any]],
    rival: str,
    counts: dict[tuple[str, str], list[int]],
) -> list[str]:
    """Ours less theirs, in AUC and at 1%, bold where the interval leaves out 0; what is told is counted."""
    said = []
    for what in ("auc", "0.01", "0.001"):
        values = [[value_of(row, what) for row in side] for side in (ours, theirs)]
        if None in values[0]:
            continue
        apart = np.subtract(*np.asarray(values, np.float64))
        if not np.any(apart):
            # With 4 models hierarchical LiRA is the nearest mean, as the others are: that is no tie, but one attack.
            return ["the same"]
        interval = mean_interval(apart) if len(apart) > 1 else within_audit(ours[0], theirs[0], what)
        mean, sure = float(np.mean(apart)), interval is not None and (interval[0] > 0 or interval[1] < 0)
        if interval is not None:
            counts[rival, what][(0 if mean > 0 else 2) if sure else 1] += 1
        if what == "0.001":
            continue
        shown = f"{mean:+.3f}" if what == "auc" else f"{100 * mean:+.1f}"
        if interval is not None:
            reach = (interval[1] - interval[0]) / 2
            shown += f" ± {reach:.3f}" if what == "auc" else f" ± {100 * reach:.1f}"
        said.append(f"**{shown}**" if sure else shown)
    return said


def value_of(row: dict[str, Any], what: str) -> float | None:
    """The AUC, or the TPR at a rate; None where that is not resolved."""
    found: float | None = row["auc"] if what == "auc" else row["tpr"].get(what)
    return found


def within_audit(ours: dict[str, Any], theirs: dict[str, Any], what: str) -> Interval | None:
    """The interval of a difference over the pairs of one audit."""
    sides = [row["influence"] for row in (theirs, ours)]
    if None in sides or what not in sides[0]:
        return None
    estimates = [
        Estimate(value_of(row, what) or 0.0, np.asarray(side[what]))
        for row, side in zip((theirs, ours), sides, strict=True)
    ]
    return difference(estimates[0], estimates[1], paired=True).ci


if __name__ == "__main__":
    main()
