"""docs/bring-your-own.md: every block is run, in the page's order, in one folder."""

from __future__ import annotations

import importlib
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.conftest import ROOT

PAGE = ROOT / "docs" / "bring-your-own.md"
BLOCK = re.compile(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks() -> list[tuple[str, str, str]]:
    """Language, file name (or nothing) and content of every block of the page."""
    return BLOCK.findall(PAGE.read_text("utf-8"))


def run(command: list[str], folder: Path) -> str:
    paths = os.pathsep.join([str(ROOT), str(folder)])
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": paths}
    )
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_every_block_can_be_read() -> None:
    """Python compiles, and every flag of every command is one that there is."""
    for language, _, content in blocks():
        if language == "python":
            compile(content, str(PAGE), "exec")
        elif language == "sh":
            for program, *words in map(shlex.split, content.strip().splitlines()):
                if program == "privaudit":
                    command = importlib.import_module(f"privaudit.cli.commands.{words[0]}").command
                    command.make_context(words[0], list(words[1:]))
        else:
            groups = tomllib.loads(content)["project"]["entry-points"]
            assert {f"privaudit.{family}s" for family in ("dataset", "network", "training", "unlearner")} == set(groups)


@pytest.mark.slow
def test_every_block_runs(tmp_path: Path) -> None:
    ran = 0
    for language, file, content in blocks():
        if file:
            (tmp_path / file).write_text(content, "utf-8")
        elif language == "python":
            run([sys.executable, "-c", content], tmp_path)
            ran += 1
        elif language == "sh":
            for line in content.strip().splitlines():
                words = shlex.split(line)
                program = [sys.executable, "-m", "privaudit"] if words[0] == "privaudit" else [sys.executable]
                run([*program, *words[1:]], tmp_path)
                ran += 1
    assert ran > 10
