"""``privaudit purge``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from privaudit.cli.answer import answer, answer_json
from privaudit.cli.options import json_option, out_option, store_option
from privaudit.config import read_settings
from privaudit.errors import UsageError

EPILOG = """\b
Examples:
  privaudit purge --forget ids:requests.csv --dry-run
  privaudit purge --forget ids:requests.csv --audit mnist-cnn-1a2b3c4d
  privaudit purge --forget class:3 --yes

\b
What goes: the samples' rows of the score table, of every signal and of every
run's tables, reconstructions, and every model that saw one of them. Half of
the shadow models saw any one sample, so for more than a few samples all go.
What stays is named; it can be verified and shown, and trains nothing any more.
"""


@click.command("purge", epilog=EPILOG)
@click.option("--audit", help="Which audit [the latest of the store].")
@click.option("--forget", required=True, help="Whose traces: ids:FILE, class:3,7, random:10%, … as for unlearn.")
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Seed of a random forget set [0].")
@click.option("--dry-run", is_flag=True, help="Say what would go and what would stay; change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@store_option
@out_option
@json_option
def command(
    audit: str | None,
    forget: str,
    seed: int,
    dry_run: bool,
    yes: bool,
    store: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Remove what an audit itself still holds of forgotten samples."""
    settings = read_settings({"store": store, "out": out}, None)
    from privaudit.workflow.purge import plan_purge, run_purge

    plan, _ = plan_purge(settings, audit, forget, seed)
    planned = plan.to_json()
    if not (as_json and dry_run):
        _tell(planned)
    if dry_run:
        if as_json:
            answer_json(planned)
        return
    if not yes:
        _ask(planned)
    results = run_purge(settings, audit, forget, seed)
    if as_json:
        answer_json(results)
        return
    answer(f"purged {results['samples']:,} samples of {results['audit']}")
    for path in results["report"].values():
        if path is not None:
            answer(f"report: {path}")


def _tell(planned: dict[str, Any]) -> None:
    click.echo(
        f"{planned['audit']}: {planned['samples']:,} samples; {planned['models_removed']:,} models go "
        f"({planned['files_removed']:,} files), rows go from {planned['arrays_cut']:,} arrays and "
        f"{planned['tables_cut']:,} tables",
        err=True,
    )
    for kept in planned["models_kept"]:
        click.echo(f"  stays: {kept['file']} ({kept['why']})", err=True)
    for note in planned["notes"]:
        click.echo(f"  {note}", err=True)


def _ask(planned: dict[str, Any]) -> None:
    """Ask for the audit's name: what goes can't be brought back."""
    try:
        typed = click.prompt("This can't be undone. Type the audit's name to go on", err=True)
    except click.exceptions.Abort:
        raise UsageError("nothing was purged: nobody confirmed it", hint="--yes goes on without asking.") from None
    if typed.strip() != planned["audit"]:
        raise UsageError(f"nothing was purged: '{typed}' is not {planned['audit']}")
