"""``privaudit verify``."""

from __future__ import annotations

from pathlib import Path

import click

from privaudit.cli.main import print_results
from privaudit.cli.options import json_option, out_option, store_option
from privaudit.config import read_settings
from privaudit.errors import StoreError
from privaudit.files import SEAL_SUFFIX, Seal, inspect_seal
from privaudit.shadow.store import open_audit

EPILOG = """\b
Examples:
  privaudit verify
  privaudit verify mnist-cnn-1a2b3c4d
"""


@click.command("verify", epilog=EPILOG)
@click.argument("audit", required=False)
@store_option
@out_option
@json_option
def command(audit: str | None, store: Path | None, out: Path | None, as_json: bool) -> None:
    """Hold every file of AUDIT [the latest] against its recorded SHA-256; change nothing."""
    settings = read_settings({"store": store, "out": out}, None)
    opened = open_audit(settings.store, audit)
    records = [
        *sorted(opened.folder.rglob(f"*{SEAL_SUFFIX}")),
        *sorted((settings.out / opened.audit).rglob(f"*{SEAL_SUFFIX}")),
    ]
    states = {path.with_name(path.name.removesuffix(SEAL_SUFFIX)): Seal.WHOLE for path in records}
    for path in states:
        states[path] = inspect_seal(path)
    damaged = [str(path) for path, state in states.items() if state is not Seal.WHOLE]
    if as_json:
        print_results({"audit": opened.audit, "files": len(states), "damaged": damaged})
    else:
        click.echo(f"{opened.audit}: {len(states) - len(damaged)} of {len(states)} files are whole")
    if damaged:
        raise StoreError(
            f"damaged or missing: {', '.join(damaged)}",
            hint="Run the same privaudit score (or unlearn) again: it sets them aside and makes them anew.",
        )
