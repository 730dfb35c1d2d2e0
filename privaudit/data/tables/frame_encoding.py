"""How the columns of a user's DataFrame became features: kept with the audit, and applied to rows that come later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from privaudit.data.row_names import shown, where
from privaudit.data.tables.columns import EncodedColumn, Floats, indicators
from privaudit.errors import DataError
from privaudit.results.base import Result


class FrameColumn(Result):
    """One column: a number (or truth value) as it is, or a feature of 0 and 1 for each of ``values``."""

    name: str | int
    values: tuple[str, ...] | None = None


class FrameEncoding(Result):
    """Every column that became features, in their order.

    Numbers stay as they are, since the network's first layer standardises them; a word becomes a feature of 0 and 1
    for each value of the training rows, and is none of them where they lack it.
    """

    format: Literal[1] = 1
    columns: tuple[FrameColumn, ...]

    @classmethod
    def of(cls, columns: Sequence[EncodedColumn]) -> FrameEncoding | None:
        """Return the encoding of columns that were encoded; None where one's name is neither word nor number."""
        if not all(isinstance(column.name, str | int) and not isinstance(column.name, bool) for column in columns):
            return None
        return cls(
            columns=tuple(
                FrameColumn(name=column.name, values=column.values if column.kind == "indicators" else None)
                for column in columns
            )
        )

    def apply(self, frame: pd.DataFrame) -> Floats:
        """Turn rows into features float32 ``[N, D]``, as those that the models were trained on.

        Parameters
        ----------
        frame
            With every column that became a feature; others are passed over.

        Raises
        ------
        DataError
            Where columns are absent, or hold what is missing, no number where the training rows have one, or infinite.
        """
        lacking = [column.name for column in self.columns if column.name not in frame.columns]
        if lacking:
            raise DataError(
                f"the table lacks the column{'s'[: len(lacking) - 1]} {shown([repr(name) for name in lacking], 12)}",
                hint=f"It has: {shown(list(frame.columns), 30)}.",
            )
        if frame.columns.has_duplicates:
            raise DataError("the table has several columns of one name", hint="Drop or rename all but one.")
        return np.concatenate([_features(frame[column.name], column) for column in self.columns], axis=1)

    def examples(self, count: int) -> pd.DataFrame:
        """Make up rows: whole numbers, and words that are known and one that is not."""
        rows = range(count)
        return pd.DataFrame(
            {
                column.name: rows if column.values is None else [(*column.values, "")[row % 2 - 1] for row in rows]
                for column in self.columns
            }
        )


def _features(cells: pd.Series[Any], column: FrameColumn) -> Floats:
    missing = cells.isna().to_numpy(bool)
    if missing.any():
        raise _unfit(cells, missing, "lacks a value", "Fill it, as the training rows were: table.fillna(…).")
    if column.values is not None:
        return indicators(cells.map(str).to_numpy(object), list(column.values))
    numbers = pd.to_numeric(cells, errors="coerce")
    with np.errstate(over="ignore"):
        floats: Floats = numbers.to_numpy(np.float32, na_value=np.nan)
    strange = ~np.isfinite(floats)
    if strange.any():
        raise _unfit(cells, strange, "holds what is no number, or infinite", "The training rows have numbers there.")
    return floats[:, np.newaxis]


def _unfit(cells: pd.Series[Any], rows: npt.NDArray[np.bool_], what: str, cure: str) -> DataError:
    return DataError(f"column '{cells.name}' {what} in {where(cells, rows)}", hint=cure)
