"""The gate: what holds, what is breached, what can't be told, and how a pipeline hears of it."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from privaudit.commands.gate import check_audit, parse_rate_limit
from privaudit.errors import UsageError
from privaudit.results.gate_results import Limit
from privaudit.runtime import files
from tests.conftest import Run


@pytest.fixture
def folder(small_audit: dict[str, Any], tmp_path: Path) -> Path:
    """A copy of the small audit's results."""
    audit: str = small_audit["results"]["audit"]
    root: Path = small_audit["root"]
    shutil.copytree(root / "out" / audit, tmp_path / "out" / audit)
    return tmp_path / "out" / audit


def test_the_interval_decides(folder: Path) -> None:
    """Below the interval a limit is breached, above it holds, within it the audit can't tell."""
    low, high = files.read_json(folder / "score.json")["attacks"]["lira"]["auc_ci"]
    limits = [Limit(quantity="auc", most=most) for most in (low - 0.01, high, (low + high) / 2)]
    verdicts = [check.verdict for check in check_audit(folder, limits, "lira")]
    assert verdicts == ["breached", "holds", "too little evidence"]


def test_what_is_not_resolved_is_not_told(folder: Path) -> None:
    (check,) = check_audit(folder, [parse_rate_limit("0.5@0.0001")], "lira")
    assert check.verdict == "too little evidence"
    assert "resolves" in check.reason


def test_too_few_models_for_the_interval_of_risk_are_told(folder: Path) -> None:
    results = files.read_json(folder / "score.json")
    results["most_exposed"] = {"count": 3, "by_pickers": 0.9, "by_others": 0.8, "ci": None}
    files.write_json(folder / "score.json", results)
    files.seal(folder / "score.json")
    (check,) = check_audit(folder, [Limit(quantity="asr", most=0.9)], "lira")
    assert check.verdict == "too little evidence"
    assert "--shadows 16" in check.reason


def test_damaged_results_are_no_mistake_of_the_user(privaudit: Run, folder: Path) -> None:
    (folder / "score.json").write_text("{}")
    done = privaudit("gate", folder.name, "--out", folder.parent, "--max-auc", "0.9")
    assert done.returncode == 1
    assert "score.json is damaged" in done.stderr
    assert "Run the same privaudit score again" in done.stderr


def test_a_failed_control_settles_it(folder: Path) -> None:
    results = files.read_json(folder / "score.json")
    results["controls"]["negative"]["holds"] = False
    files.write_json(folder / "score.json", results)
    files.seal(folder / "score.json")
    (check,) = check_audit(folder, [Limit(quantity="auc", most=1.0)], "lira")
    assert check.verdict == "too little evidence"
    assert "control failed" in check.reason


@pytest.mark.parametrize("text", ["0.1", "0.1@", "x@0.1", "2@0.1", "0.1@0", "nan@0.1"])
def test_malformed_rate_limits(text: str) -> None:
    with pytest.raises(UsageError, match="--max-tpr"):
        parse_rate_limit(text)


def test_exit_codes_and_junit(privaudit: Run, folder: Path, tmp_path: Path) -> None:
    def gate(*limits: str) -> tuple[int, dict[str, Any], ElementTree.Element]:
        done = privaudit("gate", folder.name, "--out", folder.parent, "--junit", tmp_path / "g.xml", "--json", *limits)
        assert "Traceback" not in done.stderr
        return done.returncode, json.loads(done.stdout), ElementTree.parse(tmp_path / "g.xml").getroot()  # noqa: S314

    code, results, suite = gate("--max-auc", "1")
    assert (code, [check["verdict"] for check in results["checks"]]) == (0, ["holds"])
    assert suite.attrib == {"name": f"privaudit gate {folder.name}", "tests": "1", "failures": "0", "errors": "0"}
    code, results, suite = gate("--max-auc", "0.1", "--max-tpr", "0.5@0.0001")
    assert code == 3
    assert (suite.attrib["failures"], suite.attrib["errors"]) == ("1", "1")
    assert [case[0].tag for case in suite] == ["error", "failure"]
    code, _, _ = gate("--max-tpr", "0.5@0.0001", "--max-auc", "1")
    assert code == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no limit"),
        (["--max-auc", "0.6", "--attack", "nothing"], "no attack 'nothing'"),
        (["--max-tpr", "0.6@0.02"], "no TPR is stored"),
        (["--max-auc", "2"], "0<=x<=1"),
    ],
)
def test_mistakes_are_told(privaudit: Run, folder: Path, arguments: list[str], message: str) -> None:
    done = privaudit("gate", folder.name, "--out", folder.parent, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
