"""Which column is the label, the id, the subject, the test part: as asked for, or what may have been meant."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from privaudit.config import AuditSettings
from privaudit.data.dataset import IntArray
from privaudit.data.row_names import shown
from privaudit.data.tables.cells import MISSING, NO_CLASS, Column, Problem, read_column
from privaudit.data.tables.column_encoders import quoted
from privaudit.data.tables.fit_columns import NAME_OF_IDS
from privaudit.data.tables.table_file import UserTable, is_table_file
from privaudit.errors import UsageError
from privaudit.results.audit.audit_description import TableOptions

#: Columns that a message lists.
LISTED = 40

#: No id that somebody gave is longer.
LONGEST_ID = 256

#: Names of columns of classes, the likeliest first.
_LABELS = re.compile(
    r"(?i:label|class|target|y|outcome|category|(.*[\s_.-])?(label|class|target|outcome|diagnosis|status|response))"
    r"|(?i:churn(ed)?|default(ed)?|survived|species|income|fraud|approved|readmitted|risk|quality|response)"
)
#: More classes than this nobody is likely to mean.
_MOST_CLASSES = 50

#: What says of a row, in a column for it, whether it is to test with.
_TO_TEST = ("test", "testing", "holdout", "hold-out", "held-out", "held out", "heldout", "1", "true", "yes")
_TO_TRAIN = ("train", "training", "0", "false", "no")


def table_options(settings: AuditSettings) -> TableOptions:
    """Which column of a table is what, as it was asked for; a file to test with by its whole path."""
    options = TableOptions.model_validate({name: getattr(settings, name) for name in TableOptions.model_fields})
    if options.test is not None and is_table_file(options.test):
        return options.model_copy(update={"test": str(Path(options.test).absolute())})
    return options


def demand_roles(table: UserTable, options: TableOptions, test_column: str | None) -> list[str]:
    """Check that every column that was named is there and has one role; return the columns that are features.

    Raises
    ------
    UsageError
        With every name that is not there and what may have been meant; without a label, with the likely one.
    """
    if options.label is None:
        raise UsageError(
            f"{table.name}: which column holds the classes? Name it with --label COLUMN",
            hint=f"{_likely(table)}{_listed(table)}",
        )
    known = set(table.columns)
    asked = [
        ("--label", options.label),
        ("--id", options.id),
        ("--subject", options.subject),
        *(("--group", name) for name in options.group),
        *(("--leave-out", name) for name in options.leave_out),
        *(("--category", name) for name in options.category),
    ]
    absent = [(flag, name) for flag, name in asked if name is not None and name not in known]
    if absent:
        said = "; ".join(f"{flag} '{name}'{_meant(name, table)}" for flag, name in absent)
        raise UsageError(f"{table.name} has no such column: {said}", hint=_listed(table))
    for flag, names in (("--id", [options.id]), ("--group", options.group), ("--leave-out", options.leave_out)):
        if options.label in names:
            raise UsageError(
                f"the column '{options.label}' can't be both --label and {flag}",
                hint="By class exposure is told anyway." if flag == "--group" else _listed(table),
            )
    if options.label in (options.subject, test_column):
        raise UsageError(f"the column '{options.label}' can't be the label and something else", hint=_listed(table))
    others = {options.label, options.id, options.subject, test_column, *options.leave_out}
    features = [name for name in table.columns if name not in others]
    if not features:
        raise UsageError(f"{table.name}: no column is left to learn from", hint=_listed(table))
    return features


def _listed(table: UserTable) -> str:
    return f"Columns: {shown(table.columns, LISTED)}."


def _meant(name: str, table: UserTable) -> str:
    folded = {column.casefold().strip(): column for column in reversed(table.columns)}
    near = difflib.get_close_matches(name.casefold().strip(), folded, n=1)
    return f" (is '{folded[near[0]]}' meant?)" if near else ""


def _likely(table: UserTable) -> str:
    """Say which column is likely to be the label."""
    if (found := likely_label(table)) is None:
        return ""
    likely, values = found
    return f"Likely --label {_as_argument(likely)}: {len(values)} classes, {shown(values)}. "


def likely_label(table: UserTable) -> tuple[str, list[str]] | None:
    """Return the column that is likely to be the label and its classes: by its name, else the last of few values."""
    counts = {}
    for name in table.columns:
        cells = table.frame[name].dropna().astype(str).str.strip()
        counts[name] = sorted(set(cells.unique()) - MISSING)
    fit = [name for name, values in counts.items() if 2 <= len(values) <= min(_MOST_CLASSES, len(table.frame) / 2)]
    # Of measurements there are few different ones only by chance.
    named = [name for name in fit if _LABELS.fullmatch(name)]
    likely = named[0] if named else fit[-1] if fit else None
    return None if likely is None else (likely, counts[likely])


def likely_id(table: UserTable, label: str) -> str | None:
    """Return the column that is likely to be the id: called like one, and with another value in every row."""
    named = (name for name in table.columns if name != label and NAME_OF_IDS.fullmatch(name))
    return next((name for name in named if not ids_of(table, name)[1]), None)


def _as_argument(name: str) -> str:
    return name if re.fullmatch(r"[\w.-]+", name) else f"'{name}'"


def labels_of(table: UserTable, label: str) -> tuple[pd.Series[Any], list[Problem]]:
    """Return the classes of every row, words without blanks around them, and the rows that lack one."""
    given = table.frame[label]
    if given.dtype == object or isinstance(given.dtype, pd.StringDtype):
        strange = [type(one).__name__ for one in given if isinstance(one, list | dict | set | np.ndarray)]
        if strange:
            return given, [Problem(f"the label holds a {strange[0]}: a sample has one class", label)]
        absent = given.isna()
        given = given.where(absent, given.astype(str).str.strip())
        missing = (absent | given.astype(str).str.casefold().isin(NO_CLASS)).to_numpy(bool)
    else:
        missing = given.isna().to_numpy(bool)
    return given, [Problem("the label is missing", label, int(row)) for row in np.flatnonzero(missing)]


def ids_of(table: UserTable, column: str) -> tuple[npt.NDArray[Any], list[Problem]]:
    """Return what the outside world calls each row: int64 where all are plain integers, else texts."""
    given = read_column(table.frame[column], column)
    texts = given.texts()
    problems = [Problem("the id is missing", column, int(row)) for row in np.flatnonzero(given.is_missing)]
    long = (texts.str.len() > LONGEST_ID).to_numpy(bool)
    problems += [
        Problem(
            f"the id {quoted(texts.iloc[value])} has {len(texts.iloc[value]):,} characters",
            column,
            given.row_with(value),
        )
        for value in map(int, np.flatnonzero(long & (given.counts > 0)))
    ]
    problems += _repeated(given, texts, column)
    if problems:
        return np.arange(len(table.frame), dtype=np.int64), problems
    if texts.str.fullmatch("0|[1-9][0-9]{0,17}").all():
        return texts.astype(np.int64).to_numpy()[given.codes], []
    return texts.to_numpy(np.str_)[given.codes], []


def _repeated(given: Column, texts: pd.Series[Any], column: str) -> list[Problem]:
    """Say which rows have the id of an earlier one."""
    twice = np.flatnonzero(given.counts > 1)
    order = np.argsort(given.codes, kind="stable")
    starts = np.searchsorted(given.codes[order], twice)
    problems = []
    for value, start in zip(twice.tolist(), starts.tolist(), strict=True):
        rows = order[start : start + given.counts[value]]
        problems += [
            Problem(f"the id {quoted(texts.iloc[value])} is that of an earlier row", column, int(row))
            for row in rows[1:]
        ]
    return problems


def words_of(table: UserTable, column: str) -> list[str | None]:
    """Return the cells of a column as words, None where one is missing."""
    given = read_column(table.frame[column], column)
    texts = [*given.texts().tolist(), None]
    return [texts[code] for code in given.codes]


def test_rows_of(table: UserTable, column: str) -> tuple[IntArray, list[Problem]]:
    """Return the rows that a column marks as those to test with, and what it says besides."""
    given = read_column(table.frame[column], column)
    texts = given.texts().str.casefold()
    is_test = texts.isin(_TO_TEST).to_numpy(bool)
    strange = np.append(~is_test & ~texts.isin(_TO_TRAIN).to_numpy(bool), True)
    problems = []
    for row in np.flatnonzero(strange[given.codes]):
        code = given.codes[row]
        cell = "the cell is missing" if code < 0 else f"{quoted(texts.iloc[code])} is neither"
        problems.append(Problem(f"{cell}: --test wants train or test in every row", column, int(row)))
    return np.flatnonzero(np.append(is_test, False)[given.codes]), problems
