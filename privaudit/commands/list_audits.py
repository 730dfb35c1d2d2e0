"""`privaudit list`: the audits of a store. No torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from privaudit.audit.result_files import model_file
from privaudit.errors import StoreError
from privaudit.results.base import read_result
from privaudit.results.unlearning.run import UnlearnRun
from privaudit.runtime import files
from privaudit.shadow.store import AuditStore, audits_in, latest_audit


def list_audits(root: Path, out: Path) -> list[dict[str, Any]]:
    """What each audit of a store is, by name, with its unlearning runs; one that is damaged is there with an error."""
    latest = latest_audit(root)
    return [
        {"audit": name, "latest": name == latest} | _described(AuditStore(root, name)) | {"runs": _runs(out / name)}
        for name in audits_in(root)
    ]


def _runs(folder: Path) -> list[dict[str, Any]]:
    """Unlearning runs in the order in which they were made, and what became of each; those that are whole."""
    found = []
    for path in folder.glob("unlearn/*/metrics.json"):
        if not files.is_whole(path):
            continue
        run = read_result(path, UnlearnRun)
        model = path.parent / model_file(run)
        facts = {"method": run.method, "order": run.order, "forget": run.forget, "outcome": run.outcome_or_exact}
        kept = str(model) if files.is_whole(model) else None
        found.append((run.number, {"run": path.parent.name, **facts, "model": kept}))
    return [run for _, run in sorted(found, key=lambda one: (one[0], one[1]["run"]))]


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
