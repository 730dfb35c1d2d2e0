"""The benchmark for GPUs runs anywhere, at tiny size."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("shadows", "at_once", "found"), [("2", ["1", "2"], "no attack: it needs 4"), ("4", ["1"], "online LiRA: AUC 0.")]
)
def test_it_runs_on_a_cpu(small_npz: Path, shadows: str, at_once: list[str], found: str) -> None:
    command = [sys.executable, "benchmarks/gpu.py", "--dataset", str(small_npz), "--network", "cnn"]
    command += ["--samples", "256", "--shadows", shadows, "--epochs", "1", "--device", "cpu", "--at-once", *at_once]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{shadows} × cnn" in done.stdout
    assert "samples/s" in done.stdout
    assert "of the card's" not in done.stdout
    assert found in done.stdout
    assert done.stdout.count("trial:") == (len(at_once) if len(at_once) > 1 else 0)


@pytest.mark.parametrize(
    ("name", "limit"),
    [("NVIDIA H200", 989.5), ("NVIDIA H100 PCIe", 756.5), ("NVIDIA H100 80GB HBM3", 989.5), ("Tesla T4", None)],
)
def test_the_limit_is_the_cards(monkeypatch: pytest.MonkeyPatch, name: str, limit: float | None) -> None:
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: name)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    benchmark = runpy.run_path(str(ROOT / "benchmarks" / "gpu.py"), run_name="gpu_benchmark")
    assert benchmark["card_limit"]("cuda") == (name, None if limit is None else limit * 1e12)
