"""How a table becomes features: fitted on training rows, kept with the audit, applied to whatever rows come later."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from privaudit.data.dataset import IntArray
from privaudit.data.free_memory import available_memory
from privaudit.data.row_names import shown
from privaudit.data.tables.cells import Column, Problem, UnfitColumn, read_column
from privaudit.data.tables.column_encoders import (
    AnyColumn,
    BooleanColumn,
    CategoryColumn,
    DateColumn,
    Features,
    NumberColumn,
)
from privaudit.data.tables.fit_columns import fit_column
from privaudit.data.tables.table_file import UserTable, demand_sound, read_table_file
from privaudit.errors import DataError, StoreError
from privaudit.results.base import Result, read_result
from privaudit.runtime import files

#: The file of the store that holds an audit's encoding.
ENCODING = "encoding.json"

#: Columns, or sentences, that are named in one place.
NAMED = 12

MEND = (
    "Correct these cells, or leave them empty (they count as missing then); or take the whole column for words with "
    "--category COLUMN, or leave it out with --leave-out COLUMN."
)


class LeftOut(Result):
    """A column that is no feature, and why."""

    name: str
    why: str


class TableEncoding(Result):
    """How the columns of a table become features and classes.

    Parameters
    ----------
    format
        Of this file.
    label
        The column of classes.
    classes
        Their names, in the order of the labels.
    rows
        How many training rows it was fitted on.
    columns
        What becomes a feature, in the order of the features.
    left_out
        What does not.
    """

    format: Literal[1] = 1
    label: str
    classes: list[str]
    rows: int
    columns: list[AnyColumn]
    left_out: list[LeftOut]

    @property
    def digest(self) -> str:
        """SHA-256 over all of it: equal if and only if every row becomes the same features."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()

    def feature_names(self) -> list[str]:
        """Name every feature, in their order: ``age``, ``town=Ghent``, ``age missing``."""
        return [name for column in self.columns for name in column.feature_names()]

    def apply(self, rows: pd.DataFrame | str | Path) -> Features:
        """Turn the rows of a table into features, as those that the models were trained on.

        Parameters
        ----------
        rows
            A DataFrame, or a file as ``--dataset`` takes it, with every column that became a feature: as words, as a
            CSV holds them, or in types of their own. Other columns are passed over.

        Returns
        -------
        numpy.ndarray
            float32 ``[N, D]``. A missing cell is filled, and a category that no training row has is a rare one, as the
            encoding says.

        Raises
        ------
        DataError
            Where columns are absent, or cells can't be read (the first ten, by row and column).
        """
        table = UserTable("the table", rows) if isinstance(rows, pd.DataFrame) else read_table_file(Path(rows))
        if table.frame.columns.has_duplicates:
            raise DataError(f"{table.name} has several columns of one name", hint="Drop or rename all but one.")
        lacking = [column.name for column in self.columns if column.name not in table.frame.columns]
        if lacking:
            raise DataError(
                f"{table.name} lacks the column{'s'[: len(lacking) - 1]} "
                f"{shown([repr(one) for one in lacking], NAMED)}",
                hint=f"It has: {shown(table.columns, 30)}.",
            )
        encoded = self.encode(Cells.of(table, [column.name for column in self.columns]))
        demand_sound([(table, problem) for problem in encoded.problems], MEND)
        return encoded.features

    def examples(self, count: int) -> pd.DataFrame:
        """Make up rows, in words: cells that are known, one that no training row has, and missing ones."""
        cells = {column.name: [*column.examples(), ""] for column in self.columns}
        return pd.DataFrame({name: [words[row % len(words)] for row in range(count)] for name, words in cells.items()})

    def encode(self, cells: Cells) -> EncodedTable:
        """Turn rows into features, and say what can't be read and what is unlike the training rows."""
        found = EncodedTable(np.empty((cells.rows, len(self.feature_names())), np.float32), list(cells.problems))
        at = 0
        for encoder in self.columns:
            width = len(encoder.feature_names())
            if encoder.name in cells.columns:
                encoded = encoder.encode(cells.columns[encoder.name])
                found.features[:, at : at + width] = encoded.features
                found.problems.extend(encoded.problems)
                found.notes.extend(encoded.notes)
            at += width
        return found

    def sentences(self) -> list[str]:
        """Say what became of the columns, a line a kind."""
        said = [
            f"{len(self.columns) + len(self.left_out):,} columns became {len(self.feature_names()):,} features, by an "
            f"encoding that was fitted on the {self.rows:,} training rows and is kept with the audit"
        ]
        marked = "; with missing cells (filled with the median and marked by an indicator): "
        for kind, title in _TITLES.items():
            columns = [column for column in self.columns if column.kind == kind]
            if columns:
                filled = [column.name for column in columns if column.indicator]
                of_own = "; missing cells are a category of their own: " if kind == "category" else marked
                said.append(
                    f"{title}: {_several([_told(column) for column in columns])}"
                    + (of_own + shown(filled, NAMED) if filled else "")
                )
        if self.left_out:
            said.append(f"left out: {_several([f'{one.name} ({one.why})' for one in self.left_out])}")
        return said


_TITLES = {
    "number": "numbers, centred and scaled",
    "boolean": "truth values, as 0 and 1",
    "date": "dates, decomposed into numbers",
    "category": "categories, an indicator a value",
}


def _several(parts: list[str]) -> str:
    return ", ".join(parts[:NAMED]) + (f" and {len(parts) - NAMED:,} more" if len(parts) > NAMED else "")


def _told(column: NumberColumn | BooleanColumn | DateColumn | CategoryColumn) -> str:
    if isinstance(column, BooleanColumn):
        return f"{column.name} ({column.words[0]}, {column.words[1]})"
    if isinstance(column, DateColumn):
        order = {True: ", day first", False: ", month first", None: ""}[column.day_first]
        return f"{column.name} ({', '.join(part.part for part in column.parts)}{order})"
    if isinstance(column, CategoryColumn):
        rare = f", and {column.rare:,} rare as one" if column.rare else ""
        return f"{column.name} ({len(column.values):,}{rare})"
    return column.name


@dataclass(frozen=True)
class Cells:
    """Columns that could be read, and what is wrong with the others.

    Parameters
    ----------
    rows
        How many rows each has.
    columns
        By name.
    problems
        Of columns that hold what is no cell.
    """

    rows: int
    columns: dict[str, Column]
    problems: list[Problem] = field(default_factory=list)

    @classmethod
    def of(cls, table: UserTable, names: Iterable[str]) -> Cells:
        """Read some columns of a table."""
        columns: dict[str, Column] = {}
        problems = []
        for name in names:
            try:
                columns[name] = read_column(table.frame[name], name)
            except UnfitColumn as error:
                problems.append(Problem(str(error), name))
        return cls(len(table.frame), columns, problems)

    def take(self, rows: IntArray) -> Cells:
        """Return some of the rows."""
        return Cells(len(rows), {name: column.take(rows) for name, column in self.columns.items()}, self.problems)


@dataclass(frozen=True)
class EncodedTable:
    """Features float32 ``[N, D]`` of a table's rows, and what is to be said of them."""

    features: Features
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class FittedTable:
    """An encoding, with what keeps it from being one, and what makes one doubt it."""

    encoding: TableEncoding
    problems: list[Problem]
    doubts: list[str]


def fit_encoding(cells: Cells, label: str, classes: list[str], categories: Collection[str] = ()) -> FittedTable:
    """Learn from training rows how columns become features.

    Parameters
    ----------
    cells
        The training rows of every column that may be a feature.
    label, classes
        The column of classes, and their names.
    categories
        Columns whose values are words, whatever they look like.
    """
    columns: list[AnyColumn] = []
    left_out: list[LeftOut] = []
    problems, doubts = list(cells.problems), []
    for name, column in cells.columns.items():
        fitted = fit_column(column, as_category=name in categories)
        problems += fitted.problems
        doubts += fitted.doubts
        if fitted.left_out is not None:
            left_out.append(LeftOut(name=name, why=fitted.left_out))
        if fitted.encoder is not None:
            columns.append(fitted.encoder)
    if not problems:
        columns, twice = _without_copies(columns, cells)
        left_out += twice
    encoding = TableEncoding(label=label, classes=classes, rows=cells.rows, columns=columns, left_out=left_out)
    return FittedTable(encoding, problems, doubts)


def _without_copies(columns: list[AnyColumn], cells: Cells) -> tuple[list[AnyColumn], list[LeftOut]]:
    """Leave out columns that are the same features as an earlier one."""
    first: dict[bytes, str] = {}
    kept, twice = [], []
    for column in columns:
        features = column.encode(cells.columns[column.name]).features
        digest = hashlib.blake2b(features.tobytes(), digest_size=16, person=column.kind.encode()).digest()
        if (same := first.setdefault(digest, column.name)) == column.name:
            kept.append(column)
        else:
            twice.append(LeftOut(name=column.name, why=f"says the same as {same}"))
    return kept, twice


def demand_room(encoding: TableEncoding, rows: int) -> None:
    """Raise `DataError` where the features of so many rows are larger than the memory that is left."""
    needed, left = 4 * rows * len(encoding.feature_names()), available_memory()
    if left is not None and needed > left:
        widest = max(encoding.columns, key=lambda column: len(column.feature_names()))
        raise DataError(
            f"{rows:,} rows of {len(encoding.feature_names()):,} features need {needed / 1e9:,.1f} GB, and "
            f"{left / 1e9:,.1f} GB of memory are left; '{widest.name}' becomes {len(widest.feature_names()):,} of them",
            hint=f"Leave it out (--leave-out '{widest.name}'), or take fewer rows: --samples N.",
        )


def read_encoding(path: Path) -> TableEncoding:
    """Read an audit's encoding; `StoreError` where it is damaged, or of a version that this one does not know."""
    if not path.is_file():
        raise StoreError(f"there is no {path}", hint="Only audits of a table in a file have one: --dataset FILE.csv.")
    if files.seal_of(path).is_file():
        files.demand_whole(path, "Run the same privaudit score again: it writes it anew.")
    return read_result(path, TableEncoding)
