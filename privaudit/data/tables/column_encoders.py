"""How one column of a table becomes features: what was learnt from the training rows, and applied to whatever comes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field

from privaudit.data.tables.cells import Column, Problem
from privaudit.data.tables.word_forms import TRUTHS, Floats, are_codes, are_infinite, dates_of
from privaudit.results.base import Result

Features = npt.NDArray[np.float32]

#: Cells of one column that are told as problems, each by its row.
MOST_TOLD = 1_000

_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Encoded:
    """Rows of a column as features.

    Parameters
    ----------
    features
        float32 ``[N, k]``.
    problems
        Cells that can't be read; their features mean nothing.
    notes
        What is unlike the training rows, a sentence each.
    """

    features: Features
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Scale(Result):
    """What a number is centred and divided by."""

    mean: float
    deviation: float

    def of(self, numbers: Floats) -> Floats:
        """Centre and scale numbers; what is too large for float32 then is infinite."""
        with np.errstate(over="ignore", invalid="ignore"):
            # Halves, since the difference of two large numbers may be too large for float64.
            scaled = (numbers / 2 - self.mean / 2) / (self.deviation / 2)
        scaled[np.abs(scaled) > _LARGEST] = np.inf
        return scaled


class NumberColumn(Result):
    """Numbers, centred and scaled.

    Parameters
    ----------
    scale
        Of the training rows.
    fill
        Their median, which stands for a missing cell.
    indicator
        Whether another feature says which cells are missing.
    decimal_comma
        Whether words such as 3,14 are numbers.
    """

    kind: Literal["number"] = "number"
    name: str
    scale: Scale
    fill: float
    indicator: bool = False
    decimal_comma: bool = False

    def feature_names(self) -> list[str]:
        """Name the features."""
        return [self.name] + [f"{self.name} missing"] * self.indicator

    def examples(self) -> list[str]:
        """Write some cells that it takes."""
        numbers = [repr(self.scale.mean + step * self.scale.deviation) for step in (-1, 0, 0.5)]
        return [number.replace(".", ",") if self.decimal_comma else number for number in numbers]

    def encode(self, column: Column) -> Encoded:
        """Turn rows into features."""
        numbers = column.numbers(decimal_comma=self.decimal_comma)
        filled = self.scale.of(np.array([self.fill]))
        why = "infinite" if column.kind == "numbers" else "no number"
        return _looked_up(column, self.scale.of(numbers)[:, np.newaxis], filled, self.indicator, why)


class BooleanColumn(Result):
    """Two words for no and yes, as 0 and 1.

    Parameters
    ----------
    words
        The two, no first, in small letters.
    fill
        What stands for a missing cell: the commoner one.
    """

    kind: Literal["boolean"] = "boolean"
    name: str
    words: tuple[str, str]
    fill: float
    indicator: bool = False

    def feature_names(self) -> list[str]:
        """Name the features."""
        return [self.name] + [f"{self.name} missing"] * self.indicator

    def examples(self) -> list[str]:
        """Write some cells that it takes."""
        return [*self.words, self.words[1].upper()]

    def encode(self, column: Column) -> Encoded:
        """Turn rows into features."""
        known = {word: float(place) for pair in (*TRUTHS, ("0", "1"), self.words) for place, word in enumerate(pair)}
        values = np.asarray(column.texts().str.casefold().map(known), np.float64)[:, np.newaxis]
        return _looked_up(
            column, values, np.array([self.fill]), self.indicator, f"neither {self.words[0]} nor {self.words[1]}"
        )


class DatePart(Result):
    """One number of a date: days since 1970, the month (1–12), the day of the week (0: Monday), or the hour."""

    part: Literal["days", "month", "weekday", "hour"]
    scale: Scale


class DateColumn(Result):
    """Dates, decomposed.

    Parameters
    ----------
    parts
        Those that differ among the training rows.
    fill
        Days since 1970 of their median, which stands for a missing cell.
    day_first
        Whether 01/02/2024 is of February; None where no such word was among them.
    """

    kind: Literal["date"] = "date"
    name: str
    parts: list[DatePart]
    fill: float
    indicator: bool = False
    day_first: bool | None = None

    def feature_names(self) -> list[str]:
        """Name the features."""
        return [f"{self.name} {part.part}" for part in self.parts] + [f"{self.name} missing"] * self.indicator

    def examples(self) -> list[str]:
        """Write some cells that it takes."""
        slashes = {True: ["13/02/2024"], False: ["02/13/2024 17:30"], None: []}[self.day_first]
        return ["2024-02-29", "1.3.1999", "31 Dec 2024 06:05:04", "July 4, 2031", "2024-02-29T23:30+02:00", *slashes]

    def encode(self, column: Column) -> Encoded:
        """Turn rows into features."""
        if column.kind == "words":
            days = dates_of(column.values, self.day_first).days
        elif column.kind == "times":
            days = column.values.to_numpy(np.float64)
        else:
            days = np.full(len(column.values), np.nan)
        values, filled = (self._parts(numbers) for numbers in (days, np.array([self.fill])))
        return _looked_up(column, values, filled[0], self.indicator, "no date, or not in the order of the others")

    def _parts(self, days: Floats) -> Floats:
        return np.stack([part.scale.of(date_part(days, part.part)) for part in self.parts], axis=1)


class CategoryColumn(Result):
    """Words, each an indicator of its own.

    Parameters
    ----------
    values
        Those that enough of the training rows have.
    rare
        How many other words they have; one indicator stands for them all, and for words that they lack. Without any
        there is no such indicator.
    indicator
        Whether missing cells are a category.
    """

    kind: Literal["category"] = "category"
    name: str
    values: list[str]
    rare: int = 0
    indicator: bool = False

    def feature_names(self) -> list[str]:
        """Name the features."""
        others = ["(rare)"] * (self.rare > 0) + ["(missing)"] * self.indicator
        return [f"{self.name}={value}" for value in [*self.values, *others]]

    def examples(self) -> list[str]:
        """Write some cells that it takes."""
        return [*self.values[:5], "(no training row has this)"]

    def encode(self, column: Column) -> Encoded:
        """Turn rows into features."""
        known = len(self.values)
        place = pd.Index(self.values, dtype=object).get_indexer(pd.Index(column.texts(), dtype=object))
        strange = place < 0
        place = np.where(strange, known if self.rare else -1, place)
        missing = known + (self.rare > 0) if self.indicator else -1
        codes = np.append(place, missing)[column.codes]
        features = np.zeros((len(codes), known + (self.rare > 0) + self.indicator), np.float32)
        rows = np.flatnonzero(codes >= 0)
        features[rows, codes[rows]] = 1
        notes = []
        if column.kind == "numbers" and strange.all() and are_codes(pd.Series(self.values, dtype="str")).any():
            what = "it holds numbers, where the training rows hold codes such as 007: read it as text (dtype=str)"
            return Encoded(features, [Problem(what, self.name)])
        if not self.rare and (count := int(column.counts[strange].sum())):
            notes.append(
                f"column '{self.name}': {count:,} cells hold words that the training rows lack: 0 in every indicator"
            )
        if not self.indicator and (count := int(column.is_missing.sum())):
            notes.append(
                f"column '{self.name}': {count:,} cells are missing, where none of the training rows lacks one: 0 in "
                "every indicator"
            )
        return Encoded(features, notes=notes)


AnyColumn = Annotated[NumberColumn | BooleanColumn | DateColumn | CategoryColumn, Field(discriminator="kind")]


def date_part(days: Floats, part: str) -> Floats:
    """One number of each date; NaN stays NaN."""
    whole = np.floor(days)
    if part == "days":
        return days
    if part == "hour":
        # Whole seconds first: fractions of days are not exact.
        return np.asarray(np.floor(np.round((days - whole) * 86_400) / 3_600), np.float64)
    if part == "weekday":
        weekdays: Floats = np.mod(whole + 3, 7)  # 1 January 1970 was a Thursday.
        return weekdays
    absent = np.isnan(whole)
    months = np.where(absent, 0, whole).astype(np.int64).astype("datetime64[D]").astype("datetime64[M]")
    found: Floats = np.where(absent, np.nan, months.astype(np.int64) % 12 + 1.0)
    return found


def _looked_up(column: Column, values: Floats, filled: Floats, indicator: bool, why: str) -> Encoded:
    """Features of every row from those of every value, ``[V, k]``; NaN or infinite ones are problems."""
    unread = np.asarray(~np.isfinite(values).all(axis=1))
    # The last row is that of a missing cell, whose code is −1.
    features = np.vstack([np.where(unread[:, np.newaxis], 0, values), filled]).astype(np.float32)[column.codes]
    missing = column.is_missing
    notes = []
    if indicator:
        features = np.column_stack([features, missing.astype(np.float32)])
    elif missing.any():
        notes.append(
            f"column '{column.name}': {int(missing.sum()):,} cells are missing, where none of the training rows lacks "
            "one: filled with the median"
        )
    problems = []
    if unread.any():
        texts = column.texts()
        infinite = np.asarray(np.isinf(values).any(axis=1) | are_infinite(texts))
        for row in np.flatnonzero(unread[column.codes] & ~missing)[:MOST_TOLD]:
            value = column.codes[row]
            reason = "infinite, or too large beside the others" if infinite[value] else why
            problems.append(Problem(f"{quoted(texts.iloc[value])} is {reason}", column.name, int(row)))
    return Encoded(features, problems, notes)


def quoted(value: Any) -> str:
    """A cell as a message shows it."""
    text = str(value)
    text = text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
    return f"'{text[:40]}{'…' if len(text) > 40 else ''}'"
