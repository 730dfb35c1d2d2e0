"""`privaudit list`: the audits of a store. No torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from privaudit.errors import StoreError
from privaudit.shadow.store import AuditStore, audits_in, latest_audit


def list_audits(root: Path) -> list[dict[str, Any]]:
    """What each audit of a store is, by name; one that is damaged is there with an error."""
    latest = latest_audit(root)
    return [{"audit": name, "latest": name == latest} | _described(AuditStore(root, name)) for name in audits_in(root)]


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
