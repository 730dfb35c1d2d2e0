"""What a purge takes, what it leaves and why, and that its dry run said so."""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from privaudit import api
from privaudit.errors import StoreError, UsageError
from privaudit.purging import purge as workflow
from privaudit.purging.purge_evidence import digest_of_earlier_version
from privaudit.results.purge_record import PurgeRecord
from privaudit.runtime import files
from privaudit.shadow.store import AuditStore
from tests.conftest import Run, unlearn_anyway

NO_REPORT = {"html": "report.html", "pdf": None}
ASKED = (7, 12)


@pytest.fixture(scope="module")
def prepared(small_audit: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An audit from which two samples were unlearned by gradient ascent, and by retraining; and others beside them."""
    root = tmp_path_factory.mktemp("purge")
    for name in ("store", "out"):
        shutil.copytree(small_audit["root"] / name, root / name)
    patch = pytest.MonkeyPatch()
    patch.setattr("privaudit.commands.unlearning.unlearn.render_report", lambda *_: NO_REPORT)
    (root / "requests.csv").write_text("request_id,sample_id,date\nR-1,12,2026-01-31\nR-2,7,2026-02-01\n")
    (root / "more.csv").write_text("sample_id\n7\n12\n20\n21\n")
    (root / "others.csv").write_text("sample_id\n20\n21\n")
    common: dict[str, Any] = {"reference": "shadow", "store": root / "store", "out": root / "out"}
    for method, name in (("ga", "requests"), ("retrain", "requests"), ("retrain", "more"), ("retrain", "others")):
        forget = f"ids:{root / f'{name}.csv'}"
        unlearn_anyway(functools.partial(api.unlearn, method=method, forget=forget, **common))
    patch.undo()
    return root


@pytest.fixture
def root(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(prepared, tmp_path / "root")
    monkeypatch.setattr(workflow, "render_report", lambda *_: NO_REPORT)
    return tmp_path / "root"


def places(root: Path) -> dict[str, Any]:
    return {"store": root / "store", "out": root / "out"}


def purge(root: Path, **flags: Any) -> dict[str, Any]:
    asked: dict[str, Any] = {"forget": f"ids:{root / 'requests.csv'}", "yes": True} | places(root) | flags
    return dict(api.purge(**asked))


def store_of(root: Path) -> AuditStore:
    (path,) = (root / "store").glob("*/audit.json")
    return AuditStore(root / "store", path.parent.name)


def out_of(root: Path) -> Path:
    return root / "out" / store_of(root).audit


def run_of(root: Path, method: str, forget: int) -> Path:
    records = {path.parent: json.loads(path.read_text()) for path in out_of(root).glob("unlearn/*/record.json")}
    (found,) = (
        folder
        for folder, record in records.items()
        if record["method"]["method"] == method and len(ids_in(record)) == forget and 7 in ids_in(record)
    )
    return found


def ids_in(record: dict[str, Any]) -> list[int]:
    return [entry["sample_id"] for entry in [*record["removed"], *record["attempted"]]]


def everything(root: Path) -> set[Path]:
    return {path for path in root.rglob("*") if not path.is_dir() or path.is_symlink()}


def put(path: Path, *, sealed: bool = False) -> Path:
    files.write_bytes(path, b"of a sample")
    if sealed:
        files.seal(path)
    return path


def test_the_plan_names_every_file_that_goes(root: Path) -> None:
    """Copies set aside, unfinished writes, trials, stages, answers of U-LiRA, comparisons, CSVs: by kind and path."""
    store, out = store_of(root), out_of(root)
    left = [
        put(store.folder / "signals" / "0000.npy.damaged-0"),
        put(store.folder / "target.safetensors.damaged-12"),
        put(out / "scores.parquet.damaged-1"),
        put(store.folder / "models" / ".0001.safetensors.privaudit-7-ab12cd_x.part"),
        put(out / ".report.pdf.privaudit-7-abcdefgh.part"),
        put(store.folder / "models" / "0099.safetensors", sealed=True),
        put(store.folder / "signals" / "0099.npy", sealed=True),
        put(store.folder / "retrained" / "target-0.safetensors", sealed=True),
        put(store.folder / "inversion" / "ab" / "matching-0000-cd.npz", sealed=True),
        put(out / "trials" / "ab" / "cd.json", sealed=True),
        put(run_of(root, "ga", 2) / "stages" / "0001.safetensors", sealed=True),
        put(run_of(root, "ga", 2) / "u-lira" / "0000.npy", sealed=True),
        put(run_of(root, "ga", 2) / "rejected.safetensors", sealed=True),
        put(out / "scores.csv", sealed=True),
        put(out / "reconstructions.npz", sealed=True),
        put(out.parent / "comparisons" / f"{out.name}--a--b" / "samples.parquet", sealed=True),
        put(out.parent / "comparisons" / f"a--b--{out.name}" / "comparison.json", sealed=True),
    ]
    elsewhere = put(out.parent / "comparisons" / f"a--{out.name}x" / "samples.parquet", sealed=True)
    before = everything(root)
    planned = purge(root, dry_run=True, yes=False)
    assert everything(root) == before
    named = {Path(path) for paths in planned["removed"].values() for path in paths}
    # What a killed command did not finish goes as soon as anybody takes the audit's lock.
    assert set(left) <= named
    done = purge(root)
    assert done["removed"].keys() == planned["removed"].keys() - {"files that a killed command did not finish"} or (
        done["removed"].keys() == planned["removed"].keys()
    )
    gone = before - everything(root)
    seals = {files.seal_of(path) for path in before}
    reports = {Path(path) for path in planned["made_anew"]}
    assert gone - seals == named | reports
    assert planned["files_removed"] == len(named) == sum(len(paths) for paths in planned["removed"].values())
    assert elsewhere.exists()
    assert not (out / "trials").exists()
    assert api.verify(**places(root))["missing"] == []


def test_no_unlearned_model_stays_but_one_that_never_saw_them(root: Path) -> None:
    store = store_of(root)
    exact = [run_of(root, "retrain", count) / "model.safetensors" for count in (2, 4)]
    (ascended,) = run_of(root, "ga", 2).glob("*.safetensors")
    done = purge(root)
    assert [Path(entry["file"]) for entry in done["unlearned_removed"] if "ga began" in entry["why"]] == [ascended]
    assert all(entry["why"] for entry in done["unlearned_removed"])
    kept = {Path(entry["file"]) for entry in done["models_kept"]}
    assert set(exact) <= kept
    assert all(path.exists() for path in exact)
    assert not ascended.exists()
    left = [files.sha256_of(path) for path in (store.folder / "retrained").glob("*.safetensors")]
    assert sorted(left) == sorted(files.sha256_of(path) for path in exact)
    assert (ascended.parent / "record.json").exists()
    for path in out_of(root).rglob("*.parquet"):
        assert not pd.read_parquet(path)["sample_id"].isin(ASKED).any()
    assert api.verify(**places(root))["missing"] == []


def test_a_name_proves_nothing_of_a_model(root: Path) -> None:
    """Another forget set's model under this one's name, weights under another's record, a record without members."""
    retrained = store_of(root).folder / "retrained"
    by_rows = {
        count: hashlib.sha256(np.array(rows, np.int64).tobytes()).hexdigest()[:16]
        for count, rows in ((2, [7, 12]), (0, [20, 21]))
    }
    own, other = (retrained / f"{by_rows[count]}-0-0.safetensors" for count in (2, 0))
    for part in (".safetensors", ".json"):
        shutil.copy(other.with_suffix(part), own.with_suffix(part))
        files.seal(own.with_suffix(part))
    assert own not in {Path(entry["file"]) for entry in purge(root, dry_run=True)["models_kept"]}
    assert run_of(root, "retrain", 2) / "model.safetensors" not in {
        Path(entry["file"]) for entry in purge(root, dry_run=True)["models_kept"]
    }


@pytest.mark.parametrize("lacking", ["members_sha256", "sha256"])
def test_a_record_that_proves_nothing_keeps_no_model(root: Path, lacking: str) -> None:
    for path in (store_of(root).folder / "retrained").glob("*.json"):
        content = json.loads(path.read_text())
        del content[lacking]
        files.write_json(path, content)
        files.seal(path)
    done = purge(root)
    assert not any("retrained" in entry["why"] for entry in done["models_kept"])
    assert not list((store_of(root).folder / "retrained").glob("*.safetensors"))
    assert api.verify(**places(root))["missing"] == []


def test_rows_of_before_are_not_taken_for_rows_of_now(root: Path) -> None:
    """After a purge the samples are counted anew: what was trained without row 7 of before saw row 7 of now."""
    purge(root)
    now = pd.read_parquet(out_of(root) / "scores.parquet")["sample_id"]
    (root / "requests.csv").write_text("\n".join(str(now[row]) for row in ASKED))
    done = purge(root)
    assert not any("retrained" in entry["why"] for entry in done["models_kept"])


@pytest.mark.parametrize("broken", ["forgetting.parquet", "exposure.parquet", "metrics.json"])
@pytest.mark.parametrize("how", ["damaged", "unfinished"])
def test_a_run_that_is_not_whole_leaves_its_record_alone(root: Path, broken: str, how: str) -> None:
    folder = run_of(root, "ga", 2)
    if how == "damaged":
        (folder / broken).write_bytes((folder / broken).read_bytes() + b" ")
    else:
        files.seal_of(folder / broken).unlink()
    purge(root)
    assert sorted(path.name for path in folder.iterdir()) == ["record.json", "record.json.sha256"]
    assert api.verify(**places(root))["missing"] == []


def test_what_is_not_ours_is_named_and_left(root: Path) -> None:
    outside = root / "outside"
    outside.mkdir()
    (outside / "precious.txt").write_text("not privaudit's")
    own = [out_of(root) / "notes.txt", store_of(root).folder / "models" / "README", out_of(root) / ".draft.part"]
    for path in own:
        path.write_text("mine")
    links = [out_of(root) / "pictures", store_of(root).folder / "backup"]
    for path in links:
        path.symlink_to(outside)
    (out_of(root) / "trials").mkdir()
    (out_of(root) / "trials" / "linked").symlink_to(outside)
    os.mkfifo(out_of(root) / "pipe")
    named = {Path(entry["file"]) for entry in purge(root, dry_run=True)["unknown"]}
    assert named >= {*own, *links, out_of(root) / "pipe", out_of(root) / "trials" / "linked"}
    purge(root)
    assert all(path.exists() for path in [*own, *links, out_of(root) / "pipe", outside / "precious.txt"])


@pytest.mark.parametrize("which", ["models", "signals", "unlearn"])
def test_a_folder_that_is_a_link_is_not_emptied(root: Path, which: str) -> None:
    folder = (out_of(root) if which == "unlearn" else store_of(root).folder) / which
    folder.rename(root / "moved")
    folder.symlink_to(root / "moved")
    before = everything(root)
    with pytest.raises(StoreError, match=r"is a link .*nothing was purged"):
        purge(root)
    assert everything(root) == before


def test_nobody_can_tell_from_a_digest_who_was_purged(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root, tmp_path / "again")
    recorded = []
    for copy in (root, tmp_path / "again"):
        purge(copy)
        (entry,) = store_of(copy).read_purges()
        recorded.append(entry.digest)
        assert json.loads((out_of(copy) / "score.json").read_text())["purges"][0]["digest"] == entry.digest
        assert not (store_of(copy).folder / "purge.salt").exists()
    assert recorded[0] != recorded[1]
    # Every pair of ids there is, as an earlier version hashed them.
    every = {digest_of_earlier_version(pair) for pair in itertools.combinations(range(300), 2)}
    assert digest_of_earlier_version(ASKED) in every
    assert not every & set(recorded)


def stop_at(monkeypatch: pytest.MonkeyPatch, name: str, when: Callable[[Path], bool]) -> None:
    real = getattr(files, name)

    def stopping(path: Path, *more: Any) -> None:
        if when(path):
            raise KeyboardInterrupt
        real(path, *more)

    monkeypatch.setattr(files, name, stopping)


@pytest.mark.parametrize(
    ("name", "at"),
    [
        ("remove", "target.safetensors"),
        ("write_array", "0003.npy"),
        ("seal", "design.npy"),
        ("write_json", "score.json"),
    ],
)
def test_a_purge_that_was_cut_short_knows_itself_again(
    root: Path, monkeypatch: pytest.MonkeyPatch, name: str, at: str
) -> None:
    with monkeypatch.context() as patched:
        stop_at(patched, name, lambda path: path.name == at)
        with pytest.raises(KeyboardInterrupt):
            purge(root)
    with pytest.raises(StoreError, match="was cut short"):
        purge(root, forget=f"ids:{root / 'others.csv'}")
    purge(root)
    assert len(store_of(root).read_purges()) == 1
    assert api.verify(**places(root))["missing"] == []
    purge(root, forget=f"ids:{root / 'others.csv'}")
    assert len(store_of(root).read_purges()) == 2


def test_a_purge_that_was_cut_short_at_its_last_seal_is_finished(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        stop_at(patched, "seal", lambda path: path.name == "scores.parquet")
        with pytest.raises(KeyboardInterrupt):
            purge(root)
    purge(root, forget=f"ids:{root / 'others.csv'}")
    assert len(store_of(root).read_purges()) == 2
    assert not (store_of(root).folder / "purge.salt").exists()
    assert api.verify(**places(root))["missing"] == []


@pytest.mark.parametrize("name", ["metrics.json", "forgetting.parquet", "exposure.parquet"])
def test_a_run_that_a_killed_purge_had_not_sealed_again_stays(
    root: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    runs = {path for path in out_of(root).glob("unlearn/*/*") if path.suffix in (".parquet", ".json")}
    with monkeypatch.context() as patched:
        stop_at(patched, "seal", lambda path: path.name == name)
        with pytest.raises(KeyboardInterrupt):
            purge(root)
    purge(root)
    assert {path for path in out_of(root).glob("unlearn/*/*") if path.suffix in (".parquet", ".json")} == runs
    for path in runs:
        if path.suffix == ".parquet":
            assert not set(pd.read_parquet(path)["sample_id"]) & set(ASKED)
    assert api.verify(**places(root))["missing"] == []


def test_a_purge_that_was_cut_short_before_its_table_was_replaced_is_finished(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        stop_at(patched, "seal", lambda path: path.name == "score.json")
        with pytest.raises(KeyboardInterrupt):
            purge(root)
    scores = out_of(root) / "scores.parquet"
    # The seal goes before what it sealed is replaced.
    files.seal_of(scores).unlink()
    purge(root)
    assert not set(pd.read_parquet(scores)["sample_id"]) & set(ASKED)
    assert api.verify(**places(root))["missing"] == []


def test_a_purge_that_was_killed_while_it_rendered_is_finished(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(workflow, "render_report", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            purge(root)
    rendered: list[Path] = []

    def render(folder: Path) -> dict[str, str | None]:
        rendered.append(folder)
        return {"html": "report.html", "pdf": None}

    monkeypatch.setattr(workflow, "render_report", render)
    with pytest.raises(UsageError, match="2 of 2 ids are not in the training set"):
        purge(root)
    assert rendered == [out_of(root)]
    assert not (store_of(root).folder / "purge.salt").exists()


def test_a_purge_begun_by_an_earlier_version_is_finished(root: Path) -> None:
    """It had recorded an unsalted digest, removed models and cut the design."""
    store = store_of(root)
    gone = [part for path in (store.folder / "models").glob("*") if (part := path).suffix in (".safetensors", ".json")]
    gone += [store.model("target"), store.record("target")]
    entry = PurgeRecord(
        digest=digest_of_earlier_version(ASKED), date="2026-01-01", samples=2, models=9, requests=2,
        files=[str(path.relative_to(store.folder)) for path in gone],
    )  # fmt: skip
    store.record_purge(entry)
    for path in gone:
        files.remove(path)
    files.write_array(store.design, np.delete(store.read_design(), ASKED, axis=1))
    files.seal(store.design)
    with pytest.raises(StoreError, match="was cut short"):
        purge(root, forget=f"ids:{root / 'others.csv'}")
    purge(root)
    (recorded,) = store.read_purges()
    assert recorded.models == 9
    assert recorded.digest != entry.digest
    assert api.verify(**places(root))["missing"] == []


def test_other_audits_of_the_data_are_named_with_their_command(root: Path, privaudit: Run) -> None:
    store, out = store_of(root), out_of(root)
    others = {"twin": {}, "smaller": {"fingerprint": "f"}, "elsewhere": {"fingerprint": "e", "dataset": "x"}}
    for name, changes in others.items():
        description = json.loads(store.description.read_text())
        description["identity"] |= changes
        files.write_json(store.root / name / "audit.json", description)
        files.seal(store.root / name / "audit.json")
    shutil.copytree(out, root / "out" / "twin")
    files.seal(root / "out" / "twin" / "scores.parquet")
    files.write_text(store.root / "broken" / "audit.json", "{}")
    named = {one["audit"]: one for one in purge(root, dry_run=True, audit=store.audit)["other_audits"]}
    assert named.keys() == {"twin", "smaller", "broken"}
    assert named["twin"]["holds"] == "2 of these samples"
    assert "can't be told" in named["smaller"]["holds"]
    assert f"--audit twin --forget ids:{root / 'requests.csv'}" in named["twin"]["command"]
    command = ["purge", "--store", root / "store", "--out", root / "out", "--audit", store.audit, "--dry-run"]
    told = privaudit(*command, "--forget", f"ids:{root / 'requests.csv'}").stderr
    assert "privaudit purge --audit twin" in told
    assert f"2 ids in column 'sample_id' of {root / 'requests.csv'}" in told
    assert str(store.model("target")) in told


def test_unknown_ids_are_skipped_on_request_and_recorded(root: Path) -> None:
    (root / "requests.csv").write_text("request_id,sample_id\nR-1,12\nR-2,7\nR-3,9001\n")
    with pytest.raises(UsageError, match=r"1 of 3 ids are not in the training set: 9001 \(line 4\)"):
        purge(root)
    done = purge(root, skip_unknown=True)
    assert (done["samples"], done["skipped"]) == (2, [9001])
    (entry,) = store_of(root).read_purges()
    assert entry.to_json()["skipped"] == [{"sample_id": 9001, "requests": [{"request_id": "R-3", "date": None}]}]
    assert json.loads((out_of(root) / "score.json").read_text())["purges"][0]["skipped"] == 1


def test_a_forget_set_that_is_no_text_is_told(root: Path) -> None:
    for wrong in ([7, 12], 7):
        with pytest.raises(UsageError, match="Put ids into a file"):
            purge(root, forget=wrong)
