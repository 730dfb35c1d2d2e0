"""Files in the place of others: swapped, copied from another audit, or without their seal. None is taken for whole."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from privaudit import api
from privaudit.audit.result_files import are_scored
from privaudit.commands.compare import read_scored
from privaudit.commands.gate import check_audit
from privaudit.errors import StoreError
from privaudit.report.write import render_report
from privaudit.results.audit.audit_description import AuditDescription
from privaudit.results.gate_results import Limit
from privaudit.runtime import files
from privaudit.shadow.design import paired_design
from privaudit.shadow.store import TARGET, AuditStore, shadow_keys
from tests.test_compare import write_signals


def description_of(audit: str) -> AuditDescription:
    """An ``audit.json`` without canaries, of data and a network that are nowhere."""
    identity = {
        "dataset": "d", "fingerprint": "f", "network": "n", "training": 1, "recipe": None, "seed": 0, "canaries": 0,
        "device": "cpu", "precision": "fp32",
    }  # fmt: skip
    data = {"dataset": "d", "data_dir": "data", "samples": 10, "train": 10, "classes": ["a", "b"]}
    return AuditDescription.model_validate({"audit": audit, "identity": identity, "data": data})


def make_store(root: Path, audit: str, *, claimed: bool = True) -> AuditStore:
    """Every file of a finished audit of four shadow models; the weights are placeholders."""
    store = AuditStore(root, audit)
    if claimed:
        files.claim(store.folder)
    store.write_design(paired_design(10, 4, 0))
    store.write_description(description_of(audit))
    random = np.random.default_rng(sum(map(ord, audit)))
    for key in [TARGET, *shadow_keys(4)]:
        for path in store.files_of(key):
            files.write_bytes(path, random.bytes(100))
            files.seal(path)
    return store


def verify(store: AuditStore) -> dict[str, Any]:
    """What ``verify --json`` prints; paths from the store on."""
    try:
        found: dict[str, Any] = dict(api.verify(store.audit, store=store.root, out=store.root.parent / "out"))
    except StoreError as error:
        found = error.results or {}
    return {
        key: [str(Path(path).relative_to(store.root.parent)) for path in value] if isinstance(value, list) else value
        for key, value in found.items()
    }


def swap(first: Path, second: Path, *, seals: bool = True) -> None:
    """Swap two files, and their seals as they are."""
    for a, b in [(first, second), *([(files.seal_of(first), files.seal_of(second))] if seals else [])]:
        between = a.with_name("between")
        a.rename(between)
        b.rename(a)
        between.rename(b)


def copy_sealed(source: Path, to: Path) -> None:
    for path in (source, files.seal_of(source)):
        shutil.copy2(path, to.with_name(path.name.replace(source.name, to.name)))


@pytest.fixture
def store(tmp_path: Path) -> AuditStore:
    return make_store(tmp_path / "store", "first")


def test_an_untouched_store_is_whole_and_bound(store: AuditStore) -> None:
    found = verify(store)
    assert (found["damaged"], found["missing"], found["misplaced"], found["unbound"]) == ([], [], [], 0)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("signals/0001.npy", "signals/0003.npy"),
        ("signals/target.npy", "signals/0000.npy"),
        ("models/0000.safetensors", "models/0002.safetensors"),
        ("models/0000.safetensors", "target.safetensors"),
        ("controls/test-0000.npy", "controls/untrained-0000.npy"),
    ],
)
def test_two_files_swapped_with_their_seals_are_told(store: AuditStore, one: str, other: str) -> None:
    """By name alone for seals of an earlier version too."""
    swap(store.folder / one, store.folder / other)
    assert verify(store)["misplaced"] == sorted(f"store/first/{name}" for name in (one, other))
    finished, aside = store.mend(Path(one).stem.removeprefix("test-"))
    assert not finished
    assert f"{Path(one).name}.damaged-0" in [path.name for path in aside]


def test_a_file_of_the_same_name_from_another_folder_of_the_audit_is_told(store: AuditStore) -> None:
    copy_sealed(store.folder / "models" / "0001.json", store.folder / "signals" / "0001.json")
    assert "store/first/signals/0001.json" in verify(store)["misplaced"]


@pytest.mark.parametrize("name", ["target.safetensors", "models/0002.safetensors", "signals/0002.npy", "design.npy"])
def test_a_file_of_another_audit_is_told_though_its_seal_came_along(store: AuditStore, name: str) -> None:
    other = make_store(store.root, "second")
    copy_sealed(other.folder / name, store.folder / name)
    assert verify(store)["misplaced"] == [f"store/first/{name}"]
    with pytest.raises(StoreError, match="sealed as second/") as told:
        files.demand_whole(store.folder / name, "Make it again.")
    assert "renamed" in str(told.value.hint)
    assert "Make it again." in str(told.value.hint)
    assert verify(other)["misplaced"] == []


def test_a_copy_under_another_name_is_told_and_one_elsewhere_is_whole(store: AuditStore, tmp_path: Path) -> None:
    shutil.copytree(store.root, tmp_path / "moved" / "store")
    assert verify(AuditStore(tmp_path / "moved" / "store", "first"))["misplaced"] == []
    shutil.copytree(store.folder, store.root / "renamed")
    renamed = AuditStore(store.root, "renamed")
    with pytest.raises(StoreError, match=r"sealed as first/audit\.json"):
        renamed.read_description()
    assert "store/renamed/audit.json" in verify(renamed)["misplaced"]
    (tmp_path / "link").symlink_to(store.root)
    assert verify(AuditStore(tmp_path / "link", "first"))["misplaced"] == []


@pytest.mark.parametrize("name", ["signals/0001.npy", "audit.json", "retrained/x-0-0.safetensors"])
def test_a_lost_seal_is_a_finding(store: AuditStore, name: str) -> None:
    files.write_bytes(store.folder / "retrained" / "x-0-0.safetensors", b"weights")
    files.seal(store.folder / "retrained" / "x-0-0.safetensors")
    files.seal_of(store.folder / name).unlink()
    assert verify(store)["missing"] == [f"store/first/{name}"]


def test_seals_of_an_earlier_version_are_read_counted_and_bound_by_their_next_writer(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store", "first", claimed=False)
    assert files.seal_of(store.design).read_text() == f"{files.sha256_of(store.design)}  design.npy\n"
    found = verify(store)
    assert (found["damaged"], found["misplaced"], found["unbound"]) == ([], [], found["files"])
    files.claim(store.folder)
    (store.folder / "signals" / "0001.npy").write_bytes(b"damaged")
    for key in shadow_keys(2):
        for path in store.files_of(key):
            files.bind(path)
    assert files.is_bound(store.signals("0000"))
    assert files.inspect_seal(store.signals("0000")) is files.Seal.WHOLE
    assert files.inspect_seal(store.signals("0001")) is files.Seal.DAMAGED, "binding hides no damage"


def test_bound_seals_are_checksums_that_sha256sum_reads(store: AuditStore) -> None:
    sha256sum = shutil.which("sha256sum")
    if sha256sum is None:
        pytest.skip("no sha256sum")
    done = subprocess.run(
        [sha256sum, "--check", "--strict", "0001.npy.sha256"],
        cwd=store.folder / "signals", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "0001.npy: OK\n", "")


@pytest.mark.parametrize("content", ["", "x", "0" * 64, '# of "a"\n', "0" * 63 + "g  x\n", "\0" * 80])
def test_what_is_no_seal_seals_nothing(store: AuditStore, content: str) -> None:
    files.seal_of(store.design).write_text(content)
    assert files.inspect_seal(store.design) is files.Seal.DAMAGED


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """The results of two audits of the same samples: one leaks, one hardly."""
    root = tmp_path_factory.mktemp("two")
    names = [
        api.score(signals=write_signals(root / f"{name}.npz", leak), out=root / "out")["audit"]
        for name, leak in (("much", 2.0), ("little", 0.1))
    ]
    return root / "out", names[0], names[1]


@pytest.fixture
def results(two: tuple[Path, str, str], tmp_path: Path) -> tuple[Path, Path]:
    """Copies of both."""
    out, first, second = two
    shutil.copytree(out, tmp_path / "out")
    return tmp_path / "out" / first, tmp_path / "out" / second


def reseal(folder: Path, names: tuple[str, ...]) -> None:
    """As an earlier version would have sealed them: without their place."""
    for name in names:
        files.seal_of(folder / name).write_text(f"{files.sha256_of(folder / name)}  {name}\n")


@pytest.mark.parametrize("bound", [True, False])
@pytest.mark.parametrize("copied", [("score.json", "scores.parquet"), ("scores.parquet",), ("score.json",)])
def test_results_of_another_audit_are_judged_by_nobody(
    results: tuple[Path, Path], copied: tuple[str, ...], *, bound: bool
) -> None:
    """``gate A`` must not judge B: its results, or its table alone, lie in A's folder, with their seals."""
    first, second = results
    for name in copied:
        copy_sealed(first / name, second / name)
    if not bound:
        reseal(second, ("score.json", "scores.parquet"))
    assert not are_scored(second)
    for ask in (
        lambda: check_audit(second, [Limit(quantity="auc", most=1.0)], "lira"),
        lambda: read_scored(second.parent, second.name),
        lambda: render_report(second),
    ):
        with pytest.raises(StoreError, match=r"sealed as|holds the results of audit|is not the table") as told:
            ask()
        assert "old name back" in str(told.value.hint)


def test_a_renamed_folder_is_refused_until_it_has_its_name_back(results: tuple[Path, Path]) -> None:
    first, second = results
    first.rename(first.with_name("before"))
    with pytest.raises(StoreError, match="sealed as much-signals"):
        check_audit(first.with_name("before"), [Limit(quantity="auc", most=1.0)], "lira")
    aside = first.parent / "before-folder" / first.name
    aside.parent.mkdir()
    first.with_name("before").rename(aside)
    compared = api.compare(aside, second.name, out=second.parent)
    assert compared["verdict"] == "b leaks less"


def test_verify_looks_at_comparisons_and_reproductions(store: AuditStore) -> None:
    out = store.root.parent / "out"
    mine = [
        out / "reproduction" / "first-small" / "table1" / "results.json",
        out / "reproduction" / "report.html",
        out / "comparisons" / "other--first" / "comparison.json",
    ]
    others = [
        out / "reproduction" / "firstling" / "table1" / "results.json",
        out / "comparisons" / "other--another" / "comparison.json",
    ]
    for path in [*mine, *others]:
        files.write_text(path, "{}")
        files.seal(path)
        path.write_text("damaged")
    assert verify(store)["damaged"] == sorted(str(path.relative_to(out.parent)) for path in mine)
    for path in [*mine, *others]:
        files.seal_of(path).unlink()
    assert verify(store)["missing"] == sorted(str(path.relative_to(out.parent)) for path in mine)


def test_a_lost_seal_in_the_output_is_a_finding_and_a_users_own_file_is_not(store: AuditStore) -> None:
    folder = store.root.parent / "out" / "first"
    run = folder / "unlearn" / "ga-risk-00000000"
    for path in [folder / "report.html", *(run / name for name in ("metrics.json", "record.json", "exposure.parquet"))]:
        files.write_text(path, "{}")
        files.seal(path)
    (folder / "notes.csv").write_text("mine")
    (run / "stages").mkdir()
    (run / "stages" / "0001.safetensors").write_text("half a stage")
    files.seal_of(folder / "report.html").unlink()
    lost = {"report.html", *(f"unlearn/{run.name}/{name}" for name in ("forgetting.parquet", "model.safetensors"))}
    assert verify(store)["missing"] == sorted(f"out/first/{name}" for name in lost)


def test_the_command_says_what_is_of_another_audit(store: AuditStore) -> None:
    swap(store.signals("0000"), store.signals("0001"))
    done = subprocess.run(
        [sys.executable, "-m", "privaudit", "verify", "first", "--store", str(store.root), "--out", "nowhere"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "2 of another place or audit" in done.stderr
    assert "Traceback" not in done.stderr
