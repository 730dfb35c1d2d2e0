"""Files of text that people write and spreadsheets save: their encoding, their delimiter, and where each row begins."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

#: What may part the columns of a table.
DELIMITERS = (",", ";", "\t", "|")

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
#: Byte-order marks, and the encodings that they announce. UTF-32's begins like UTF-16's.
_MARKS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}


class UnreadableText(ValueError):
    """Bytes that are no text, or cells that can't be told apart: why, as the end of a sentence about the file.

    Parameters
    ----------
    why
        What it is instead, or what is wrong with it.
    line
        The line, counted from 1, where it is one.
    """

    def __init__(self, why: str, line: int | None = None) -> None:
        super().__init__(why)
        self.line = line


@dataclass(frozen=True)
class Row:
    """The cells of one row and the line on which it begins; ``raw`` is that line as it stands in the file."""

    line: int
    cells: list[str]
    raw: str


def text_of(content: bytes) -> str:
    """Return the text of a file's bytes, by its byte-order mark or as UTF-8.

    Raises
    ------
    UnreadableText
        Where it is a known kind of binary file, not of its encoding (the line is named), or holds NUL characters.
    """
    for signature, what in _NO_TEXT.items():
        if content.startswith(signature):
            raise UnreadableText(f"it is {what}, not text")
    encoding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        name = encoding.removesuffix("-sig").upper()
        raise UnreadableText(f"line {line} is not {name} (byte {content[error.start]:#04x})", line) from error
    if "\0" in text:
        raise UnreadableText("it holds NUL characters, so it is no text, or UTF-16 without its mark")
    return text


def cells_of(line: str, delimiter: str) -> list[str] | None:
    """The cells of one line, stripped, without empty ones at its end; None where its quotes don't close."""
    try:
        cells = [cell.strip() for row in csv.reader([line], delimiter=delimiter, strict=True) for cell in row]
    except csv.Error:
        return None
    while len(cells) > 1 and not cells[-1]:
        cells.pop()
    return cells


class Lines:
    """The physical lines of a text, counted; blank lines and comments are left out between rows, not within one."""

    def __init__(self, text: str) -> None:
        # Unlike a StringIO, which keeps four bytes a character.
        self._lines = iter(io.TextIOWrapper(io.BytesIO(text.encode()), "utf-8", newline=""))
        self.number = 0
        self.comments = 0

    def next(self) -> str:
        """The next line, whatever it is."""
        line = next(self._lines)
        self.number += 1
        return line

    def is_comment(self, line: str) -> bool:
        """Whether a line is to be passed over and counted in `comments`; here none is."""
        return False

    def told(self) -> Iterator[str]:
        """Lines that are neither blank nor a comment, without their ends."""
        while True:
            try:
                line = self.next().strip("\r\n")
            except StopIteration:
                return
            if self.is_comment(line):
                self.comments += 1
            elif line.strip():
                yield line


def rows_of(lines: Lines, delimiter: str) -> Iterator[Row]:
    """Part what is left of the lines into rows that hold anything; a quoted cell may run over lines.

    Raises
    ------
    UnreadableText
        Where quotes don't close; names the line on which the row begins.
    """
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
            return
        except csv.Error as error:
            at = begun[0][0] if begun else lines.number
            raise UnreadableText(f"its cells can't be told apart ({error})", at) from error
        if any(cells):
            yield Row(begun[0][0], cells, begun[0][1])
