"""``privaudit list``."""

from __future__ import annotations

from pathlib import Path

import click

from privaudit import api
from privaudit.cli.options import json_option, out_option, store_option
from privaudit.cli.output import answer, answer_json
from privaudit.config import DEFAULT_STORE


@click.command("list", epilog="\b\nExample:\n  privaudit list --store shadow_models\n")
@store_option
@out_option
@json_option
def command(store: Path | None, out: Path | None, as_json: bool) -> None:
    """List the audits of a store, and what became of their unlearning runs; the latest audit is marked."""
    rows = api.audits(store=store, out=out)
    if as_json:
        answer_json({"audits": rows})
        return
    if not rows:
        click.echo(f"no audits in {store or DEFAULT_STORE}; make one: privaudit score --dataset digits", err=True)
    for row in rows:
        what = row["error"] or (
            f"{row['network']} on {row['dataset']}, {row['samples']:,} samples, {row['shadows']} shadow models"
        )
        answer(f"{'*' if row['latest'] else ' '} {row['audit']}  {what}")
        for run in row["runs"]:
            outcome = run["outcome"] or "undecided, by an earlier version"
            answer(f"    {run['run']}  {outcome}, {run['forget']:,} samples to forget")
