"""Standard streams that are closed, full or gone, signals that come late, and files that others will open."""

from __future__ import annotations

import csv
import errno
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from privaudit.audit.result_files import spreadsheet_text
from privaudit.cli import main as command
from privaudit.config import read_settings
from privaudit.errors import UsageError
from tests.conftest import ROOT

LIST = f"{sys.executable} -m privaudit reproduce --list"


def shell(line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"],
        capture_output=True, text=True, cwd=ROOT, check=False, timeout=1200,
    )  # fmt: skip


def test_a_closed_stdout_is_told_and_a_closed_stderr_borne() -> None:
    closed = shell(f"{LIST} >&-")
    assert closed.returncode == 1
    assert closed.stderr.startswith("error: cannot write the answer to stdout: it is closed\n"), closed.stderr
    unheard = shell(f"{LIST} 2>&- <&-")
    assert unheard.returncode == 0
    assert unheard.stdout.startswith("figure1")


def test_a_reader_that_goes_away_changes_no_exit_code(tmp_path: Path) -> None:
    """The second speaks to a stderr whose reader is gone: what it does, and how it ends, stays the same."""
    assert shell(f"{LIST} | head -c 1").returncode == 0
    (tmp_path / "late.py").write_text(
        "import sys, time\n"
        "from privaudit import api\n"
        "from privaudit.cli.main import main\n"
        "from privaudit.errors import GateBreached\n"
        "from privaudit.runtime.progress import talk\n"
        "def gate(*_, **__):\n"
        "    time.sleep(0.5)\n"
        "    talk('x')\n"
        "    error = GateBreached('breached')\n"
        "    error.results = {'checks': []}\n"
        "    raise error\n"
        "api.gate = gate\n"
        "main()\n"
    )
    done = shell(f"PYTHONPATH={ROOT} {sys.executable} {tmp_path}/late.py gate --json --max-auc 1 2>&1 | true")
    assert done.returncode == 3, (done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_after_the_answer_changes_nothing(number: signal.Signals) -> None:
    """It comes while Python takes its modules down, when it has given its own handlers back."""
    code = (
        "import time\n"
        "from privaudit.cli.main import main\n"
        "class Slow:\n"
        "    def __del__(self, sleep=time.sleep, write=open('/dev/stderr', 'w')):\n"
        "        write.write('leaving\\n'); write.flush(); sleep(1)\n"
        "slow = Slow()\n"
        "main()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, "--version"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert process.stderr is not None
    assert process.stderr.readline() == "leaving\n"
    time.sleep(0.1)
    process.send_signal(number)
    process.stderr.close()
    assert process.wait(timeout=60) == 0


def test_a_full_disk_in_memory_is_named_as_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Semaphores of worker processes lie there, and the error that tells of it names no file."""
    full = SimpleNamespace(f_bavail=0, f_frsize=4096, f_files=0, f_favail=0)
    monkeypatch.setattr("privaudit.runtime.scratch.os.statvfs", lambda path: full)
    said = command._shortage(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert said is not None
    assert said.startswith("cannot write /dev/shm: No space left on device")
    assert "--workers 1" in said
    named = command._shortage(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/somewhere/else"))
    assert named is not None
    assert named.startswith("cannot write /somewhere/else")


# What a spreadsheet makes of a table.


def test_words_that_a_spreadsheet_would_run_are_marked_as_text_and_numbers_stay() -> None:
    words = ["=cmd|' /C calc'!A1", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1", "fine", "-0.5", "+3", None]
    table = pd.DataFrame({
        "=name": words,
        "class": pd.Categorical([*words[:-1], "x"]),
        "number": [-0.5 - row for row in range(len(words))],
        "whole": pd.array([None, *range(-5, len(words) - 6)], dtype="Int64"),
        "flag": [True] * len(words),
    })  # fmt: skip
    text = spreadsheet_text(table)
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert rows[0] == ["'=name", "class", "number", "whole", "flag"]
    for row, word in zip(rows[1:], words, strict=True):
        harmless = word in ("fine", "-0.5", "+3", None)
        assert row[0] == (word or "" if harmless else f"'{word}")
        for cell in row:
            number = cell.replace(".", "", 1).lstrip("+-").isdigit()
            assert number or not cell.lstrip().startswith(("=", "+", "-", "@", "＝")), cell
    assert [float(row[2]) for row in rows[1:]] == table["number"].tolist()


def test_a_cell_can_not_be_split_by_a_semicolon() -> None:
    assert spreadsheet_text(pd.DataFrame({"a": ["x;=1+1"], "n": [-1]})) == '"a","n"\n"x;=1+1",-1\n'


def test_a_harmless_table_is_written_as_ever() -> None:
    table = pd.DataFrame({"a": [1, -2], "b": ["x", "y,z"], "c": [None, 0.25], "d": [True, False]})
    assert spreadsheet_text(table) == table.to_csv(index=False)


# Settings.


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_settings_file_is_read_as_editors_write_it(tmp_path: Path, encoding: str, end: str) -> None:
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    lines = ["dataset = 'digits'", "shadows = 6"]
    (tmp_path / "a.toml").write_bytes((mark + end.join(lines) + end).encode(encoding))
    assert read_settings({}, tmp_path / "a.toml").shadows == 6


def test_paths_that_no_file_has_are_told(tmp_path: Path) -> None:
    (tmp_path / "nul.toml").write_text('store = "a\\u0000b"\n')
    with pytest.raises(UsageError, match=r"store = .*holds the character NUL"):
        read_settings({}, tmp_path / "nul.toml")
    for name in ("store", "out"):
        with pytest.raises(UsageError, match="not UTF-8"):
            read_settings({name: os.fsdecode(b"caf\xe9")}, None)
    for path in (tmp_path, Path("a\0b.toml")):
        with pytest.raises(UsageError, match="cannot read --config"):
            read_settings({}, path)
