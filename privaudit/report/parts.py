"""What a report is made of: facts, sections, tables and figures, in plain text."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

FORMAT = 1


@dataclass(frozen=True)
class Table:
    """Rows of text below column titles."""

    caption: str
    columns: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Figure:
    """A drawing: which one, from which data, and what it shows in words."""

    kind: str
    caption: str
    alternative: str
    data: dict[str, Any]


@dataclass(frozen=True)
class Section:
    """A titled part of the report."""

    anchor: str
    title: str
    paragraphs: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)


@dataclass(frozen=True)
class Fact:
    """One headline number."""

    label: str
    value: str
    note: str


@dataclass(frozen=True)
class Report:
    """Everything that both renderings show."""

    title: str
    subtitle: str
    finding: list[str]
    facts: list[Fact]
    sections: list[Section]
    format: int = FORMAT

    def to_json(self) -> dict[str, Any]:
        """As it stands in ``report.json``."""
        return asdict(self)
