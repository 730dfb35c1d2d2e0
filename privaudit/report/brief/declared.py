"""What was declared of an audit, as it lies beside its results."""

from __future__ import annotations

from pathlib import Path

from privaudit.artifacts import DECLARATION
from privaudit.results.base import read_result
from privaudit.results.statement.declaration import Declaration
from privaudit.runtime import files


def declared_in(folder: Path) -> Declaration | None:
    """Return the declaration in an audit's folder of results; None where there is none, `StoreError` if damaged."""
    path = DECLARATION.at(folder)
    if not path.exists():
        return None
    files.demand_whole(path, "Declare it again: privaudit report AUDIT --declare FILE.toml.")
    return read_result(path, Declaration)
