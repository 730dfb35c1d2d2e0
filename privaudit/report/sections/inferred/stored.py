"""What was inferred besides membership, read from its files, and the sections that tell it."""

from __future__ import annotations

from pathlib import Path

from privaudit import artifacts
from privaudit.report.content.elements import Section
from privaudit.report.sections.inferred import attribute_section, class_section
from privaudit.results.audit.attribute_results import AttributeResults
from privaudit.results.audit.class_results import ClassResults
from privaudit.results.audit.score_results import Inferred, ScoreResults
from privaudit.results.base import read_result
from privaudit.runtime import files

REMEDY = "Run the same privaudit score again: it makes it anew."


def with_inferred(results: ScoreResults, folder: Path) -> ScoreResults:
    """Return an audit's results with what else was inferred, where its files are there."""
    attributes, classes = artifacts.ATTRIBUTES.at(folder), artifacts.CLASSES.at(folder)
    for path in (attributes, classes):
        if path.is_file():
            files.demand_whole(path, REMEDY)
    found = Inferred(
        attributes=read_result(attributes, AttributeResults) if attributes.is_file() else None,
        classes=read_result(classes, ClassResults) if classes.is_file() else None,
    )
    return results.model_copy(update={"inferred": found})


def sections(results: ScoreResults, folder: Path, *, show_samples: bool) -> list[Section]:
    """The sections on sensitive columns and on classes, of what was tried."""
    found = results.inferred
    return [
        *([] if found.attributes is None else [attribute_section.section(found.attributes)]),
        *([] if found.classes is None else [class_section.section(found.classes, folder, show_samples=show_samples)]),
    ]
