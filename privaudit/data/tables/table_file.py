"""A table in a file, ``.csv``, ``.tsv`` or ``.parquet``, as it was written: nothing is guessed about its cells yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from privaudit.data.dataset import IntArray
from privaudit.data.free_memory import available_memory
from privaudit.data.row_names import shown
from privaudit.data.tables.cells import MISSING, Problem
from privaudit.data.tables.column_encoders import quoted
from privaudit.data.tables.word_forms import are_numbers
from privaudit.data.text_files import DELIMITERS, Lines, Row, UnreadableText, rows_of, text_of
from privaudit.errors import DataError, UsageError

SUFFIXES = (".csv", ".tsv", ".parquet")

#: Problems that a message tells.
TOLD = 10

#: Rows by which the delimiter is chosen, and that are turned into columns at once.
SAMPLED, BATCH = 100, 10_000

#: Copies of a file's text that are held while it is read, at most.
_COPIES = 4

AS_UTF8 = "Save it as CSV in UTF-8, with a first line that names the columns."


@dataclass(frozen=True)
class UserTable:
    """A table as it was given.

    Parameters
    ----------
    name
        What messages call it: the file's name.
    frame
        Its cells: words where they come from text.
    lines
        int64 ``[N]``: the line of the file on which each row begins; None where it has no lines.
    notes
        What was passed over.
    other
        The table to test with, where it was given beside it.
    """

    name: str
    frame: pd.DataFrame
    lines: IntArray | None = None
    notes: tuple[str, ...] = ()
    other: UserTable | None = None

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(map(str, self.frame.columns))

    def place(self, problem: Problem) -> str:
        """Return where a problem is, in the words of the user's table, and what it is."""
        parts = []
        if problem.row is not None and self.lines is not None:
            parts.append(f"line {self.lines[problem.row]}")
        elif problem.row is not None:
            parts.append(f"row {self.frame.index[problem.row]}")
        if problem.column is not None:
            parts.append(f"column '{problem.column}'")
        return f"{', '.join(parts)}: {problem.what}" if parts else problem.what


def is_table_file(name: str) -> bool:
    """Whether a dataset's name is that of a file with a table."""
    return name.lower().endswith(SUFFIXES)


def demand_sound(problems: Sequence[tuple[UserTable, Problem]], hint: str) -> None:
    """Raise `DataError` with all that is wrong with tables, the first ten of it by file, line and column."""
    if not problems:
        return
    said = [f"{table.name}, {table.place(problem)}" for table, problem in problems]
    if len(said) == 1:
        raise DataError(said[0], hint=hint)
    tables = " and ".join(dict.fromkeys(table.name for table, _ in problems))
    several = [
        table.place(problem) if " and " not in tables else line
        for (table, problem), line in zip(problems, said, strict=True)
    ]
    more = [f"and {len(said) - TOLD:,} more"] if len(said) > TOLD else []
    raise DataError("\n  - ".join([f"{tables}: {len(said):,} things are wrong", *several[:TOLD], *more]), hint=hint)


def read_table_file(path: Path) -> UserTable:
    """Read a table.

    Raises
    ------
    DataError
        Where it can't be read, two columns are called alike, one has no name, or rows have more or fewer cells than
        the header.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder", hint="Name a file of it.")
    if not path.is_file():
        raise UsageError(f"there is no file {path}", hint="Is its name spelt as it is, from this folder on?")
    try:
        if path.suffix.lower() == ".parquet":
            return _read_parquet(path)
        size, left = path.stat().st_size, available_memory()
        if left is not None and _COPIES * size > left:
            raise DataError(
                f"{path.name} has {size / 1e9:,.1f} GB, and {left / 1e9:,.1f} GB of memory are left",
                hint="Give fewer rows or columns, or save it as .parquet.",
            )
        return _read_text(path.name, text_of(path.read_bytes()), path.suffix.lower() == ".tsv")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error}") from error
    except UnreadableText as error:
        where = "" if error.line is None or str(error).startswith("line") else f", line {error.line}"
        raise DataError(f"cannot read {path.name}{where}: {error}", hint=AS_UTF8) from error


def _read_text(name: str, text: str, has_tabs: bool) -> UserTable:
    lines = Lines(text)
    delimiters: tuple[str, ...] = ("\t", *DELIMITERS) if has_tabs else DELIMITERS
    if text[:5].lower().startswith("sep=") and text[5:6] in "\r\n":
        delimiters = (text[4],)
        lines.next()
    delimiter = _delimiter_of(text, delimiters)
    rows = rows_of(lines, delimiter)
    header = next(rows, None)
    if header is None:
        raise DataError(f"{name} is empty", hint=AS_UTF8)
    names = header.cells
    if len(names) == 1:
        raise DataError(
            f"{name}: its first line, {quoted(names[0])}, names one column",
            hint="Columns are parted by a comma, a semicolon, a tab or a |; one of them is the label.",
        )
    frame, numbers, ragged = _columns(rows, len(names))
    if not len(frame) and not ragged:
        raise DataError(f"{name} has a header line and no row below it")
    _demand_no_shift(name, ragged, len(frame))
    demand_sound(
        [
            (
                UserTable(name, frame, np.array([row.line])),
                Problem(f"{len(row.cells)} cells, and the header has {len(names)}", row=0),
            )
            for row in ragged
        ],
        "Is a quotation mark or a delimiter missing, or one too many?",
    )
    return _named(name, names, frame, numbers)


def _delimiter_of(text: str, delimiters: tuple[str, ...]) -> str:
    """The one that parts the first rows into the most cells, as many in nearly every row."""
    if len(delimiters) == 1:
        return delimiters[0]
    best, most = delimiters[0], 1
    for delimiter in delimiters:
        widths = []
        try:
            for row in islice(rows_of(Lines(text[: 1 << 20]), delimiter), SAMPLED):
                widths.append(len(row.cells))
        except UnreadableText:
            pass  # Of the row at the cut, or by a quotation mark that another delimiter explains.
        if widths and (width := widths[0]) > most and widths.count(width) >= 0.9 * len(widths):
            best, most = delimiter, width
    return best


def _columns(rows: Iterable[Row], width: int) -> tuple[pd.DataFrame, IntArray, list[Row]]:
    """Turn rows into columns of words, a batch at a time; rows of another width are returned as they are."""
    batches: list[pd.DataFrame] = []
    numbers: list[int] = []
    ragged: list[Row] = []
    held: list[list[str]] = []

    def flush() -> None:
        if held:
            columns = {at: pd.array(cells, dtype="str") for at, cells in enumerate(zip(*held, strict=True))}
            batches.append(pd.DataFrame(columns))
            held.clear()

    for row in rows:
        cells = row.cells
        while len(cells) > width and not cells[-1]:
            cells.pop()
        if len(cells) != width:
            ragged.append(row)
            continue
        held.append(cells)
        numbers.append(row.line)
        if len(held) == BATCH:
            flush()
    flush()
    frame = pd.concat(batches, ignore_index=True) if batches else pd.DataFrame(index=range(0), columns=range(width))
    return frame, np.array(numbers, np.int64), ragged


def _demand_no_shift(name: str, ragged: list[Row], fit: int) -> None:
    """Refuse rows that begin with a name of their own, which the header leaves out as R does."""
    if ragged and not fit and len({len(row.cells) for row in ragged}) == 1:
        raise DataError(
            f"{name}: every row has {len(ragged[0].cells)} cells, and the header has another number of names",
            hint="Do rows begin with a number of their own? Give every column a name.",
        )


def _named(name: str, names: list[str], frame: pd.DataFrame, lines: IntArray | None) -> UserTable:
    """Name the columns; one without a name is left out where it is empty or counts the rows."""
    notes = []
    unnamed = [at for at, column in enumerate(names) if not column]
    for at in list(unnamed):
        cells = frame.iloc[:, at]
        is_empty = bool(cells.isna().all() or cells.astype(str).str.casefold().isin(MISSING).all())
        if is_empty or counts_rows(cells):
            unnamed.remove(at)
            if not is_empty:
                notes.append("a column without a name, which counts the rows, is left out")
    if unnamed:
        raise DataError(
            f"{name}: {'column' if len(unnamed) == 1 else 'columns'} {shown([at + 1 for at in unnamed])} "
            f"{'has' if len(unnamed) == 1 else 'have'} no name",
            hint="Name them in the first line.",
        )
    twice = [column for column, count in Counter(filter(None, names)).items() if count > 1]
    if twice:
        places = [shown([at + 1 for at, one in enumerate(names) if one == column]) for column in twice]
        raise DataError(
            f"{name}: two columns may not be called alike: "
            + "; ".join(f"'{column}' are columns {where}" for column, where in zip(twice[:TOLD], places, strict=False)),
            hint="Rename or remove all but one.",
        )
    kept = [at for at, column in enumerate(names) if column]
    if are_numbers(pd.Series([names[at] for at in kept], dtype="str")).all():
        raise DataError(f"{name}: its first line holds numbers, where the names of the columns should be", hint=AS_UTF8)
    frame = frame.iloc[:, kept]
    frame.columns = pd.Index([names[at] for at in kept])
    return UserTable(name, frame, lines, tuple(notes))


def counts_rows(cells: pd.Series[Any]) -> bool:
    """Whether cells are 0, 1, 2, … or 1, 2, 3, …"""
    first = str(cells.iloc[0]) if len(cells) else ""
    return first in ("0", "1") and cells.astype(str).tolist() == list(
        map(str, range(int(first), int(first) + len(cells)))
    )


def _read_parquet(path: Path) -> UserTable:
    import pyarrow as pa
    import pyarrow.parquet as pq

    whole = [getattr(pa, f"{sign}int{bits}")() for sign in ("", "u") for bits in (8, 16, 32, 64)]
    nullable: dict[Any, Any] = {kind: pd.Int64Dtype() for kind in whole[:-1]}
    nullable |= {pa.uint64(): pd.UInt64Dtype(), pa.bool_(): pd.BooleanDtype()}
    try:
        table = pq.read_table(path)
        names = [str(column).strip() for column in table.column_names]
        frame = table.rename_columns([str(at) for at in range(len(names))]).to_pandas(
            ignore_metadata=True, date_as_object=False, types_mapper=nullable.get
        )
    except (pa.ArrowException, OSError, ValueError, TypeError, OverflowError) as error:
        raise DataError(
            f"cannot read {path.name} as parquet: {str(error).splitlines()[0][:200]}", hint="Save it again, or as CSV."
        ) from error
    if not len(frame):
        raise DataError(f"{path.name} has no row")
    return _named(path.name, names, frame, None)
