"""docs/unlearn-and-deploy.md: every block is run, in the page's order, on a small audit of the digits."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import ROOT

PAGE = ROOT / "docs" / "unlearn-and-deploy.md"
BLOCK = re.compile(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)

#: Appended to the page's `privaudit score`: what a test can afford.
SMALL = "--samples 200 --shadows 4 --epochs 10 --workers 1"


def blocks() -> list[tuple[str, str, str]]:
    """Language, file name (or nothing) and content of every block of the page."""
    return BLOCK.findall(PAGE.read_text("utf-8"))


def run(command: list[str], folder: Path) -> str:
    paths = {"PYTHONPATH": str(ROOT), "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env=os.environ | paths, timeout=600
    )
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def make_command(folder: Path) -> None:
    """A `privaudit` that audits less."""
    script = folder / "bin" / "privaudit"
    script.parent.mkdir()
    small = f'[ "$1" = score ] && set -- "$@" {SMALL}'
    script.write_text(f'#!/bin/sh\n{small}\nexec {sys.executable} -m privaudit "$@"\n', "utf-8")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)


def test_the_page_goes_from_requests_to_a_verified_record() -> None:
    commands = [line for language, _, block in blocks() if language == "sh" for line in block.strip().splitlines()]
    names = [line.split()[1] for line in commands if line.startswith("privaudit")]
    assert names == ["score", "unlearn", "gate", "export", "verify"]
    for language, _, content in blocks():
        if language == "python":
            compile(content, str(PAGE), "exec")


@pytest.mark.slow
def test_every_block_runs_and_one_prediction_is_served(tmp_path: Path) -> None:
    make_command(tmp_path)
    printed: list[str] = []
    requests = ""
    for language, file, content in blocks():
        if language == "csv":
            requests = content
            (tmp_path / file).write_text(content, "utf-8")
        elif language == "python":
            printed.append(run([sys.executable, "-c", content], tmp_path))
        elif language == "sh":
            for line in content.strip().splitlines():
                run(["bash", "-euo", "pipefail", "-c", line], tmp_path)
                if line.startswith("privaudit score"):
                    # The page's ids are of all digits: of these few there are others.
                    (scores,) = tmp_path.glob("reports/*/scores.parquet")
                    known = pd.read_parquet(scores)["sample_id"].head(3)
                    for wrong, right in zip(re.findall(r"^\d+", requests, re.MULTILINE), known, strict=True):
                        requests = re.sub(rf"^{wrong},", f"{right},", requests, flags=re.MULTILINE)
                    (tmp_path / "requests.csv").write_text(requests, "utf-8")
    served, described, record = printed
    assert served.strip() in map(str, range(10))
    assert "may be deployed: it was retrained without the samples" in described
    assert record.strip() == "exact ['R-1', 'R-2', 'R-3']"
