"""``privaudit.score(data=…)``: tables, arrays and datasets that are at hand in Python."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from privaudit.data.dataset import Dataset
from privaudit.data.formats.arrays import from_arrays
from privaudit.data.formats.factory import given_by_value
from privaudit.data.formats.torch_datasets import given_by_dataset, is_dataset
from privaudit.data.labels import class_notes
from privaudit.data.objects import huggingface
from privaudit.data.objects.user_frame import table_of_frame
from privaudit.data.row_names import shown
from privaudit.data.sampling import Limits
from privaudit.data.tables.table_dataset import dataset_of_table
from privaudit.data.tables.table_file import UserTable
from privaudit.data.validation import Given
from privaudit.errors import PrivauditError, UsageError
from privaudit.objects.held import held_data, title_of
from privaudit.results.audit.audit_description import TableOptions

#: How messages call it.
NAME = "data"

#: Of tables in a dict.
_PARTS = {"train", "test"}

MAY_BE = (
    "a DataFrame with label='COLUMN', or {'train': DataFrame, 'test': DataFrame}; a dict of x_train, y_train, x_test, "
    "y_test; (X, y) or (X_train, y_train, X_test, y_test); a torch Dataset or two, (train, test); a datasets.Dataset"
)


def object_dataset(name: str, options: TableOptions, samples: int | None, limits: Limits, seed: int) -> Dataset:
    """Turn held data into a dataset.

    Parameters
    ----------
    name
        By which it is held; its title names the dataset.
    options
        Which column of a table is what.
    samples, limits
        How many training samples to keep: so many, or all up to a limit.
    seed
        Chooses them.

    Raises
    ------
    UsageError
        Where it is not at hand, or a column that was named is not there.
    DataError
        With all that is wrong with it; no value of a sample is shown but that of a cell that can't be read.
    """
    value, title = held_data(name), title_of(name)
    try:
        if (tables := _tables_of(value, title, options)) is not None:
            data = dataset_of_table(title, tables, options, samples=samples, limits=limits, seed=seed)
            rows, columns = tables.frame.shape
            data = replace(data, source=f"a table of {rows:,} rows and {columns:,} columns that was given in Python")
        else:
            data = from_arrays(title, _given_by(value, options), NAME, samples, seed, limits)
            data = replace(data, source=f"{_kind(value)} that was given in Python")
    except PrivauditError as error:
        raise type(error)(_in_python(error.message), hint=None if error.hint is None else _in_python(error.hint)) from (
            error
        )
    notes = (*data.notes, *class_notes(data.y_train, data.y_test, data.class_names))
    return replace(data, notes=tuple(map(_in_python, notes)))


def is_read_by_items(name: str) -> bool:
    """Whether held data is read sample by sample, so that it may be something else each time."""
    value = held_data(name)
    parts = list(value.values()) if isinstance(value, Mapping) else list(value) if isinstance(value, tuple) else [value]
    return all(is_dataset(part) and not hasattr(part, "dtype") and not hasattr(part, "columns") for part in parts)


def _tables_of(value: Any, title: str, options: TableOptions) -> UserTable | None:
    """The table, with that to test with, where there is one; None where the data is no table."""
    if huggingface.is_huggingface(value) and (value := huggingface.tables_in(value, options.label)) is None:
        return None
    parts = _frames_in(value, is_labelled=options.label is not None)
    if not parts or not all(isinstance(part, pd.DataFrame) for part in parts):
        return None
    table, *others = [
        table_of_frame(name, frame, options) for name, frame in zip((title, "the other table"), parts, strict=False)
    ]
    if not others:
        return table
    if options.test is not None:
        raise UsageError(
            f"there are two tables, and --test {options.test!r} names what to test with: which is meant?",
            hint="Leave one of them out.",
        )
    return replace(table, other=others[0])


def _frames_in(value: Any, *, is_labelled: bool) -> tuple[Any, ...]:
    """What may be the table and the one to test with; a pair of tables without a label is inputs and classes."""
    if isinstance(value, Mapping):
        return tuple(value[part] for part in ("train", "test") if part in value) if set(value) <= _PARTS else ()
    if isinstance(value, tuple):
        return value if is_labelled and len(value) == 2 else ()
    return (value,)


def _demand_no_columns(value: Any, options: TableOptions) -> None:
    if given := options.given():
        raise UsageError(
            f"{given[0]} is for tables, and data is {_kind(value)}",
            hint="Make a table of it: pandas.DataFrame(X, columns=[…]).assign(label=y).",
        )


def _given_by(value: Any, options: TableOptions) -> Given:
    """Turn arrays or datasets into what a file of arrays holds."""
    if huggingface.is_huggingface(value):
        _demand_no_columns(value, options.model_copy(update={"label": None}))
        return huggingface.given_by_huggingface(value, NAME, options.label)
    _demand_no_columns(value, options)
    if isinstance(value, Mapping) and {"data", "target"} <= set(value):
        return _of_bunch(value)
    if _is_one_dataset(value):
        return given_by_dataset(value, NAME)
    return given_by_value(value, NAME)


def _is_one_dataset(value: Any) -> bool:
    return is_dataset(value) and not isinstance(value, Mapping | tuple | list) and not hasattr(value, "ndim")


def _of_bunch(value: Mapping[str, Any]) -> Given:
    """Scikit-learn's ``load_…()``: its data and target, with the names of the classes."""
    given = given_by_value((value["data"], value["target"]), NAME)
    names = value.get("target_names")
    if names is None or given.arrays.get("class_names") is not None:
        return given
    return replace(given, arrays={**given.arrays, "class_names": names})


def _kind(value: Any) -> str:
    """What data is, in words that show none of it."""
    if isinstance(value, Mapping):
        return f"a {type(value).__name__} of {shown(list(value), 8)}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)} ({', '.join(type(part).__name__ for part in value[:6])})"
    shape = getattr(value, "shape", None)
    return f"a {type(value).__name__}" + (f" of shape {tuple(shape)}" if isinstance(shape, tuple) else "")


#: What messages on files and functions say, and what it is of an object: flags are arguments, what a function returned
#: is what was given.
_WORDS = [
    (re.compile(r"--([a-z]+(?:-[a-z]+)*)(?: ([A-Z]+\b|\d+%?|'[^']*'|[^\s;,.]+(?=:)))?"), None),
    (re.compile(rf"\b{NAME} returned (a|an|arrays)\b"), rf"{NAME} is \1"),
    (re.compile(rf"\b{NAME} returned (\w+): it must"), rf"{NAME} is a \1: it must"),
    (re.compile(rf"\b{NAME} returned "), f"{NAME} is "),
    (re.compile(r"(?<=\. )Return\b|^Return\b"), "Give"),
    (re.compile(r"\breturn \("), "give ("),
    (re.compile(r"it must return a dict of .*"), f"it must be {MAY_BE}"),
    (re.compile(r"\bwere returned in\b"), "were given in"),
]


def _in_python(said: str) -> str:
    """Say of an object what is said of files and functions."""
    for pattern, words in _WORDS:
        said = pattern.sub(_argument if words is None else words, said)
    return said


def _argument(found: re.Match[str]) -> str:
    name, value = found[1].replace("-", "_"), found[2]
    if value is None:
        return f"{name}="
    return f"{name}={value}" if value.startswith("'") else f"{name}='{value}'"
