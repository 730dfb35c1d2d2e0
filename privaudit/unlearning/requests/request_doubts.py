"""Refuses lists of requests that may mean somebody else: two columns of ids, shifted rows, a doubtful header."""

from __future__ import annotations

import re
from pathlib import Path

from privaudit.data.text_files import Row
from privaudit.errors import UsageError
from privaudit.unlearning.requests.request_cells import NOTHING, KnownSamples, as_integer, shown_cell
from privaudit.unlearning.requests.request_file import COLUMNS, Sheet, normalised

#: Names of columns that hold ids of somebody or something, though privaudit does not know whose.
_NAME_OF_IDS = re.compile(
    r"(?i:(?!class|label)(.*[\s_.-])?"
    r"(ids?|key|index|idx|uid|samples?|subjects?|persons?|people|users?|patients?|customers?|members?|rows?))"
    r"|.*[a-z]I[Dd]"
)


def demand_no_doubt(path: Path, sheet: Sheet, known: KnownSamples, by_path: bool) -> None:
    """Raise `UsageError` where a list may be read in two ways, and say which."""
    _demand_one_column_of_ids(path, sheet, known)
    _demand_no_shift(path, sheet, known, by_path)
    _demand_no_doubt_of_header(path, sheet, known)


def _demand_one_column_of_ids(path: Path, sheet: Sheet, known: KnownSamples) -> None:
    """Refuse a column ``id`` that may number the requests where another column may hold the samples' ids."""
    if sheet.header is None or len(sheet.header) < 2 or "id" not in sheet.columns:
        return
    at = sheet.columns["id"]
    if known.called is not None and normalised(sheet.header[at]) == normalised(known.called):
        for column, name in enumerate(sheet.header):
            rows = [(known.row_of_id(_cell(row, at)), known.row_of_id(_cell(row, column))) for row in sheet.rows]
            if _is_named_sample_id(name) and any(one != other for one, other in rows):
                raise UsageError(
                    f"{path}: the columns '{known.called}' and '{name}' name different samples",
                    hint=f"Keep the one that is meant. {NOTHING}",
                )
        return
    if _is_named_sample_id(sheet.header[at]):
        return
    numbers = [as_integer(_cell(row, at)) for row in sheet.rows]
    counts = (
        len(numbers) > 1 and numbers[0] is not None and numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    )
    for column, name in enumerate(sheet.header):
        others = [_cell(row, column) for row in sheet.rows]
        counts_too = counts and len(set(others)) == len(others)
        if column in sheet.columns.values() or not (counts_too or _NAME_OF_IDS.fullmatch(name.strip())):
            continue
        if all(known.row_of_id(cell) is not None for cell in others):
            what = "only counts the rows" if counts else "may number the requests"
            raise UsageError(
                f"{path}: column '{sheet.header[at]}' {what}, and column '{name}' holds ids too",
                hint=f"Call the column that is meant sample_id. {NOTHING}",
            )


def _demand_no_shift(path: Path, sheet: Sheet, known: KnownSamples, by_path: bool) -> None:
    """Refuse rows that may begin with a name of their own, which the header leaves out as R and pandas can."""
    if sheet.header is None or len(sheet.header) < 2 or any(len(row.cells) <= sheet.width for row in sheet.rows):
        return
    at = sheet.columns["path" if by_path else "id"] + 1
    find = known.row_of_path if by_path else known.row_of_id
    if all(find(_cell(row, at)) is not None for row in sheet.rows):
        row = sheet.rows[0]
        raise UsageError(
            f"{path}, line {row.line}: {shown_cell(row.raw)} has {len(row.cells)} cells, the header {sheet.width}: "
            "do the rows begin with a number of their own?",
            hint=f"Give every column a name. {NOTHING}",
        )


def _demand_no_doubt_of_header(path: Path, sheet: Sheet, known: KnownSamples) -> None:
    first = [row.cells[0].strip('"') for row in sheet.rows[:2]]
    # pandas calls a column that has no name 0, and writes that above it: be it above 1, the lines 0, 1, 2 are no proof.
    if sheet.header is None and len(first) > 1 and first[0] == "0":
        raise UsageError(
            f"{path}, line {sheet.rows[0].line}: '0' may be a sample_id, or pandas' header of a column without a name",
            hint=f"Write a header above it, or in its place: sample_id. {NOTHING}",
        )
    if sheet.header is not None and len(sheet.header) == 1 and known.are_text and sheet.header[0] in known.by_id:
        raise UsageError(
            f"{path}: '{sheet.header[0]}' on its first line may be a header, and is a sample's id",
            hint=f"Write a header above it: sample_id. {NOTHING}",
        )


def _cell(row: Row, column: int) -> str:
    return row.cells[column] if column < len(row.cells) else ""


def _is_named_sample_id(name: str) -> bool:
    return name.strip().lower().replace(" ", "_").replace("-", "_") in COLUMNS["id"][:2]
