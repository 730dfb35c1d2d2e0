"""``privaudit list``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from privaudit.cli.main import print_results
from privaudit.cli.options import json_option, store_option
from privaudit.config import read_settings
from privaudit.errors import StoreError
from privaudit.shadow.store import LATEST, AuditStore, audits_in


@click.command("list", epilog="\b\nExample:\n  privaudit list --store shadow_models\n")
@store_option
@json_option
def command(store: Path | None, as_json: bool) -> None:
    """List the audits of a store; the latest is marked."""
    root = read_settings({"store": store}, None).store
    pointer = root / LATEST
    latest = pointer.read_text("utf-8").strip() if pointer.is_file() else None
    rows = []
    for name in audits_in(root):
        rows.append({"audit": name, "latest": name == latest} | _described(AuditStore(root, name)))
    if as_json:
        print_results({"audits": rows})
        return
    if not rows:
        click.echo(f"no audits in {root}; make one: privaudit score --dataset digits", err=True)
    for row in rows:
        what = row["error"] or (
            f"{row['network']} on {row['dataset']}, {row['samples']:,} samples, {row['shadows']} shadow models"
        )
        click.echo(f"{'*' if row['latest'] else ' '} {row['audit']}  {what}")


def _described(store: AuditStore) -> dict[str, Any]:
    """What an audit is, or why that can't be told: one damaged audit must not hide the others."""
    try:
        about, shadows = store.read_description(), store.shadow_count()
    except StoreError as error:
        return {"dataset": None, "network": None, "samples": None, "shadows": None, "error": error.message}
    identity, data = about["identity"], about["data"]
    return {
        "dataset": identity["dataset"],
        "network": identity["network"],
        "samples": data["train"],
        "shadows": shadows,
        "error": None,
    }
