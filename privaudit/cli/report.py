"""``privaudit report``."""

from __future__ import annotations

from pathlib import Path

import click

from privaudit.cli.main import print_results
from privaudit.cli.options import json_option, out_option, store_option
from privaudit.config import read_settings
from privaudit.shadow.store import open_audit

EPILOG = """\b
Examples:
  privaudit report
  privaudit report mnist-cnn-1a2b3c4d --out results
"""


@click.command("report", epilog=EPILOG)
@click.argument("audit", required=False)
@store_option
@out_option
@json_option
def command(audit: str | None, store: Path | None, out: Path | None, as_json: bool) -> None:
    """Write the HTML and PDF report of AUDIT [the latest] anew from its stored results."""
    settings = read_settings({"store": store, "out": out}, None)
    from privaudit.workflow.render import render_report

    # Results can be rendered where the store is not: a name alone is enough then.
    name = audit if audit and (settings.out / audit).is_dir() else open_audit(settings.store, audit).audit
    paths = render_report(settings.out / name)
    if as_json:
        print_results({"audit": name, "report": paths})
        return
    for path in paths.values():
        if path is not None:
            click.echo(path)
