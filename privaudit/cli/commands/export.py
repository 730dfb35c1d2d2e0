"""``privaudit export``."""

from __future__ import annotations

from pathlib import Path

import click

from privaudit import api
from privaudit.cli.options import json_option, store_option
from privaudit.cli.output import answer, answer_json

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
@click.argument("model", metavar="AUDIT|RUN|latest")
@click.option("--network", metavar="FILE.py:function", help="Where a network of yours is now, if it moved.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder to write; one with results in it, as --out elsewhere, gets exports/NAME [reports].",
)
@store_option
@json_option
def command(model: str, network: str | None, out: Path | None, store: Path | None, as_json: bool) -> None:
    """Write the model of AUDIT or RUN as a folder that serves it without privaudit."""
    done = api.export(model, network=network, store=store, out=out)
    if as_json:
        answer_json(done.to_json())
        return
    answer(f"exported: {done.folder}")
    if done.outcome is not None:
        answer(f"outcome of {done.run}: {done.outcome}; its record's SHA-256: {done.record_sha256}")
    answer(f"loader: {done.folder}/load.py, which needs {', '.join(done.needs)}")
