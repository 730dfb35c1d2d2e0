"""What models give away of sensitive columns, and what classes look like to them (docs/attributes.md).

python benchmarks/attributes.py [--tables adult-like,breast-cancer] [--models mlp,random-forest] [--shadows 16]
python benchmarks/attributes.py --classes digits
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer

import privaudit
from privaudit.report.content.inferred import class_wording

from estimators import adult_like  # isort: skip - it lies beside this file

SENSITIVE = {
    "adult-like": ("schooling", "trade", "age", "coin"),
    "breast-cancer": ("mean texture", "coin"),
}


def write_table(name: str, folder: Path) -> dict[str, Any]:
    """Write a table with a column by chance, and return the options that name it."""
    if name == "adult-like":
        table, label = adult_like(), "income"
    else:
        found = load_breast_cancer(as_frame=True)
        table, label = found.frame.rename(columns={"target": "diagnosis"}), "diagnosis"
        table[label] = np.where(table[label] == 0, "malignant", "benign")
    table = table.assign(coin=np.random.default_rng(1).choice(["heads", "tails"], len(table)))
    path = folder / f"{name}.csv"
    pd.DataFrame(table).to_csv(path, index=False)
    return {"dataset": str(path), "label": label, "sensitive": SENSITIVE[name]}


def main() -> None:
    """Print a row a column."""
    options = argparse.ArgumentParser()
    options.add_argument("--tables", default="adult-like,breast-cancer")
    options.add_argument("--models", default="mlp,random-forest")
    options.add_argument("--shadows", type=int, default=16)
    options.add_argument("--classes", default="")
    options.add_argument("--out", type=Path, default=Path("attributes-benchmark"))
    asked = options.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    places: dict[str, Any] = {"store": asked.out / "store", "out": asked.out / "reports", "workers": 1, "quiet": True}
    for name in filter(None, asked.classes.split(",")):
        start = time.perf_counter()
        found = privaudit.score(dataset=name, reconstruct_classes="yes", invert=0, **places)
        print(f"{name}: {class_wording.line(found.classes)}; {time.perf_counter() - start:.0f} s")
        print(found.classes.to_json())
    for table in [] if asked.classes else asked.tables.split(","):
        columns = write_table(table, asked.out)
        for model in asked.models.split(","):
            kind = {"network": model} if model in ("mlp", "cnn") else {"estimator": model}
            start = time.perf_counter()
            found = privaudit.score(**columns, **kind, shadows=asked.shadows, invert=0, **places)
            print(f"\n{table}, {model}: LiRA {found.attacks['lira'].auc:.3f}, {time.perf_counter() - start:.0f} s")
            for one in found.attributes.columns:
                said = [f"{one.without[name].rate:.1%}" for name in ("marginal", "imputation")]
                for name, attack in one.attacks.items():
                    bounds = [f"{100 * bound:+.1f}" for bound in attack.ci or ()]
                    surest = 100 * (attack.surest.advantage or 0)
                    print(
                        f"| {one.column} ({len(one.values)}) | {name} | {' | '.join(said)} | {attack.unseen:.1%} | "
                        f"{attack.seen:.1%} | {100 * attack.advantage:+.1f} [{', '.join(bounds)}] | {surest:+.1f} |"
                    )


if __name__ == "__main__":
    main()
