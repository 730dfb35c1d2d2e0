"""Stored results are looked at, and signals of others' models audited, where torch is not installed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.test_compare import write_signals

#: A Python in which there is no torch: every import of it fails as it does where it is not installed.
WITHOUT_TORCH = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "torchvision"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from privaudit.cli.main import cli
import glob, json
for words in json.loads(sys.argv[1]):
    given = [one for word in words for one in (sorted(glob.glob(word)) if "*" in word else [word])]
    cli.main(given, standalone_mode=False)
"""


def run_without_torch(commands: list[list[str]], cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, json.dumps(commands)],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
    )


def test_results_are_looked_at_without_torch(small_audit: dict[str, Any], tmp_path: Path) -> None:
    for place in ("store", "out"):
        shutil.copytree(small_audit["root"] / place, tmp_path / place)
    write_signals(tmp_path / "one.npz", 2.0)
    write_signals(tmp_path / "two.npz", 0.2)
    places, audit = ["--store", "store", "--out", "out"], small_audit["results"]["audit"]
    done = run_without_torch(
        [
            ["score", "--signals", "one.npz", "--out", "out"],
            ["score", "--signals", "two.npz", "--out", "out"],
            ["report", *places],
            ["gate", audit, *places, "--max-auc", "1"],
            ["verify", *places],
            ["list", *places],
            ["compare", "out/one-*", "out/two-*", "--out", "out"],
        ],
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("report: out/") == 6  # HTML and PDF of either audit of signals, and of the two compared
    assert f"out/{audit}/report.html\nout/{audit}/report.pdf\n" in done.stdout
    assert ": holds\n" in done.stdout
    assert "verdict: " in done.stdout


def test_what_needs_torch_says_so(tmp_path: Path) -> None:
    command = WITHOUT_TORCH.split("from privaudit")[0] + "from privaudit.cli.main import main\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", command, "score"], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 1
    assert done.stderr == (
        "error: this command trains or runs models, and torch is not installed\n"
        "  Install it: pip install torch torchvision. Stored results and --signals need neither.\n"
    )


def test_the_page_names_every_package_that_is_left_without_torch() -> None:
    metadata = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    needed = {word for word in metadata["project"]["dependencies"] if not word.startswith("torch")}
    page = (ROOT / "docs" / "install.md").read_text("utf-8")
    (command,) = [line for line in page.replace("\\\n", " ").splitlines() if "pip install 'click" in line]
    assert {word.strip("'") for word in command.split() if word.startswith("'")} == needed


@pytest.mark.parametrize("name", ["torch", "torchvision"])
def test_torch_is_a_plain_dependency(name: str) -> None:
    """The set-up's two commands, and `pip install .`, give a privaudit that trains."""
    metadata = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert any(word.startswith(f"{name}>=") for word in metadata["project"]["dependencies"])
