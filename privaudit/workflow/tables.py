"""Per-sample tables as parquet, and as CSV on request."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd

from privaudit import files


def write_table(table: pd.DataFrame, path: Path, *, csv: bool = False) -> None:
    """Write ``table`` to ``path`` (parquet), and beside it as ``.csv`` where asked."""
    content = io.BytesIO()
    table.to_parquet(content, index=False)
    files.write_bytes(path, content.getvalue())
    if csv:
        files.write_text(path.with_suffix(".csv"), table.to_csv(index=False))
