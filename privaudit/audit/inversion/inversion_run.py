"""The inversion stage of `privaudit score`: run what is missing, judge it, join it to the score table."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from privaudit.audit.inversion.inversion_images import (
    remove_images,
    write_pictures,
    write_reconstructions,
)
from privaudit.audit.inversion.inversion_plan import InversionPlan, measured, with_chosen
from privaudit.audit.inversion.inversion_results import Judge
from privaudit.audit.inversion.inversion_stage import InversionStage
from privaudit.audit.plan import AuditPlan
from privaudit.results.audit.inversion_results import InversionResults
from privaudit.runtime.progress import talk
from privaudit.scoring import inversion_scores as scoring


def run_inversion(
    plan: AuditPlan, inversion: InversionPlan, table: pd.DataFrame, folder: Path
) -> tuple[pd.DataFrame, InversionResults]:
    """Invert, judge and join.

    Returns
    -------
    tuple
        The score table with inversion's columns, and the ``inversion`` object of the results.
    """
    start = time.monotonic()
    stage = InversionStage(plan, inversion, measured(plan, inversion, keep=True))
    curved = stage.run(stage.curvature())
    norms = stage.norms()
    normed = stage.run(norms)
    reading = stage.features()
    features = None if reading is None else stage.run(reading)
    high: npt.NDArray[np.int64] | None = None
    if inversion.chosen is None:
        high, low = stage.pick_groups(features, curved)
        inversion = with_chosen(inversion, np.concatenate([high, low]))
    rows = np.zeros(0, np.int64) if inversion.chosen is None else inversion.chosen
    matching = stage.run(stage.matching(rows)) if len(rows) else None
    seconds = time.monotonic() - start
    judge = Judge(plan, inversion, table, rows, high)
    joined = scoring.join(table, judge.columns(features, matching, curved, (norms.rows, normed)))
    said = judge.results(features, matching, joined, stage.calibration, seconds)
    remove_images(folder)
    if matching is not None:
        write_reconstructions(plan, rows, inversion, matching, folder)
    write_pictures(plan, inversion, rows, high, matching, folder)
    for warning in said.warnings:
        talk(f"  warning: {warning}")
    return joined, said


def without_inversion(table: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """The score table with inversion's columns, all null; images of an earlier scoring go, which it says nothing of."""
    remove_images(folder)
    return scoring.join(table, {})
