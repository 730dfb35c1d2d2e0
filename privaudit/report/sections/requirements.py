"""The appendix that maps what authorities and standards ask for to the section that answers it, or says why none."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files as resources

from privaudit.report.content.elements import Section, tabulate
from privaudit.report.content.texts import texts
from privaudit.results.base import Result

#: Its own anchor.
ANCHOR = "requirements"


class Requirement(Result):
    """What is asked for, as `requirements.toml` explains it."""

    asked: str
    by: list[str]
    sections: list[str]
    missing: str
    absent: str

    def answered_in(self, sections: Sequence[Section]) -> list[Section]:
        """The sections of a report that answer it."""
        return [
            section
            for section in sections
            if any(
                section.anchor == name or (name.endswith("-") and section.anchor.startswith(name))
                for name in self.sections
            )
        ]


class _Requirements(Result):
    requirements: list[Requirement]


@cache
def requirements() -> tuple[Requirement, ...]:
    """Return every requirement, in the order of the file."""
    content = resources("privaudit.report.content").joinpath("requirements.toml").read_text("utf-8")
    return tuple(_Requirements.model_validate(tomllib.loads(content)).requirements)


def what_is_asked(sections: Sequence[Section]) -> Section:
    """Return the appendix for a report of these sections."""
    return Section(
        ANCHOR,
        "Who asks for what, and where it stands",
        texts("requirements.how"),
        [
            tabulate(
                "Requirements",
                requirements(),
                {
                    "Asked for": lambda one: one.asked,
                    "By": lambda one: "; ".join(one.by),
                    "Where": lambda one: _where(one, sections),
                    "What is left open": lambda one: one.missing if one.answered_in(sections) and one.missing else "–",
                },
            )
        ],
    )


def _where(one: Requirement, sections: Sequence[Section]) -> str:
    found = one.answered_in(sections)
    return ", ".join(section.title for section in found) if found else f"not covered, because {one.absent}"
