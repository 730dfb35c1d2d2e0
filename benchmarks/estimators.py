"""Which estimator leaks: the same audit of several estimators on several tables, one row each (docs/estimators.md).

python benchmarks/estimators.py [--tables wine,adult-like] [--shadows 16] [--out FOLDER]
python benchmarks/estimators.py --quick --tables breast-cancer,adult-like
python benchmarks/estimators.py --large 100000 --shadows 16 [--csv]

``--quick`` fits the models that the audit would fit, and attacks them with LiRA alone: no store, controls or report.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv
from sklearn import datasets
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

import privaudit
from privaudit.attacks import lira
from privaudit.audit.plan import plan_audit
from privaudit.config import AuditSettings
from privaudit.estimators.fitted import fit_estimator
from privaudit.runtime.seeds import derive_seed
from privaudit.shadow.store import shadow_key
from privaudit.signals import signals_of
from privaudit.statistics.jackknife import Refits
from privaudit.statistics.performance import performance

EMBEDDED = {"breast-cancer": datasets.load_breast_cancer, "wine": datasets.load_wine, "digits": datasets.load_digits}

ESTIMATORS = {
    "logistic-regression": "logistic-regression",
    "random-forest": "random-forest",
    "random-forest, leaves of 10 and more": RandomForestClassifier(min_samples_leaf=10),
    "hist-gradient-boosting": "hist-gradient-boosting",
    "xgboost": "xgboost",
    "lightgbm": "lightgbm",
}


def adult_like(rows: int = 3000) -> pd.DataFrame:
    """Make up a table of the kind of a census: ages, hours, schooling and trades, and an income that goes with them."""
    draw = np.random.default_rng(0)
    age = draw.integers(17, 80, rows)
    hours = np.clip(draw.normal(40, 12, rows), 1, 99).round()
    schooling = draw.choice(["school", "college", "bachelor", "master"], rows, p=[0.45, 0.3, 0.18, 0.07])
    trade = draw.choice(["sales", "clerk", "craft", "care", "farm", "manager", "none"], rows)
    gain = np.where(draw.random(rows) < 0.08, draw.exponential(8000, rows), 0).round()
    worth = {"school": 0.0, "college": 0.5, "bachelor": 1.3, "master": 1.8}
    score = 0.05 * (age - 40) - 0.0016 * (age - 45) ** 2 + 0.05 * (hours - 40) + gain / 8000
    score += np.vectorize(worth.get)(schooling) + 1.0 * (trade == "manager") - 1.6 + draw.logistic(0, 0.8, rows)
    income = np.where(score > 0, ">50K", "<=50K")
    return pd.DataFrame(
        {"age": age, "hours": hours, "schooling": schooling, "trade": trade, "capital_gain": gain, "income": income}
    )


def large(rows: int, columns: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Make up numbers of which ten columns say something of the class, a fifth of the labels being wrong."""
    draw = np.random.default_rng(0)
    inputs = draw.standard_normal((rows, columns), dtype=np.float32)
    labels = (inputs[:, :10].sum(axis=1) > 0) ^ (draw.random(rows) < 0.2)
    return inputs, labels.astype(np.int64)


def write_large(rows: int, folder: Path, *, as_csv: bool) -> dict[str, Any]:
    """Write that table, a tenth more of it to test with, and return the options that name it.

    As CSV it is of the kind of a survey: of 200 columns 60 hold measurements with three decimals (ten of them with
    gaps), 100 whole numbers from 0 to 100, 30 yes or no, and 10 one of eight words.
    """
    inputs, labels = large(rows + rows // 10)
    if not as_csv:
        path = folder / "large.npz"
        np.savez(path, x_train=inputs[:rows], y_train=labels[:rows], x_test=inputs[rows:], y_test=labels[rows:])
        return {"dataset": str(path), "samples": rows}
    draw = np.random.default_rng(1)
    columns: dict[str, Any] = {}
    for number, values in enumerate(inputs.T):
        name = f"c{number}"
        if number % 20 < 6:
            columns[name] = values.round(3)
            if number % 20 == 0:
                columns[name] = np.where(draw.random(len(values)) < 0.1, np.nan, columns[name])
        elif number % 20 < 16:
            columns[name] = np.clip((15 * values + 50).round(), 0, 100).astype(np.int64)
        elif number % 20 < 19:
            columns[name] = np.where(values > 0.5, "yes", "no")
        else:
            columns[name] = np.array(list("abcdefgh"))[np.digitize(values, np.linspace(-1.5, 1.5, 7))]
    columns["part"] = np.where(np.arange(len(labels)) < rows, "train", "test")
    columns["label"] = np.where(labels, "yes", "no")
    path = folder / "large.csv"
    csv.write_csv(pa.table({name: pa.array(values, from_pandas=True) for name, values in columns.items()}), path)
    return {"dataset": str(path), "label": "label", "test": "part", "samples": rows}


def write_table(name: str, folder: Path) -> dict[str, Any]:
    """Write a table, and return the options that name it."""
    if name == "adult-like":
        path = folder / "adult-like.csv"
        adult_like().to_csv(path, index=False)
        return {"dataset": str(path), "label": "income"}
    found = EMBEDDED[name]()
    x_train, x_test, y_train, y_test = train_test_split(
        found.data.astype(np.float32), found.target, test_size=0.3, random_state=0, stratify=found.target
    )
    path = folder / f"{name}.npz"
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    return {"dataset": str(path)}


def audit(options: dict[str, Any], estimator: Any, shadows: int, folder: Path, workers: int | None) -> str:
    """Audit one, and return its row."""
    start = time.perf_counter()
    made = privaudit.score(
        **options,
        estimator=estimator,
        shadows=shadows,
        workers=workers,
        store=folder / "store",
        out=folder / "out",
    )
    attacks, accuracy = made.attacks, made.accuracy

    def area(name: str) -> str:
        found = attacks[name]
        return f"{found.auc:.3f}" + ("" if found.auc_ci is None else f" [{found.auc_ci[0]:.3f}, {found.auc_ci[1]:.3f}]")

    rate = attacks["lira"].tpr_at_fpr["0.01"]
    shown = "–" if rate is None else f"{100 * rate:.1f}%"
    holds = all(one is None or one.holds for one in (made.controls.negative, made.controls.untrained))
    return (
        f"{area('lira')} | {area('rmia')} | {shown} | {100 * accuracy.target_train:.1f}% | "
        f"{100 * accuracy.target_test:.1f}% | {100 * accuracy.shadow_others:.1f}% | "
        f"{'hold' if holds else 'FAIL'} | {time.perf_counter() - start:.0f} s"
    )


def quickly(options: dict[str, Any], estimator: Any, shadows: int) -> str:
    """Fit and attack the models of an audit; return its row, but for what LiRA alone does not tell."""
    start = time.process_time()
    plan = plan_audit(AuditSettings(**options, estimator=estimator, shadows=shadows))
    name, arrays, classes = str(plan.specification.estimator), plan.arrays, plan.specification.classes
    keep, labels = plan.design(shadows), arrays.pool_labels
    inputs = np.concatenate([arrays.pool_inputs, arrays.test_inputs])
    every_label = np.concatenate([labels, arrays.test_labels])

    def margins(key: str, members: np.ndarray) -> np.ndarray:
        seed = derive_seed(0, "train", key, 0)
        fitted, _ = fit_estimator(name, arrays.pool_inputs[members], labels[members], classes, seed)
        return signals_of(fitted.log_probabilities(inputs), every_label)[:, 0]

    models = np.stack([margins(shadow_key(number), members)[: len(labels)] for number, members in enumerate(keep)])
    refits = Refits(shadows, lambda left: lira.online(models[left], keep[left]))
    pair = np.broadcast_to(np.arange(shadows)[:, None] // 2, keep.shape)
    found = performance(lira.online(models, keep), keep, pair, ((scores, keep[left]) for left, scores in refits))
    target = margins("target", np.ones(len(labels), bool)) > 0
    rate, (low, high) = found.tpr_at_fpr["0.01"], found.auc_ci or (np.nan, np.nan)
    return (
        f"{found.auc:.3f} [{low:.3f}, {high:.3f}] | – | {'–' if rate is None else f'{100 * rate:.1f}%'} | "
        f"{100 * target[: len(labels)].mean():.1f}% | {100 * target[len(labels) :].mean():.1f}% | "
        f"{100 * (models[~keep] > 0).mean():.1f}% | – | {time.process_time() - start:.0f} s of a core"
    )


def main() -> None:
    """Audit every estimator on every table, or forests on a large one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", default="wine,breast-cancer,adult-like,digits")
    parser.add_argument("--estimators", default=",".join(name for name in ESTIMATORS if "," not in name) + ",leaves")
    parser.add_argument("--quick", action="store_true", help="Fit and attack alone.")
    parser.add_argument("--shadows", type=int, default=16)
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--large", type=int, default=0, help="Rows of a made-up table of 200 columns instead.")
    parser.add_argument("--trees", type=int, default=100, help="With --large: of each forest.")
    parser.add_argument("--csv", action="store_true", help="With --large: from a CSV file, words and gaps among it.")
    parser.add_argument("--out", type=Path, default=Path("estimators"))
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    if asked.large:
        options = write_large(asked.large, asked.out, as_csv=asked.csv)
        forest = RandomForestClassifier(n_estimators=asked.trees)
        print(audit(options, forest, asked.shadows, asked.out, asked.workers), flush=True)
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        seconds = sum(one.ru_utime + one.ru_stime for one in used)
        print(f"{seconds:.0f} s of a core, {max(one.ru_maxrss for one in used) / 1e6:.2f} GB in the largest process")
        return
    wanted = asked.estimators.split(",")
    for table in asked.tables.split(","):
        options = write_table(table, asked.out)
        for name, estimator in ESTIMATORS.items():
            if name not in wanted and not ("leaves" in name and "leaves" in wanted):
                continue
            if asked.quick:
                row = quickly(options, estimator, asked.shadows)
            else:
                row = audit(options, estimator, asked.shadows, asked.out, asked.workers)
            print(f"| {table} | {name} | {row} |", flush=True)


if __name__ == "__main__":
    main()
