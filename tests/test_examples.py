"""Every worked example is short and does what it says."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, Run

EXAMPLES = ROOT / "examples"
QUICK = ("--shadows", "8", "--epochs", "4", "--invert", "0", "--workers", "2", "--store", "s", "--out", "o", "--json")


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_an_example_is_short(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 20


def scored(privaudit: Run, folder: Path, *arguments: str) -> dict[str, Any]:
    shutil.copytree(EXAMPLES, folder / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    done = privaudit("score", *arguments, cwd=folder)
    assert done.returncode == 0, done.stderr
    results: dict[str, Any] = json.loads(done.stdout)
    return results


def test_an_image_model(privaudit: Run, tmp_path: Path) -> None:
    of_file = "examples/image_model.py:"
    results = scored(privaudit, tmp_path, "--dataset", f"{of_file}data", "--network", f"{of_file}network", *QUICK)
    assert results["samples"] == 600
    assert str(tmp_path) not in (tmp_path / results["report"]["html"]).read_text("utf-8")


def test_a_tabular_model(privaudit: Run, tmp_path: Path) -> None:
    results = scored(privaudit, tmp_path, "--dataset", "examples/tabular_model.py:patients", *QUICK)
    assert results["samples"] == 455
    assert {group["name"] for group in results["groups"]["class"]["groups"]} == {"benign", "malignant"}


def test_models_of_another_framework(privaudit: Run, tmp_path: Path) -> None:
    subprocess.run([sys.executable, EXAMPLES / "other_framework.py"], cwd=tmp_path, check=True)
    results = scored(privaudit, tmp_path, "--signals", "models.npz", "--out", "o", "--json")
    assert results["shadows"] == 16
    assert results["attacks"]["lira"]["auc"] > 0.55
