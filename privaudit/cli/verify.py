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
    expected = set(opened.expected_files())
    for folder in (opened.folder, settings.out / opened.audit):
        expected |= {path.with_name(path.name.removesuffix(SEAL_SUFFIX)) for path in folder.rglob(f"*{SEAL_SUFFIX}")}
    states = {path: inspect_seal(path) for path in sorted(expected)}
    missing = [str(path) for path, state in states.items() if state in (Seal.ABSENT, Seal.UNFINISHED)]
    damaged = [str(path) for path, state in states.items() if state is Seal.DAMAGED]
    if as_json:
        print_results({"audit": opened.audit, "files": len(states), "damaged": damaged, "missing": missing})
    else:
        click.echo(f"{opened.audit}: {len(states) - len(missing) - len(damaged)} of {len(states)} files are whole")
    wrong = [
        f"{len(paths)} {name}: {_shown(paths)}"
        for name, paths in (("damaged", damaged), ("missing or unfinished", missing))
        if paths
    ]
    if wrong:
        raise StoreError("; ".join(wrong), hint="Run the same privaudit score (or unlearn) again: it makes them anew.")


def _shown(paths: list[str]) -> str:
    return ", ".join(paths[:10]) + (f" and {len(paths) - 10} more" if len(paths) > 10 else "")
