"""What a shadow model is worth: each estimator's AUC and TPR over the number of shadow models, over several seeds.

    python benchmarks/quality.py --dataset cifar10 --data-dir data --store STORE
    python benchmarks/quality.py --dataset mnist --samples 10000 --data-dir data --store STORE

Each seed draws its own samples and trains its own models, kept in the store: run again, nothing is trained. Fewer
models are the first ones of the same audit. Differences are paired by seed, with 95% t-intervals.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from privaudit.attacks import lira
from privaudit.attacks.hierarchical import hierarchical
from privaudit.attacks.rmia import rmia
from privaudit.commands.score import run_score
from privaudit.config import AuditSettings
from privaudit.scoring.target_audit import split_test
from privaudit.shadow.store import AuditStore, shadow_keys
from privaudit.signals import signal
from privaudit.statistics.roc import auc, roc

ESTIMATORS = {
    "per sample": lambda margins, keep: lira.online(margins, keep, variance="per-sample"),
    "global": lambda margins, keep: lira.online(margins, keep, variance="global"),
    "shrunk": lira.online,
    "bayes": lambda margins, keep: lira.online(margins, keep, variance="bayes"),
    "hierarchical": hierarchical,
}


#: RMIA reads losses, and a population besides.
NAMES = (*ESTIMATORS, "rmia")


def measure(
    signals: npt.NDArray[Any], keep: npt.NDArray[np.bool_], population: npt.NDArray[Any]
) -> dict[str, tuple[float, float]]:
    """AUC and TPR at 1% FPR of every estimator, from signals ``[S, N, K]`` and the population's ``[S, Z, K]``."""
    margins = signal(signals, "margin")
    scores = {name: estimator(margins, keep) for name, estimator in ESTIMATORS.items()}
    scores["rmia"] = rmia(signal(signals, "loss"), keep, signal(population, "loss"))
    member = keep.ravel()
    return {name: (auc(of.ravel(), member), roc(of.ravel(), member).tpr_at(0.01)[0]) for name, of in scores.items()}


def spread(values: list[float]) -> str:
    """Mean and half width of its 95% t-interval."""
    reach = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):.4f} ± {reach:.4f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--network", default="cnn")
    parser.add_argument("--data-dir", type=Path, default=None)
    parser.add_argument("--samples", type=int, default=None)
    parser.add_argument("--shadows", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=None, help="models trained at a time [one a core]")
    parser.add_argument("--store", type=Path, required=True)
    options = parser.parse_args()
    sizes = [size for size in (4, 6, 8, 12, 16, 24, 32, 48, 64) if size <= options.shadows]
    found: dict[int, list[dict[str, tuple[float, float]]]] = {size: [] for size in sizes}
    for seed in range(options.seeds):
        settings = AuditSettings(
            dataset=options.dataset,
            network=options.network,
            data_dir=options.data_dir,
            samples=options.samples,
            shadows=options.shadows,
            seed=seed,
            invert=0,
            workers=options.workers,
            store=options.store,
            out=options.store / "reports",
        )
        store = AuditStore(options.store, run_score(settings)["audit"])
        keys = shadow_keys(options.shadows)
        signals, test = store.read_signals(keys)[:, :, 0], store.read_control("test", keys)[:, :, 0]
        population = test[:, split_test(test.shape[1], seed)[0]]
        keep = store.read_design()[: options.shadows]
        for size in sizes:
            found[size].append(measure(signals[:size], keep[:size], population[:size]))
    print(f"{options.dataset}, {options.network}, {keep.shape[1]:,} samples, {options.seeds} seeds: AUC, TPR at 1% FPR")
    for size in sizes:
        for name in NAMES:
            areas, rates = ([one[name][which] for one in found[size]] for which in (0, 1))
            print(f"  {size:>3} models  {name:<13} {spread(areas)}   {spread(rates)}")
    if {8, 16} <= set(sizes):
        for which, what in enumerate(("AUC", "TPR at 1% FPR")):
            pairs = zip(found[8], found[16], strict=True)
            gained = [few["hierarchical"][which] - many["per sample"][which] for few, many in pairs]
            print(f"  hierarchical with 8 models minus per sample with 16, {what}: {spread(gained)}")


if __name__ == "__main__":
    main()
