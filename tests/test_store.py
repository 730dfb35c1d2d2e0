"""The store: resumable, extendable, checksummed, private; the same bits whatever happens."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from privaudit.commands.list_audits import list_audits
from privaudit.errors import StoreError
from privaudit.runtime import files
from privaudit.shadow.design import paired_design
from privaudit.shadow.store import AuditStore
from privaudit.signals import SIGNALS
from tests.conftest import ROOT, SMALL, Run


def weights(folder: Path) -> dict[str, str]:
    """SHA-256 of every model and signal of an audit."""
    paths = [*folder.rglob("*.safetensors"), *folder.rglob("*.npy")]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def audit_folder(audit: dict[str, Any]) -> Path:
    folder: Path = audit["root"] / "store" / audit["results"]["audit"]
    return folder


def copy_of(audit: dict[str, Any], to: Path) -> Path:
    shutil.copytree(audit["root"] / "store", to / "store")
    return to / "store" / str(audit["results"]["audit"])


def score_again(privaudit: Run, audit: dict[str, Any], to: Path, *more: str) -> dict[str, Any]:
    command = ["score", "--dataset", str(audit["npz"]), *SMALL, *more]
    done = privaudit(*command, "--store", to / "store", "--out", to / "out", "--json")
    assert done.returncode == 0, done.stderr
    results: dict[str, Any] = json.loads(done.stdout) | {"stderr": done.stderr}
    return results


def test_design_is_paired_and_extends() -> None:
    keep = paired_design(101, 16, 3)
    assert np.array_equal(keep[0::2], ~keep[1::2])
    assert np.all(keep.sum(axis=0) == 8)
    assert set(keep.sum(axis=1)) == {50, 51}
    assert np.array_equal(paired_design(101, 64, 3)[:16], keep)
    assert not np.array_equal(paired_design(101, 16, 4), keep)
    with pytest.raises(ValueError, match="even"):
        paired_design(10, 3, 0)


def test_layout_is_the_contract(small_audit: dict[str, Any]) -> None:
    folder = audit_folder(small_audit)
    description = json.loads((folder / "audit.json").read_text())
    assert description["signals"][0] == "margin"
    assert description["identity"]["fingerprint"]
    assert description["versions"]["torch"]
    keep = np.load(folder / "design.npy")
    assert keep.shape == (8, 300)
    assert keep.dtype == bool
    for index in range(8):
        assert (folder / "models" / f"{index:04d}.safetensors").is_file()
        signals = np.load(folder / "signals" / f"{index:04d}.npy")
        assert signals.shape == (300, 1, len(description["signals"]))
        assert signals.dtype == np.float32
    assert (folder / "target.safetensors").is_file()
    assert list((folder / "controls").glob("*.npy"))


def test_the_same_audit_trains_nothing(privaudit: Run, small_audit: dict[str, Any], tmp_path: Path) -> None:
    assert small_audit["results"]["trained"] == 9
    copy_of(small_audit, tmp_path)
    again = score_again(privaudit, small_audit, tmp_path)
    assert again["trained"] == 0
    assert again["attacks"] == small_audit["results"]["attacks"]


def test_one_worker_or_two_give_the_same_bits(privaudit: Run, small_audit: dict[str, Any], tmp_path: Path) -> None:
    score_again(privaudit, small_audit, tmp_path, "--workers", "1")
    assert weights(tmp_path / "store" / small_audit["results"]["audit"]) == weights(audit_folder(small_audit))


def test_extension_leaves_the_first_untouched(privaudit: Run, small_audit: dict[str, Any], tmp_path: Path) -> None:
    folder = copy_of(small_audit, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in sorted((folder / "models").iterdir())}
    bits = weights(folder)
    more = score_again(privaudit, small_audit, tmp_path, "--shadows", "12")
    assert more["audit"] == small_audit["results"]["audit"]
    assert (more["trained"], more["shadows"]) == (4, 12)
    assert all(path.stat().st_mtime_ns == when for path, when in before.items())
    after = weights(folder)
    assert all(after[name] == digest for name, digest in bits.items() if name != "design.npy")
    assert np.array_equal(np.load(folder / "design.npy")[:8], np.load(audit_folder(small_audit) / "design.npy"))
    fewer = score_again(privaudit, small_audit, tmp_path)  # 8 of the 12 are asked for: nothing is lost
    assert fewer["attacks"] == small_audit["results"]["attacks"]
    assert len(np.load(folder / "design.npy")) == 12


def test_other_queries_train_nothing(privaudit: Run, small_audit: dict[str, Any], tmp_path: Path) -> None:
    """More queries ask the same models again; fewer take their part of what is there."""
    folder = copy_of(small_audit, tmp_path)
    before = weights(folder)
    more = score_again(privaudit, small_audit, tmp_path, "--queries", "flip,shift")
    assert (more["trained"], more["queries"]) == (0, ["original", "flip", "shift"])
    assert "querying 9 models" in more["stderr"]
    assert more["attacks"]["lira"]["auc"] != small_audit["results"]["attacks"]["lira"]["auc"]
    assert more["controls"]["negative"]["holds"]
    after = weights(folder)
    assert all(after[name] == bits for name, bits in before.items() if name.endswith(".safetensors"))
    signals = np.load(folder / "signals" / "0002.npy")
    assert signals.shape == (300, 6, len(SIGNALS))
    np.testing.assert_array_equal(signals[:, :1], np.load(audit_folder(small_audit) / "signals" / "0002.npy"))
    fewer = score_again(privaudit, small_audit, tmp_path)
    assert fewer["attacks"] == small_audit["results"]["attacks"]
    assert "querying" not in fewer["stderr"]
    assert privaudit("verify", "--store", tmp_path / "store").returncode == 0


@pytest.mark.parametrize(
    "victim",
    [
        "models/0002.safetensors",
        pytest.param("signals/0005.npy", marks=pytest.mark.slow),
        pytest.param("models/0001.json", marks=pytest.mark.slow),
        "audit.json",
    ],
)
def test_damage_is_named_set_aside_and_mended(
    privaudit: Run, small_audit: dict[str, Any], tmp_path: Path, victim: str
) -> None:
    folder = copy_of(small_audit, tmp_path)
    path = folder / victim
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    found = privaudit("verify", "--store", tmp_path / "store")
    assert found.returncode == 1
    assert victim in found.stderr
    again = score_again(privaudit, small_audit, tmp_path)
    assert again["attacks"] == small_audit["results"]["attacks"]
    assert weights(folder) == weights(audit_folder(small_audit))
    assert victim in again["stderr"]
    assert again["trained"] == (0 if victim == "audit.json" else 1)
    assert list(path.parent.glob(f"{path.name}.damaged-*"))
    assert privaudit("verify", "--store", tmp_path / "store").returncode == 0


def test_a_lost_design_hides_no_other_damage(privaudit: Run, small_audit: dict[str, Any], tmp_path: Path) -> None:
    """It says which files there should be: without it the others are looked at all the same."""
    folder = copy_of(small_audit, tmp_path)
    (folder / "design.npy").unlink()
    (folder / "signals" / "0003.npy").write_bytes(b"")
    found = privaudit("verify", "--store", tmp_path / "store", "--json")
    assert found.returncode == 1
    report = json.loads(found.stdout)
    assert {Path(path).name for path in report["damaged"]} == {"0003.npy", "design.npy"}
    again = score_again(privaudit, small_audit, tmp_path)
    assert f"lost: {folder / 'design.npy'}; it is written anew" in again["stderr"]
    assert again["attacks"] == small_audit["results"]["attacks"]


def test_killed_runs_resume_to_the_same_bits(privaudit: Run, small_audit: dict[str, Any], tmp_path: Path) -> None:
    """SIGKILL to the whole process group at five random moments of the training, then once in peace."""
    moments = np.random.default_rng(0)
    command = [sys.executable, "-m", "privaudit", "score", "--dataset", str(small_audit["npz"]), *SMALL]
    command += ["--store", str(tmp_path / "store"), "--out", str(tmp_path / "out")]
    finished = [0]
    for _ in range(5):
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, cwd=ROOT
        )
        # Training begins when the description is there (or, later on, when another model is finished).
        while not any(tmp_path.glob("store/*/audit.json.sha256")) and process.poll() is None:
            time.sleep(0.05)
        time.sleep(moments.uniform(0.5, 4))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        finished.append(len(list(tmp_path.glob("store/*/models/*.json.sha256"))))
    assert finished[-1] < 8 or len(set(finished)) > 2, "no kill hit the training"
    again = score_again(privaudit, small_audit, tmp_path)
    assert again["attacks"] == small_audit["results"]["attacks"]
    folder = tmp_path / "store" / again["audit"]
    assert weights(folder) == weights(audit_folder(small_audit))
    scores = Path("out") / again["audit"] / "scores.parquet"
    assert (tmp_path / scores).read_bytes() == (small_audit["root"] / scores).read_bytes()
    assert not list(folder.rglob(".*.part"))


def test_workers_do_not_outlive_who_asked_for_them(small_audit: dict[str, Any], tmp_path: Path) -> None:
    """SIGKILL to the parent alone, in the middle of training: its workers go too, and another run may take over."""
    command = [sys.executable, "-m", "privaudit", "score", "--dataset", str(small_audit["npz"]), "--shadows", "64"]
    command += [
        "--invert",
        "0",
        "--epochs",
        "400",
        "--workers",
        "2",
        "--store",
        str(tmp_path / "store"),
        "--out",
        str(tmp_path / "out"),
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, cwd=ROOT
    )
    deadline = time.monotonic() + 60
    while len(members_of(process.pid)) < 3 or not list(tmp_path.glob("store/*/target.json")):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 30
    while members_of(process.pid):
        assert time.monotonic() < deadline, "workers are still at it"
        time.sleep(0.2)


def members_of(group: int) -> list[int]:
    """Processes of a process group that are not zombies."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(status.parent.name))
    return found


def test_damaged_signals_are_named_where_they_are_read(
    privaudit: Run, small_audit: dict[str, Any], tmp_path: Path
) -> None:
    folder = copy_of(small_audit, tmp_path)
    (folder / "signals" / "0003.npy").write_bytes(b"x")
    done = privaudit("unlearn", "--store", tmp_path / "store", "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "finished" in done.stderr or "0003.npy is damaged" in done.stderr
    (folder / "models" / "0006.safetensors").unlink()
    (folder / "models" / "0006.safetensors.sha256").unlink()
    found = privaudit("verify", "--store", tmp_path / "store", "--json")
    assert found.returncode == 1
    report = json.loads(found.stdout)
    assert [Path(path).name for path in report["damaged"]] == ["0003.npy"]
    assert [Path(path).name for path in report["missing"]] == ["0006.safetensors"]


def test_a_rewritten_file_is_unfinished_until_sealed(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    files.write_bytes(path, b"first")
    files.seal(path)
    files.write_bytes(path, b"second")
    assert files.inspect_seal(path) is files.Seal.UNFINISHED


def test_one_damaged_audit_hides_no_other(privaudit: Run, small_audit: dict[str, Any], tmp_path: Path) -> None:
    folder = copy_of(small_audit, tmp_path)
    shutil.copytree(folder, folder.with_name("another"))
    (folder.with_name("another") / "audit.json").write_text("{}")
    done = privaudit("list", "--store", tmp_path / "store", "--json")
    assert done.returncode == 0, done.stderr
    rows = {row["audit"]: row for row in json.loads(done.stdout)["audits"]}
    assert "damaged" in rows["another"]["error"]
    assert rows[folder.name]["shadows"] == 8


def test_a_calibration_of_another_version_is_an_error_of_its_audit_alone(
    small_audit: dict[str, Any], tmp_path: Path
) -> None:
    folder = copy_of(small_audit, tmp_path)
    strange = folder / "calibration" / "few-00000000.json"
    files.make_private_folder(strange.parent)
    files.write_json(strange, {"of": "another version"})
    files.seal(strange)
    (entry,) = list_audits(folder.parent, tmp_path / "out")
    assert "another version" in str(entry.error)


def test_everything_is_its_owners_alone(small_audit: dict[str, Any]) -> None:
    for path in small_audit["root"].rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode & 0o077 == 0, f"{path}: {mode:o}"


def test_two_processes_do_not_share_an_audit(tmp_path: Path) -> None:
    store = AuditStore(tmp_path, "a")
    with store.locked(), pytest.raises(StoreError, match="another privaudit is at work on a"), store.locked():
        pass
    with store.locked():
        pass


def test_a_foreign_design_is_refused(tmp_path: Path) -> None:
    store = AuditStore(tmp_path, "a")
    store.write_design(paired_design(20, 4, 0))
    with pytest.raises(StoreError, match="does not belong"):
        store.write_design(paired_design(20, 8, 1))


def test_writes_are_whole_or_absent(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.txt"
    files.write_text(path, "first")
    with pytest.raises(TypeError), files.atomic_write(path) as stream:
        stream.writelines([b"half", 7])  # type: ignore[list-item]
    assert path.read_text() == "first"
    assert [entry.name for entry in path.parent.iterdir()] == ["file.txt"]


def test_seals_are_sha256sums(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    assert files.inspect_seal(path) is files.Seal.ABSENT
    files.write_bytes(path, b"abc")
    assert files.inspect_seal(path) is files.Seal.UNFINISHED
    files.seal(path)
    assert files.inspect_seal(path) is files.Seal.WHOLE
    assert (tmp_path / "x.bin.sha256").read_text() == f"{hashlib.sha256(b'abc').hexdigest()}  x.bin\n"
    path.write_bytes(b"abd")
    assert files.inspect_seal(path) is files.Seal.DAMAGED
    aside = files.set_aside(path)
    assert aside is not None
    assert aside.read_bytes() == b"abd"
    assert files.inspect_seal(path) is files.Seal.ABSENT
    files.write_bytes(path, b"abc")
    files.seal(path)
    path.unlink()
    assert files.inspect_seal(path) is files.Seal.DAMAGED


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot create the folder"):
        files.write_text(tmp_path / "file" / "below" / "x", "y")
