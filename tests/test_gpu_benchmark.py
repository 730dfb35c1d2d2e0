"""The benchmark for GPUs runs anywhere, at tiny size."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT

TINY = ("--network", "cnn", "--samples", "256", "--epochs", "1", "--device", "cpu")


def benchmark(*options: str | Path) -> str:
    command = [sys.executable, "benchmarks/gpu.py", *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_it_runs_on_a_cpu_as_wide_as_a_trial_finds_best(small_npz: Path) -> None:
    said = benchmark("--dataset", small_npz, *TINY, "--shadows", "4", "--at-once", "1", "2")
    assert "4 × cnn" in said
    assert said.count("trial:") == 2
    assert "4 of 4 models, test accuracy 0." in said
    assert "samples/s" in said
    assert "of the card's" not in said
    assert "online LiRA, global variance: AUC 0." in said


def test_it_trains_as_many_pairs_as_fit_into_the_time(small_npz: Path) -> None:
    said = benchmark("--dataset", small_npz, *TINY, "--shadows", "8", "--at-once", "1", "--seconds", "0")
    assert "2 of 8 models" in said
    assert "no attack: it needs 4 shadow models, here are 2" in said


def test_it_reads_images_once(small_npz: Path, tmp_path: Path) -> None:
    benchmark("--write", tmp_path / "copy.npz", "--dataset", small_npz)
    with np.load(small_npz) as first, np.load(tmp_path / "copy.npz") as second:
        assert np.array_equal(first["x_train"], second["x_train"].squeeze(-1))
        assert np.array_equal(first["y_test"], second["y_test"])


@pytest.mark.parametrize(
    ("name", "limit"),
    [("NVIDIA H200", 989.5), ("NVIDIA H100 PCIe", 756.5), ("NVIDIA H100 80GB HBM3", 989.5), ("Tesla T4", None)],
)
def test_the_limit_is_the_cards(monkeypatch: pytest.MonkeyPatch, name: str, limit: float | None) -> None:
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: name)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    found = runpy.run_path(str(ROOT / "benchmarks" / "gpu.py"), run_name="gpu_benchmark")
    assert found["card_limit"]("cuda") == (name, None if limit is None else limit * 1e12)


def test_time_to_accuracy_is_that_of_the_shortest_schedule_that_ends_there(small_npz: Path) -> None:
    command = [sys.executable, "benchmarks/accuracy.py", "--dataset", str(small_npz), "--network", "cnn"]
    command += ["--epochs", "1", "12", "--reach", "0.5", "1.01"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert "cnn, 1 epochs:" in done.stdout
    assert "cnn, 101%: not reached" in done.stdout
    assert "cnn, 50%: " in done.stdout
