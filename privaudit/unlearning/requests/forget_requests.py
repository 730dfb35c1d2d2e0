"""Reads ``ids:FILE``: whose samples are meant, under which request, and since when.

Whoever is wrong about this deletes the wrong person. So a cell is understood where it can mean one thing alone;
anything else is told by line and content, and nothing is done.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

from privaudit.data.text_files import DELIMITERS, Row, cells_of
from privaudit.errors import UsageError
from privaudit.results.purge_record import SampleIdentifier
from privaudit.unlearning.requests.request_cells import (
    NOTHING,
    KnownSamples,
    as_integer,
    is_missing,
    plain,
    shown_cell,
    why_no_integer,
)
from privaudit.unlearning.requests.request_doubts import demand_no_doubt
from privaudit.unlearning.requests.request_file import Sheet, read_sheet

#: How many lines, and how many unknown ids, a message shows.
SHOWN_LINES, SHOWN_UNKNOWN = 5, 20

#: What it means for a request that a row is there and was never trained on.
IN_TEST_PART = (
    "no model was trained on the test part, so there is nothing to unlearn; the data file still holds these rows, and "
    "deleting them there is another's work."
)

_PATH = re.compile(r".*[/\\].*|.*\.[A-Za-z]{3,4}")


@dataclass(frozen=True)
class RemovalRequest:
    """One line of a request file; number and date are None where the file does not say.

    ``sample_id`` is what the audit calls the sample; of an unknown one it is what the file says.
    """

    sample_id: SampleIdentifier
    request_id: str | None = None
    date: str | None = None


@dataclass(frozen=True)
class RequestList:
    """What a request file asks for.

    Parameters
    ----------
    rows
        int64 ``[n]``: where the requested samples stand, each once, in the order of the file.
    requests
        Every line that names a sample of the audit.
    skipped
        Lines that name none, where they are to be passed over.
    said
        What was understood, with the file's name, for whoever typed it.
    notes
        The same for records and reports, which name no file.
    """

    rows: npt.NDArray[np.int64]
    requests: tuple[RemovalRequest, ...]
    skipped: tuple[RemovalRequest, ...]
    said: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Named:
    """A line, what it names, and the row of that; None where the audit knows none."""

    line: int
    name: SampleIdentifier
    row: int | None
    request: RemovalRequest


def read_requests(path: Path, known: KnownSamples, *, skip_unknown: bool = False) -> RequestList:
    """Read the requests of a file, and find the samples that they mean.

    A file is text with one id a line, or a table whose header names a column ``sample_id`` (or ``id``, or ``path``
    where samples have one), and if you like ``request_id`` and ``date``. It may be quoted, in UTF-8 or in UTF-16 with
    its mark; lines that begin with # are comments.

    Parameters
    ----------
    path
        The file.
    known
        The samples that may be named.
    skip_unknown
        Pass over ids that the audit does not know; else they are an error.

    Raises
    ------
    UsageError
        Names the file, the lines and what is wrong there; or counts the ids that are unknown.
    """
    sheet = read_sheet(path, comments=not _begins_with_hash(known), called=known.called)
    if not sheet.rows:
        raise UsageError(f"{path} names no sample below its header", hint=f"Write one sample_id a line. {NOTHING}")
    by_path = _goes_by_path(path, sheet, known)
    demand_no_doubt(path, sheet, known, by_path)
    named, problems, unclear = [], [], []
    for row in sheet.rows:
        found = _understand(sheet, row, known, by_path)
        if isinstance(found, str):
            problems.append(f"line {row.line}: {found}")
            unclear.append(row)
        else:
            named.append(found)
    if problems:
        more = f"; and {len(problems) - SHOWN_LINES} more lines" if len(problems) > SHOWN_LINES else ""
        hint = _cure(sheet) + _of_subjects(_ids_in(sheet, unclear), known)
        raise UsageError(f"{path}, {'; '.join(problems[:SHOWN_LINES])}{more}", hint=hint)
    return _resolve(path, sheet, named, known, by_path, skip_unknown)


def _begins_with_hash(known: KnownSamples) -> bool:
    names = [*(known.ids if known.are_text else ()), *(known.paths or ())]
    return any(str(name).startswith("#") for name in names)


def _goes_by_path(path: Path, sheet: Sheet, known: KnownSamples) -> bool:
    """Whether lines name samples by their path."""
    if sheet.header is not None:
        if "id" not in sheet.columns and known.paths is None:
            raise UsageError(
                f"{path} has a column path and no sample_id, and samples of this audit have no paths",
                hint=f"Name them by their sample_id, as in scores.parquet. {NOTHING}",
            )
        return "id" not in sheet.columns
    cells = [cell for row in sheet.rows if (cell := _single_cell(row, known)) is not None]
    paths = sum(known.row_of_path(cell) is not None for cell in cells) if known.paths else 0
    ids = sum(known.row_of_id(cell) is not None for cell in cells)
    if paths and ids:
        raise UsageError(
            f"{path} names some samples by id and some by path", hint=f"Use one of them, below a header. {NOTHING}"
        )
    # What looks like paths is told as such, though none of them is known.
    return paths > 0 or (known.paths is not None and not ids and any(_PATH.fullmatch(cell) for cell in cells))


def _understand(sheet: Sheet, row: Row, known: KnownSamples, by_path: bool) -> _Named | str:
    """What a row names; where it can't be told, why."""
    several = sheet.header is not None and len(sheet.header) > 1
    if several and (wrong := _wrong_shape(sheet, row)) is not None:
        return wrong
    key = "path" if by_path else "id"
    cell = row.cells[sheet.columns[key]] if several else _single_cell(row, known)
    if cell is None:
        reason = None if known.are_text or by_path else why_no_integer(row.cells[0])
        what = "several values: without a header every line is one id" if sheet.header is None else "several values"
        return f"{shown_cell(row.cells[0])} is not a sample_id ({reason or what})"
    if by_path:
        if not cell:
            return "it names no path"
        return _named(sheet, row, cell, known.row_of_path(cell), known, several)
    if not known.are_text and (reason := why_no_integer(cell)) is not None:
        reason = known.meant_by(cell) or reason
        return f"{shown_cell(cell)} is not a sample_id ({reason})"
    found = known.row_of_id(cell)
    if found is None and known.are_text and is_missing(cell):
        return f"{shown_cell(cell)} is not a sample_id (an empty or broken cell)"
    own = row.cells[sheet.columns["path"]] if several and "path" in sheet.columns and known.paths is not None else ""
    # Two names in one row must be of one sample.
    if own and known.row_of_path(own) != found:
        return f"{shown_cell(cell)} and the path {shown_cell(own)} are not the same sample"
    return _named(sheet, row, cell, found, known, several)


def _wrong_shape(sheet: Sheet, row: Row) -> str | None:
    width = len(sheet.header or ())
    while len(row.cells) > width and not row.cells[-1]:
        row.cells.pop()
    if len(row.cells) == width:
        return None
    return f"{shown_cell(row.raw)} has {len(row.cells)} cells, the header {width}"


def _named(sheet: Sheet, row: Row, cell: str, found: int | None, known: KnownSamples, several: bool) -> _Named | str:
    def beside(key: str) -> str | None:
        return (row.cells[sheet.columns[key]] or None) if several and key in sheet.columns else None

    when = beside("date")
    if when is not None:
        try:
            datetime.fromisoformat(when)
        except ValueError:
            return f"the date {shown_cell(when)} can't be read (write it as 2026-01-31)"
    number = None if known.are_text else as_integer(cell)
    name = plain(known.ids[found]) if found is not None else cell if number is None else number
    return _Named(row.line, cell if number is None else number, found, RemovalRequest(name, beside("request"), when))


def _single_cell(row: Row, known: KnownSamples) -> str | None:
    """The one cell of a line; None where it holds several, or its quotes don't close."""
    whole = row.cells[0]
    if known.are_text or known.paths:
        # An id of text may hold what elsewhere parts cells.
        for form in (row.raw, whole):
            if (known.are_text and known.row_of_id(form) is not None) or known.row_of_path(form) is not None:
                return form
    cell = whole
    for delimiter in DELIMITERS:
        parted = cells_of(whole, delimiter)
        if parted is None or len(parted) > 1:
            return None
        # The shortest is the one without quotes, and without the delimiter that ended the line.
        cell = min(cell, parted[0], key=len)
    return cell


def _resolve(
    path: Path, sheet: Sheet, named: list[_Named], known: KnownSamples, by_path: bool, skip_unknown: bool
) -> RequestList:
    unknown = [one for one in named if one.row is None]
    # What a spreadsheet may have changed is a doubt, and nothing to pass over.
    doubtful = any(isinstance(one.name, str) and known.looks_like(one.name) is not None for one in unknown)
    # Neither is a person: who is asked to be forgotten would be passed over with all their samples.
    doubtful = doubtful or any(str(one.name) in known.records_of for one in unknown if not known.is_tested(one.name))
    tested = sum(known.is_tested(one.name) for one in unknown)
    what = "paths" if by_path else "ids"
    if unknown and (not skip_unknown or doubtful or len(unknown) == len(named)):
        more = f" and {len(unknown) - SHOWN_UNKNOWN} more" if len(unknown) > SHOWN_UNKNOWN else ""
        raise UsageError(
            f"{path}: {len(unknown)} of {len(named)} {what} are not in the training set: "
            + ", ".join(_shown_unknown(one, known) for one in unknown[:SHOWN_UNKNOWN])
            + more,
            hint=f"{NOTHING} The {'path' if by_path else 'sample_id'} column of scores.parquet has the known ones; "
            + (IN_TEST_PART if tested else "")
            + (" " if 0 < tested < len(unknown) else "")
            + ("" if tested == len(unknown) else "who was held out to test, or not drawn, was never trained on.")
            + _of_subjects([str(one.name) for one in unknown], known)
            + ("" if doubtful or len(unknown) == len(named) else " --skip-unknown goes on without these."),
        )
    rows = [one.row for one in named if one.row is not None]
    unique = list(dict.fromkeys(rows))
    column = "" if sheet.header is None else f" in column '{sheet.header[sheet.columns['path' if by_path else 'id']]}'"
    twice = len(rows) - len(unique)
    understood = f"{len(unique):,} {what if len(unique) > 1 else what[:-1]}{column} of "
    notes = [f"{twice} {what} were given more than once"] if twice else []
    if people := sum(one.row is not None and str(one.name) in known.records_of for one in named):
        notes.append(
            f"{people} of these {what} {'is' if people == 1 else 'are'} a subject's name too: samples are taken by "
            "their id, and a subject's other samples stay"
        )
    if unknown:
        notes.append(f"{len(unknown)} of {len(named)} {what} are not in the training set and were skipped")
        if tested:
            notes.append(f"{tested} of these {'is' if tested == 1 else 'are'} in the test part: {IN_TEST_PART[:-1]}")
    if sheet.comments:
        notes.append(f"{sheet.comments} lines were comments")
    counts = {"duplicates": twice, "comment lines": sheet.comments, "unknown and skipped": len(unknown)}
    said = "; ".join([f"{understood}{path}", *(f"{count:,} {name}" for name, count in counts.items() if count)])
    return RequestList(
        np.array(unique, np.int64),
        tuple(one.request for one in named if one.row is not None),
        tuple(replace(one.request, sample_id=one.name) for one in unknown),
        said,
        (f"{understood}the request file", *notes),
    )


def _shown_unknown(one: _Named, known: KnownSamples) -> str:
    shown = str(one.name) if isinstance(one.name, int) else shown_cell(one.name)
    if (known_as := known.meant_by(one.name)) is not None:
        return f"{shown} (line {one.line}; {known_as})"
    meant = known.looks_like(one.name) if isinstance(one.name, str) else None
    return f"{shown} (line {one.line}" + (f"; is {shown_cell(meant)} meant?)" if meant is not None else ")")


def _ids_in(sheet: Sheet, rows: list[Row]) -> list[str]:
    """Return what stands where these rows have their ids, understood or not."""
    column = sheet.columns.get("id", 0)
    return [row.cells[column] for row in rows if column < len(row.cells)]


def _of_subjects(names: list[str], known: KnownSamples) -> str:
    """Say what to write in place of a person, where one is named."""
    named = next((name for name in names if name in known.records_of), None)
    if named is None:
        return ""
    return (
        f" --forget names samples, never a subject: in place of this line list the sample_id of each sample of "
        f"{shown_cell(named)}, the rows of scores.parquet with that subject."
    )


def _cure(sheet: Sheet) -> str:
    if sheet.header is None:
        return (
            "Write one sample_id a line and nothing else; or a table whose first line names the column sample_id. "
            + NOTHING
        )
    return f"Correct these lines. {NOTHING}"
