"""The encoding of a table's rows that an audit keeps: what turns raw columns into the features of its models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from privaudit.data.tables.cells import MISSING
from privaudit.data.tables.column_encoders import AnyColumn, BooleanColumn, CategoryColumn, DateColumn
from privaudit.data.tables.encoding import TableEncoding, read_encoding
from privaudit.data.tables.frame_encoding import FrameColumn, FrameEncoding
from privaudit.data.tables.word_forms import TRUTHS
from privaudit.results.base import read_result
from privaudit.runtime import files
from privaudit.shadow.store import REMEDY, AuditStore

#: Words of a category that a line names; model.json has them all.
NAMED = 12


class RowEncoding(Protocol):
    """What every stored encoding of a table can do."""

    def apply(self, frame: pd.DataFrame) -> npt.NDArray[np.float32]:
        """Turn rows of raw columns into features ``[N, D]``; `DataError` names what can't be read."""

    def examples(self, count: int) -> pd.DataFrame:
        """Make up rows, to try an encoding on."""

    def to_json(self) -> dict[str, Any]:
        """Return it as an export keeps it."""


def read_row_encoding(store: AuditStore) -> RowEncoding | None:
    """Read the encoding of an audit's table; None where it is of no table, or an earlier version kept none."""
    if store.encoding.exists():
        return read_encoding(store.encoding)
    if not store.columns.exists():
        return None
    files.demand_whole(store.columns, REMEDY)
    return read_result(store.columns, FrameEncoding)


def templates() -> Environment:
    """Return what fills in the files of an export."""
    return Environment(
        loader=PackageLoader("privaudit.deployment"),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - plain text, no page
    )


def code_of_rows(encoding: RowEncoding) -> tuple[tuple[str, ...], str]:
    """Return Python for a loader: the modules that it imports, and ``features_of``, a row's features.

    It reads the encoding from ``ABOUT["encoding"]``.
    """
    if not isinstance(encoding, TableEncoding):
        return (), templates().get_template("frame_rows.py.jinja").render()
    given = {"missing": sorted(MISSING), "truths": [*map(list, TRUTHS), ["0", "1"]]}
    return ("datetime", "math", "re"), templates().get_template("table_rows.py.jinja").render(given)


def columns_in_words(encoding: RowEncoding) -> list[str]:
    """Say of every column what its cells are, and which features they become, a line a column."""
    lines, first = [], 0
    for column, width in _columns(encoding):
        features = f"feature {first}" if width == 1 else f"features {first} to {first + width - 1}"
        lines.append(f"{column.name}: {_cells(column)} ({features})")
        first += width
    return lines


def _columns(encoding: RowEncoding) -> Iterator[tuple[AnyColumn | FrameColumn, int]]:
    if isinstance(encoding, TableEncoding):
        yield from ((column, len(column.feature_names())) for column in encoding.columns)
    elif isinstance(encoding, FrameEncoding):
        yield from ((column, 1 if column.values is None else len(column.values)) for column in encoding.columns)


def _cells(column: AnyColumn | FrameColumn) -> str:
    """What a column's cells are, and what becomes of others."""
    if isinstance(column, FrameColumn):
        return "a number, never missing" if column.values is None else f"one of {_listed(column.values)}"
    if isinstance(column, CategoryColumn):
        other = "others are one rare category" if column.rare else "others are none of them"
        missing = "missing is a category" if column.indicator else "missing is none of them"
        return f"one of {_listed(column.values)}; {other}, {missing}"
    if isinstance(column, BooleanColumn):
        no, yes = column.words
        return f"{no} or {yes}; missing is taken for {column.words[int(column.fill)]}"
    if isinstance(column, DateColumn):
        slashes = {True: ", 31/12/2024 by day first", False: ", 12/31/2024 by month first", None: ""}
        return f"a date, as 2024-12-31{slashes[column.day_first]}; missing is filled"
    comma = ", with a decimal point or comma" if column.decimal_comma else ""
    return f"a number{comma}; missing is filled with {column.fill:g}"


def _listed(values: list[str] | tuple[str, ...]) -> str:
    more = f" and {len(values) - NAMED:,} more" if len(values) > NAMED else ""
    return (", ".join(values[:NAMED]) or "no word that many rows share") + more
