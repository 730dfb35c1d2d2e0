"""The stored result of ``--invert-settings realistic``."""

from __future__ import annotations

from pathlib import Path

from privaudit import artifacts
from privaudit.results.audit.realistic_inversion import RealisticInversion
from privaudit.results.base import read_result
from privaudit.runtime import files

NAME = artifacts.INVERSION_SETTINGS.path


def realistic_in(folder: Path) -> RealisticInversion | None:
    """Return what was measured of the audit in ``<out>/<audit>``; None where nothing whole of this audit is there."""
    path = artifacts.INVERSION_SETTINGS.at(folder)
    if not files.is_whole(path):
        return None
    found = read_result(path, RealisticInversion)
    return found if found.audit in (folder.name, folder.resolve().name) else None
