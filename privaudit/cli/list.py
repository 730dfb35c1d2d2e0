"""``privaudit list``."""

from __future__ import annotations

from pathlib import Path

import click

from privaudit.cli.main import print_results
from privaudit.cli.options import json_option, store_option
from privaudit.config import read_settings
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
        about = AuditStore(root, name).read_description()
        identity, data = about["identity"], about["data"]
        rows.append(
            {
                "audit": name,
                "dataset": identity["dataset"],
                "network": identity["network"],
                "samples": data["train"],
                "shadows": AuditStore(root, name).shadow_count(),
                "latest": name == latest,
            }
        )
    if as_json:
        print_results({"audits": rows})
        return
    if not rows:
        click.echo(f"no audits in {root}; make one: privaudit score --dataset digits", err=True)
    for row in rows:
        click.echo(
            f"{'*' if row['latest'] else ' '} {row['audit']}  {row['network']} on {row['dataset']}, "
            f"{row['samples']:,} samples, {row['shadows']} shadow models"
        )
