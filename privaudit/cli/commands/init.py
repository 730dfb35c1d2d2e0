"""``privaudit init``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from privaudit import api
from privaudit.cli.options import json_option, options_of
from privaudit.cli.output import answer, answer_json
from privaudit.cli.questions.ask import is_terminal, say
from privaudit.config import InitOptions
from privaudit.errors import PrivauditError, UsageError

EPILOG = """\b
Examples:
  privaudit init
  privaudit init release-2.3
  privaudit init --dataset customers.csv --label churned --id customer_id \
      --estimator random-forest --shadows 16

\b
At a terminal and without a flag it asks what you have, a question at a time,
and holds each answer against the data. audit.toml holds settings for score
--config; declared.toml what is declared and not measured, for --declare: for
whom, when, by whom, which model, and the limits that the report and the gate
hold the audit against.
"""


@click.command("init", epilog=EPILOG)
@options_of(InitOptions)
@json_option
def command(as_json: bool, **options: Any) -> None:
    """Write audit.toml and declared.toml into FOLDER [here], each line explained; nothing is written over."""
    asks = not as_json and is_terminal() and all(options[name] is None for name in options if name != "folder")
    if asks:
        options |= _asked(Path(options["folder"] or "."))
    written = api.init(**options)
    if as_json:
        answer_json(written)
        return
    answer(written.settings)
    answer(written.declaration)
    say(f"next: {written.command}" + ("" if "--signals" in written.command else " --dry-run"))
    if asks and "--signals" not in written.command:
        _estimate(Path(written.settings))


def _asked(folder: Path) -> dict[str, object]:
    """What was answered; nothing is written where nobody answers."""
    from privaudit.audit.starting_files import demand_no_files
    from privaudit.cli.questions.about_an_audit import ask_about_audit

    demand_no_files(folder)
    try:
        return ask_about_audit()
    except click.exceptions.Abort:
        raise UsageError(
            "nothing was written: the questions were left", hint="Flags answer them too: privaudit init --help."
        ) from None


def _estimate(settings: Path) -> None:
    """Say what the audit will take, where that is wanted."""
    try:
        if click.confirm("Say what it will take? That trains for a few seconds", default=True, err=True):
            api.score(config=settings, dry_run=True)
    except click.exceptions.Abort:
        return
    except PrivauditError as error:
        say(f"  {error}")
