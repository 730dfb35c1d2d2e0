"""``privaudit init``."""

from __future__ import annotations

from typing import Any

import click

from privaudit import api
from privaudit.cli.options import json_option, options_of
from privaudit.cli.output import answer, answer_json
from privaudit.config import InitOptions

EPILOG = """\b
Examples:
  privaudit init
  privaudit init release-2.3

\b
audit.toml holds settings for privaudit score --config; declared.toml what is
declared and not measured, for --declare: for whom, when, by whom, which model,
and the limits that the report and privaudit gate hold the audit against.
"""


@click.command("init", epilog=EPILOG)
@options_of(InitOptions)
@json_option
def command(as_json: bool, **options: Any) -> None:
    """Write audit.toml and declared.toml into FOLDER [here], each line explained; nothing is written over."""
    written = api.init(**options)
    if as_json:
        answer_json(written)
        return
    answer(written.settings)
    answer(written.declaration)
