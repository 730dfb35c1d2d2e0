"""A table's column of classes: in the order of numbers where they are numbers, in their own where they have one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from privaudit.data.row_names import shown, where
from privaudit.errors import DataError

#: More different classes than this are looked at twice.
MANY = 20

_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9]*)(\.[0-9]+)?")


@dataclass(frozen=True)
class Classes:
    """Names in the order of labels, and the labels of either table.

    Parameters
    ----------
    names
        One name a class.
    train, test
        int64 ``[N]``.
    notes
        How they were ordered, and what is odd about them.
    """

    names: list[str]
    train: npt.NDArray[np.int64]
    test: npt.NDArray[np.int64]
    notes: list[str]


def number_of(value: Any) -> int | float | None:
    """Return the number that a class is or is written as (``"10"``, ``1.0``, True), or None."""
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value):
            return None
        value = float(value) if "." in value else int(value)
    elif isinstance(value, bool | np.bool_ | Real | Decimal):
        value = float(value) if isinstance(value, Decimal) else value.item() if isinstance(value, np.generic) else value
    else:
        return None
    if isinstance(value, float):
        return int(value) if np.isfinite(value) and value == int(value) else value
    return int(value)


def encode_classes(train: pd.Series[Any], test: pd.Series[Any], source: str, *, is_of_checked: bool = False) -> Classes:
    """Number the classes of a target column.

    Numbers, also those written as words, are sorted as numbers, so that labels 0 … C − 1 stay what they were; a
    categorical column keeps the order of its categories; words are sorted as words. Where these are rows of a column
    that was encoded whole before, it is not asked again whether it holds classes: a part has fewer rows of each.

    Raises
    ------
    DataError
        Where two classes are one but for their spelling, where the column holds measurements rather than classes, or
        where the test table has a class that the training table lacks.
    """
    own_order = isinstance(train.dtype, pd.CategoricalDtype)
    present = set(train.unique())
    values = [one for one in train.cat.categories if one in present] if own_order else list(train.unique())
    numbers = [number_of(value) for value in values]
    notes: list[str] = []
    if not is_of_checked:
        _demand_classes(train, values, numbers, source)
    if all(number is not None for number in numbers):
        key = number_of
    else:
        key = str  # type: ignore[assignment]
        if any(number is not None for number in numbers):
            notes.append(f"target '{train.name}' mixes numbers and words: its classes are sorted as words")
    if not own_order:
        values.sort(key=key)  # type: ignore[arg-type]
    _demand_one_spelling(train, values, source)
    names = [str(value) for value in values]
    order = f"{len(names):,} classes, {shown(names)}"
    if own_order:
        order += ", in the order of the categories"
    elif key is number_of:
        order += ", in the order of numbers"
    label_of = {key(value): label for label, value in enumerate(values)}
    labels = []
    for part, column in (("train", train), ("test", test)):
        codes = np.array([label_of.get(key(value), -1) for value in column.array], np.int64)
        if (codes < 0).any():
            unknown = list(dict.fromkeys(map(str, column[codes < 0])))
            raise DataError(
                f"{source}: the {part} table's target in {where(column, codes < 0)} is {shown(unknown)}: a class that "
                "the training table lacks",
                hint="Leave those rows out, or name a training table that has some of them.",
            )
        labels.append(codes)
    return Classes(names, labels[0], labels[1], [f"target '{train.name}': {order}", *notes])


def _demand_classes(train: pd.Series[Any], values: list[Any], numbers: list[int | float | None], source: str) -> None:
    """Refuse measurements and names of rows, which are no classes."""
    if len(values) <= MANY:
        return
    fractions = [number for number in numbers if isinstance(number, float)]
    if fractions:
        raise DataError(
            f"{source}: the target '{train.name}' holds {len(values):,} different numbers with fractions, such as "
            f"{fractions[0]}: measurements, not classes",
            hint="A classifier is audited: cut them into classes first (pandas.cut or pandas.qcut).",
        )
    if len(values) > len(train) / 2:
        raise DataError(
            f"{source}: the target '{train.name}' has {len(values):,} different values in {len(train):,} rows: it "
            "names rows rather than classes",
            hint="Is it the column that was meant? Measurements are cut into classes by pandas.cut.",
        )


def _demand_one_spelling(train: pd.Series[Any], values: list[Any], source: str) -> None:
    """Refuse classes that differ in blanks, or in how a number is written, alone."""
    seen: dict[Any, Any] = {}
    for value in values:
        number = number_of(value.strip() if isinstance(value, str) else value)
        plain = number if number is not None else str(value).strip()
        if plain in seen:
            raise DataError(
                f"{source}: the target '{train.name}' has the classes {seen[plain]!r} and {value!r}: are they one?",
                hint="Write them alike: in the file, or by .astype(str).str.strip(), .astype(int).",
            )
        seen[plain] = value
