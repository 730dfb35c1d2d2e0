"""Tables: a pandas DataFrame with a target column becomes float features, labels and class names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from privaudit.errors import DataError
from privaudit.seeds import generator

#: What a factory may return instead of arrays.
TABLE_KEYS = ("train", "test", "target", "id")

#: The share of a single table that is held out for testing.
TEST_SHARE = 0.2

#: A column of words with more different values than this is no category.
MOST_CATEGORIES = 1_000


def is_table(returned: Mapping[str, Any]) -> bool:
    """Whether a factory returned tables rather than arrays."""
    return isinstance(returned.get("train"), pd.DataFrame)


def arrays_of_table(returned: Mapping[str, Any], source: str) -> dict[str, Any]:
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
    dict
        ``x_train, y_train, x_test, y_test, class_names, sample_ids``. Numbers (and booleans) stay as they are, to be
        standardised by the network's first layer; a column of words becomes one column of 0 and 1 for each value that
        the training table has.
    """
    unknown = [key for key in returned if key not in TABLE_KEYS]
    if unknown:
        raise DataError(f"{source} returned '{unknown[0]}': beside tables go {', '.join(TABLE_KEYS)}")
    train, target, id_column = returned["train"], returned.get("target"), returned.get("id")
    if target not in train:
        raise DataError(
            f"{source}: there is no target column '{target}'", hint=f"Columns: {', '.join(map(str, train.columns))}."
        )
    ids = _ids(train, id_column, source)
    test = returned.get("test")
    if test is None:
        held_out = np.sort(generator(0, "table-test").permutation(len(train))[: max(1, round(TEST_SHARE * len(train)))])
        kept = np.setdiff1d(np.arange(len(train)), held_out)
        train, test, ids = train.iloc[kept], train.iloc[held_out], ids[kept]
    lacking = [column for column in train.columns if column not in test and column != id_column]
    if lacking:
        raise DataError(f"{source}: the test table lacks the column '{lacking[0]}'")
    names = sorted({str(value) for value in train[target].dropna()})
    labels = [_labels(table[target], names, part, source) for part, table in (("train", train), ("test", test))]
    columns = [column for column in train.columns if column not in (target, id_column)]
    if not columns:
        raise DataError(f"{source}: there is no column besides the target: nothing to learn from")
    features = [_features(train, test, column, source) for column in columns]
    x_train, x_test = (np.concatenate(parts, axis=1) for parts in zip(*features, strict=True))
    return {
        "x_train": x_train,
        "y_train": labels[0],
        "x_test": x_test,
        "y_test": labels[1],
        "class_names": np.array(names),
        "sample_ids": ids,
    }


def _ids(table: pd.DataFrame, column: Any, source: str) -> npt.NDArray[Any]:
    if column is None:
        return np.arange(len(table))
    if column not in table:
        raise DataError(f"{source}: there is no id column '{column}'")
    if not pd.api.types.is_integer_dtype(table[column]):
        raise DataError(
            f"{source}: the id column '{column}' holds {table[column].dtype}, and ids must be integers",
            hint="Number the rows, and keep the table of your own ids to yourself.",
        )
    return np.asarray(table[column])


def _labels(values: pd.Series[Any], names: list[str], part: str, source: str) -> npt.NDArray[np.int64]:
    codes = pd.Index(names).get_indexer(pd.Index(values.map(str, na_action="ignore")))
    if (codes < 0).any():
        row = int(np.flatnonzero(codes < 0)[0])
        raise DataError(
            f"{source}: the {part} table's target in row {row} is {values.iloc[row]!r}: "
            f"{'missing' if pd.isna(values.iloc[row]) else 'a class that the training table lacks'}"
        )
    return codes.astype(np.int64)


def _features(
    train: pd.DataFrame, test: pd.DataFrame, column: Any, source: str
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    known, other = train[column], test[column]
    for part, values in (("train", known), ("test", other)):
        if values.isna().any():
            raise DataError(
                f"{source}: column '{column}' of the {part} table lacks {int(values.isna().sum())} values, first in "
                f"row {int(np.flatnonzero(values.isna())[0])}",
                hint="Remove or impute those rows first.",
            )
    if pd.api.types.is_numeric_dtype(known):
        if not pd.api.types.is_numeric_dtype(other):
            raise DataError(f"{source}: column '{column}' holds numbers for training and none for testing")
        return _column(known.to_numpy(np.float32)), _column(other.to_numpy(np.float32))
    values = sorted({str(value) for value in known})
    if len(values) > MOST_CATEGORIES:
        raise DataError(
            f"{source}: column '{column}' has {len(values):,} different values: it names rows rather than categories",
            hint="Leave it out, or name it as the id.",
        )
    return _indicators(known, values), _indicators(other, values)


def _column(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return values[:, np.newaxis]


def _indicators(column: pd.Series[Any], values: list[str]) -> npt.NDArray[np.float32]:
    """One column a value; a value that the training table lacks is none of them."""
    words = column.map(str).to_numpy(object)
    return np.stack([words == value for value in values], axis=1).astype(np.float32)
