"""Results: typed, immutable, the same in JSON, and told apart from what another version wrote."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from privaudit.errors import StoreError
from privaudit.results.base import Result, read_result, write_result
from privaudit.runtime import files


class Part(Result):
    auc: float
    auc_ci: tuple[float, float] | None


class Whole(Result):
    name: str
    attacks: dict[str, Part]
    later: int | None = None


WHOLE = Whole(name="a", attacks={"lira": Part(auc=0.1 + 0.2, auc_ci=(0.25, 1 / 3))})


def test_a_result_comes_back_from_its_file_to_the_bit(tmp_path: Path) -> None:
    write_result(tmp_path / "a.json", WHOLE)
    assert read_result(tmp_path / "a.json", Whole) == WHOLE
    assert files.is_whole(tmp_path / "a.json")


def test_json_has_the_names_of_the_fields() -> None:
    part = {"auc": 0.1 + 0.2, "auc_ci": [0.25, 1 / 3]}
    assert WHOLE.to_json() == {"name": "a", "attacks": {"lira": part}, "later": None}


def test_what_took_results_for_dicts_goes_on() -> None:
    assert WHOLE["attacks"]["lira"]["auc"] == WHOLE.attacks["lira"].auc
    assert "later" in WHOLE
    assert "to_json" not in WHOLE
    assert WHOLE.get("to_json") is None
    assert dict(**WHOLE)["name"] == "a"
    with pytest.raises(KeyError):
        WHOLE["to_json"]


def test_numbers_of_numpy_become_plain_ones() -> None:
    part = Part(auc=np.float32(0.5), auc_ci=(np.float64(0), 1))
    assert type(part.auc) is float


def test_a_result_does_not_change() -> None:
    with pytest.raises(ValidationError):
        WHOLE.name = "b"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"name": "a"}, "lacks 'attacks'"),
        ({"name": "a", "attacks": {"lira": {"auc": 1}}}, r"lacks 'attacks\.lira\.auc_ci'"),
        ({"name": 1, "attacks": {}}, "has no legible 'name'"),
        ([], "has no legible ''"),
    ],
)
def test_what_another_version_wrote_is_told_by_name(tmp_path: Path, content: object, said: str) -> None:
    files.write_json(tmp_path / "a.json", content)
    with pytest.raises(StoreError, match=said) as raised:
        read_result(tmp_path / "a.json", Whole)
    assert str(tmp_path / "a.json") in str(raised.value)


def test_what_a_later_version_adds_is_passed_over(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a.json", WHOLE.to_json() | {"new": 1})
    assert read_result(tmp_path / "a.json", Whole) == WHOLE
