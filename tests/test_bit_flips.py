"""One bit flipped in each kind of file that an audit leaves: it is found, refused where it is read, and made anew.

The kinds come from a walk through real folders: a new kind of file fails here until somebody says what finds it.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from privaudit import api
from privaudit.audit.reopening import reopen_plan
from privaudit.audit.result_files import read_table
from privaudit.config import AuditSettings
from privaudit.errors import PrivauditError, StoreError
from privaudit.inversion.inversion_jobs import read_result
from privaudit.report.write import render_report
from privaudit.runtime import files, seals
from privaudit.shadow.store import AuditStore
from privaudit.shadow.trainer import load_model, read_record
from tests.conftest import ROOT, Run
from tests.test_kills import results

#: Files without a checksum, and why a flipped bit in them can do no harm.
UNSEALED = {
    "store/latest": "says which audit is meant where none is named; what it names is looked up among those there are",
    "store/AUDIT/.privaudit": "empty: it marks a folder of privaudit's own",
    "out/AUDIT/.privaudit": "the same",
    "out/comparisons/.privaudit": "the same",
    "store/AUDIT/.lock": "held by a process, not read for results; it names the process to whoever comes second",
}

#: Files with a checksum, and the command that makes a damaged one anew.
KINDS = {
    # What the store holds.
    "store/AUDIT/audit.json": "score",
    "store/AUDIT/design.npy": "score",
    "store/AUDIT/KEY.safetensors": "score",
    "store/AUDIT/KEY.json": "score",
    "store/AUDIT/models/N.safetensors": "score",
    "store/AUDIT/models/N.json": "score",
    "store/AUDIT/signals/N.npy": "score",
    "store/AUDIT/signals/KEY.npy": "score",
    "store/AUDIT/controls/test-N.npy": "score",
    "store/AUDIT/controls/test-KEY.npy": "score",
    "store/AUDIT/controls/untrained-N.npy": "score",
    "store/AUDIT/inversion/calibration-cpu.json": "score",
    "store/AUDIT/inversion/HASH/proxies-KEY-HASH.npz": "score",
    "store/AUDIT/inversion/HASH/features-N-HASH.npz": "score",
    "store/AUDIT/inversion/HASH/matching-N-HASH.npz": "score",
    "store/AUDIT/classes/HASH/N.npy": "score",
    "store/AUDIT/classes/HASH/KEY.npy": "score",
    "store/AUDIT/retrained/HASH-N-N.safetensors": "unlearn",
    "store/AUDIT/retrained/HASH-N-N.json": "unlearn",
    "store/AUDIT/retrained/KEY-N.safetensors": "compare orders",
    "store/AUDIT/retrained/KEY-N.json": "compare orders",
    # What is published.
    "out/AUDIT/score.json": "score",
    "out/AUDIT/scores.parquet": "score",
    "out/AUDIT/scores.csv": "score",
    "out/AUDIT/reconstructions.npz": "score",
    "out/AUDIT/inversion-pictures.npz": "score",
    "out/AUDIT/thumbnails.npz": "score",
    "out/AUDIT/classes.json": "score",
    "out/AUDIT/class-reconstructions.npz": "score",
    "out/AUDIT/redaction.salt": "by hand",
    "out/AUDIT/report.html": "report",
    "out/AUDIT/report.json": "report",
    "out/AUDIT/report.pdf": "report",
    "out/AUDIT/unlearn/RUN/metrics.json": "unlearn",
    "out/AUDIT/unlearn/RUN/forgetting.parquet": "unlearn",
    "out/AUDIT/unlearn/RUN/exposure.parquet": "unlearn",
    "out/AUDIT/unlearn/RUN/model.safetensors": "unlearn",
    "out/AUDIT/unlearn/RUN/record.json": "unlearn",
    "out/AUDIT/unlearn/RUN/stages/N.json": "unlearn, interrupted",
    "out/AUDIT/unlearn/RUN/stages/N.safetensors": "unlearn, interrupted",
    "out/AUDIT/unlearn/RUN/u-lira/N.npy": "unlearn, interrupted",
    "out/AUDIT/compare-orders/RUN/results.json": "compare orders",
    "out/AUDIT/compare-orders/RUN/runs.csv": "compare orders",
    "out/AUDIT/trials/HASH/HASH.json": "compare orders",
    "out/comparisons/RUN/comparison.json": "compare",
    "out/comparisons/RUN/samples.parquet": "compare",
    "out/comparisons/RUN/report.html": "compare",
    "out/comparisons/RUN/report.json": "compare",
    "out/comparisons/RUN/report.pdf": "compare",
}


def kind_of(path: Path) -> str:
    """A file's path with what differs from audit to audit replaced."""
    # A model that came to nothing is a model too.
    parts = list(path.with_name(path.name.replace("rejected.safetensors", "model.safetensors")).parts)
    if len(parts) > 2 and parts[1] != "comparisons":
        parts[1] = "AUDIT"
    if len(parts) > 3 and (parts[2] in ("unlearn", "compare-orders") or parts[1] == "comparisons"):
        parts[2 if parts[1] == "comparisons" else 3] = "RUN"
    name = "/".join(parts)
    name = re.sub(r"[0-9a-f]{16}", "HASH", name)
    name = re.sub(r"(?<![0-9a-zA-Z])\d+(?![0-9a-zA-Z])", "N", name)
    return re.sub(r"(?<=[/-])(target|coin)(?=[.-])", "KEY", name)


def places(root: Path) -> list[str]:
    return ["--store", str(root / "store"), "--out", str(root / "out")]


def commands(npz: Path, root: Path) -> dict[str, list[str]]:
    size = ["--shadows", "8", "--epochs", "4", "--workers", "2", "--csv", "--show-samples", "--redact", "ids"]
    score = ["score", "--dataset", str(npz), *size, "--canaries", "20", *places(root)]
    return {
        "other": [*score, "--invert", "0", "--seed", "4"],
        "score": [*score, "--invert", "8", "--seed", "3"],
        "unlearn": ["unlearn", *["--method", "rl", "--forget", "random:60", "--passes", "2"], *places(root)],
        "compare orders": [
            "unlearn", *["--method", "ga", "--compare-orders", "--seeds", "2", "--forget", "random:20"], *places(root),
        ],
        "report": ["report", *places(root)],
    }  # fmt: skip


def interrupt(arguments: list[str], there: Callable[[], object]) -> None:
    """Start a command and kill it once something is there."""
    process = subprocess.Popen(
        [sys.executable, "-m", "privaudit", *arguments],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, cwd=ROOT,
    )  # fmt: skip
    deadline = time.monotonic() + 1200
    while not there():
        assert process.poll() is None, "it ended before it could be interrupted"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture(scope="module")
def whole(privaudit: Run, small_npz: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Everything that an audit can leave: its folders, and its name."""
    root = tmp_path_factory.mktemp("whole")
    for arguments in commands(small_npz, root).values():
        done = privaudit(*arguments)
        # What a few passes come to is not what this is about.
        assert done.returncode in (0, 3 if arguments[0] == "unlearn" else 0), done.stderr
    names = sorted(path.name for path in (root / "store").iterdir() if path.is_dir())
    done = privaudit("compare", *names, "--out", root / "out")
    assert done.returncode == 0, done.stderr
    staged = [*commands(small_npz, root)["unlearn"], "--seed", "1", "--passes", "60", "--groups", "20"]
    interrupt(staged, lambda: list(root.glob("out/*/unlearn/*/stages/*.json.sha256")))
    attacked = [*commands(small_npz, root)["unlearn"], "--seed", "2", "--u-lira", "8", "--passes", "20"]
    interrupt(attacked, lambda: list(root.glob("out/*/unlearn/*/u-lira/*.npy.sha256")))
    return root, (root / "store" / "latest").read_text().strip()


def files_by_kind(root: Path, audit: str) -> dict[str, Path]:
    """One file of each kind of this audit, without seals: the last by name, of those that are sealed if any is."""
    found: dict[str, Path] = {}
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        of_audit = audit in str(relative) or len(relative.parts) < 3 or relative.parent == Path("out/comparisons")
        if path.is_file() and path.suffix not in (seals.SUFFIX, ".part") and of_audit:
            kind = kind_of(relative)
            if kind not in found or files.seal_of(path).exists():
                found[kind] = path
    return found


def flip(path: Path) -> None:
    """One bit in the middle of the file; of an empty one nothing."""
    content = bytearray(path.read_bytes())
    if not content:
        return
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.slow
def test_every_kind_is_known_and_a_flipped_bit_is_found(whole: tuple[Path, str]) -> None:
    root, audit = whole
    by_kind = files_by_kind(root, audit)
    free = UNSEALED.keys()
    assert set(by_kind) == KINDS.keys() | free
    wrong = _verified(root, audit)
    assert wrong == [], "what was interrupted has whole stages: nothing is wrong yet"
    for kind, path in by_kind.items():
        for victim in [path] if kind in free else [path, files.seal_of(path)]:
            before = victim.read_bytes()
            flip(victim)
            found = _verified(root, audit)
            victim.write_bytes(before)
            assert found == ([] if kind in free else [str(path)]), kind
    print(f"\n{len(by_kind)} kinds of files: {len(by_kind) - len(free)} with a checksum, {len(free)} without")


def _verified(root: Path, audit: str) -> list[str]:
    """The damaged files, as ``verify`` tells them; what is unfinished too."""
    try:
        api.verify(audit, store=root / "store", out=root / "out")
    except StoreError as error:
        if error.results is None:
            return [error.message.removesuffix(" is damaged")]
        return [*error.results["damaged"], *error.results["missing"], *error.results["misplaced"]]
    return []


@pytest.mark.slow
def test_what_reads_a_flipped_bit_refuses_it(whole: tuple[Path, str], tmp_path: Path) -> None:
    """Each loader, asked for the damaged file directly."""
    root, audit = whole
    shutil.copytree(root, tmp_path / "copy")
    by_kind = files_by_kind(tmp_path / "copy", audit)
    store, out = AuditStore(tmp_path / "copy" / "store", audit), tmp_path / "copy" / "out" / audit
    specification = reopen_plan(store, AuditSettings(store=store.root)).specification

    def load_weights(kind: str) -> Callable[[], Any]:
        return lambda: load_model(specification, by_kind[kind])

    weights = [kind for kind in KINDS if kind.startswith("store") and kind.endswith(".safetensors")]
    loaders: dict[str, Callable[[], Any]] = {kind: load_weights(kind) for kind in weights} | {
        "store/AUDIT/audit.json": store.read_description,
        "store/AUDIT/design.npy": store.read_design,
        "store/AUDIT/KEY.json": lambda: read_record(store, "target"),
        "store/AUDIT/models/N.json": lambda: read_record(store, "0007"),
        "store/AUDIT/signals/N.npy": lambda: store.read_signals(["0007"]),
        "store/AUDIT/controls/test-N.npy": lambda: store.read_control("test", ["0007"]),
        "store/AUDIT/inversion/HASH/matching-N-HASH.npz": lambda: read_result(
            by_kind["store/AUDIT/inversion/HASH/matching-N-HASH.npz"]
        ),
        "out/AUDIT/scores.parquet": lambda: read_table(out / "scores.parquet"),
        "out/AUDIT/score.json": lambda: render_report(out),
        "out/AUDIT/redaction.salt": lambda: render_report(out),
    }
    for kind, load in loaders.items():
        load()
        before = by_kind[kind].read_bytes()
        flip(by_kind[kind])
        with pytest.raises(PrivauditError, match=r"is damaged") as told:
            load()
        assert by_kind[kind].name in str(told.value)
        by_kind[kind].write_bytes(before)


@pytest.mark.slow
def test_what_was_damaged_is_made_anew(
    privaudit: Run, small_npz: Path, whole: tuple[Path, str], tmp_path: Path
) -> None:
    """A bit in every kind of file at once; the same commands come to the same bits."""
    root, audit = whole
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    for kind, path in files_by_kind(copy, audit).items():
        # A trial of speed may choose otherwise on a busy machine, and other sums differ in their last bits.
        if KINDS.get(kind) not in (None, "by hand") and "calibration" not in kind:
            flip(path)
    salt = (copy / "out" / audit / "redaction.salt").read_bytes()
    for name in ("score", "unlearn", "compare orders", "report"):
        done = privaudit(*commands(small_npz, copy)[name])
        assert done.returncode in (0, 3 if name == "unlearn" else 0), done.stderr
    names = sorted(path.name for path in (copy / "store").iterdir() if path.is_dir())
    assert privaudit("compare", *names, "--out", copy / "out").returncode == 0
    for more in (
        ["--seed", "1", "--passes", "60", "--groups", "20"],
        ["--seed", "2", "--u-lira", "8", "--passes", "20"],
    ):
        for place in (root, copy):
            done = privaudit(*commands(small_npz, place)["unlearn"], *more)
            assert done.returncode in (0, 3), done.stderr
    assert _verified(copy, audit) == []
    mended = {name: found for name, found in results(copy).items() if ".damaged-" not in name}
    expected = results(root)
    assert mended.keys() == expected.keys()
    assert [name for name in expected if mended[name] != expected[name]] == []
    assert (copy / "out" / audit / "redaction.salt").read_bytes() == salt


def test_a_flipped_bit_in_the_pointer_to_the_latest_audit(
    privaudit: Run, small_audit: dict[str, Any], tmp_path: Path
) -> None:
    """With one audit there is no doubt which is meant; with two, the reader is asked."""
    shutil.copytree(small_audit["root"] / "store", tmp_path / "store")
    pointer = tmp_path / "store" / "latest"
    for bit in (1, 128):
        content = bytearray((small_audit["root"] / "store" / "latest").read_bytes())
        content[4] ^= bit
        pointer.write_bytes(content)
        (row,) = api.audits(store=tmp_path / "store")
        assert not row["latest"]
        assert api.verify(store=tmp_path / "store", out=tmp_path / "out")["damaged"] == []
    audit = small_audit["results"]["audit"]
    shutil.copytree(tmp_path / "store" / audit, tmp_path / "store" / "another")
    with pytest.raises(PrivauditError, match="no latest audit"):
        api.verify(store=tmp_path / "store", out=tmp_path / "out")


def test_purge_does_not_seal_what_is_damaged(small_audit: dict[str, Any], tmp_path: Path) -> None:
    """It rewrites signals: a flipped bit in them is told before anything is removed."""
    for name in ("store", "out"):
        shutil.copytree(small_audit["root"] / name, tmp_path / name)
    store = AuditStore(tmp_path / "store", small_audit["results"]["audit"])
    flip(store.signals("0005"))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(StoreError, match=r"0005\.npy is damaged: nothing was purged"):
        api.purge(forget="random:5", yes=True, store=tmp_path / "store", out=tmp_path / "out")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_purge_that_was_cut_short_is_finished_and_not_mistaken(
    small_audit: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped between the design and its seal: another purge is refused, the same one goes on and removes no more."""
    for name in ("calm", "cut"):
        for part in ("store", "out"):
            shutil.copytree(small_audit["root"] / part, tmp_path / name / part)
    store = AuditStore(tmp_path / "cut" / "store", small_audit["results"]["audit"])
    # The last sample: once its column is gone, an index of before would lead beyond the end.
    row = 299
    request = tmp_path / "requests.csv"
    request.write_text(f"sample_id\n{row}\n")

    def places(name: str) -> dict[str, Any]:
        return {"store": tmp_path / name / "store", "out": tmp_path / name / "out"}

    seal = files.seal

    def stop_at_the_design(path: Path) -> None:
        if path == store.design:
            raise KeyboardInterrupt
        seal(path)

    with monkeypatch.context() as patched:
        patched.setattr(files, "seal", stop_at_the_design)
        with pytest.raises(KeyboardInterrupt):
            api.purge(forget=f"ids:{request}", yes=True, **places("cut"))
    assert np.load(store.design).shape == (8, 299)
    assert files.inspect_seal(store.design) is files.Seal.UNFINISHED
    with pytest.raises(StoreError, match=r"the purge of 1 samples .* was cut short"):
        api.purge(forget="random:5", yes=True, **places("cut"))
    for name in ("cut", "calm"):
        api.purge(forget=f"ids:{request}", yes=True, **places(name))
        assert api.verify(**places(name))["missing"] == []
    assert len(list((store.folder / "models").glob("*.safetensors"))) == 4
    left = {name: results(tmp_path / name) for name in ("cut", "calm")}
    for name, found in left.items():
        # The one thing that no two purges have in common.
        digests = {purge.pop("digest") for purge in found[f"out/{store.audit}/score.json"]["purges"]}
        assert digests == {
            purge["digest"] for purge in AuditStore(tmp_path / name / "store", store.audit).read_purges()
        }
    assert left["cut"] == left["calm"]
