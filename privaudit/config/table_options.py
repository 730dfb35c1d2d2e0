"""The options that say which column of a table is what."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from privaudit.config.options import Flag, Options, Texts

Columns = Annotated[Texts, Flag(metavar="COLUMN", is_repeated=True)]
Column = Annotated[str, Flag(metavar="COLUMN")]


class TableColumnOptions(Options):
    """Of a table in a file, ``--dataset FILE.csv``: every column that is not named here is a feature."""

    label: Column | None = Field(None, description="Of a table in a file: the column of classes.")
    id: Column | None = Field(None, description="Its column of ids, integers or words; never a feature.")
    subject: Column | None = Field(
        None, description="Its column that says whose row it is: kept in the score table; never a feature."
    )
    group: Columns = Field((), description="A column to tell exposure by; a feature all the same. May be repeated.")
    leave_out: Columns = Field((), description="A column that is no feature. May be repeated.")
    category: Columns = Field((), description="A column of words, though it holds numbers. May be repeated.")
    test: str | None = Field(
        None, description="What to test with: another table, a column that says train or test, or a share [20%]."
    )
