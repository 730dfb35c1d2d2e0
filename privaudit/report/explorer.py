"""The sample explorer: which columns it shows, and their values in few bytes."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from privaudit.report.content import wording
from privaudit.report.content.elements import Column, Explorer
from privaudit.report.content.method_names import method
from privaudit.report.content.texts import terms
from privaudit.report.exposure import most_exposed
from privaudit.results.audit.score_results import ScoreResults
from privaudit.results.unlearning.run import UnlearnResults


def columns_of(table: pd.DataFrame, of: str) -> list[Column]:
    """Return the columns of the texts ``explorer.<of>`` that a table has and that hold anything."""
    named = ([*term.split(" | "), meaning] for term, meaning in terms(f"explorer.{of}").items())
    columns = (Column(key, title, kind, meaning) for key, title, kind, meaning in named)
    return [column for column in columns if column.key in table and bool(table[column.key].notna().any())]


#: The most unlearning runs whose difficulties are shown: the last ones.
MOST_RUNS = 3

#: Columns of which more than this share is empty are kept as places and values.
SPARSE = 0.6


def explore(
    table: pd.DataFrame, runs: Sequence[tuple[UnlearnResults, pd.DataFrame]], sha256: str, results: ScoreResults
) -> tuple[Explorer, pd.DataFrame]:
    """Choose the columns, and join what unlearning found of each sample.

    Parameters
    ----------
    table
        The score table without canaries, one row a sample.
    runs
        Metrics and per-sample table of every unlearning run.
    sha256
        Of the score table's file.
    results
        ``score.json``, which says whether anybody may be named: where nobody may, samples stand by their ids.
    """
    shown = table.reset_index(drop=True)
    columns = columns_of(shown, "scores")
    for run, forgetting in runs[-MOST_RUNS:]:
        place = pd.Index(shown["sample_id"]).get_indexer(pd.Index(forgetting["sample_id"]))
        for name, (title, meaning) in wording.DIFFICULTIES.items():
            if not forgetting[name].notna().any():
                continue
            key = f"{name}-{run.number}"
            values = np.full(len(shown), np.nan)
            values[place[place >= 0]] = forgetting[name].to_numpy(np.float64)[place >= 0]
            shown[key] = values
            meaning = f"{meaning}; run {run.number}, {method(run)}."
            columns.append(Column(key, f"{title}, run {run.number}", "number", meaning))
    order, caution = "risk", "Who is not confirmed leads partly by luck."
    if most_exposed.why_nobody(results) is not None:
        order, caution = "sample_id", most_exposed.nobody(results)
    explorer = Explorer("scores.parquet", sha256, len(shown), columns, "risk", "shift", order, caution)
    return explorer, shown[[column.key for column in columns]]


def payload(explorer: dict[str, Any], samples: pd.DataFrame) -> str:
    """The samples as JSON that can stand inside a ``<script>`` element: no sign of it ends the element."""
    columns = [column | _packed(column["kind"], samples[column["key"]]) for column in explorer["columns"]]
    content = {"rows": len(samples), "columns": columns} | {
        name: explorer[name] for name in ("horizontal", "vertical", "order", "caution")
    }
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _packed(kind: str, values: pd.Series[Any]) -> dict[str, Any]:
    """One column as base64 of little-endian numbers: codes into a list of values, or 32-bit numbers themselves."""
    if kind in ("id", "category") and not pd.api.types.is_integer_dtype(values):
        codes, names = pd.factorize(values, sort=False)
        return {"values": [wording.inert(wording.clip(str(name))) for name in names]} | _codes(codes, len(names))
    if kind == "yes-no":
        return {"values": ["no", "yes"]} | _codes(values.astype("boolean").fillna(False).to_numpy(np.int64), 2)
    numbers = values.to_numpy(np.float64, na_value=np.nan)
    if kind == "id":
        small = bool(np.abs(numbers).max(initial=0) < 2**31)
        return {"type": "i32", "data": _base64(numbers.astype("<i4"))} if small else _packed(kind, values.astype(str))
    known = np.flatnonzero(np.isfinite(numbers))
    place = {}
    if len(known) < (1 - SPARSE) * len(numbers):
        place = {"places": _base64(known.astype("<u4"))}
        numbers = numbers[known]
    rounded = np.round(numbers, 6)
    distinct, codes = np.unique(rounded, return_inverse=True)
    if len(distinct) <= max(256, len(numbers) // 8):
        named = [None if np.isnan(value) else float(value) for value in distinct]
        return {"values": named} | _codes(codes, len(distinct)) | place
    return {"type": "f32", "data": _base64(numbers.astype("<f4"))} | place


def _codes(codes: npt.NDArray[Any], count: int) -> dict[str, str]:
    name = "u8" if count <= 2**8 else "u16" if count <= 2**16 else "u32"
    return {"type": name, "data": _base64(np.asarray(codes).astype({"u8": "<u1", "u16": "<u2", "u32": "<u4"}[name]))}


def _base64(array: npt.NDArray[Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
