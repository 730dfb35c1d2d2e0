"""The folder of an export: whose it is, in which order its files come, and the sums that hold them together."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

from privaudit.artifacts import EXPORTED
from privaudit.deployment.model_description import ExportedModel, ExportResult, ModelDescription
from privaudit.errors import UsageError
from privaudit.runtime import files

#: SHA-256 of every other file, as sha256sum writes and reads them.
SUMS = "SHA256SUMS"


def with_sums(content: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files of an export by name, their sums among them."""
    sums = "".join(f"{hashlib.sha256(part).hexdigest()}  {name}\n" for name, part in sorted(content.items()))
    return {**content, SUMS: sums.encode()}


def write_folder(folder: Path, content: Mapping[str, bytes], check: Callable[[], None]) -> None:
    """Write the files of an export in place of those of an earlier one; where the check of them fails none is left."""
    files.demand_writable(folder)
    for name in _own_names(folder):
        files.remove(folder / name)
    # What says whose folder it is comes first: an export that is killed is known by it, and made again.
    for name in (EXPORTED, SUMS, *(name for name in content if name not in (EXPORTED, SUMS))):
        files.write_bytes(folder / name, content[name])
    try:
        check()
    except Exception:
        for name in content:
            files.remove(folder / name)
        raise


def result_of(about: ModelDescription, folder: Path, content: Mapping[str, bytes]) -> ExportResult:
    """Return what ``export --json`` prints of a folder that was written."""
    exported = ExportedModel.model_validate_json(content[EXPORTED])
    return ExportResult(
        audit=about.audit,
        run=about.run,
        outcome=about.outcome,
        deployable=about.deployable,
        folder=str(folder),
        files=tuple(content),
        sha256=exported.weights_sha256,
        record_sha256=about.record_sha256,
        needs=exported.needs,
    )


def demand_own_folder(folder: Path) -> None:
    """Refuse a folder that holds anything but an earlier export."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: an export is a folder")
    there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    strange = [name for name in there if name not in (*_own_names(folder), "__pycache__")]
    if strange:
        raise UsageError(
            f"{folder} holds {', '.join(strange[:4])}: an export is put into a folder of its own",
            hint="Name another with --out, or empty it.",
        )


def _own_names(folder: Path) -> list[str]:
    """The files of an earlier export, by its list of them; none where there is no such."""
    sums = folder / SUMS
    if not ((folder / EXPORTED).is_file() and sums.is_file()):
        return []
    lines = sums.read_text("utf-8", errors="replace").splitlines()
    return [SUMS, *(Path(line.partition("  ")[2]).name for line in lines)]
