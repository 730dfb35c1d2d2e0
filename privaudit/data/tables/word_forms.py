"""Words that are numbers, truth values or dates: each form is one that can mean one thing alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Words = pd.Series

_NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_COMMA = r"[+-]?(?:[0-9]+,[0-9]*|,[0-9]+)(?:[eE][+-]?[0-9]+)?"
#: 1,234 may be a thousand and some, or one and some.
_EITHER = r"[+-]?[1-9][0-9]{0,2},[0-9]{3}"
_CODE = r"0[0-9]+"
_INFINITE = r"[+-]?(?:inf|infinity)"
#: A number with a currency, a percent sign, groups of thousands or brackets around it.
_DRESSED = (
    r"[-+(]?\s*[$€£¥]?\s*-?(?:[0-9]{1,3}(?:[,.' \x{00a0}\x{202f}][0-9]{3})+|[0-9]+)(?:[.,][0-9]+)?"
    r"(?:[eE][+-]?[0-9]+)?\s*[%$€£¥)]?"
)

#: Two words that are yes and no, the no first.
TRUTHS = (("false", "true"), ("no", "yes"), ("n", "y"), ("f", "t"), ("off", "on"))

_TIME = r"(?:[T ]+(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d+)?))?\s*(Z|[+-]\d{2}:?\d{2})?)?"
_YEAR_FIRST = r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})" + _TIME
_YEAR_LAST = r"(\d{1,2})([-/.])(\d{1,2})[-/.](\d{4})" + _TIME
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = f"(?:{'|'.join(_MONTHS)})[a-z]*"
_DAY_MONTH = rf"(\d{{1,2}})[-. ]+({_MONTH})[-., ]+(\d{{4}})" + _TIME
_MONTH_DAY = rf"({_MONTH})[. ]+(\d{{1,2}}),?\s+(\d{{4}})" + _TIME


def matches(words: Words[Any], pattern: str) -> Mask:
    """Which words are of this form from beginning to end, whatever the size of their letters."""
    return words.str.fullmatch(pattern, case=False).to_numpy(bool) if len(words) else np.zeros(0, np.bool_)


def are_numbers(words: Words[Any]) -> Mask:
    """Which words are plain numbers: 12, −3.5, 1e6."""
    return matches(words, _NUMBER)


def are_comma_numbers(words: Words[Any]) -> Mask:
    """Which words are numbers with a decimal comma."""
    return matches(words, _COMMA)


def may_be_thousands(words: Words[Any]) -> Mask:
    """Which numbers with a comma may have one between thousands."""
    return matches(words, _EITHER)


def are_codes(words: Words[Any]) -> Mask:
    """Which words have a zero before their other digits, as codes have and numbers don't."""
    return matches(words, _CODE)


def are_infinite(words: Words[Any]) -> Mask:
    """Which words are an infinite number."""
    return matches(words, _INFINITE)


def are_dressed_numbers(words: Words[Any]) -> Mask:
    """Which words are a number with something around it: $5, 12 %, 1,234.50."""
    return matches(words, _DRESSED.replace(r"\x{00a0}", "\u00a0").replace(r"\x{202f}", "\u202f"))


def numbers_of(words: Words[Any], *, decimal_comma: bool = False) -> Floats:
    """The numbers that words are; NaN where one is none. What is too large for float64 is infinite."""
    numbers = np.full(len(words), np.nan)
    plain = are_numbers(words)
    text = words
    if decimal_comma:
        commas = are_comma_numbers(words)
        text = words.where(~commas, words.str.replace(",", ".", regex=False))
        plain = plain | commas
    if plain.any():
        numbers[plain] = [float(word) for word in text[plain].tolist()]
    return numbers


@dataclass(frozen=True)
class Dates:
    """What words say of time.

    Parameters
    ----------
    days
        Days since 1970, with fractions; NaN where a word is no date, or can't be told.
    has_form
        Which words have the form of a date, be it one or not (30 February).
    undecided
        Which words may be either of two dates, such as 02/03/2024.
    day_first
        Whether the day comes before the month in words such as 31/12/2024; None where no word has that form.
    both
        Two words that can only be read in different orders, where there are such.
    """

    days: Floats
    has_form: Mask
    undecided: Mask
    day_first: bool | None
    both: tuple[str, str] | None


def dates_of(words: Words[Any], day_first: bool | None = None) -> Dates:
    """Read words as dates: 2024-12-31, 31.12.2024, 12/31/2024, 31 Dec 2024, Dec 31, 2024, with or without a time.

    Parameters
    ----------
    words
        Different ones.
    day_first
        The order in words such as 31/12/2024; None finds it where one of them proves it.
    """
    days = np.full(len(words), np.nan)
    has_form = np.zeros(len(words), np.bool_)
    if not len(words):
        return Dates(days, has_form, has_form, day_first, None)
    for pattern, places in ((_YEAR_FIRST, (0, 1, 2)), (_DAY_MONTH, (2, 1, 0)), (_MONTH_DAY, (2, 0, 1))):
        if (mask := matches(words, pattern)).any():
            parts = _parts(words[mask], pattern)
            year, month, day = (parts[place] for place in places)
            days[mask] = _days(year, month, day, parts.iloc[:, -4:])
            has_form |= mask
    mask = matches(words, _YEAR_LAST)
    if not mask.any():
        return Dates(days, has_form, np.zeros(len(words), np.bool_), day_first, None)
    parts = _parts(words[mask], _YEAR_LAST)
    first, second = (parts[place].astype(int).to_numpy() for place in (0, 2))
    dotted = (parts[1] == ".").to_numpy(bool)
    by_day, by_month = ~dotted & (first > 12), ~dotted & (second > 12)
    both = None
    if by_day.any() and by_month.any():
        both = (str(words[mask].iloc[int(by_day.argmax())]), str(words[mask].iloc[int(by_month.argmax())]))
    differ = ~dotted & (first != second)
    if day_first is None and (by_day.any() or by_month.any() or not differ.any()):
        day_first = bool(by_day.any() or not by_month.any())
    day_comes_first = dotted | (day_first is not False)
    month, day = np.where(day_comes_first, (second, first), (first, second))
    days[mask] = _days(parts[3], pd.Series(month, parts.index), pd.Series(day, parts.index), parts.iloc[:, -4:])
    undecided = np.zeros(len(words), np.bool_)
    if day_first is None:
        undecided[mask] = differ
        days[undecided] = np.nan
    return Dates(days, has_form | mask, undecided, None if dotted.all() else day_first, both)


def _parts(words: Words[Any], pattern: str) -> pd.DataFrame:
    return words.astype(object).str.extract(f"(?i)^{pattern}$")


def _days(year: Words[Any], month: Words[Any], day: Words[Any], clock: pd.DataFrame) -> Floats:
    """Days since 1970 of calendar dates; NaN where there is no such day or time."""
    years, days_of_month = year.astype(int).to_numpy(), day.astype(int).to_numpy()
    if month.dtype == object:
        names = month.str[:3].str.lower()
        month = (
            names.map({name: place for place, name in enumerate(_MONTHS, 1)}) if names.isin(_MONTHS).all() else month
        )
    months = month.astype(int).to_numpy()
    valid = (months >= 1) & (months <= 12) & (days_of_month >= 1) & (years >= 1)
    begins = np.where(valid, (years - 1970) * 12 + months - 1, 0).astype("datetime64[M]")
    lengths = ((begins + 1).astype("datetime64[D]") - begins.astype("datetime64[D]")).astype(int)
    hours, minutes, seconds = (clock.iloc[:, place].fillna("0").astype(float).to_numpy() for place in range(3))
    offsets = clock.iloc[:, 3].fillna("Z").map(_offset).to_numpy(np.float64)
    valid &= (days_of_month <= lengths) & (hours <= 24) & (minutes < 60) & (seconds < 61)
    whole = begins.astype("datetime64[D]").astype(int) + days_of_month - 1
    found: Floats = np.where(valid, whole + (hours * 60 + minutes + seconds / 60 - offsets) / 1440, np.nan)
    return found


def _offset(zone: str) -> float:
    """Minutes east of Greenwich: ``+02:00 -> 120``."""
    if zone in ("Z", "z"):
        return 0.0
    digits = zone[1:].replace(":", "")
    return (-1 if zone[0] == "-" else 1) * (60 * int(digits[:2]) + int(digits[2:]))
