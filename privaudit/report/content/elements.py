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
class Step:
    """What to do now: the commands that do it, and what that would change."""

    title: str
    commands: list[str]
    effect: str


@dataclass(frozen=True)
class Brief:
    """The first two pages, in plain words: what may be decided, and by whom.

    Parameters
    ----------
    declared
        What the owner declared, name and value; what was not says so.
    verdict, answer, basis
        In a word, in a sentence, and what that was held against.
    limits
        Every declared limit with its measurement; None without any.
    pictures, distribution
        What an attacker can do; then risk's distribution and, where there was any, unlearning.
    meaning, exposed, unlearned
        For one person; who stands out; what became of those to be forgotten.
    runs
        Every unlearning in a row, the latest first; None without any.
    steps, checks, reach, numbers
        What now; whether the measurement can be trusted; what was not tried; size, fit and cost.
    sign_off
        What is left to fill in by hand.
    """

    declared: list[list[str]]
    verdict: str
    answer: str
    basis: list[str]
    limits: Table | None
    pictures: list[Figure]
    distribution: list[Figure]
    meaning: list[str]
    exposed: list[str]
    unlearned: list[str]
    runs: Table | None
    steps: list[Step]
    checks: str
    reach: str
    numbers: str
    sign_off: list[str]


@dataclass(frozen=True)
class Report:
    """Everything that both renderings show.

    ``glance`` is a table on page 1 and ``brief`` the first two pages, where there is one; without a brief the report
    begins with finding, facts and overview, with one they open the annex.
    """

    title: str
    subtitle: str
    finding: list[str]
    facts: list[Fact]
    sections: list[Section]
    limits: str = ""
    notices: list[str] = field(default_factory=list)
    glance: Table | None = None
    brief: Brief | None = None
    overview: list[Answer] = field(default_factory=list)
    glossary: list[Term] = field(default_factory=list)
    references: list[str] = field(default_factory=list)
    explorer: Explorer | None = None
    made_by: str = ""
    format: int = FORMAT

    def to_json(self) -> dict[str, Any]:
        """As it stands in ``report.json``: no sign that hides or reorders others is left in any text."""
        content: dict[str, Any] = each_text(asdict(self), inert)
        for name in ("glance", "brief"):
            if content[name] is None:
                del content[name]
        return content
