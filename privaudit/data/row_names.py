"""Rows of a user's table, by the names that the user knows: index labels, or the lines of a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

#: Rows, values or columns that are named before "and … more".
NAMED = 5


def shown(values: Sequence[Any], named: int = NAMED) -> str:
    """Return the first few values, and how many more there are."""
    more = f" and {len(values) - named:,} more" if len(values) > named else ""
    return ", ".join(str(value)[:60] for value in values[:named]) + more


def where(table: pd.DataFrame | pd.Series[Any], mask: npt.NDArray[np.bool_]) -> str:
    """Return the index labels of the rows in ``mask``; where they only count rows, the lines of a file as well."""
    labels = list(table.index[mask])
    text = f"{'row' if len(labels) == 1 else 'rows'} {shown(labels)}"
    if isinstance(table.index, pd.RangeIndex) and table.index.start == 0 and table.index.step == 1:
        lines = [label + 2 for label in labels]
        text += f" ({'line' if len(lines) == 1 else 'lines'} {shown(lines)} of a file with a header line)"
    return text
