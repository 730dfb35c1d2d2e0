"""A DataFrame that is at hand, as the table that a file would have been."""

from __future__ import annotations

from typing import Any

import pandas as pd

from privaudit.data.row_names import shown
from privaudit.data.tables.table_file import UserTable
from privaudit.errors import DataError
from privaudit.results.audit.audit_description import TableOptions


def table_of_frame(name: str, frame: pd.DataFrame, options: TableOptions) -> UserTable:
    """Return a DataFrame as a table: its columns named by text, its rows counted from 0.

    An index that is named, and that an option names, is a column too. The frame itself stays as it is.

    Raises
    ------
    DataError
        Where it has no row, columns of several levels, or two columns that are called alike.
    """
    if isinstance(frame.columns, pd.MultiIndex):
        raise DataError(
            f"{name}: its columns have {frame.columns.nlevels} levels",
            hint="Join them: frame.columns = ['_'.join(map(str, names)) for names in frame.columns].",
        )
    if not len(frame):
        raise DataError(f"{name} has no row")
    levels = _asked_levels(frame, options)
    columns: Any = [*levels, *(str(column).strip() for column in frame.columns)]
    if twice := sorted({column for column in columns if columns.count(column) > 1}):
        raise DataError(
            f"{name}: two columns may not be called alike: {shown([repr(column) for column in twice])}",
            hint="Rename or drop all but one: frame.loc[:, ~frame.columns.duplicated()].",
        )
    plain = frame.reset_index(levels) if levels else frame
    plain = plain.reset_index(drop=True)
    plain.columns = pd.Index(columns)
    return UserTable(name, plain)


def _asked_levels(frame: pd.DataFrame, options: TableOptions) -> list[str]:
    """Names of the index that options name and no column has."""
    asked = {options.label, options.id, options.subject, *options.group, *options.leave_out, *options.category}
    known = set(map(str, frame.columns))
    return [name for name in frame.index.names if isinstance(name, str) and name in asked and name not in known]
