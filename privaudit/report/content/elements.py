"""What a report is made of: facts, answers, sections, tables and figures, in plain text.

Whoever adds a section needs `Section`, `Table` and `Figure` alone. A table behind each figure is made from the figure's
own data (`privaudit.report.drawing.figures`) where none is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, TypeVar

from pydantic import WithJsonSchema

from privaudit.report.content.figure_data import FigureData
from privaudit.report.content.wording import each_text, inert

FORMAT = 2

Row = TypeVar("Row")


@dataclass(frozen=True)
class Table:
    """Rows of text below column titles."""

    caption: str
    columns: list[str]
    rows: list[list[str]]


def tabulate(caption: str, rows: Iterable[Row], columns: Mapping[str, Callable[[Row], str]]) -> Table:
    """Make a table of a row for each of ``rows``: ``columns`` say under which title stands what of it."""
    return Table(caption, list(columns), [[say(row) for say in columns.values()] for row in rows])


@dataclass(frozen=True)
class Figure:
    """A drawing: which one, from which data, what it shows in words, and the table that says the same."""

    kind: str
    caption: str
    alternative: str
    data: Annotated[FigureData, WithJsonSchema({"additionalProperties": True, "title": "Data", "type": "object"})]
    table: Table | None = None


@dataclass(frozen=True)
class Section:
    """A titled part of the report; ``lead`` says in a sentence what it found."""

    anchor: str
    title: str
    paragraphs: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    lead: str = ""


@dataclass(frozen=True)
class Fact:
    """One headline number."""

    label: str
    value: str
    note: str


@dataclass(frozen=True)
class Answer:
    """A question that every reviewer has, its answer on page 1 (a line each), and the section that says more."""

    question: str
    answer: list[str]
    anchor: str = ""


@dataclass(frozen=True)
class Term:
    """A word of the field, explained."""

    name: str
    meaning: str


@dataclass(frozen=True)
class Column:
    """A column of the sample explorer.

    ``kind`` is ``id``, ``category``, ``number``, ``share`` (shown in percent) or ``yes-no``.
    """

    key: str
    title: str
    kind: str
    meaning: str


@dataclass(frozen=True)
class Explorer:
    """What the HTML's sample explorer shows: ``rows`` samples of a table that is named by its SHA-256.

    ``order`` is the column that it is sorted by at first, ``caution`` what has to be said of that.
    """

    source: str
    sha256: str
    rows: int
    columns: list[Column]
    horizontal: str
    vertical: str
    order: str = "risk"
    caution: str = ""


@dataclass(frozen=True)
class Report:
    """Everything that both renderings show; ``glance`` is a table on page 1, where there is one."""

    title: str
    subtitle: str
    finding: list[str]
    facts: list[Fact]
    sections: list[Section]
    limits: str = ""
    notices: list[str] = field(default_factory=list)
    glance: Table | None = None
    overview: list[Answer] = field(default_factory=list)
    glossary: list[Term] = field(default_factory=list)
    references: list[str] = field(default_factory=list)
    explorer: Explorer | None = None
    made_by: str = ""
    format: int = FORMAT

    def to_json(self) -> dict[str, Any]:
        """As it stands in ``report.json``: no sign that hides or reorders others is left in any text."""
        content: dict[str, Any] = each_text(asdict(self), inert)
        if self.glance is None:
            del content["glance"]
        return content
