"""``privaudit compare``."""

from __future__ import annotations

from typing import Any

import click

from privaudit import api
from privaudit.cli.options import json_option, options_of
from privaudit.cli.output import answer, answer_json, answer_reports
from privaudit.config import CompareOptions

EPILOG = """\b
Examples:
  privaudit compare digits-cnn-1a2b3c4d digits-cnn-5e6f7a8b
  privaudit compare before/digits-cnn-1a2b3c4d after/digits-cnn-5e6f7a8b --json

\b
A and B are names of audits in --out, or folders with their results. Both must
be of the same samples. Where they also share seed and number of shadow models
they are compared pair by pair, which tells smaller differences.
"""


@click.command("compare", epilog=EPILOG)
@options_of(CompareOptions)
@json_option
def command(as_json: bool, **options: Any) -> None:
    """Say what changed from audit A to audit B of the same samples, with intervals, and report it."""
    results = api.compare(**options)
    if as_json:
        answer_json(results)
        return
    answer(f"{'':<26}{'A':>9}{'B':>9}  B − A (95%)")
    lira = results.attacks["lira"]
    rows = {"LiRA AUC": lira.auc, "mean risk": results.mean_risk} | {
        f"TPR at {100 * float(rate):g}% FPR": found for rate, found in lira.tpr_at_fpr.items()
    }
    if results.accuracy is not None:
        rows["right on unseen samples"] = results.accuracy
    for name, found in rows.items():
        if found is None:
            answer(f"{name:<26}  too little evidence")
            continue
        bounds = "no interval" if found.ci is None else f"{found.ci[0]:+.4f} to {found.ci[1]:+.4f}"
        answer(f"{name:<26}{found.a:>9.4f}{found.b:>9.4f}  {found.difference:+.4f} ({bounds})")
    answer(f"verdict: {results.verdict}")
    for one in results.differs:
        answer(f"differs: {one.of}: {one.what}: {one.a} → {one.b}")
    if not results.differs:
        answer("differs: nothing that is on record")
    for warning in results.warnings:
        answer(f"warning: {warning}")
    answer_reports(results.report)
