"""The figures that the paper prints, for comparison (`printed.csv`): shares as fractions, otherwise as printed.

Left out: two rows of Table 2 (accuracy on D_r, MNIST and CIFAR-10) in which one value of fourteen is missing, so that
nobody can tell which cell is which.
"""

from __future__ import annotations

import csv
from importlib.resources import files as resources

from privaudit.results.reproduction_results import PrintedFigure


def printed(experiment: str, dataset: str) -> list[PrintedFigure]:
    """Return what the paper prints for an experiment on a dataset; often nothing."""
    text = resources("privaudit.reproduction.claims").joinpath("printed.csv").read_text("utf-8")
    rows = csv.DictReader(text.splitlines())
    return [
        PrintedFigure.model_validate(row)
        for row in rows
        if row["experiment"] == experiment and row["dataset"] == dataset
    ]
