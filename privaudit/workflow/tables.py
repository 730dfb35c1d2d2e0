"""Per-sample tables as parquet, and as CSV on request."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd

from privaudit import files
from privaudit.errors import StoreError
from privaudit.shadow.store import REMEDY

#: What a scored audit leaves in its output folder.
SCORES = "scores.parquet"
RESULTS = "score.json"

#: Beside the audits' own folders, where comparisons of two of them go.
COMPARISONS = "comparisons"

#: And where experiments on them go.
REPRODUCTION = "reproduction"


def write_table(table: pd.DataFrame, path: Path, *, csv: bool = False) -> None:
    """Write ``table`` to ``path`` (parquet), and beside it as ``.csv`` where asked."""
    files.write_bytes(path, table_bytes(table))
    files.seal(path)
    if csv:
        files.write_text(path.with_suffix(".csv"), table.to_csv(index=False))
        files.seal(path.with_suffix(".csv"))


def table_bytes(table: pd.DataFrame) -> bytes:
    """A table as parquet; the same table gives the same bytes."""
    content = io.BytesIO()
    table.to_parquet(content, index=False)
    return content.getvalue()


def read_table(path: Path) -> pd.DataFrame:
    """Read a table back; `StoreError` names a file that is damaged or missing."""
    files.demand_whole(path, REMEDY)
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise StoreError(f"cannot read {path}: {error}", hint=REMEDY) from error
