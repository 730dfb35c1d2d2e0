"""The fast part of the tests: named in one place, the Makefile, and every file of it is there."""

from __future__ import annotations

import re

from tests.conftest import ROOT


def test_every_file_of_the_fast_part_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8").replace("\\\n", " ")
    (listed,) = re.findall(r"^FAST := (.+)$", makefile, re.MULTILINE)
    names = listed.split()
    assert len(names) > 10
    assert len(set(names)) == len(names)
    assert [name for name in names if not (ROOT / "tests" / f"test_{name}.py").is_file()] == []
    assert "$(FAST:%=tests/test_%.py)" in makefile
