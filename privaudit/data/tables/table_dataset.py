"""``--dataset FILE.csv|.tsv|.parquet``: a table in a file becomes a dataset, with the encoding that made it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from privaudit.data.dataset import Dataset, IntArray, TableFacts
from privaudit.data.row_names import shown
from privaudit.data.sampling import TEST_SHARE, Limits, drawn_rows, held_out_rows
from privaudit.data.tables.cells import Problem
from privaudit.data.tables.class_column import encode_classes, number_of
from privaudit.data.tables.column_encoders import quoted
from privaudit.data.tables.encoding import MEND, NAMED, Cells, LeftOut, TableEncoding, demand_room, fit_encoding
from privaudit.data.tables.table_file import (
    UserTable,
    counts_rows,
    demand_sound,
    is_table_file,
    read_table_file,
)
from privaudit.data.tables.table_roles import demand_roles, ids_of, labels_of, test_rows_of, words_of
from privaudit.errors import DataError, UsageError
from privaudit.results.audit.audit_description import TableOptions

UNKNOWN = "Leave those rows out, or put some of that class among the rows to train on."

_SHARE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*%")


@dataclass(frozen=True)
class _Part:
    """Rows of a table, to train or to test with."""

    table: UserTable
    rows: IntArray

    def told(self, problems: Iterable[Problem]) -> list[tuple[UserTable, Problem]]:
        """Problems of these rows, by the rows of their table."""
        return [
            (
                self.table,
                problem if problem.row is None else Problem(problem.what, problem.column, int(self.rows[problem.row])),
            )
            for problem in problems
        ]

    def drawn(self, places: IntArray) -> _Part:
        """Some of them."""
        return _Part(self.table, self.rows[places])


def table_dataset(path: Path, options: TableOptions, samples: int | None, limits: Limits, seed: int) -> Dataset:
    """Read a table as a dataset.

    Parameters
    ----------
    path
        The file.
    options
        Which of its columns is what.
    samples, limits
        How many training rows to keep: so many, or all up to the limit of features.
    seed
        Chooses them.

    Raises
    ------
    UsageError
        Where a column that was named is not there, or none is named as the label: says which are there.
    DataError
        With all that is wrong with the cells, the first ten by line and column.
    """
    table = read_table_file(path)
    return dataset_of_table(path.stem, table, options, samples=samples, limits=limits, seed=seed)


def dataset_of_table(
    name: str, table: UserTable, options: TableOptions, *, samples: int | None, limits: Limits, seed: int
) -> Dataset:
    """Turn a table into a dataset; see `table_dataset`."""
    test_file, test_column, share = _test_of(table, options.test)
    features = demand_roles(table, options, test_column)
    label = str(options.label)
    other = table.other if test_file is None else read_table_file(test_file)
    if other is not None:
        _demand_columns(other, [*features, label])
    counting = [name for name in features if counts_rows(table.frame[name])]
    features = [name for name in features if name not in counting]
    train, test, labels, problems = _parts(table, other, label, test_column, share)
    # A sample without an id of its own is called by its row.
    ids, id_problems = (train.rows, []) if options.id is None else ids_of(_rows_of(train), options.id)
    if id_problems and options.id is not None:
        # Told of the whole file: which of its rows are to test with is not what is wrong.
        problems += _Part(table, np.arange(len(table.frame))).told(ids_of(table, options.id)[1])
    cells = Cells.of(table, features)
    if problems:
        # What is wrong with the features is told in the same breath.
        demand_sound(_in_order(problems + _of_cells(table, cells, options)), _cure(problems))
    y_train, y_test = labels[train.rows], _labels_of(test, labels, other, label)
    demand_sound(test.told(_unknown_classes(y_train, y_test, label)), UNKNOWN)
    classes = encode_classes(y_train, y_test, table.name, is_of_checked=True)
    drawn = drawn_rows(classes.train, samples, limits.features, seed)
    kept = train.drawn(drawn)
    fitted = fit_encoding(cells.take(kept.rows), label, classes.names, options.category)
    if fitted.problems:
        # Also those of rows that are not trained on: they would be told the next time.
        demand_sound(_in_order(_of_cells(table, cells, options) or kept.told(fitted.problems)), MEND)
    encoding = _with_roles(fitted.encoding, options, test_column, counting)
    if not encoding.columns:
        raise DataError(f"{table.name}: no column is left to learn from: {'; '.join(encoding.sentences()[1:])}")
    demand_room(encoding, len(kept.rows) + len(test.rows))
    x_train = encoding.encode(cells.take(kept.rows)).features
    others = cells if other is None else Cells.of(other, features)
    tested = encoding.encode(others.take(test.rows))
    demand_sound(_in_order(test.told(tested.problems)), MEND)
    doubts = [*_alike(classes.names, label), *fitted.doubts, *(f"of the test rows, {note}" for note in tested.notes)]
    return Dataset(
        name=name,
        x_train=x_train,
        y_train=classes.train[drawn],
        x_test=tested.features,
        y_test=classes.test,
        class_names=tuple(classes.names),
        sample_ids=ids[drawn],
        source=f"table {table.name}",
        available=len(train.rows),
        notes=(
            *table.notes,
            *encoding.sentences(),
            *classes.notes,
            *_said_of_rows(options, share if other is None and test_column is None else None, len(test.rows)),
            *_few(doubts),
        ),
        table=_facts(encoding, kept, options, _ids_of_tested(test, options, is_of_file=other is not None)),
    )


def _test_of(table: UserTable, asked: str | None) -> tuple[Path | None, str | None, float]:
    """What ``--test`` names: a file, a column, or a share."""
    if asked is None:
        return None, None, TEST_SHARE
    if asked in table.columns:
        return None, asked, 0.0
    if (share := _SHARE.fullmatch(asked)) is not None:
        if not 0 < float(share[1]) < 100:
            raise UsageError(f"--test {asked} leaves nothing to train, or to test, with", hint="A fifth: --test 20%.")
        return None, None, float(share[1]) / 100
    if is_table_file(asked) or Path(asked).is_file():
        return Path(asked), None, 0.0
    raise UsageError(
        f"--test {asked} is no column of {table.name}, no file that is there, and no share such as 20%",
        hint=f"Columns: {shown(table.columns, 30)}.",
    )


def _demand_columns(other: UserTable, needed: list[str]) -> None:
    if lacking := [name for name in needed if name not in other.columns]:
        raise DataError(
            f"{other.name}, to test with, lacks {'columns' if len(lacking) > 1 else 'the column'} "
            f"{shown([repr(name) for name in lacking], NAMED)}",
            hint=f"It has: {shown(other.columns, 30)}.",
        )


def _parts(
    table: UserTable, other: UserTable | None, label: str, test_column: str | None, share: float
) -> tuple[_Part, _Part, pd.Series[Any], list[tuple[UserTable, Problem]]]:
    """Training and test rows, the classes of the table's rows, and what is wrong with these and with --test."""
    labels, missing = labels_of(table, label)
    everything = _Part(table, np.arange(len(table.frame)))
    problems = everything.told(missing)
    if not problems:
        encode_classes(labels, labels.iloc[:0], table.name)  # Measurements and ids are told before they are parted.
    if other is not None:
        problems += [(other, problem) for problem in labels_of(other, label)[1]]
        return everything, _Part(other, np.arange(len(other.frame))), labels, problems
    if test_column is not None:
        rows, strange = test_rows_of(table, test_column)
        problems += everything.told(strange)
        if not problems and not 0 < len(rows) < len(labels):
            raise DataError(
                f"{table.name}: column '{test_column}' puts {'every' if len(rows) else 'no'} row into the test part"
            )
    elif problems:
        rows = np.empty(0, np.int64)
    else:
        rows = held_out_rows(pd.factorize(labels)[0], "table-file-test", share)
        if not len(rows):
            raise DataError(
                f"{table.name}: no row is left to test with: each of the {labels.nunique():,} classes of '{label}' "
                "has a single row",
                hint="Is it the column that was meant? Else name a test table: --test FILE.",
            )
    return everything.drawn(np.setdiff1d(everything.rows, rows)), everything.drawn(rows), labels, problems


def _unknown_classes(train: pd.Series[Any], test: pd.Series[Any], label: str) -> list[Problem]:
    """Test rows of a class that no training row has, each by its place among them."""

    def key(value: Any) -> Any:
        number = number_of(value)
        return str(value) if number is None else number

    known = {key(value) for value in train.unique()}
    strange = [value for value in test.unique() if key(value) not in known]
    rows = np.flatnonzero(test.isin(strange).to_numpy(bool))
    return [Problem(f"{quoted(test.iloc[row])} is a class that no training row has", label, int(row)) for row in rows]


def _labels_of(test: _Part, labels: pd.Series[Any], other: UserTable | None, label: str) -> pd.Series[Any]:
    return labels[test.rows] if other is None else labels_of(other, label)[0]


def _rows_of(part: _Part) -> UserTable:
    lines = None if part.table.lines is None else part.table.lines[part.rows]
    return UserTable(part.table.name, part.table.frame.iloc[part.rows], lines)


def _of_cells(table: UserTable, cells: Cells, options: TableOptions) -> list[tuple[UserTable, Problem]]:
    """What is wrong with the features in any row."""
    return [(table, problem) for problem in fit_encoding(cells, "", [], options.category).problems]


def _in_order(problems: list[tuple[UserTable, Problem]]) -> list[tuple[UserTable, Problem]]:
    """Problems in the order of the file; those of whole columns first."""
    return sorted(problems, key=lambda one: -1 if one[1].row is None else one[1].row)


def _cure(problems: list[tuple[UserTable, Problem]]) -> str:
    said = " ".join(problem.what for _, problem in problems)
    cures = []
    if "the label" in said:
        cures.append("Leave out rows without a label: a classifier learns from what it is told.")
    if "the id" in said:
        cures.append("Give every row an id of its own; where several rows are of one person, name it with --subject.")
    return " ".join(cures) or MEND


def _with_roles(
    encoding: TableEncoding, options: TableOptions, test_column: str | None, counting: list[str]
) -> TableEncoding:
    """Put on record which columns were no features by what was asked for, or because they count the rows."""
    roles = {options.id: "the id", options.subject: "the subject", test_column: "says what to test with"}
    asked = {name: why for name, why in roles.items() if name is not None}
    asked |= {name: "as asked for" for name in options.leave_out if name not in asked}
    asked |= dict.fromkeys(counting, "it counts the rows")
    left_out = [*(LeftOut(name=name, why=why) for name, why in asked.items()), *encoding.left_out]
    return encoding.model_copy(update={"left_out": left_out})


def _alike(names: list[str], label: str) -> list[str]:
    folded = len({name.casefold() for name in names})
    if folded == len(names) or all(number_of(name) is not None for name in names):
        return []
    return [
        f"label '{label}': {len(names) - folded:,} of its classes differ from another in capitals alone: are they one?"
    ]


def _said_of_rows(options: TableOptions, share: float | None, tested: int) -> list[str]:
    said = []
    if share is not None:
        said.append(
            f"{share:.0%} of each class, {tested:,} rows, were drawn to test with, the same whatever --seed; --test "
            "takes a file, a column or another share"
        )
    if options.id is None:
        said.append("sample_id is the row of the table, counted from 0; --id COLUMN keeps ids of your own")
    return said


def _few(doubts: list[str]) -> list[str]:
    return doubts[:NAMED] + ([f"{len(doubts) - NAMED:,} more doubts about columns"] if len(doubts) > NAMED else [])


def _ids_of_tested(test: _Part, options: TableOptions, *, is_of_file: bool) -> npt.NDArray[Any] | None:
    """Return what the rows to test with are called; None where their names may be those of rows to train with."""
    if options.id is None:
        return None if is_of_file else test.rows
    if options.id not in test.table.frame:
        return None
    ids, problems = ids_of(_rows_of(test), options.id)
    return None if problems else ids


def _facts(encoding: TableEncoding, part: _Part, options: TableOptions, tested: npt.NDArray[Any] | None) -> TableFacts:
    def words(column: str) -> npt.NDArray[np.object_]:
        return np.array(words_of(part.table, column), object)[part.rows]

    return TableFacts(
        encoding=encoding,
        digest=encoding.digest,
        subjects=None if options.subject is None else words(options.subject),
        groups={name: words(name) for name in options.group},
        tested=tested,
    )
