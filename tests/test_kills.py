"""A hundred SIGKILLs at random moments of an audit: nothing finished is lost, and the results are the same bits."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import ROOT, Run

KILLS = 100

#: What is not the same twice: times, and who was there first.
FLEETING = ("seconds", "date", "when", "trained", "report", "folder", "number", "began", "speed", "engine")


def commands(npz: Path, root: Path) -> list[list[str]]:
    """A whole audit: training, inversion, unlearning by stages with retraining and U-LiRA, a comparison, the report."""
    places = ["--store", str(root / "store"), "--out", str(root / "out")]
    size = ["--shadows", "8", "--epochs", "20", "--seed", "3", "--invert", "8", "--workers", "2"]
    return [
        ["score", "--dataset", str(npz), *size, *places],
        [
            "unlearn",
            "--method",
            "rl",
            "--order",
            "risk",
            "--forget",
            "random:60",
            "--passes",
            "2",
            "--u-lira",
            "4",
            *places,
        ],
        ["unlearn", "--method", "ga", "--compare-orders", "--seeds", "2", "--forget", "random:20", *places],
        ["report", *places],
    ]


def finished(root: Path) -> dict[str, str]:
    """Every sealed file of the store with its hash."""
    return {
        str(seal.relative_to(root)): hashlib.sha256(
            seal.with_name(seal.name.removesuffix(".sha256")).read_bytes()
        ).hexdigest()
        for seal in root.glob("store/*/**/*.sha256")
        if seal.with_name(seal.name.removesuffix(".sha256")).is_file()
    }


def steady(value: Any) -> Any:
    """A result without what is fleeting in it."""
    if isinstance(value, dict):
        return {key: steady(entry) for key, entry in value.items() if not any(word in key for word in FLEETING)}
    return [steady(entry) for entry in value] if isinstance(value, list) else value


def results(root: Path) -> dict[str, Any]:
    """Every weight, signal and table by its bytes, and every result by its content."""
    found: dict[str, Any] = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.suffix in (".safetensors", ".npy", ".parquet", ".npz"):
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif path.suffix == ".json" and (path.stem in ("score", "metrics", "results") or "trials" in path.parts):
            found[name] = steady(json.loads(path.read_text("utf-8")))
    return found


@pytest.mark.slow
def test_a_hundred_kills(privaudit: Run, small_npz: Path, tmp_path: Path) -> None:
    durations = []
    for arguments in commands(small_npz, tmp_path / "calm"):
        began = time.monotonic()
        done = privaudit(*arguments)
        assert done.returncode == 0, done.stderr
        durations.append(time.monotonic() - began)
    expected = results(tmp_path / "calm")
    moments, kills, rounds = np.random.default_rng(0), 0, 0
    hit: dict[str, int] = {}
    while kills < KILLS:
        root = tmp_path / f"round-{rounds}"
        for arguments, usual in zip(commands(small_npz, root), durations, strict=True):
            while True:
                before = finished(root)
                process = subprocess.Popen(
                    [sys.executable, "-m", "privaudit", *arguments],
                    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True, cwd=ROOT,
                )  # fmt: skip
                # Most are struck somewhere within their usual time; once the hundred is full, none is.
                patience = moments.uniform(0.2, 1.2) * usual if kills < KILLS else None
                try:
                    _, said = process.communicate(timeout=patience)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.communicate()
                    kills += 1
                    hit[arguments[0]] = hit.get(arguments[0], 0) + 1
                    after = finished(root)
                    lost = {
                        name
                        for name, digest in before.items()
                        if after.get(name) != digest and "audit.json" not in name
                    }
                    assert not lost, f"kill {kills} in {arguments[0]}: {lost}"
                    continue
                assert process.returncode == 0, said
                assert "damaged" not in said
                break
        found = results(root)
        assert set(found) == set(expected)
        different = [name for name in expected if found[name] != expected[name]]
        assert not different, f"round {rounds}: {different}"
        assert privaudit("verify", "--store", root / "store").returncode == 0
        assert not list(root.rglob(".*.part"))
        shutil.rmtree(root)
        rounds += 1
    print(f"\n{kills} kills in {rounds} audits: {hit}")
    assert min(hit.get(command, 0) for command in ("score", "unlearn", "report")) > 0
