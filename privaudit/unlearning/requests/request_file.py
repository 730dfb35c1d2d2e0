"""Reads a request file as text: its encoding, its delimiter and its header, and the line on which each cell stands."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass
from pathlib import Path

from privaudit.data.text_files import DELIMITERS, Lines, Row, UnreadableText, cells_of, rows_of, text_of
from privaudit.errors import UsageError

#: Names of the columns that are read, as `normalised`; the first one of a kind that is there is taken.
COLUMNS = {
    "id": ("sample_id", "sampleid", "id"),
    "path": ("path",),
    "request": ("request_id", "request"),
    "date": ("date", "requested", "request_date"),
}

#: A spreadsheet's broken cells begin with a # and are no comments: somebody's id was lost there.
_BROKEN_CELL = re.compile(r"#(N/A|REF!|NAME\?|VALUE!|DIV/0!|NUM!|NULL!|NV|#+)", re.IGNORECASE)

#: A longer file is no list of people.
MOST_BYTES = 1 << 28

AS_CSV = "Save it as CSV in UTF-8, with a column sample_id. Nothing was done."


@dataclass(frozen=True)
class Sheet:
    """A request file, parted into rows.

    Parameters
    ----------
    header
        The column names as they were written; None where no line names a known column. Then, and where the header is a
        single name, every row is one line.
    columns
        Which column is the ``id``, ``path``, ``request`` and ``date``, where the header names one.
    rows
        Rows that hold anything, without header and comments.
    comments
        How many lines were comments.
    width
        How many cells the header has, with those without a name at its end.
    """

    header: list[str] | None
    columns: dict[str, int]
    rows: list[Row]
    comments: int
    width: int = 1


def read_sheet(path: Path, *, comments: bool = True, called: str | None = None) -> Sheet:
    """Read a request file and part it into rows.

    Parameters
    ----------
    path
        The file.
    comments
        Whether lines that begin with # are comments; not where ids begin so.
    called
        A column that holds ids before all others: what the audited table calls its own.

    Raises
    ------
    UsageError
        Where it can't be read, is empty, no text, or its quotes don't close.
    """
    lines = _Lines(_text_of(path), comments)
    first = next(lines.told(), None)
    if first is None:
        raise UsageError(f"{path} names no sample: it is empty", hint="Write one sample_id a line.")
    told = re.fullmatch(r"sep=(.)", first.strip(), re.IGNORECASE)
    delimiters = DELIMITERS if told is None else (told[1],)
    if told is not None:
        first = next(lines.told(), "")
    delimiter, header, columns = _header_of(path, first, delimiters, called)
    if header is not None and len(header) > 1:
        width = len(next(csv.reader([first], delimiter=delimiter)))
        return Sheet(header, columns, _parted(path, lines, delimiter), lines.comments, width)
    rows = [] if header is not None or not first else [Row(lines.number, [first.strip()], first)]
    rows += [Row(lines.number, [line.strip()], line) for line in lines.told()]
    return Sheet(header, columns, rows, lines.comments)


class _Lines(Lines):
    """Lines of which those that begin with # may be comments."""

    def __init__(self, text: str, comments: bool) -> None:
        super().__init__(text)
        self._comments = comments

    def is_comment(self, line: str) -> bool:
        return self._comments and line.lstrip().startswith("#") and not _BROKEN_CELL.match(line.lstrip())


def _text_of(path: Path) -> str:
    try:
        if path.is_file() and path.stat().st_size > MOST_BYTES:
            raise UsageError(f"{path} has {path.stat().st_size:,} bytes: that is no list of requests", hint=AS_CSV)
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        named = str(path).replace("\0", "\\0") if path.parts else "no file"
        raise UsageError(f"cannot read the ids of {named}: {error}", hint=_meant(path)) from error
    try:
        text = text_of(content)
    except UnreadableText as error:
        raise UsageError(f"cannot read the ids of {path}: {error}", hint=AS_CSV) from error
    if text.lstrip()[:1] in ("{", "["):
        _refuse_json(path, text)
    return text


def _refuse_json(path: Path, text: str) -> None:
    for part in (text, text.strip().splitlines()[0]):
        try:
            json.loads(part)
        except ValueError:
            continue
        raise UsageError(f"cannot read the ids of {path}: it is JSON, not one id a line", hint=AS_CSV)


def _meant(path: Path) -> str:
    if re.fullmatch(r"[\w .;|-]+(,[\w .;|-]+)*", str(path)) and not path.suffix:
        return "ids: takes a file: write the ids into one, one a line. Nothing was done."
    if path.parts[:1] == ("~",):
        return "A shell puts your home folder in place of a ~ that stands first alone: write the whole path."
    return "Write one sample_id a line, or a CSV with a column sample_id. Nothing was done."


def normalised(name: str) -> str:
    """``Customer No`` as ``customer_no``: a column is the same however its name is spelt."""
    return re.sub(r"[\s_-]+", "_", name.strip().lower())


def _header_of(
    path: Path, line: str, delimiters: tuple[str, ...], called: str | None
) -> tuple[str, list[str] | None, dict[str, int]]:
    """Delimiter, column names and places of the known columns, where the line names an id or a path."""
    for delimiter in delimiters:
        header = cells_of(line, delimiter) or []
        names = [normalised(cell) for cell in header]
        columns = {}
        for key, known in COLUMNS.items():
            if key == "id" and called is not None:
                known = (normalised(called), *known)
            name = next((name for name in known if name in names), None)
            if name is None:
                continue
            if name == "sample_id" and "sampleid" in names:
                raise UsageError(
                    f"{path} has a column sample_id and a column sampleid", hint="Keep one. Nothing was done."
                )
            if names.count(name) > 1:
                raise UsageError(
                    f"{path}: {names.count(name)} columns are called '{name}'", hint="Keep one. Nothing was done."
                )
            columns[key] = names.index(name)
        if "id" in columns or "path" in columns:
            return delimiter, header, columns
    return ",", None, {}


def _parted(path: Path, lines: _Lines, delimiter: str) -> list[Row]:
    """Rows below a header of several columns; a quoted cell may run over lines."""
    try:
        return list(rows_of(lines, delimiter))
    except UnreadableText as error:
        raise UsageError(
            f"{path}, line {error.line}: {error}", hint="Is a quotation mark missing? Nothing was done."
        ) from error
