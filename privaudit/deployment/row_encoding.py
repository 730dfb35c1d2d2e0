"""The encoding of a table's rows that an audit keeps: what turns raw columns into the features of its models."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from privaudit.data.tables.encoding import read_encoding
from privaudit.data.tables.frame_encoding import FrameEncoding
from privaudit.results.base import read_result
from privaudit.runtime import files
from privaudit.shadow.store import REMEDY, AuditStore


class RowEncoding(Protocol):
    """What every stored encoding of a table can do."""

    def apply(self, frame: pd.DataFrame) -> npt.NDArray[np.float32]:
        """Turn rows of raw columns into features ``[N, D]``; `DataError` names what can't be read."""

    def examples(self, count: int) -> pd.DataFrame:
        """Make up rows, to try an encoding on."""

    def to_json(self) -> dict[str, Any]:
        """Return it as an export keeps it."""


def read_row_encoding(store: AuditStore) -> RowEncoding | None:
    """Read the encoding of an audit's table; None where it is of no table, or an earlier version kept none."""
    if store.encoding.exists():
        return read_encoding(store.encoding)
    if not store.columns.exists():
        return None
    files.demand_whole(store.columns, REMEDY)
    return read_result(store.columns, FrameEncoding)
