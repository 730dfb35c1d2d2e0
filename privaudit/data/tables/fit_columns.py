"""What a column is, told from the cells of the training rows; where they leave a doubt, it is said or refused."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from privaudit.data.tables.cells import Column, Problem
from privaudit.data.tables.column_encoders import (
    MOST_TOLD,
    AnyColumn,
    BooleanColumn,
    CategoryColumn,
    DateColumn,
    DatePart,
    NumberColumn,
    Scale,
    date_part,
    quoted,
)
from privaudit.data.tables.columns import FEW_ROWS, MOSTLY, doubts_of_numbers
from privaudit.data.tables.word_forms import (
    TRUTHS,
    Floats,
    are_codes,
    are_comma_numbers,
    are_dressed_numbers,
    are_infinite,
    are_numbers,
    dates_of,
    may_be_thousands,
)

#: A word that fewer training rows have is a rare one: an indicator of its own would point at a person.
RAREST = 5

#: The most indicators that a column becomes: of the commonest words.
MOST_INDICATORS = 200

ONE_VALUE = "one value in every row"

#: Names of columns that hold ids of somebody or something.
NAME_OF_IDS = re.compile(
    r"(?i:(.*[\s_.-])?(ids?|key|index|idx|uid|uuid|guid|row|rownum|unnamed: 0))|.*[a-z]I[Dd]|__index_level_\d+__"
)


@dataclass(frozen=True)
class Fitted:
    """What became of one column.

    Parameters
    ----------
    encoder
        How it becomes features; None where it is left out.
    left_out
        Why it is.
    problems
        Cells that must be mended first.
    doubts
        Why it may not be what it is taken for, a sentence each.
    """

    encoder: AnyColumn | None = None
    left_out: str | None = None
    problems: list[Problem] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)


def fit_column(column: Column, *, as_category: bool = False) -> Fitted:
    """Tell what the cells of the training rows are, and learn how they become features.

    Numbers, truth values and dates are such only if nine in ten cells are; the others are problems then. A column that
    says nothing is left out.
    """
    present = column.counts > 0
    if not present.any():
        return Fitted(left_out="it holds no value")
    if present.sum() == 1 and not column.is_missing.any():
        return Fitted(left_out=ONE_VALUE)
    if as_category or column.is_category or present.sum() == 1:
        return _category(column)
    if column.kind == "numbers":
        return _numbers(column)
    if column.kind == "truths":
        return _truths(column, TRUTHS[0])
    if column.kind == "times":
        return _dates(column, column.values.to_numpy(np.float64), None)
    return _words(column, present)


def _words(column: Column, present: npt.NDArray[np.bool_]) -> Fitted:
    words, counts = column.values[present], column.counts[present]
    plain, commas = are_numbers(words), are_comma_numbers(words)
    if are_codes(words).any() and plain.all():
        fitted = _category(column)
        return Fitted(
            fitted.encoder, fitted.left_out, doubts=[f"column '{column.name}' holds codes (007): taken for words"]
        )
    numeric = plain | commas
    if _mostly(numeric, counts):
        if odd := _odd_cells(column, present, numeric, "no number"):
            return Fitted(problems=odd)
        if commas.any():
            return _with_commas(column, words[commas])
        return _numbers(column)
    pair = set(words.str.casefold())
    if found := next((one for one in TRUTHS if pair <= set(one)), None):
        return _truths(column, found)
    dates = dates_of(words)
    if _mostly(dates.has_form, counts):
        return _written_dates(column, present)
    dressed = numeric | are_dressed_numbers(words)
    if _mostly(dressed, counts):
        row = _rows_with(column, present, ~numeric & dressed)[0]
        what = f"{_cell(column, row)}: numbers with signs or separators are not taken for such; write plain ones"
        return Fitted(problems=[Problem(f"{what}", column.name, row)])
    fitted = _category(column)
    doubts = list(fitted.doubts)
    if fitted.encoder is not None and numeric.any():
        share = counts[numeric].sum() / counts.sum()
        doubts.append(f"column '{column.name}' holds numbers ({share:.0%} of its cells) and words: taken for words")
    return Fitted(fitted.encoder, fitted.left_out, fitted.problems, doubts)


def _mostly(mask: npt.NDArray[np.bool_], counts: npt.NDArray[np.int64]) -> bool:
    return bool(counts[mask].sum() >= MOSTLY * counts.sum())


def _with_commas(column: Column, commas: pd.Series[Any]) -> Fitted:
    """Numbers with decimal commas, unless all of them may have thousands."""
    if may_be_thousands(commas).all():
        row = int(np.flatnonzero(np.isin(column.codes, commas.index))[0])
        what = f"{_cell(column, row)}: is the comma a decimal one, or one between thousands? Write 1.5 or 1000"
        return Fitted(problems=[Problem(f"{what}", column.name, row)])
    return _numbers(column, decimal_comma=True)


def _numbers(column: Column, *, decimal_comma: bool = False) -> Fitted:
    numbers = column.numbers(decimal_comma=decimal_comma)
    present = column.counts > 0
    infinite = present & ~np.isfinite(numbers)
    if infinite.any():
        rows = np.flatnonzero(np.isin(column.codes, np.flatnonzero(infinite)))[:MOST_TOLD]
        return Fitted(
            problems=[
                Problem(f"{_cell(column, row)} is infinite: leave the cell empty, or give a number", column.name, row)
                for row in map(int, rows)
            ]
        )
    each = numbers[column.codes[~column.is_missing]]
    counted = pd.Series(each, name=column.name)
    if (each == each[0]).all():
        return _category(column) if column.is_missing.any() else Fitted(left_out=ONE_VALUE)
    whole = bool((numbers[present] == np.floor(numbers[present])).all())
    all_differ = len(each) == len(column.codes) == present.sum() > FEW_ROWS
    if whole and all_differ and NAME_OF_IDS.fullmatch(column.name):
        return Fitted(left_out="another whole number in each row, and the name of an id; --id keeps it as such")
    scale, fill = scale_of(each), float(np.median(each))
    encoder = NumberColumn(
        name=column.name,
        scale=scale,
        fill=fill,
        indicator=bool(column.is_missing.any()),
        decimal_comma=decimal_comma,
    )
    doubts = doubts_of_numbers(counted, each) if np.abs(each).max() < 2**63 else []
    if len(np.unique(scale.of(each).astype(np.float32))) < len(np.unique(each)) / 2:
        doubts.append(f"column '{column.name}' has a number so large that beside it most others are one and the same")
    if decimal_comma:
        doubts.append(f"column '{column.name}' has decimal commas")
    if whole and np.abs(each).max() > 2**53:
        doubts.append(f"column '{column.name}' holds whole numbers beyond 2⁵³, which are rounded: are they ids?")
    return Fitted(encoder, doubts=doubts)


def scale_of(numbers: Floats) -> Scale:
    """Mean and deviation, also of numbers whose squares are too large for float64; 1 where it is as good as none."""
    unit = float(np.abs(numbers).max()) or 1.0
    mean, deviation = float((numbers / unit).mean()), float((numbers / unit).std())
    is_some = deviation > 1e-15 and deviation * unit > 1e-300
    return Scale(mean=mean * unit, deviation=deviation * unit if is_some else 1.0)


def _truths(column: Column, words: tuple[str, str]) -> Fitted:
    no, yes = (int(column.counts[(column.texts().str.casefold() == word).to_numpy(bool)].sum()) for word in words)
    return Fitted(
        BooleanColumn(name=column.name, words=words, fill=float(yes > no), indicator=bool(column.is_missing.any()))
    )


def _written_dates(column: Column, present: npt.NDArray[np.bool_]) -> Fitted:
    words = column.values[present]
    dates = dates_of(words)
    if dates.both is not None:
        what = f"{' and '.join(map(quoted, dates.both))}: is the day or the month first? Write 2024-12-31"
        return Fitted(problems=[Problem(f"{what}", column.name)])
    if dates.undecided.any():
        row = _rows_with(column, present, dates.undecided)[0]
        what = f"{_cell(column, row)}: is the day or the month first? No cell of the column proves it: write 2024-12-31"
        return Fitted(problems=[Problem(f"{what}", column.name, row)])
    if odd := _odd_cells(column, present, ~np.isnan(dates.days), "no date"):
        return Fitted(problems=odd)
    days = np.full(len(column.values), np.nan)
    days[present] = dates.days
    return _dates(column, days, dates.day_first)


def _dates(column: Column, days: Floats, day_first: bool | None) -> Fitted:
    each = days[column.codes[~column.is_missing]]
    parts = []
    for part in ("days", "month", "weekday", "hour"):
        numbers = date_part(each, part)
        if (numbers != numbers[0]).any():
            parts.append(DatePart.model_validate({"part": part, "scale": scale_of(numbers)}))
    if not parts:
        parts = [DatePart(part="days", scale=scale_of(each))]
    encoder = DateColumn(
        name=column.name,
        parts=parts,
        fill=float(np.median(each)),
        indicator=bool(column.is_missing.any()),
        day_first=day_first,
    )
    return Fitted(encoder)


def _category(column: Column) -> Fitted:
    texts, counts = column.texts(), column.counts
    # Two values that are written alike (1 and 1.0) are one.
    found = pd.Series(counts[counts > 0], index=texts[counts > 0]).groupby(level=0).sum()
    common = found[found >= RAREST].sort_index().sort_values(ascending=False, kind="stable")[:MOST_INDICATORS]
    rare = len(found) - len(common)
    indicator = bool(column.is_missing.any())
    if len(found) == 1 and not indicator:
        return Fitted(left_out=ONE_VALUE)
    if not len(common) and not indicator:
        return Fitted(
            left_out=f"{len(found):,} different values, none in {RAREST} rows: free text or ids? --id names ids"
        )
    encoder = CategoryColumn(name=column.name, values=sorted(map(str, common.index)), rare=rare, indicator=indicator)
    alike = len(found) - len({text.casefold() for text in map(str, found.index)})
    doubts = [f"column '{column.name}': {alike:,} of its values differ from another in capitals alone: are they one?"]
    return Fitted(encoder, doubts=doubts if alike else [])


def _rows_with(column: Column, present: npt.NDArray[np.bool_], mask: npt.NDArray[np.bool_]) -> list[int]:
    """Rows that have one of the present values that are in ``mask``."""
    values = np.flatnonzero(present)[mask]
    return [int(row) for row in np.flatnonzero(np.isin(column.codes, values))[:MOST_TOLD]]


def _odd_cells(column: Column, present: npt.NDArray[np.bool_], fit: npt.NDArray[np.bool_], what: str) -> list[Problem]:
    infinite = set(np.flatnonzero(present)[are_infinite(column.values[present])].tolist())
    return [
        Problem(
            f"{_cell(column, row)} is {'infinite' if column.codes[row] in infinite else what}, unlike nearly all "
            "other cells of the column",
            column.name,
            row,
        )
        for row in _rows_with(column, present, ~fit)
    ]


def _cell(column: Column, row: int) -> str:
    return quoted(column.texts().iloc[column.codes[row]])
