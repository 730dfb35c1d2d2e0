"""What is needed only while a command runs: gone afterwards, however the command ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from privaudit.engines.local import SHARED
from privaudit.runtime import scratch
from privaudit.runtime.scratch import PREFIX, remove_abandoned, scratch_folder
from tests.conftest import ROOT, save_noisy_images
from tests.test_store import members_of


@pytest.fixture(autouse=True)
def no_other_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Folders in these tests are in ``temporary`` or in ``memory``."""
    for name in ("temporary", "memory"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr(scratch, "SHARED_MEMORY", tmp_path / "memory")
    yield
    assert not list(tmp_path.glob(f"*/{PREFIX}*"))


def test_a_folder_is_private_and_gone_afterwards() -> None:
    with scratch_folder() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "data").write_bytes(b"personal")
        remove_abandoned()
        assert (folder / "data").exists(), "it is held"
    assert not folder.exists()


def test_one_that_nobody_holds_is_removed(tmp_path: Path) -> None:
    for root in ("temporary", "memory"):
        (tmp_path / root / f"{PREFIX}abandoned" / "deep").mkdir(parents=True)
    others = tmp_path / "temporary" / "privaudit-of-a-user"
    others.mkdir()
    outside = tmp_path / "outside"
    outside.mkdir()
    link = tmp_path / "temporary" / f"{PREFIX}link"
    link.symlink_to(outside)
    with scratch_folder() as folder:
        assert set(tmp_path.glob(f"*/{PREFIX}*")) == {folder, link}
    link.unlink()
    assert others.is_dir()
    assert outside.is_dir()


def test_a_folder_for_sockets_lasts_with_the_process_and_goes_with_it(tmp_path: Path) -> None:
    """One whose process was killed goes with the next."""
    make = (
        "from privaudit.runtime.scratch import lasting_folder; import os, sys; "
        "print(lasting_folder()); sys.stdout.flush(); "
    )
    environment = os.environ | {"TMPDIR": str(tmp_path / "temporary")}
    for end in ("os.kill(os.getpid(), 9)", ""):
        done = subprocess.run(
            [sys.executable, "-c", make + end], capture_output=True, text=True, cwd=ROOT, env=environment, check=False
        )
        folder = Path(done.stdout.strip())
        assert folder.parent == tmp_path / "temporary"
        assert len(folder.name) <= 28, "sockets' paths have little room"
        assert folder.exists() == (end != ""), done.stderr
    assert not list((tmp_path / "temporary").iterdir())


def test_memory_is_preferred_unless_a_folder_is_named_or_room_is_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.setattr(scratch, "ROOM", 1)
    with scratch_folder(in_memory=True) as folder:
        assert folder.parent.name == "memory"
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    with scratch_folder(in_memory=True) as folder:
        assert folder.parent.name == "temporary"
    monkeypatch.delenv("TMPDIR")
    monkeypatch.setattr(scratch, "ROOM", 1 << 80)
    with scratch_folder(in_memory=True) as folder:
        assert folder.parent.name == "temporary"
    monkeypatch.setattr(scratch, "SHARED_MEMORY", tmp_path / "absent")
    with scratch_folder(in_memory=True) as folder:
        assert folder.parent.name == "temporary"


@pytest.mark.parametrize(
    "sent",
    [
        signal.SIGKILL,
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, marks=pytest.mark.slow),
    ],
)
def test_training_data_does_not_outlive_a_stopped_run(tmp_path: Path, sent: signal.Signals) -> None:
    """Workers share the data in files; one signal ends all processes at once, and nothing is left for long."""
    images = np.random.default_rng(0).integers(0, 256, (1200, 32, 32, 3), np.uint8)
    labels = np.arange(1200) % 3
    save_noisy_images(
        tmp_path / "d.npz", x_train=images[:1100], y_train=labels[:1100], x_test=images[1100:], y_test=labels[1100:]
    )
    places = ["--store", str(tmp_path / "store"), "--out", str(tmp_path / "out")]
    size = ["--network", "cnn", "--shadows", "64", "--epochs", "20", "--workers", "2", "--invert", "0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "privaudit", "score", "--dataset", str(tmp_path / "d.npz"), *size, *places],
        cwd=ROOT, env=os.environ | {"TMPDIR": str(tmp_path / "temporary")}, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        # A test run that nohup began hands down that the signal is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("store/*/models/*.sha256")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    shared = [path for path in tmp_path.glob(f"temporary/{PREFIX}*/{SHARED}") if path.stat().st_size > images.nbytes]
    assert len(shared) == 1, "workers share no data in files any more"
    os.killpg(process.pid, sent)
    process.wait(60)
    deadline = time.monotonic() + 60
    while members_of(process.pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert shared[0].exists() == (sent == signal.SIGKILL)
    remove_abandoned()
    assert not list(tmp_path.glob(f"temporary/{PREFIX}*"))
