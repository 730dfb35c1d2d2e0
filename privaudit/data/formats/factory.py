"""What a user's function returned: arrays, a pair of arrays, tables, or torch Datasets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from privaudit.data.formats.torch_datasets import given_by_datasets, is_dataset, place_of
from privaudit.data.inputs import as_array
from privaudit.data.labels import checked_labels
from privaudit.data.sampling import held_out
from privaudit.data.tables.dataframe import arrays_of_table, is_table
from privaudit.data.validation import REQUIRED, Given
from privaudit.errors import DataError, PrivauditError
from privaudit.runtime.registry import import_reference
from privaudit.runtime.user_code import user_code

MAY_RETURN = (
    f"it must return a dict of {', '.join(REQUIRED)}; a dict of tables, train and target (and test, id); "
    "(X, y) or (X_train, y_train, X_test, y_test); or two torch Datasets (train, test)"
)


def call_factory(reference: str) -> Given:
    """Call ``module:factory``, and turn what it returns into arrays."""
    return given_by_function(import_reference(reference, "dataset"), reference)


def given_by_function(factory: Any, reference: str) -> Given:
    """Call a factory, and turn what it returned (arrays, tables, torch Datasets) into arrays."""
    try:
        with user_code():
            returned = factory()
    except PrivauditError:
        raise
    except Exception as error:
        raise DataError(
            f"{reference}() failed: {type(error).__name__}: {error}", hint=f"It failed at {place_of(error)}."
        ) from error
    return given_by_value(returned, reference)


def given_by_value(returned: Any, reference: str) -> Given:
    """Turn what a factory returned into arrays; `DataError` says what it may return."""
    if isinstance(returned, Mapping):
        if is_table(returned):
            return arrays_of_table(returned, reference)
        if set(returned) == {"train", "test"} and all(map(is_dataset, returned.values())):
            return given_by_datasets((returned["train"], returned["test"]), reference)
        return Given(returned)
    if isinstance(returned, tuple | list):
        parts = tuple(returned)
        if len(parts) == 2 and all(map(_is_pair_of_arrays, parts)):
            return _given_by_arrays((*parts[0], *parts[1]), reference)
        if _is_pair_of_arrays(parts) or (len(parts) == 4 and all(map(_is_array, parts))):
            return _given_by_arrays(parts, reference)
        _refuse_odd_arrays(parts, reference)
        if len(parts) == 2 and isinstance(returned, tuple) and all(map(is_dataset, parts)):
            return given_by_datasets((parts[0], parts[1]), reference)
        for part in parts:
            _refuse_stream(part, reference)
    _refuse_stream(returned, reference)
    if isinstance(returned, pd.DataFrame):
        raise DataError(
            f"{reference} returned a table alone: which of its columns holds the classes?",
            hint='Return {"train": table, "target": "name of the column"}.',
        )
    what = type(returned).__name__
    if isinstance(returned, tuple):
        what = f"a tuple of {len(returned)} ({', '.join(type(part).__name__ for part in returned[:6])})"
    raise DataError(f"{reference} returned {what}: {MAY_RETURN}")


def _refuse_odd_arrays(parts: tuple[Any, ...], reference: str) -> None:
    """Refuse arrays that are no inputs with their labels, before they are taken for torch Datasets."""
    for part in parts:
        if hasattr(part, "toarray") and hasattr(part, "nnz"):
            raise DataError(f"{reference} returned a sparse matrix", hint="Networks take dense ones: X.toarray().")
        if isinstance(part, np.ndarray) and part.dtype.names is not None:
            raise DataError(
                f"{reference} returned a structured array of the fields {', '.join(part.dtype.names[:6])}",
                hint='Make a table of it: {"train": pandas.DataFrame(array), "target": "name of the column"}.',
            )
    if len(parts) in (2, 4) and all(isinstance(part, np.ndarray) for part in parts):
        shapes = ", ".join(str(list(part.shape)) for part in parts)
        raise DataError(
            f"{reference} returned arrays of {shapes}: not inputs [N, …] with their labels [N]",
            hint="A single feature is a column: X[:, None]. Return (X, y), or (X_train, y_train, X_test, y_test).",
        )


def _refuse_stream(returned: Any, reference: str) -> None:
    """Refuse what can only be read from front to back, and what hides a dataset."""
    if type(returned).__name__ == "DataLoader":
        raise DataError(
            f"{reference} returned a DataLoader, which shuffles and batches: an audit asks about samples",
            hint="Return the datasets: (train_loader.dataset, test_loader.dataset).",
        )
    if hasattr(returned, "__iter__") and not hasattr(returned, "__len__"):
        raise DataError(
            f"{reference} returned a stream ({type(returned).__name__}) without a length: an audit needs every sample "
            "at its own place, the same at each call",
            hint="Where it ends, return (list(train), list(test)).",
        )


def _is_array(value: Any) -> bool:
    """Whether this is an array, a tensor, a table, a column, or a nested list of numbers."""
    if isinstance(value, np.ndarray | pd.DataFrame | pd.Series) or (
        hasattr(value, "detach") and hasattr(value, "ndim")
    ):
        return bool(value.ndim >= 1)
    return isinstance(value, list) and len(value) > 0 and _is_nested_numbers(value[0])


def _is_nested_numbers(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and _is_nested_numbers(value[0])
    return isinstance(value, bool | int | float | str | np.generic)


def _is_pair_of_arrays(value: Any) -> bool:
    """Whether this is ``(X, y)``: two arrays, the first of which has a row for each entry of the second.

    A torch Dataset's ``(input, label)`` is none: its label has no length.
    """
    if not (isinstance(value, tuple | list) and len(value) == 2 and _is_array(value[1])):
        return False
    stacked = isinstance(value[0], list) and len(value[0]) > 0 and getattr(value[0][0], "ndim", 0) >= 1
    return stacked or (_is_array(value[0]) and _ndim(value[0]) >= 2)


def _ndim(value: Any) -> int:
    if isinstance(value, list):
        return 1 + (_ndim(value[0]) if value else 0)
    return int(getattr(value, "ndim", 0))


def _given_by_arrays(parts: tuple[Any, ...], reference: str) -> Given:
    """Turn ``(X, y)`` or ``(X_train, y_train, X_test, y_test)`` into arrays."""
    notes: list[str] = []
    if len(parts) == 4 and _ndim(parts[1]) >= 2 and _ndim(parts[2]) == 1 == _ndim(parts[3]):
        # scikit-learn's train_test_split has another order, which the dimensions prove.
        parts = (parts[0], parts[2], parts[1], parts[3])
        notes.append("four arrays were returned in the order X_train, X_test, y_train, y_test, and read so")
    if isinstance(parts[0], pd.DataFrame):
        return _given_by_columns(parts, reference, notes)
    if len(parts) == 4:
        return Given(dict(zip(REQUIRED, parts, strict=True)), tuple(notes))
    x = as_array(parts[0], "X", reference)
    y = checked_labels(parts[1], "y", reference)
    if len(x) != len(y):
        raise DataError(f"{reference}: there are {len(x):,} inputs and {len(y):,} labels in (X, y)")
    arrays, said = held_out(x, y, reference, "(X, y)")
    return Given(arrays, (f"{said}; sample_id is the row of X",))


def _given_by_columns(parts: tuple[Any, ...], reference: str, notes: list[str]) -> Given:
    """Turn tables of inputs with columns of classes beside them into arrays."""
    tables = []
    name = parts[1].name if isinstance(parts[1], pd.Series) else None
    target = "y" if name is None else name
    if target in parts[0].columns:
        target = f"{target} (target)"
    for table, y in zip(parts[::2], parts[1::2], strict=True):
        if not isinstance(table, pd.DataFrame) or len(table) != len(y):
            raise DataError(
                f"{reference}: a table of {len(parts[0]):,} rows and {len(y):,} labels do not belong together"
            )
        column = y.iloc[:, 0] if isinstance(y, pd.DataFrame) and y.shape[1] == 1 else y
        values = column.array if isinstance(column, pd.Series) else as_array(column, "y", reference)
        if values.ndim != 1:
            raise DataError(f"{reference}: y must be one column of classes, not {list(values.shape)}")
        tables.append(pd.concat([table, pd.Series(values, index=table.index, name=target)], axis=1))
    whole: dict[str, Any] = {"train": tables[0], "target": target}
    given = arrays_of_table(whole | ({"test": tables[1]} if len(tables) > 1 else {}), reference)
    return replace(given, notes=(*notes, *given.notes))
