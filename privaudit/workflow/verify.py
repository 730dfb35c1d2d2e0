"""`privaudit verify`: hold every file of an audit against its recorded checksum; change nothing. No torch."""

from __future__ import annotations

from typing import Any

from privaudit.config import AuditSettings
from privaudit.errors import StoreError
from privaudit.files import SEAL_SUFFIX, Seal, inspect_seal, is_whole
from privaudit.shadow.store import open_audit
from privaudit.workflow.tables import COMPARISONS

#: How many files a message names.
NAMED = 10


def run_verify(settings: AuditSettings, audit: str | None) -> dict[str, Any]:
    """Look at every file that there should be, and at every other that has a checksum.

    Returns
    -------
    dict
        What ``verify --json`` prints.

    Raises
    ------
    StoreError
        Where a file is damaged, missing or unfinished; its ``results`` are the same.
    """
    opened = open_audit(settings.store, audit)
    # These say which files there should be. Where one is damaged itself, the others are looked at all the same.
    expected = {opened.description, opened.design}
    if all(map(is_whole, expected)):
        expected |= set(opened.expected_files())
    comparisons = (settings.out / COMPARISONS).glob(f"*{opened.audit}*")
    for folder in (opened.folder, settings.out / opened.audit, *comparisons):
        expected |= {path.with_name(path.name.removesuffix(SEAL_SUFFIX)) for path in folder.rglob(f"*{SEAL_SUFFIX}")}
    states = {path: inspect_seal(path) for path in sorted(expected)}
    missing = [str(path) for path, state in states.items() if state in (Seal.ABSENT, Seal.UNFINISHED)]
    damaged = [str(path) for path, state in states.items() if state is Seal.DAMAGED]
    results = {"audit": opened.audit, "files": len(states), "damaged": damaged, "missing": missing}
    wrong = [
        f"{len(paths)} {name}: {_shown(paths)}"
        for name, paths in (("damaged", damaged), ("missing or unfinished", missing))
        if paths
    ]
    if wrong:
        error = StoreError(
            "; ".join(wrong), hint="Run the same privaudit score (or unlearn) again: it makes them anew."
        )
        error.results = results
        raise error
    return results


def _shown(paths: list[str]) -> str:
    return ", ".join(paths[:NAMED]) + (f" and {len(paths) - NAMED} more" if len(paths) > NAMED else "")
