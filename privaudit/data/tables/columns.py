"""One column of a table as numbers for a network, and what makes one doubt that it should be."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api import types

from privaudit.errors import DataError

Floats = npt.NDArray[np.float32]

#: A column of words with more different values than this is no category.
MOST_CATEGORIES = 1_000

#: More indicators than this are worth a word, and so is a value of its own in more than half of the rows.
MANY = 50

#: Of so many rows all numbers may be different by chance.
FEW_ROWS = 20

#: The share of values that must look like numbers, or like dates, for a column to be taken for such.
MOSTLY = 0.9

_DATE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([T ].*)?|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2})([T ].*)?")
_NUMBER = re.compile(
    r"\s*[-+(]?\s*[$€£¥]?\s*(\d{1,3}([,.' \u00a0\u202f]\d{3})+|\d*)([.,]\d+)?\d*([eE][-+]?\d+)?\s*[%$€£¥)]?\s*"
)


@dataclass(frozen=True)
class EncodedColumn:
    """A column as a network takes it.

    Parameters
    ----------
    name
        The column's.
    kind
        ``number``, ``truth`` (0 and 1) or ``indicators`` (a column of 0 and 1 for each value of the training table).
    train, test
        float32 ``[N, k]``.
    doubts
        Why it may not be what it is taken for, a sentence each.
    values
        Of indicators: what each stands for.
    """

    name: Any
    kind: Literal["number", "truth", "indicators"]
    train: Floats
    test: Floats
    doubts: list[str]
    values: tuple[str, ...] = ()


def encode_column(known: pd.Series[Any], other: pd.Series[Any], source: str) -> EncodedColumn:
    """Turn a column of the training table, and the same of the test table, into numbers.

    Raises
    ------
    DataError
        Where it holds what is neither a number nor a word, or more words than a category can have.
    """
    name, doubts = known.name, []
    for column in (known, other):
        _refuse_strange(column, source)
    if known.dtype == object and _are_numbers(known) and _are_numbers(other):
        doubts.append(f"column '{name}' holds numbers as Python objects: read as numbers")
        known, other = known.astype(float), other.astype(float)
    if types.is_numeric_dtype(known.dtype):
        if not types.is_numeric_dtype(other.dtype):
            raise DataError(f"{source}: column '{name}' holds numbers for training and none for testing")
        kind: Literal["number", "truth"] = "truth" if types.is_bool_dtype(known.dtype) else "number"
        train, test = (_as_floats(column)[:, np.newaxis] for column in (known, other))
        return EncodedColumn(name, kind, train, test, doubts + doubts_of_numbers(known, train[:, 0]))
    words, others = (column.map(str).to_numpy(object) for column in (known, other))
    values = sorted(set(words))
    if len(values) > MOST_CATEGORIES:
        raise DataError(
            f"{source}: column '{name}' has {len(values):,} different values: it names rows rather than categories"
            + "".join(f" ({doubt})" for doubt in _doubts_of_words(known, values)[:1]),
            hint="Leave it out, name it as the id, or turn it into a number.",
        )
    doubts += _doubts_of_words(known, values)
    strange = np.flatnonzero(pd.Index(values).get_indexer(pd.Index(others)) < 0)
    if len(strange):
        doubts.append(
            f"column '{name}': {len(strange):,} test rows hold values that the training table lacks; they become 0 in "
            "every indicator"
        )
    parts = indicators(words, values), indicators(others, values)
    return EncodedColumn(name, "indicators", *parts, doubts, tuple(values))


def _refuse_strange(column: pd.Series[Any], source: str) -> None:
    if types.is_complex_dtype(column.dtype):
        cure = "Give real and imaginary parts as two columns: .apply(numpy.real), .apply(numpy.imag)."
        raise DataError(f"{source}: column '{column.name}' holds complex numbers", hint=cure)
    if types.is_timedelta64_dtype(column.dtype):
        cure = "Turn them into numbers: .dt.total_seconds()."
        raise DataError(f"{source}: column '{column.name}' holds time spans", hint=cure)
    if column.dtype == object:
        nested = column.map(lambda value: isinstance(value, list | tuple | set | dict | np.ndarray | pd.Series))
        if nested.any():
            held = type(column[nested.to_numpy(bool)].iloc[0]).__name__
            raise DataError(
                f"{source}: column '{column.name}' holds a {held} in {int(nested.sum()):,} rows: neither number nor "
                "word",
                hint="Give each entry a column of its own, or leave the column out.",
            )
        if column.map(lambda value: isinstance(value, complex)).any():
            raise DataError(f"{source}: column '{column.name}' holds complex numbers")


def _are_numbers(column: pd.Series[Any]) -> bool:
    return all(isinstance(value, Real | Decimal) and not isinstance(value, bool | np.bool_) for value in column)


def _as_floats(column: pd.Series[Any]) -> Floats:
    with np.errstate(over="ignore"):
        return column.to_numpy(np.float32)


def indicators(words: npt.NDArray[np.object_], values: list[str]) -> Floats:
    """Return one column a value; a value that the training table lacks is none of them."""
    codes = pd.Index(values).get_indexer(pd.Index(words))
    features = np.zeros((len(words), len(values)), np.float32)
    known = np.flatnonzero(codes >= 0)
    features[known, codes[known]] = 1
    return features


def doubts_of_numbers(column: pd.Series[Any], floats: npt.NDArray[np.floating[Any]]) -> list[str]:
    """Say why numbers may be no feature, or not the one that they seem; ``floats`` is what a network gets of them."""
    name, distinct = f"column '{column.name}'", int(column.nunique())
    if distinct == 1:
        return [f"{name} holds one number in every row: it says nothing"]
    doubts = []
    if _is_time(column):
        doubts.append(f"{name} looks like dates written as numbers: is it meant to be learnt from?")
    elif distinct == len(column) > FEW_ROWS and _are_whole(column):
        doubts.append(f"{name} holds another whole number in each row: is it an id? name it as id, or leave it out")
    if len(np.unique(floats)) < distinct / 2:
        doubts.append(
            f"{name}: float32 holds {len(np.unique(floats)):,} of its {distinct:,} different values: subtract its "
            "smallest value first"
        )
    return doubts


def _are_whole(column: pd.Series[Any]) -> bool:
    if types.is_integer_dtype(column.dtype):
        return True
    values = column.to_numpy(np.float64)
    return bool(np.isfinite(values).all() and (values == np.floor(values)).all())


def _is_time(column: pd.Series[Any]) -> bool:
    """Whether numbers are days as 20240131, or seconds, milliseconds, micro- or nanoseconds since 1970."""
    if types.is_bool_dtype(column.dtype) or column.nunique() < 3:
        return False
    low, high = float(column.min()), float(column.max())
    if any(1e8 * 10**scale * 6 < low and high < 2.3e9 * 10**scale for scale in (0, 3, 6, 9)):
        return True
    if not (low >= 19_000_101 and high <= 21_001_231):
        return False
    whole = column.to_numpy(np.int64)
    month, day = whole // 100 % 100, whole % 100
    return bool(((month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)).all())


def _doubts_of_words(column: pd.Series[Any], values: list[str]) -> list[str]:
    name, count = f"column '{column.name}'", len(values)
    becomes = f"it becomes {count:,} indicators"
    if count == 1:
        return [f"{name} holds one word in every row: it says nothing"]
    if _are_dates(column, values):
        return [f"{name} holds dates, and {becomes}: turn it into a number, or leave it out"]
    strange = sum(not _looks_numeric(value) for value in values)
    if strange <= (1 - MOSTLY) * count and not isinstance(column.dtype, pd.CategoricalDtype):
        besides = f" (but for {strange:,} values)" if strange else ""
        return [
            f"{name} holds numbers stored as words{besides}, and {becomes}: turn it into numbers "
            "first (pandas.to_numeric)"
        ]
    doubts = []
    if count > len(column) / 2 and len(column) > FEW_ROWS:
        doubts.append(
            f"{name} has {count:,} different values in {len(column):,} rows, and {becomes}: is it an id? leave it out"
        )
    elif count > MANY:
        doubts.append(f"{name} has {count:,} different values, and {becomes}: group them, or leave it out")
    alike = count - len({value.strip().casefold() for value in values})
    if alike:
        doubts.append(f"{name}: {alike:,} of its values differ from another in blanks or capitals alone: are they one?")
    return doubts


def _looks_numeric(word: str) -> bool:
    return any(letter.isdigit() for letter in word) and _NUMBER.fullmatch(word) is not None


def _are_dates(column: pd.Series[Any], values: list[str]) -> bool:
    if types.is_datetime64_any_dtype(column.dtype) or isinstance(column.dtype, pd.PeriodDtype):
        return True
    if column.dtype == object and isinstance(column.iloc[0], datetime.date | datetime.time):
        return True
    return sum(_DATE.fullmatch(value.strip()) is not None for value in values) >= MOSTLY * len(values)
