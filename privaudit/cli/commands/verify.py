"""``privaudit verify``."""

from __future__ import annotations

from typing import Any

import click

from privaudit import api
from privaudit.cli.options import json_option, options_of
from privaudit.cli.output import answer, answer_json
from privaudit.config import VerifyOptions
from privaudit.errors import StoreError

EPILOG = """\b
Examples:
  privaudit verify
  privaudit verify mnist-cnn-1a2b3c4d
"""


@click.command("verify", epilog=EPILOG)
@options_of(VerifyOptions)
@json_option
def command(as_json: bool, **options: Any) -> None:
    """Hold every file of AUDIT [the latest] against its recorded SHA-256; change nothing."""
    try:
        results = api.verify(**options)
    except StoreError as error:
        if error.results is not None:
            _print(error.results, as_json)
        raise
    _print(dict(results), as_json)


def _print(results: dict[str, Any], as_json: bool) -> None:
    if as_json:
        answer_json(results)
        return
    whole = results["files"] - sum(len(results[name]) for name in ("missing", "damaged", "misplaced"))
    answer(f"{results['audit']}: {whole} of {results['files']} files are whole")
