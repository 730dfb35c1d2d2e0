"""``privaudit report``."""

from __future__ import annotations

from typing import Any

import click

from privaudit import api
from privaudit.cli.options import json_option, options_of
from privaudit.cli.output import answer, answer_json
from privaudit.config import AuditSettings, ReportOptions

EPILOG = """\b
Examples:
  privaudit report
  privaudit report mnist-cnn-1a2b3c4d --out results
  privaudit report --redact ids            to show to others
  privaudit report --reveal 3f9c0a71d2e4   whose is that redacted id?
  privaudit report --attest                for other tools: an in-toto statement

\b
--redact ids stays in force until --redact none. --show-samples needs images
that privaudit score --show-samples stored, and is asked for each time.
"""


@click.command("report", epilog=EPILOG)
@options_of(ReportOptions)
@click.option("--reveal", metavar="HASH", help="Say which sample a redacted id stands for, and write nothing.")
@json_option
def command(as_json: bool, reveal: str | None, **given: Any) -> None:
    """Write the HTML and PDF report of AUDIT [the latest] anew from its stored results."""
    options = ReportOptions(**given)  # A wrong word is told first.
    from privaudit.report.write import results_folder
    from privaudit.shadow.locate_audit import locate_audit

    settings, audit = locate_audit(AuditSettings.of(options), options.audit)
    folder = results_folder(settings, audit)
    if reveal is not None:
        from privaudit.report import redaction

        sample = redaction.reveal(folder, reveal)
        if as_json:
            answer_json({"audit": folder.name, "redacted": reveal, "sample_id": sample})
        else:
            answer(sample)
        return
    paths = api.write_report(**given | {"audit": folder.name, "store": settings.store, "out": settings.out})
    if as_json:
        answer_json({"audit": folder.name, "report": paths.to_json()})
        return
    for path in paths.made:
        answer(path)
