"""``privaudit list``."""

from __future__ import annotations

from typing import Any

import click

from privaudit import api
from privaudit.cli.options import json_option, options_of
from privaudit.cli.output import answer, answer_json
from privaudit.config import DEFAULT_STORE, ListOptions
from privaudit.results.stored_audits import RunEntry


@click.command("list", epilog="\b\nExample:\n  privaudit list --store shadow_models\n")
@options_of(ListOptions)
@json_option
def command(as_json: bool, **options: Any) -> None:
    """List the audits of a store, and what became of their unlearning runs; the latest audit is marked."""
    rows = api.audits(**options)
    if as_json:
        answer_json({"audits": rows})
        return
    if not rows:
        click.echo(
            f"no audits in {options['store'] or DEFAULT_STORE}; make one: privaudit score --dataset digits", err=True
        )
    for row in rows:
        what = row.error or (f"{row.network} on {row.dataset}, {row.samples:,} samples, {row.shadows} shadow models")
        answer(f"{'*' if row.latest else ' '} {row.audit}  {what}")
        for run in row.runs:
            outcome = run.outcome or "undecided, by an earlier version"
            count = run.forget or 0
            gone = "" if run.model is not None else "; its model is gone or damaged"
            answer(f"    {run.run}  {outcome}, {count:,} sample{'s' * (count != 1)} to forget{_chained(run)}{gone}")
        for calibration, method in row.calibrations.items():
            answer(f"    calibration {calibration}  {method}")


def _chained(run: RunEntry) -> str:
    """How a run hangs together with the one that it went on from."""
    if run.went_on_from is None:
        return ""
    said = {"purged": ", whose model was purged", "broken": ", whose record is NOT the one that it went on from"}
    return f", going on from {run.went_on_from}{said.get(run.link or '', '')}"
