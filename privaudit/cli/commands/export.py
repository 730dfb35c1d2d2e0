"""``privaudit export``."""

from __future__ import annotations

from typing import Any

import click

from privaudit import api
from privaudit.cli.options import json_option, options_of
from privaudit.cli.output import answer, answer_json
from privaudit.config import ExportOptions

EPILOG = """\b
Examples:
  privaudit export AUDIT
  privaudit unlearn --forget ids:requests.csv && privaudit export latest
  privaudit export latest --out served --json

\b
An AUDIT (its name or folder) stands for its target model, a RUN for the model
that unlearning left, and latest for the last run of the latest audit.
What is written: the weights, how inputs are scaled, the network's code, and
load.py, which serves them without privaudit. A rejected model is refused.
"""


@click.command("export", epilog=EPILOG)
@options_of(ExportOptions)
@json_option
def command(as_json: bool, **options: Any) -> None:
    """Write the MODEL of an audit or a run as a folder that serves it without privaudit."""
    done = api.export(**options)
    if as_json:
        answer_json(done)
        return
    answer(f"exported: {done.folder}")
    if done.outcome is not None:
        answer(f"outcome of {done.run}: {done.outcome}; its record's SHA-256: {done.record_sha256}")
    answer(f"loader: {done.folder}/load.py, which needs {', '.join(done.needs)}")
