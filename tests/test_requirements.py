"""The appendix says of each requirement where it is answered, or why it is not, and quotes nobody."""

from __future__ import annotations

import re
from pathlib import Path

from privaudit import api
from privaudit.report.content.elements import Section
from privaudit.report.document import build_content
from privaudit.report.sections.requirements import ANCHOR, requirements, what_is_asked
from tests.test_compare import write_signals

#: Anchors of every section that a report may have, by the files of `report/sections/`.
ANCHORS = {
    *("audited", "attacks", "exposed", "samples", "intrinsic", "inversion", "unlearning-", "orders-", "purged-"),
    *("controls", "epsilon", "limits", "reproduce", "declared", "accusations", "people", "attributes", "classes"),
}


def test_every_requirement_names_sections_that_there_are_and_who_asks() -> None:
    assert len(requirements()) >= 15
    for one in requirements():
        assert set(one.sections) <= ANCHORS, one.asked
        assert one.by, one.asked
        assert one.absent, one.asked
        assert not re.search('["“”«»]', one.asked + one.missing + one.absent), "nothing is quoted"
    askers = " ".join(asker for one in requirements() for asker in one.by)
    assert all(name in askers for name in ("EDPB", "CNIL", "ISO/IEC 27559", "NIST AI 100-2", "AISVS C11.2"))


def test_what_no_section_answers_says_why() -> None:
    rows = what_is_asked([]).tables[0].rows
    assert all(row[2].startswith("not covered, because ") for row in rows)
    assert {row[3] for row in rows} == {"–"}
    rows = what_is_asked([Section("unlearning-2", "Unlearning: GA"), Section("limits", "Limits")]).tables[0].rows
    answered = {row[0]: row[2] for row in rows if not row[2].startswith("not covered")}
    assert answered == {
        "Measures taken, what risk is left, and how mitigation was tested again": "Unlearning: GA",
        "Of an erasure: whose, when, how, how it was verified, and which copies are left": "Unlearning: GA",
        "What the assessment does not say": "Limits",
    }


def test_a_report_ends_with_it_and_names_its_own_sections(tmp_path: Path) -> None:
    done = api.score(signals=write_signals(tmp_path / "some.npz", 1.0), out=tmp_path / "out")
    sections = build_content(tmp_path / "out" / done["audit"]).report.sections
    assert sections[-1].anchor == ANCHOR
    titles = {section.title for section in sections}
    for row in sections[-1].tables[0].rows:
        assert row[2].startswith("not covered") or set(row[2].split(", ")) & titles
