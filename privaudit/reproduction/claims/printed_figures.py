"""The figures that the paper prints, for comparison (`printed.csv`): shares as fractions, otherwise as printed.

Left out: two rows of Table 2 (accuracy on D_r, MNIST and CIFAR-10) in which one value of fourteen is missing, so that
nobody can tell which cell is which.
"""

from __future__ import annotations

import csv
from importlib.resources import files as resources
from typing import Any


def printed(experiment: str, dataset: str) -> list[dict[str, Any]]:
    """What the paper prints for an experiment on a dataset: set, method, arm, measure and value; often nothing."""
    text = resources("privaudit.reproduction.claims").joinpath("printed.csv").read_text("utf-8")
    return [
        {key: row[key] for key in ("set", "method", "arm", "measure")} | {"value": float(row["value"])}
        for row in csv.DictReader(text.splitlines())
        if row["experiment"] == experiment and row["dataset"] == dataset
    ]
