"""``privaudit report``."""

from __future__ import annotations

from pathlib import Path

import click

from privaudit import api
from privaudit.cli.options import json_option, out_option, redact_option, show_samples_option, store_option
from privaudit.cli.output import answer, answer_json
from privaudit.config import read_settings

EPILOG = """\b
Examples:
  privaudit report
  privaudit report mnist-cnn-1a2b3c4d --out results
  privaudit report --redact ids            to show to others
  privaudit report --reveal 3f9c0a71d2e4   whose is that redacted id?

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
    # A wrong word is told first.
    settings = read_settings({"store": store, "out": out, "redact": redact, "show_samples": show_samples}, None)
    from privaudit.report.write import results_folder

    folder = results_folder(settings, audit)
    if reveal is not None:
        from privaudit.report import redaction

        sample = redaction.reveal(folder, reveal)
        if as_json:
            answer_json({"audit": folder.name, "redacted": reveal, "sample_id": sample})
        else:
            answer(sample)
        return
    paths = api.write_report(folder.name, redact=redact, show_samples=show_samples, store=store, out=out)
    if as_json:
        answer_json({"audit": folder.name, "report": paths})
        return
    for path in (paths["html"], paths["pdf"]):
        if path is not None:
            answer(path)
