"""``privaudit gate``."""

from __future__ import annotations

from typing import Any

import click

from privaudit import api
from privaudit.cli.options import json_option, options_of
from privaudit.cli.output import answer, answer_json
from privaudit.config import GateOptions
from privaudit.errors import PrivauditError
from privaudit.results.gate_results import GateAnswer

EPILOG = """\b
Examples:
  privaudit gate --max-tpr 0.01@0.001
  privaudit gate mnist-cnn-1a2b3c4d --max-tpr 0.05@0.01 --max-auc 0.6 --junit gate.xml
  privaudit gate --max-asr 0.9 --attack lira-hierarchical
  privaudit gate --unlearned latest
  privaudit gate                      the limits that were declared

\b
A limit holds where the whole 95% interval lies at or below it. An unlearning run
holds where its outcome is exact or close; of an unclear one nothing can be told.
Exit codes: 0 every limit holds, 3 one is breached, 4 too little evidence to tell.
"""


@click.command("gate", epilog=EPILOG)
@options_of(GateOptions)
@json_option
def command(as_json: bool, **options: Any) -> None:
    """Hold AUDIT [the latest] against limits, for a pipeline to stop at."""
    try:
        results = api.gate(**options)
    except PrivauditError as error:
        if error.results is not None:
            _print(error.results, as_json)
        raise
    _print(results, as_json)


def _print(results: GateAnswer, as_json: bool) -> None:
    if as_json:
        answer_json(results)
        return
    for check in (*results.checks, results.unlearned):
        if check is not None:
            answer(check.sentence)
