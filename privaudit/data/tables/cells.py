"""A column of a user's table as it was given: its different values, which row has which, and which rows have none."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field, replace
from decimal import Decimal
from numbers import Real
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api import types

from privaudit.data.dataset import IntArray
from privaudit.data.tables.word_forms import Floats, numbers_of

#: What cells hold that is numbers, words, truth values, or times.
CellKind = Literal["words", "numbers", "truths", "times"]

#: How people and programs write that there is nothing, in small letters, and what spreadsheets show of a broken cell.
_NOTHING = (
    *("", "na", "n/a", "n.a.", "n.a", "nan", "<na>", "nat", "null", "none", "nil", "?", "-", "--", "."),
    *("missing", "(missing)"),
)
_BROKEN = ("#n/a", "#na", "#ref!", "#value!", "#div/0!", "#num!", "#name?", "#null!")
MISSING = frozenset((*_NOTHING, *_BROKEN))

#: Of these, what is never a class's name.
NO_CLASS = MISSING - {"none", "nil", "-", "--", ".", "missing", "(missing)"}

_SECONDS_A_DAY = 86_400


@dataclass(frozen=True)
class Problem:
    """A cell, or a whole column, that can't be read as it is.

    Parameters
    ----------
    what
        What is wrong with it, as a sentence without its end.
    column
        The column's name, where it is one column's.
    row
        The row of the table, counted from 0, where it is one row's.
    """

    what: str
    column: str | None = None
    row: int | None = None


class UnfitColumn(ValueError):
    """A column whose cells are no numbers, words, truth values or times: why, as the end of a sentence about it."""


@dataclass(frozen=True)
class Column:
    """Some rows of a column.

    Parameters
    ----------
    name
        The column's.
    kind
        Of its values.
    codes
        int64 ``[N]``: which value each row has; −1 where the cell is missing.
    values
        Each different one once, of the whole column: texts without blanks around them, numbers, truth values, or days
        since 1970.
    is_category
        Whether the user's table calls it one.
    missing
        How missing cells are written, where they are.
    """

    name: str
    kind: CellKind
    codes: IntArray
    values: pd.Series[Any]
    is_category: bool = False
    missing: tuple[str, ...] = ()
    _numbers: dict[bool, Floats] = field(default_factory=dict, repr=False)

    def numbers(self, *, decimal_comma: bool = False) -> Floats:
        """Every value as a number, NaN where it is none; words are read once, whichever rows are taken."""
        if decimal_comma not in self._numbers:
            if self.kind == "words":
                found = numbers_of(self.values, decimal_comma=decimal_comma)
            elif self.kind == "times":
                found = np.full(len(self.values), np.nan)
            else:
                found = np.asarray(self.values, np.float64)
            self._numbers[decimal_comma] = found
        return self._numbers[decimal_comma]

    def take(self, rows: IntArray) -> Column:
        """Return some of its rows."""
        return replace(self, codes=self.codes[rows])

    @property
    def is_missing(self) -> npt.NDArray[np.bool_]:
        """Which rows have no value, bool ``[N]``."""
        return self.codes < 0

    @property
    def counts(self) -> IntArray:
        """In how many of the rows each value is, int64 ``[V]``."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.values)).astype(np.int64)

    def row_with(self, value: int) -> int:
        """The first row that has this value."""
        return int(np.flatnonzero(self.codes == value)[0])

    def texts(self) -> pd.Series[Any]:
        """Every value in words; numbers are written alike, whatever they were stored as."""
        if self.kind == "words":
            return self.values
        if self.kind == "truths":
            return pd.Series(np.where(self.values.to_numpy(bool), "true", "false"), dtype=object)
        if self.kind == "times":
            seconds = np.round(self.values.to_numpy(np.float64) * _SECONDS_A_DAY).astype(np.int64)
            return pd.Series(seconds.astype("datetime64[s]").astype(str), dtype=object).str.removesuffix("T00:00:00")
        return pd.Series([_number_in_words(value) for value in self.values.tolist()], dtype=object)


def read_column(given: pd.Series[Any], name: str) -> Column:
    """Read a column of a DataFrame, whatever it is stored as.

    Raises
    ------
    UnfitColumn
        Where it holds lists, records, bytes, complex numbers, spans or times of day.
    """
    is_category = isinstance(given.dtype, pd.CategoricalDtype)
    if is_category:
        given = given.astype(object)
    if given.dtype == object:
        given = _of_objects(given)
    if types.is_complex_dtype(given.dtype):
        raise UnfitColumn("holds complex numbers: give real and imaginary parts as two columns")
    if types.is_timedelta64_dtype(given.dtype):
        raise UnfitColumn("holds time spans: turn them into numbers")
    if isinstance(given.dtype, pd.PeriodDtype):
        given = given.dt.to_timestamp()
    codes, found = pd.factorize(given)
    values = pd.Series(found).reset_index(drop=True)
    if types.is_bool_dtype(given.dtype):
        return Column(name, "truths", codes, values.astype(bool), is_category)
    if types.is_numeric_dtype(given.dtype):
        return Column(name, "numbers", codes, values, is_category)
    if types.is_datetime64_any_dtype(given.dtype):
        return Column(name, "times", codes, days_of(values), is_category)
    return _of_words(name, codes, values, is_category)


def days_of(times: pd.Series[Any]) -> pd.Series[Any]:
    """Times as days since 1970, of the world's clock where they know their zone."""
    if times.dt.tz is not None:
        times = times.dt.tz_convert("UTC").dt.tz_localize(None)
    microseconds = times.to_numpy("datetime64[us]").astype(np.int64)
    return pd.Series(microseconds / (_SECONDS_A_DAY * 1e6))


def _of_words(name: str, codes: IntArray, values: pd.Series[Any], is_category: bool) -> Column:
    """Words without the blanks around them, and those that say that there is nothing told apart."""
    plain = values.astype(str).str.strip()
    again, found = pd.factorize(plain)
    words = pd.Series(found, dtype="str").reset_index(drop=True)
    nothing = words.str.casefold().isin(MISSING).to_numpy(bool)
    # The place of every word among those that say something.
    place = np.where(nothing, -1, np.cumsum(~nothing) - 1)[again] if len(words) else np.empty(0, np.int64)
    placed = np.where(codes < 0, -1, place[codes]) if len(place) else codes
    used = np.bincount(again[codes[codes >= 0]], minlength=len(words)) > 0
    missing = tuple(words[nothing & used].tolist())
    return Column(name, "words", placed.astype(np.int64), words[~nothing].reset_index(drop=True), is_category, missing)


def _of_objects(given: pd.Series[Any]) -> pd.Series[Any]:
    """Objects of one kind as that kind; of several kinds as words."""
    absent = given.isna().to_numpy(bool)
    held = [value for value, is_absent in zip(given.tolist(), absent, strict=True) if not is_absent]
    kinds = {type(value) for value in held}
    for kind in kinds:
        if issubclass(kind, list | tuple | set | dict | bytes | bytearray | np.ndarray | pd.Series):
            raise UnfitColumn(f"holds a {kind.__name__} a cell: neither number nor word")
        if issubclass(kind, complex | np.complexfloating):
            raise UnfitColumn("holds complex numbers: give real and imaginary parts as two columns")
        if issubclass(kind, datetime.time | datetime.timedelta | np.timedelta64):
            raise UnfitColumn("holds times of day or time spans: turn them into numbers")
    if kinds and all(issubclass(kind, bool | np.bool_) for kind in kinds):
        return given.astype("boolean")
    if kinds and all(issubclass(kind, int | np.integer) and not issubclass(kind, bool) for kind in kinds):
        if all(-(2**63) <= value < 2**63 for value in held):
            return given.astype("Int64")
        return given.astype("Float64")
    if kinds and all(issubclass(kind, Real | Decimal) and not issubclass(kind, bool | np.bool_) for kind in kinds):
        return pd.Series([np.nan if value is None else float(value) for value in given.where(~absent, None)])
    if kinds and all(issubclass(kind, datetime.date) for kind in kinds):
        return pd.Series(
            [None if value is None else _moment(value) for value in given.where(~absent, None)], dtype="M8[us]"
        )
    words = [None if is_absent else _in_words(value) for value, is_absent in zip(given.tolist(), absent, strict=True)]
    return pd.Series(words, index=given.index, dtype="str")


def _moment(value: datetime.date) -> np.datetime64:
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        value = value.astimezone(datetime.UTC).replace(tzinfo=None)
    return np.datetime64(value, "us")


def _in_words(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    return _number_in_words(value) if isinstance(value, Real) else str(value)


def _number_in_words(value: Any) -> str:
    """A number as people write it: 3.0 as 3, which a missing cell in its column may have made of it."""
    if isinstance(value, float) and abs(value) < 2**53 and value == int(value):
        return str(int(value))
    return str(value)
