"""``privaudit report``."""

from __future__ import annotations

from pathlib import Path

import click

from privaudit.cli.main import print_results
from privaudit.cli.options import json_option, out_option, redact_option, show_samples_option, store_option
from privaudit.config import read_settings
from privaudit.shadow.store import open_audit

EPILOG = """\b
Examples:
  privaudit report
  privaudit report mnist-cnn-1a2b3c4d --out results
  privaudit report --redact ids          to show to others
  privaudit report --reveal 3f9c0a71d2e4 whose is that redacted id?

\b
--redact ids stays in force until --redact none. --show-samples needs images
that privaudit score --show-samples stored, and is asked for each time.
"""


@click.command("report", epilog=EPILOG)
@click.argument("audit", required=False)
@redact_option
@show_samples_option
@click.option("--reveal", metavar="HASH", help="Say which sample a redacted id stands for, and write nothing.")
@store_option
@out_option
@json_option
def command(
    audit: str | None,
    reveal: str | None,
    store: Path | None,
    out: Path | None,
    as_json: bool,
    redact: str | None,
    show_samples: bool | None,
) -> None:
    """Write the HTML and PDF report of AUDIT [the latest] anew from its stored results."""
    settings = read_settings({"store": store, "out": out, "redact": redact, "show_samples": show_samples}, None)
    from privaudit.report import privacy
    from privaudit.workflow.render import render_report

    # Results can be rendered where the store is not: a name alone is enough then.
    name = audit if audit and (settings.out / audit).is_dir() else open_audit(settings.store, audit).audit
    folder = settings.out / name
    if reveal is not None:
        sample = privacy.reveal(folder, reveal)
        if as_json:
            print_results({"audit": name, "redacted": reveal, "sample_id": sample})
        else:
            click.echo(sample)
        return
    paths = render_report(folder, privacy.privacy_of(settings))
    if as_json:
        print_results({"audit": name, "report": paths})
        return
    for path in paths.values():
        if path is not None:
            click.echo(path)
