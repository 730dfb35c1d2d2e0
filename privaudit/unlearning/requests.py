"""Reads ``--forget ids:FILE``: who asked to be forgotten, under which number, and when."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from privaudit.errors import UsageError

_ID, _REQUEST, _DATE = ("sample_id", "id"), ("request_id", "request"), ("date", "requested", "request_date")


@dataclass(frozen=True)
class RemovalRequest:
    """One line of a request file. Number and date are None where the file does not say."""

    sample_id: int
    request_id: str | None = None
    date: str | None = None


def read_requests(path: Path) -> list[RemovalRequest]:
    """Read a CSV of requests: a sample_id a line, or columns named in a first line.

    Known columns are ``sample_id`` (or ``id``), ``request_id`` (or ``request``) and ``date``; others are ignored.
    Without a first line of names the first column holds the ids.

    Raises
    ------
    UsageError
        Names the file, the line and what is wrong there.
    """
    try:
        lines = list(csv.reader(path.read_text("utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"cannot read the ids of {path}: {error}") from error
    rows = [
        (number, [cell.strip() for cell in line]) for number, line in enumerate(lines, 1) if any(map(str.strip, line))
    ]
    columns = {"id": 0}
    if rows and (names := [cell.lower() for cell in rows[0][1]]) and any(name in names for name in _ID):
        columns = {
            key: next(names.index(name) for name in known if name in names)
            for key, known in (("id", _ID), ("request", _REQUEST), ("date", _DATE))
            if any(name in names for name in known)
        }
        rows = rows[1:]
    if not rows:
        raise UsageError(f"{path} names no sample", hint="Write one sample_id a line (a CSV's first column is read).")
    return [_request(path, number, cells, columns) for number, cells in rows]


def _request(path: Path, number: int, cells: list[str], columns: dict[str, int]) -> RemovalRequest:
    def cell(key: str) -> str:
        return cells[columns[key]] if key in columns and columns[key] < len(cells) else ""

    try:
        sample_id = int(cell("id"))
    except ValueError:
        raise UsageError(f"{path}, line {number}: '{cell('id')[:40]}' is not a sample_id (an integer)") from None
    if when := cell("date"):
        try:
            date.fromisoformat(when[:10])
        except ValueError:
            raise UsageError(
                f"{path}, line {number}: the date '{when[:40]}' can't be read", hint="Write it as 2026-01-31."
            ) from None
    return RemovalRequest(sample_id, cell("request") or None, when or None)


def rows_of_requests(
    path: Path, requests: list[RemovalRequest], table: pd.DataFrame
) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Where the requested samples stand in the score table, each once, and what to say about the list.

    Raises
    ------
    UsageError
        Where an id is not in the training set: then nothing is unlearned.
    """
    ids = [request.sample_id for request in requests]
    position = pd.Series(np.arange(len(table)), index=table["sample_id"].to_numpy())
    known = set(position.index)
    unknown = [number for number in ids if number not in known]
    if unknown:
        shown = ", ".join(map(str, unknown[:5])) + ("…" if len(unknown) > 5 else "")
        raise UsageError(
            f"{path}: {len(unknown)} of {len(ids)} ids are not in the training set: {shown}",
            hint="Nothing was done. The sample_id column of scores.parquet has the known ones.",
        )
    unique = list(dict.fromkeys(ids))
    notes = [f"{len(ids) - len(unique)} ids were given more than once"] if len(unique) < len(ids) else []
    return position.loc[unique].to_numpy(np.int64), notes
