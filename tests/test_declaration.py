"""What an owner declares: every entry read back from the file that is written to fill in, and slips told."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from privaudit.audit.declaration import read_declaration, template
from privaudit.errors import UsageError
from privaudit.results.statement.declaration import Declaration


def declare(tmp_path: Path, text: str) -> Declaration:
    path = tmp_path / "declared.toml"
    path.write_text(text, "utf-8")
    return read_declaration(path)


def test_the_file_to_fill_in_declares_nothing_as_it_is(tmp_path: Path) -> None:
    assert declare(tmp_path, template()) == Declaration()


def test_every_entry_of_the_file_is_read_once_its_comment_is_taken_away(tmp_path: Path) -> None:
    filled = declare(tmp_path, re.sub(r"(?m)^#(?=\w)", "", template()))
    left = {name for name in Declaration.model_fields if getattr(filled, name) in (None, ())}
    assert not left
    for part in (filled.model, filled.people, filled.privacy, filled.limits):
        assert None not in [getattr(part, name) for name in type(part).model_fields]
    assert filled.date == date(2026, 1, 31)
    assert filled.limits.tpr == {"0.01": 0.02, "0.001": 0.005}
    assert Declaration.model_validate(filled.to_json()) == filled


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("titel = 'a'", "titel: extra inputs"),
        ("[people]\nprior = 1.5\nname = 'x'", r"people\.prior: .*; people\.name: "),
        ("[limits]\ntpr = { one = 0.1 }", 'limits.tpr."one" = 0.1'),
        ("[limits]\ntpr = { '0.01' = 2 }", 'limits.tpr."0.01" = 2'),
        ("[limits]\ntpr = { '0.05' = 0.1 }", r"no audit measures at that rate"),
        ("date = 'someday'", "date: "),
        ("title = ", "cannot read --declare"),
    ],
)
def test_slips_are_told_all_at_once_with_their_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        declare(tmp_path, text)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.toml"):
        read_declaration(tmp_path / "nowhere.toml")
