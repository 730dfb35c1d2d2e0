"""Reads a request file as text: its encoding, its delimiter and its header, and the line on which each cell stands."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from privaudit.errors import UsageError

#: What may part the columns of a file whose header names a known one.
DELIMITERS = (",", ";", "\t", "|")

#: Names of the columns that are read, as `_normalised`; the first one of a kind that is there is taken.
COLUMNS = {
    "id": ("sample_id", "sampleid", "id"),
    "path": ("path",),
    "request": ("request_id", "request"),
    "date": ("date", "requested", "request_date"),
}

#: First bytes of files that are no text, and what they are.
_NO_TEXT = {
    b"PK\x03\x04": "an Excel workbook or another zip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"PAR1": "a parquet table",
    b"\x1f\x8b": "compressed",
    b"\x93NUMPY": "a NumPy array",
    b"%PDF": "a PDF",
    b"SQLite format 3": "a database",
}
_MARKS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}

#: A spreadsheet's broken cells begin with a # and are no comments: somebody's id was lost there.
_BROKEN_CELL = re.compile(r"#(N/A|REF!|NAME\?|VALUE!|DIV/0!|NUM!|NULL!|NV|#+)", re.IGNORECASE)

#: A longer file is no list of people.
MOST_BYTES = 1 << 28

AS_CSV = "Save it as CSV in UTF-8, with a column sample_id. Nothing was done."


@dataclass(frozen=True)
class Row:
    """The cells of one row and the line on which it begins; ``raw`` is that line as it stands in the file."""

    line: int
    cells: list[str]
    raw: str


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


def read_sheet(path: Path, *, comments: bool = True) -> Sheet:
    """Read a request file and part it into rows.

    Parameters
    ----------
    path
        The file.
    comments
        Whether lines that begin with # are comments; not where ids begin so.

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
    delimiter, header, columns = _header_of(path, first, delimiters)
    if header is not None and len(header) > 1:
        width = len(next(csv.reader([first], delimiter=delimiter)))
        return Sheet(header, columns, _parted(path, lines, delimiter), lines.comments, width)
    rows = [] if header is not None or not first else [Row(lines.number, [first.strip()], first)]
    rows += [Row(lines.number, [line.strip()], line) for line in lines.told()]
    return Sheet(header, columns, rows, lines.comments)


def cells_of(line: str, delimiter: str) -> list[str] | None:
    """The cells of one line, stripped, without empty ones at its end; None where its quotes don't close."""
    try:
        cells = [cell.strip() for row in csv.reader([line], delimiter=delimiter, strict=True) for cell in row]
    except csv.Error:
        return None
    while len(cells) > 1 and not cells[-1]:
        cells.pop()
    return cells


class _Lines:
    """The physical lines of a text, counted; comments and blank lines are left out between rows, not within one."""

    def __init__(self, text: str, comments: bool) -> None:
        self._lines = iter(io.StringIO(text, newline=""))
        self._comments = comments
        self.number = 0
        self.comments = 0

    def next(self) -> str:
        """The next line, whatever it is."""
        line = next(self._lines)
        self.number += 1
        return line

    def told(self) -> Iterator[str]:
        """Lines that are neither blank nor a comment, without their ends."""
        while True:
            try:
                line = self.next().strip("\r\n")
            except StopIteration:
                return
            if self._comments and line.lstrip().startswith("#") and not _BROKEN_CELL.match(line.lstrip()):
                self.comments += 1
            elif line.strip():
                yield line


def _text_of(path: Path) -> str:
    try:
        if path.is_file() and path.stat().st_size > MOST_BYTES:
            raise UsageError(f"{path} has {path.stat().st_size:,} bytes: that is no list of requests", hint=AS_CSV)
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        named = str(path).replace("\0", "\\0") if path.parts else "no file"
        raise UsageError(f"cannot read the ids of {named}: {error}", hint=_meant(path)) from error
    for signature, what in _NO_TEXT.items():
        if content.startswith(signature):
            raise UsageError(f"cannot read the ids of {path}: it is {what}, not text", hint=AS_CSV)
    encoding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UsageError(
            f"cannot read the ids of {path}: line {line} is not {encoding.removesuffix('-sig').upper()} "
            f"(byte {content[error.start]:#04x})",
            hint=AS_CSV,
        ) from error
    if "\0" in text:
        raise UsageError(
            f"cannot read the ids of {path}: it holds NUL characters, so it is no text, or UTF-16 without its mark",
            hint=AS_CSV,
        )
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


def _normalised(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", name.strip().lower())


def _header_of(path: Path, line: str, delimiters: tuple[str, ...]) -> tuple[str, list[str] | None, dict[str, int]]:
    """Delimiter, column names and places of the known columns, where the line names an id or a path."""
    for delimiter in delimiters:
        header = cells_of(line, delimiter) or []
        names = [_normalised(cell) for cell in header]
        columns = {}
        for key, known in COLUMNS.items():
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
    rows: list[Row] = []
    begun: list[tuple[int, str]] = []

    def feed() -> Iterator[str]:
        told = lines.told()
        while True:
            # Within a quoted cell a line is taken as it stands, be it blank or begin with a #.
            line = next(told, None) if not begun else next(lines_left(), None)
            if line is None:
                return
            begun.append((lines.number, line))
            yield line + "\n"

    def lines_left() -> Iterator[str]:
        try:
            yield lines.next().strip("\r\n")
        except StopIteration:
            return

    reader = csv.reader(feed(), delimiter=delimiter, strict=True)
    while True:
        begun.clear()
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            return rows
        except csv.Error as error:
            at = begun[0][0] if begun else lines.number
            raise UsageError(
                f"{path}, line {at}: its cells can't be told apart ({error})",
                hint="Is a quotation mark missing? Nothing was done.",
            ) from error
        if any(cells):
            rows.append(Row(begun[0][0], cells, begun[0][1]))
