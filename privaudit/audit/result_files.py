"""Per-sample tables as parquet, and as CSV on request."""

from __future__ import annotations

import io
from csv import QUOTE_MINIMAL, QUOTE_NONNUMERIC
from pathlib import Path
from typing import Any

import pandas as pd

from privaudit.errors import StoreError
from privaudit.results.audit.score_results import ScoreResults
from privaudit.results.base import read_result
from privaudit.results.unlearning.run import UnlearnRun
from privaudit.runtime import files
from privaudit.scoring.score_table import whose_results
from privaudit.shadow.store import REMEDY

#: What a scored audit leaves in its output folder.
SCORES = "scores.parquet"
RESULTS = "score.json"

#: An unlearned model, and one that is no result of unlearning: its name says that it is not to be deployed.
MODEL, REJECTED_MODEL = "model.safetensors", "rejected.safetensors"
MODELS = (MODEL, REJECTED_MODEL)


def model_file(run: UnlearnRun) -> str:
    """What the model of an unlearning run is called, from the run's results."""
    return REJECTED_MODEL if run.is_rejected else MODEL


def are_scored(folder: Path) -> bool:
    """Whether ``<out>/<audit>`` holds a whole table and the whole results that belong to it."""
    if not (files.is_whole(folder / SCORES) and files.is_whole(folder / RESULTS)):
        return False
    results = read_result(folder / RESULTS, ScoreResults)
    return results.table_sha256 is not None and whose_results(folder, results) is None


def write_table(table: pd.DataFrame, path: Path, *, csv: bool = False) -> None:
    """Write ``table`` to ``path`` (parquet), and beside it as ``.csv`` where asked."""
    files.write_bytes(path, table_bytes(table))
    files.seal(path)
    if csv:
        files.write_text(path.with_suffix(".csv"), spreadsheet_text(table))
        files.seal(path.with_suffix(".csv"))


#: What makes a spreadsheet take a cell for a formula to run, full-width forms included.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def spreadsheet_text(table: pd.DataFrame) -> str:
    """Return a table as CSV that a spreadsheet shows and never runs.

    Words that would be taken for a formula get an apostrophe in front, as a spreadsheet itself marks text. Numbers stay
    as they are, and so do words that are numbers. What a machine should read back is the parquet file.
    """
    numeric = [pd.api.types.is_numeric_dtype(values.dtype) for _, values in table.items()]
    columns = [
        values if is_number else values.astype(object).map(_as_text)
        for is_number, (_, values) in zip(numeric, table.items(), strict=True)
    ]
    safe = pd.concat(columns, axis=1) if columns else table
    safe.columns = pd.Index([_as_text(name) for name in table.columns])
    words = [name for name in safe.columns if isinstance(name, str)]
    for is_number, (_, values) in zip(numeric, safe.items(), strict=True):
        words += [] if is_number else [value for value in values if isinstance(value, str)]
    # Where a semicolon or a tab separates cells, one within unquoted words would begin a cell of its own.
    split = any(sign in word for word in words for sign in ";\t")
    return safe.to_csv(index=False, quoting=QUOTE_NONNUMERIC if split else QUOTE_MINIMAL)


def _as_text(value: Any) -> Any:
    if not isinstance(value, str) or not value.lstrip(" \xa0").startswith(FORMULA):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


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
