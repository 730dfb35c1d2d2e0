"""Tables: a pandas DataFrame with a target column becomes float features, labels and class names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from privaudit.data.free_memory import available_memory
from privaudit.data.row_names import shown, where
from privaudit.data.sampling import TEST_SHARE
from privaudit.data.tables.class_column import Classes, encode_classes
from privaudit.data.tables.columns import EncodedColumn, encode_column
from privaudit.data.tables.frame_encoding import FrameEncoding
from privaudit.data.validation import Given
from privaudit.errors import DataError
from privaudit.runtime.seeds import generator

#: What a factory may return instead of arrays.
TABLE_KEYS = ("train", "test", "target", "id")

#: Columns that are named in a sentence about the table.
NAMED = 12


def is_table(returned: Mapping[str, Any]) -> bool:
    """Whether a factory returned tables rather than arrays."""
    return isinstance(returned.get("train"), pd.DataFrame)


def arrays_of_table(returned: Mapping[str, Any], source: str) -> Given:
    """Turn ``train`` (and ``test``) tables into arrays.

    Parameters
    ----------
    returned
        ``train``: a DataFrame; ``target``: the name of its column of classes; optionally ``test``, a DataFrame of the
        same columns (else a fifth of ``train`` is drawn, always the same), and ``id``, the name of a column of integer
        ids.
    source
        Names it in messages.

    Returns
    -------
    Given
        ``x_train, y_train, x_test, y_test, class_names, sample_ids``. Numbers (and booleans) stay as they are, to be
        standardised by the network's first layer; a column of words becomes one column of 0 and 1 for each value that
        the training table has. The notes say which column became what, and which may be no feature at all.

    Raises
    ------
    DataError
        Where columns lack values (all of them at once, by the rows of the user's table), are there twice, or hold what
        is neither number nor word.
    """
    unknown = [key for key in returned if key not in TABLE_KEYS]
    if unknown:
        raise DataError(f"{source} returned '{unknown[0]}': beside tables go {', '.join(TABLE_KEYS)}")
    train: pd.DataFrame = returned["train"]
    test, target, id_column = (returned.get(key) for key in ("test", "target", "id"))
    _demand_columns(train, test, target, id_column, source)
    notes: list[str] = []
    if test is not None:
        extra = [column for column in test.columns if column not in train]
        if extra:
            notes.append(f"columns that the test table alone has are left out: {shown(extra, NAMED)}")
    features = [column for column in train.columns if column not in (target, id_column)]
    _demand_values({"train": train, "test": test}, [*features, target], source)
    _demand_plain_classes({"train": train, "test": test}, target, source)
    ids = _ids(train, id_column, source)
    if test is None:
        kept, held_out = _split(train[target])
        notes.append(
            f"there is no test table: {len(held_out):,} rows, {TEST_SHARE:.0%} of them, were drawn to be it, the same "
            "whatever --seed"
        )
        train, test, ids = train.iloc[kept], train.iloc[held_out], ids[kept]
    classes = encode_classes(train[target], test[target], source)
    columns = [encode_column(train[column], test[column], source) for column in features]
    _demand_finite({"train": (train, columns), "test": (test, columns)}, source)
    _demand_room(columns, source)
    arrays = {
        "x_train": np.concatenate([column.train for column in columns], axis=1),
        "y_train": classes.train,
        "x_test": np.concatenate([column.test for column in columns], axis=1),
        "y_test": classes.test,
        "class_names": np.array(classes.names),
        "sample_ids": ids,
    }
    said = (*_encoding(columns, classes), *notes, *_doubts(columns))
    return Given(arrays, said, encoding=FrameEncoding.of(columns))


def _demand_columns(train: pd.DataFrame, test: Any, target: Any, id_column: Any, source: str) -> None:
    """Refuse tables whose columns are not those that they should be."""
    if test is not None and not isinstance(test, pd.DataFrame):
        raise DataError(f"{source}: test is a {type(test).__name__}: it must be a table, as train is")
    for part, table in (("train", train), ("test", test)):
        if table is not None and table.columns.has_duplicates:
            twice = list(dict.fromkeys(table.columns[table.columns.duplicated()]))
            raise DataError(
                f"{source}: the {part} table has several columns called {shown([repr(name) for name in twice])}",
                hint="Rename or drop all but one: table.loc[:, ~table.columns.duplicated()].",
            )
    known = f"Columns: {shown(list(train.columns), 30)}."
    for what, name in (("target", target), ("id", id_column)):
        if isinstance(name, pd.Series | np.ndarray | list):
            raise DataError(
                f"{source}: {what} is a {type(name).__name__} of {len(name):,}: it must be the name of a column",
                hint=f"Put it into the table: train.assign({what}=…), and give its name. {known}",
            )
        if (what == "target" or name is not None) and not (_is_name(name) and name in train):
            raise DataError(f"{source}: there is no {what} column '{name}'", hint=known)
    if target == id_column:
        raise DataError(f"{source}: the column '{target}' can't be both target and id", hint=known)
    if len(train.columns) - 1 - (id_column is not None) == 0:
        raise DataError(f"{source}: there is no column besides the target: nothing to learn from")
    lacking = [] if test is None else [name for name in train.columns if name not in test and name != id_column]
    if lacking:
        raise DataError(
            f"{source}: the test table lacks the column{'s'[: len(lacking) - 1]} "
            f"{shown([repr(name) for name in lacking], NAMED)}"
        )
    for part, table in (("train", train), ("test", test)):
        if table is not None and len(table) < (2 if test is None else 1):
            raise DataError(f"{source}: the {part} table has {len(table)} rows")


def _is_name(name: Any) -> bool:
    try:
        hash(name)
    except TypeError:
        return False
    return name is not None


def _demand_values(tables: Mapping[str, pd.DataFrame | None], columns: list[Any], source: str) -> None:
    """Raise `DataError` with every column that lacks values."""
    found = []
    for part, table in tables.items():
        if table is None:
            continue
        for column in columns:
            missing = table[column].isna().to_numpy(bool)
            if missing.any():
                found.append(
                    f"column '{column}' of the {part} table lacks {int(missing.sum()):,} values, in "
                    f"{where(table, missing)}"
                )
    if found:
        raise DataError(
            _listed(source, found),
            hint="Remove those rows, or fill them: table.dropna(), table.fillna(…).",
        )


def _demand_plain_classes(tables: Mapping[str, pd.DataFrame | None], target: Any, source: str) -> None:
    """Refuse lists, sets and the like in the column of classes: what can't be hashed can't be counted."""
    for part, table in tables.items():
        strange = [] if table is None else [type(one).__name__ for one in table[target] if not _is_name(one)]
        if strange:
            raise DataError(
                f"{source}: the target '{target}' of the {part} table holds a {strange[0]} in {len(strange):,} rows: "
                "neither number nor word",
                hint="A classifier is audited, and a sample has one class: several labels a sample are not.",
            )


def _demand_finite(tables: Mapping[str, tuple[pd.DataFrame, list[EncodedColumn]]], source: str) -> None:
    """Raise `DataError` with every column that is infinite, or too large for float32."""
    found = []
    for part, (table, columns) in tables.items():
        for column in columns:
            values = column.train if part == "train" else column.test
            infinite = np.flatnonzero(~np.isfinite(values).all(axis=1))
            if len(infinite):
                found.append(
                    f"column '{column.name}' of the {part} table holds infinite numbers, or such that are too large "
                    f"for float32, in {where(table, np.isin(np.arange(len(table)), infinite))}"
                )
    if found:
        raise DataError(
            _listed(source, found),
            hint="Remove those rows, replace the numbers, or take their logarithm.",
        )


def _listed(source: str, found: list[str]) -> str:
    return f"{source}: {found[0]}" if len(found) == 1 else "\n  - ".join([f"{source}:", *found])


def _demand_room(columns: list[EncodedColumn], source: str) -> None:
    needed, left = sum(column.train.nbytes + column.test.nbytes for column in columns), available_memory()
    if left is not None and needed > left:
        widest = max(columns, key=lambda column: column.train.shape[1])
        raise DataError(
            f"{source}: the table needs another {needed / 1e9:,.1f} GB as numbers, and {left / 1e9:,.1f} GB of memory "
            f"are left; the widest column is '{widest.name}' with {widest.train.shape[1]:,} indicators",
            hint="Leave out columns that name rows, or give fewer rows.",
        )


def _ids(table: pd.DataFrame, column: Any, source: str) -> npt.NDArray[Any]:
    if column is None:
        return np.arange(len(table))
    if not pd.api.types.is_integer_dtype(table[column]) or table[column].isna().any():
        raise DataError(
            f"{source}: the id column '{column}' holds {table[column].dtype}, and ids must be integers, one in each "
            "row",
            hint="Number the rows, and keep the table of your own ids to yourself.",
        )
    twice = table[column].duplicated(keep=False).to_numpy(bool)
    if twice.any():
        raise DataError(
            f"{source}: the id column '{column}' holds {shown(list(table[column][twice].unique()))} more than once, in "
            f"{where(table, twice)}",
            hint="Give every row an id of its own, or name no id column.",
        )
    return np.asarray(table[column])


def _split(target: pd.Series[Any]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Draw a fifth of the rows to test with; rows of a class that would have none to train with are kept."""
    drawn = generator(0, "table-test").permutation(len(target))[: max(1, round(TEST_SHARE * len(target)))]
    held_out = np.sort(drawn)
    trained = set(target.iloc[np.setdiff1d(np.arange(len(target)), held_out)])
    held_out = held_out[[value in trained for value in target.iloc[held_out]]]
    return np.setdiff1d(np.arange(len(target)), held_out), held_out


def _encoding(columns: list[EncodedColumn], classes: Classes) -> list[str]:
    """Say which column became what."""
    kinds = {
        "number": "as numbers",
        "truth": "as 0 and 1",
        "indicators": "as a column of 0 and 1 for each value",
    }
    parts = []
    for kind, words in kinds.items():
        names = [
            f"'{column.name}'" + (f" ({column.train.shape[1]:,})" if kind == "indicators" else "")
            for column in columns
            if column.kind == kind
        ]
        if names:
            parts.append(f"{words}: {shown(names, NAMED)}")
    features = sum(column.train.shape[1] for column in columns)
    return [f"{len(columns):,} columns became {features:,} features; {'; '.join(parts)}", *classes.notes]


def _doubts(columns: list[EncodedColumn]) -> list[str]:
    """Return what is doubtful about the columns: one sentence each, but not hundreds of them."""
    doubts = [doubt for column in columns for doubt in column.doubts]
    return doubts[:NAMED] + ([f"{len(doubts) - NAMED:,} more doubts about columns"] if len(doubts) > NAMED else [])
