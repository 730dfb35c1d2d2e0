"""What the machine does to an audit: full and read-only disks, other processes, wrong clocks, too little memory."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from privaudit.runtime import files, locks, seals
from privaudit.shadow.store import AuditStore
from tests.conftest import ROOT, SMALL, Run, save_noisy_images
from tests.memory_group import memory_group
from tests.small_disk import SmallDisk, small_disk
from tests.test_fuzz import ends_well
from tests.test_kills import results
from tests.test_store import copy_of, members_of, weights

Done = subprocess.CompletedProcess[str]

UNLEARN = ("--method", "rl", "--order", "risk", "--forget", "random:60", "--passes", "2", "--u-lira", "4")


def check_told(done: Done, *words: str, code: int = 1) -> None:
    """One error of a line and a hint, without a traceback, that names these words."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert "fault of privaudit" not in done.stderr
    said = done.stderr.rpartition("error: ")[2]
    assert len(said.strip().splitlines()) == 2, done.stderr
    for word in words:
        assert word in said, said
    assert done.stdout == ""


def sealed(folder: Path) -> dict[str, str]:
    """Every sealed file with its hash; each must be whole."""
    found = {}
    for seal in folder.rglob(f"*{seals.SUFFIX}"):
        path = seal.with_name(seal.name.removesuffix(seals.SUFFIX))
        assert files.inspect_seal(path) is files.Seal.WHOLE, path
        found[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def check_nothing_half_done(folder: Path) -> None:
    assert not list(folder.rglob(".*.part"))


def check_undisturbed(folder: Path, audit: dict[str, Any]) -> None:
    """The bits of the audit that all tests share; others may have put more beside it since."""
    found, expected = results(folder), results(audit["root"])
    assert any(name.endswith("scores.parquet") for name in found)
    assert {name: expected.get(name) for name in found} == found


def score_of_small(audit: dict[str, Any], store: Path, out: Path) -> list[str | Path]:
    return ["score", "--dataset", audit["npz"], *SMALL, "--store", store, "--out", out]


# Full disks.


@pytest.mark.slow
def test_a_full_disk_while_training(small_audit: dict[str, Any], tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 500) as disk:
        command = score_of_small(small_audit, disk.folder / "store", disk.folder / "out")
        full = disk.privaudit(*command)
        check_told(full, str(disk.folder / "store"), "No space left on device", "run the same command again")
        check_nothing_half_done(disk.seen)
        before = sealed(disk.seen)
        assert any("models/" in name for name in before), "it was full before anything was trained"
        assert f"error: cannot write {disk.folder}" in full.stderr
        disk.resize(8_000)
        again = disk.privaudit(*command)
        assert again.returncode == 0, again.stderr
        assert "damaged" not in again.stderr
        after = sealed(disk.seen)
        assert {name: after[name] for name in before} == before
        check_undisturbed(disk.seen, small_audit)


def grow_until_done(disk: SmallDisk, command: list[str | Path], rooms: tuple[int, ...]) -> list[str]:
    """Run a command on a disk that is full again and again, each time a little later; what could not be written."""
    refused: list[str] = []
    for kilobytes in rooms:
        disk.leave(kilobytes)
        before = sealed_or_not(disk.seen)
        done = disk.privaudit(*command)
        check_nothing_half_done(disk.seen)
        if done.returncode == 0:
            return refused
        check_told(done, str(disk.folder), "No space left on device", "run the same command again")
        refused.append(done.stderr.rpartition("error: ")[2].splitlines()[0])
        store = {name: digest for name, digest in before.items() if name.startswith("store/")}
        assert {name: digest for name, digest in sealed_or_not(disk.seen).items() if name in store} == store
    raise AssertionError(f"{rooms[-1]} kB were not enough: {refused}")


def sealed_or_not(folder: Path) -> dict[str, str]:
    """Every sealed file that is whole, with its hash."""
    paths = (seal.with_name(seal.name.removesuffix(seals.SUFFIX)) for seal in folder.rglob("*.sha256"))
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
        if files.is_whole(path)
    }


def test_a_full_disk_while_reporting(small_audit: dict[str, Any], tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 8_000) as disk:
        audit = small_audit["results"]["audit"]
        (disk.seen / "out").mkdir(mode=0o700)
        shutil.copytree(small_audit["root"] / "out" / audit, disk.seen / "out" / audit)
        for path in disk.seen.glob(f"out/{audit}/report.*"):
            path.unlink()
        command: list[str | Path] = ["report", audit, "--store", tmp_path / "none", "--out", disk.folder / "out"]
        refused = grow_until_done(disk, command, (8, 250, 8_000))
        assert len(refused) == 2, refused
        assert (disk.seen / "out" / audit / "report.pdf").read_bytes()[:4] == b"%PDF"
        assert sealed(disk.seen)


@pytest.mark.slow
def test_a_full_disk_while_unlearning(privaudit: Run, small_audit: dict[str, Any], tmp_path: Path) -> None:
    shutil.copytree(small_audit["root"] / "store", tmp_path / "calm" / "store")
    shutil.copytree(small_audit["root"] / "out", tmp_path / "calm" / "out")
    with small_disk(tmp_path / "disk", 20_000) as disk:
        for name in ("store", "out"):
            shutil.copytree(tmp_path / "calm" / name, disk.seen / name)
        places = ("--store", tmp_path / "calm" / "store", "--out", tmp_path / "calm" / "out")
        calm = privaudit("unlearn", *UNLEARN, *places)
        assert calm.returncode == 0, calm.stderr
        command: list[str | Path] = [
            "unlearn",
            *UNLEARN,
            "--store",
            disk.folder / "store",
            "--out",
            disk.folder / "out",
        ]
        refused = grow_until_done(disk, command, (4, 60, 90, 120, 160, 8_000))
        print("\n".join(refused))
        assert len(set(refused)) >= 3, refused
        assert results(disk.seen) == results(tmp_path / "calm")
        assert disk.privaudit("verify", "--store", disk.folder / "store", "--out", disk.folder / "out").returncode == 0


def test_a_full_folder_for_temporary_files(small_audit: dict[str, Any], tmp_path: Path) -> None:
    """Workers tell their progress through files of a temporary folder: a full one is named like any other."""
    with small_disk(tmp_path / "disk", 4) as disk:
        command = score_of_small(small_audit, tmp_path / "store", tmp_path / "out")
        done = disk.privaudit(*command, TMPDIR=str(disk.folder))
        check_told(done, str(disk.folder), "No space left on device", "run the same command again")


# Read-only disks.


def test_a_read_only_disk(privaudit: Run, small_audit: dict[str, Any], tmp_path: Path) -> None:
    audit = small_audit["results"]["audit"]
    with small_disk(tmp_path / "disk", 20_000) as disk:
        for name in ("store", "out"):
            shutil.copytree(small_audit["root"] / name, disk.seen / name)
        disk.write_protect()
        store, out = disk.folder / "store", disk.folder / "out"
        # What writes is refused before anything is computed, whichever of the two is read-only.
        new = ("--seed", "4")
        for command in (
            [*score_of_small(small_audit, store, tmp_path / "out"), *new],
            [*score_of_small(small_audit, tmp_path / "store", out), *new],
            ["unlearn", "--store", store, "--out", tmp_path / "out"],
            ["report", "--store", store, "--out", out],
        ):
            done = disk.privaudit(*command)
            check_told(done, str(disk.folder), "Read-only file system", "hoose another", "--store")
            assert "training" not in done.stderr.replace("training and", "").replace("training samples", "")
        assert not list(tmp_path.glob("store/*/models/*"))
        # What only reads works.
        places = ("--store", store, "--out", out)
        listed = json.loads(disk.privaudit("list", *places[:2], "--json").stdout)
        assert [row["audit"] for row in listed["audits"]] == [audit]
        assert disk.privaudit("verify", *places).returncode == 0
        assert disk.privaudit("gate", *places, "--max-auc", "1").returncode == 0
        dry = disk.privaudit(*score_of_small(small_audit, store, out), "--dry-run", "--json")
        assert json.loads(dry.stdout)["to_train"] == 0, dry.stderr
        # Results can be carried off, and reported from there.
        shutil.copytree(disk.seen / "out", tmp_path / "copy")
        done = privaudit("report", audit, "--store", tmp_path / "none", "--out", tmp_path / "copy")
        assert done.returncode == 0, done.stderr


# Other processes.


def test_who_comes_second_is_told_who_is_there(privaudit: Run, small_audit: dict[str, Any], tmp_path: Path) -> None:
    folder = copy_of(small_audit, tmp_path)
    shutil.copytree(small_audit["root"] / "out", tmp_path / "out")
    places = ("--store", tmp_path / "store", "--out", tmp_path / "out")
    holder = f"process {os.getpid()} on {platform.node()}"
    with AuditStore(tmp_path / "store", folder.name).locked():
        for command in (["unlearn"], ["purge", "--forget", "random:5", "--yes"]):
            check_told(privaudit(*command, *places), "another privaudit is at work", holder, "run this again")
        # Whoever only reads is not in the way.
        for reading in ("list", "verify", "report"):
            done = privaudit(reading, *(places[:2] if reading == "list" else places))
            assert done.returncode == 0, done.stderr
    assert weights(folder) == weights(small_audit["root"] / "store" / folder.name)


def test_what_another_process_is_writing_is_no_leftover(tmp_path: Path) -> None:
    """A file that is being written stays; one whose writer was killed goes."""
    write = f"import time; from pathlib import Path; from privaudit.runtime import files\n" \
            f"with files.atomic_write(Path({str(tmp_path / 'x')!r})) as stream:\n" \
            f"    stream.write(b'half'); stream.flush(); print('writing', flush=True); time.sleep(600)"  # fmt: skip
    writer = subprocess.Popen([sys.executable, "-c", write], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "writing\n"
    locks.remove_unfinished_writes(tmp_path)
    assert len(list(tmp_path.glob(".x.privaudit-*.part"))) == 1
    writer.kill()
    writer.communicate()
    files.demand_writable(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_two_audits_side_by_side(privaudit: Run, small_npz: Path, tmp_path: Path) -> None:
    """Two processes in one store, at two audits: the same bits as one after the other."""

    def command(seed: str, root: Path) -> list[str]:
        return ["score", "--dataset", str(small_npz), *SMALL, "--seed", seed, "--store", str(root / "store"), "--out",
                str(root / "out")]  # fmt: skip

    for seed in ("3", "5"):
        assert privaudit(*command(seed, tmp_path / "calm")).returncode == 0
    both = [
        subprocess.Popen(
            [sys.executable, "-m", "privaudit", *command(seed, tmp_path / "both")],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        )
        for seed in ("3", "5")
    ]  # fmt: skip
    listings = 0
    while any(process.poll() is None for process in both):
        # Audits that are not whole yet are listed with what is wrong with them, and hide nothing.
        assert privaudit("list", "--store", tmp_path / "both" / "store", "--json").returncode == 0
        listings += 1
    assert listings
    for process in both:
        _, said = process.communicate()
        assert process.returncode == 0, said
    assert results(tmp_path / "both") == results(tmp_path / "calm")


# Clocks.

JUMPING = """
import itertools, time
_time, _jumps = time.time, itertools.cycle((0.0, -365 * 86400.0, 3650 * 86400.0))
time.time = lambda: _time() + next(_jumps)
time.time_ns = lambda: int(time.time() * 1e9)
print("the clock jumps", file=__import__("sys").stderr)
"""


def jumping_clock(folder: Path) -> dict[str, str]:
    """An environment in which every look at the clock is a year early, ten years late, or right."""
    folder.mkdir(parents=True)
    (folder / "sitecustomize.py").write_text(JUMPING)
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}


def set_times(folder: Path) -> None:
    """Some files come from the year 2040, some from 1971."""
    for number, path in enumerate(sorted(folder.rglob("*"))):
        when = (2_208_988_800, 31_536_000)[number % 2]
        os.utime(path, (when, when))


@pytest.mark.slow
def test_a_clock_that_jumps(small_audit: dict[str, Any], tmp_path: Path) -> None:
    """Half of the models are there already, from the future and from the past; the others are trained meanwhile."""
    folder = copy_of(small_audit, tmp_path)
    for index in (1, 4, 6, 7):
        for path in AuditStore(tmp_path / "store", folder.name).files_of(f"{index:04d}"):
            files.remove(path)
    set_times(tmp_path / "store")
    environment = jumping_clock(tmp_path / "clock")
    command = [sys.executable, "-m", "privaudit", *score_of_small(small_audit, tmp_path / "store", tmp_path / "out")]
    done = subprocess.run(
        [*map(str, command), "--json"], capture_output=True, text=True, env=environment, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("the clock jumps") >= 1
    assert json.loads(done.stdout)["trained"] == 4
    assert "-" not in "".join(line.partition("%, ")[2] for line in done.stderr.splitlines()), "time left below zero"
    shutil.rmtree(tmp_path / "clock")
    check_undisturbed(tmp_path, small_audit)


@pytest.mark.slow
def test_a_clock_that_jumps_while_unlearning(privaudit: Run, small_audit: dict[str, Any], tmp_path: Path) -> None:
    for name in ("calm", "jumping"):
        shutil.copytree(small_audit["root"], tmp_path / name)
    environment = jumping_clock(tmp_path / "clock")
    set_times(tmp_path / "jumping")

    def commands(root: Path) -> list[list[str]]:
        places = ["--store", str(root / "store"), "--out", str(root / "out")]
        return [["unlearn", *UNLEARN, *places], ["report", *places], ["verify", *places]]

    for arguments in commands(tmp_path / "jumping"):
        done = subprocess.run(
            [sys.executable, "-m", "privaudit", *arguments],
            capture_output=True, text=True, env=environment, check=False, timeout=1200,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    for arguments in commands(tmp_path / "calm"):
        assert privaudit(*arguments).returncode == 0
    assert results(tmp_path / "jumping") == results(tmp_path / "calm")


# Memory.


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    """Worker processes of a run that leads a process group, the largest first: the order of the kernel's choice."""
    found = []
    for pid in members_of(process.pid):
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except OSError:
            continue
        if pid != process.pid and b"popen_loky" in line:
            found.append((pages, pid))
    return [pid for _, pid in sorted(found, reverse=True)]


@pytest.mark.slow
def test_a_worker_killed_for_want_of_memory(privaudit: Run, small_npz: Path, tmp_path: Path) -> None:
    """SIGKILL to the largest worker amid training, as the kernel does it; the same command then goes on."""

    def command(root: Path) -> list[str]:
        size = ["--shadows", "16", "--epochs", "120", "--workers", "2", "--seed", "3", "--invert", "0"]
        places = ["--store", str(root / "store"), "--out", str(root / "out")]
        return ["score", "--dataset", str(small_npz), *size, *places]

    assert privaudit(*command(tmp_path / "calm")).returncode == 0
    process = subprocess.Popen(
        [sys.executable, "-m", "privaudit", *command(tmp_path / "killed")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, cwd=ROOT,
    )  # fmt: skip
    deadline = time.monotonic() + 1200
    while not list(tmp_path.glob("killed/store/*/models/*.json.sha256")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(workers_of(process)[0], signal.SIGKILL)
    stdout, stderr = process.communicate(timeout=1200)
    check_told(
        subprocess.CompletedProcess([], process.returncode, stdout, stderr),
        "a worker process was killed", "Run the same command again", "--workers",
    )  # fmt: skip
    kept = sealed_or_not(tmp_path / "killed")
    again = privaudit(*command(tmp_path / "killed"))
    assert again.returncode == 0, again.stderr
    after = sealed_or_not(tmp_path / "killed")
    assert {name: after[name] for name in kept} == kept
    assert results(tmp_path / "killed") == results(tmp_path / "calm")
    check_nothing_half_done(tmp_path / "killed")


@pytest.mark.slow
def test_the_kernel_chooses_what_to_kill(privaudit: Run, tmp_path: Path) -> None:
    """Real want of memory, in a control group that grows: parents die, then a worker, and then fewer workers do."""
    images = np.random.default_rng(0).integers(0, 256, (460, 32, 32, 3), np.uint8)
    labels = np.arange(460) % 3
    save_noisy_images(
        tmp_path / "d.npz", x_train=images[:400], y_train=labels[:400], x_test=images[400:], y_test=labels[400:]
    )

    def command(root: str, workers: str) -> list[str]:
        size = ["--network", "resnet18", "--shadows", "4", "--epochs", "1", "--invert", "0", "--workers", workers]
        places = ["--store", str(tmp_path / root / "store"), "--out", str(tmp_path / root / "out")]
        return ["score", "--dataset", str(tmp_path / "d.npz"), *size, *places]

    def limited(megabytes: int, workers: str) -> tuple[Done, int]:
        with memory_group(megabytes) as group:
            done = subprocess.run(
                [sys.executable, "-m", "privaudit", *command("limited", workers)],
                capture_output=True, text=True, cwd=ROOT, check=False, timeout=1200, preexec_fn=group.join,
            )  # fmt: skip
            return done, group.kills()

    dead_parents = 0
    for megabytes in range(800, 4_000, 400):
        done, kills = limited(megabytes, "2")
        assert kills, f"{megabytes} MB were enough, or {done.stderr}"
        if done.returncode != -signal.SIGKILL:
            break
        dead_parents += 1
    check_told(done, "a worker process was killed", "Run the same command again", "Fewer --workers")
    kept = sealed_or_not(tmp_path / "limited")
    done, kills = limited(megabytes, "1")
    assert done.returncode == 0, done.stderr
    print(f"\n{dead_parents} parents killed, then a worker with {megabytes} MB, enough for one")
    assert not kills
    after = sealed_or_not(tmp_path / "limited")
    assert {name: after[name] for name in kept} == kept
    check_nothing_half_done(tmp_path / "limited")
    assert privaudit(*command("calm", "1")).returncode == 0
    assert results(tmp_path / "limited") == results(tmp_path / "calm")


def with_memory(megabytes: int, arguments: list[str | Path]) -> Done:
    """Run the command with so much address space, in each of its processes."""
    limit = megabytes << 20
    return subprocess.run(
        [sys.executable, "-m", "privaudit", *map(str, arguments)],
        capture_output=True, text=True, cwd=ROOT, check=False, timeout=1200,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )  # fmt: skip


def test_too_little_memory_to_begin(small_audit: dict[str, Any], tmp_path: Path) -> None:
    done = with_memory(1_000, score_of_small(small_audit, tmp_path / "store", tmp_path / "out"))
    check_told(done, "too little memory", "--workers")


@pytest.mark.slow
def test_too_little_memory(small_audit: dict[str, Any], tmp_path: Path) -> None:
    """From far too little to enough, in steps: each time told in words, and what is finished stays finished."""
    command = score_of_small(small_audit, tmp_path / "store", tmp_path / "out")
    refused = 0
    for megabytes in range(1_000, 20_000, 600):
        done = with_memory(megabytes, command)
        if done.returncode == 0:
            break
        check_told(done, "")
        assert "memory" in done.stderr
        refused += 1
    print(f"\nrefused {refused} times, done with {megabytes} MB")
    assert refused > 3
    assert done.returncode == 0
    check_undisturbed(tmp_path, small_audit)


# Names.


@pytest.mark.slow
@pytest.mark.parametrize("name", ["émile 𝔘\nline", "-dash", "\t'\"$(x)`", "..almost"])
def test_names_of_every_kind(privaudit: Run, tmp_path: Path, name: str) -> None:
    """Folders and files of any name: an audit, its list, its check and its report; nothing is written elsewhere."""
    folder = tmp_path / name
    folder.mkdir()
    save_noisy_images(folder / f"{name}.npz")
    options = ("--shadows", "4", "--epochs", "1", "--workers", "1", "--invert", "0")
    places = (f"--store={name}/store", f"--out={name}/out")
    done = privaudit("score", f"--dataset={name}/{name}.npz", *options, *places, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    audit = json.loads(done.stdout)["audit"]
    assert Path(audit).name == audit
    assert audit.isascii()
    assert audit.isprintable()
    for command in (["list", places[0]], ["verify", *places], ["report", *places], ["unlearn", "--method=ga", *places]):
        done = privaudit(*command, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert {path.name for path in folder.iterdir()} == {f"{name}.npz", "store", "out"}


@pytest.mark.parametrize("audit", ["../out", "/etc", "..", ".", "", "a/../..", "\n", "x" * 300, "a\0b"])
def test_an_audits_name_leads_nowhere_else(small_audit: dict[str, Any], tmp_path: Path, audit: str) -> None:
    places = (f"--store={small_audit['root'] / 'store'}", f"--out={tmp_path / 'out'}")
    for command in (["unlearn", f"--audit={audit}"], ["verify", audit], ["report", audit], ["gate", audit]):
        more = ["--max-auc", "1"] if command[0] == "gate" else []
        assert ends_well(*command, *more, *places) == 2
    assert not list(tmp_path.iterdir())
