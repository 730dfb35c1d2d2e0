"""Whole runs, judged: U-LiRA, exposure, records of removal, comparisons of orders, purging."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from privaudit.attacks import lira
from privaudit.commands.unlearning.compare_orders import run_compare_orders
from privaudit.commands.unlearning.unlearn import run_unlearn
from privaudit.commands.unlearning.unlearn_estimate import NOTHING
from privaudit.config import UnlearnSettings
from privaudit.errors import PrivauditError, StoreError, UsageError
from privaudit.evaluation.measures.utility import tug_of_war
from privaudit.purging.purge import run_purge, without_samples
from privaudit.results.unlearning.run import Accuracies
from privaudit.runtime import files
from privaudit.shadow.store import AuditStore, shadow_keys
from privaudit.signals import signal
from privaudit.statistics.roc import auc
from privaudit.unlearning.teachers import split_pairs
from tests.conftest import Run, unlearn_anyway

#: What a report looks like is tested elsewhere; here it would only cost time.
NO_REPORT = {"html": "report.html", "pdf": None}


@pytest.fixture(scope="module")
def audit(small_audit: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("judging")
    for name in ("store", "out"):
        shutil.copytree(small_audit["root"] / name, root / name)
    return root


@pytest.fixture
def with_report() -> None:
    """A test that takes this gets reports."""


@pytest.fixture(autouse=True)
def no_report(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "with_report" not in request.fixturenames:
        for module in ("commands.unlearning.unlearn", "commands.unlearning.compare_orders", "purging.purge"):
            monkeypatch.setattr(f"privaudit.{module}.render_report", lambda *_: NO_REPORT)


def came_to(wanted: UnlearnSettings) -> Any:
    """What a run came to, rejected or not."""
    return unlearn_anyway(lambda: run_unlearn(wanted))


def settings(root: Path, **changes: Any) -> UnlearnSettings:
    return UnlearnSettings(store=root / "store", out=root / "out", workers=1, **{"method": "ga"} | changes)


def store_of(root: Path, audit: str) -> AuditStore:
    return AuditStore(root / "store", audit)


@pytest.fixture(scope="module")
def nothing_done(audit: Path) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("privaudit.commands.unlearning.unlearn.render_report", lambda *_: NO_REPORT)
        results: dict[str, Any] = came_to(settings(audit, learning_rate=0.0, forget="random:60", u_lira=6))
        return results


def test_doing_nothing_has_the_u_lira_of_lira(audit: Path, nothing_done: dict[str, Any]) -> None:
    """The unlearner that does nothing leaves shadow models as they are: the attack is LiRA on D_u."""
    store = store_of(audit, nothing_done["audit"])
    folder = Path(nothing_done["folder"])
    ids = pd.read_parquet(folder / "forgetting.parquet")["sample_id"].to_numpy()
    statistic = signal(store.read_signals(shadow_keys(6))[:, ids, 0], "margin")
    keep = store.read_design()[:6, ids]
    found = nothing_done["u_lira"]
    assert found["models"] == 6
    assert found["attack"]["auc"] == pytest.approx(auc(lira.online(statistic, keep).ravel(), keep.ravel()))
    target = signal(store.read_signals(["target"])[0, ids, 0], "margin")
    share = (lira.of_other_model(target, statistic, keep) > 0).mean()
    assert found["called_members"]["original"] == found["called_members"]["unlearned"] == pytest.approx(share)
    assert not (folder / "u-lira").exists()


def test_doing_nothing_changes_no_measure(nothing_done: dict[str, Any]) -> None:
    found = nothing_done
    assert found["accuracy"]["unlearned"] == found["accuracy"]["original"]
    assert found["tow"] == found["tow_do_nothing"]
    assert found["mia"]["gap_to_original"] == 0
    efficacy = found["mia"]["efficacy"]
    assert found["mia"]["gap_to_retrained"] == pytest.approx(abs(efficacy["original"] - efficacy["retrained"]))
    assert found["relearn"]["steps"]["original"] == found["relearn"]["steps"]["unlearned"] == 0
    for part in ("forget", "test"):
        assert found["jensen_shannon"][part]["unlearned"] == found["jensen_shannon"][part]["original"]
    unchanged = {"mean": 0.0, "ci": [0.0, 0.0], "rose": 0.0}
    assert found["exposure"]["retained_change"]["unlearned"].to_json() == unchanged
    assert not found["exposure"]["most_exposed"]
    assert found["forgotten"]["share"] == found["forgotten"]["before"]
    assert found["noise_floor"] == pytest.approx(
        tug_of_war(Accuracies(**found["second_retrained"]), Accuracies(**found["accuracy"]["retrained"]))
    )
    assert len(found["stages"]) == 5
    assert sum(stage["forget_steps"] for stage in found["stages"]) == found["forget_steps"] == 5 * 60


def test_forgetting_and_exposure_tables_hold_liras_ratio(audit: Path, nothing_done: dict[str, Any]) -> None:
    folder = Path(nothing_done["folder"])
    forgetting = pd.read_parquet(folder / "forgetting.parquet")
    exposure = pd.read_parquet(folder / "exposure.parquet")
    store = store_of(audit, nothing_done["audit"])
    statistic = signal(store.read_signals(shadow_keys(8))[:, :, 0], "margin")
    ratio = lira.of_other_model(
        signal(store.read_signals(["target"])[0, :, 0], "margin"), statistic, store.read_design()
    )
    assert exposure["original"].to_numpy() == pytest.approx(ratio)
    assert exposure["forgotten"].sum() == 60
    assert forgetting["lira_unlearned"].to_numpy() == pytest.approx(ratio[forgetting["sample_id"]])
    # Nothing moved: what LiRA calls never-seen counts as forgotten from the beginning, the rest never.
    assert (forgetting["forgotten_at"].dropna() == 0).all()
    assert np.array_equal(forgetting["forgotten_at"].notna(), forgetting["lira_unlearned"] < 0)


def test_who_teaches_does_not_judge(audit: Path) -> None:
    found = came_to(settings(audit, method="shadow-teacher", parameter=("effort=0.05",), u_lira=4, reference="shadow"))
    pairs = split_pairs(8, 3)
    assert found["judging_shadows"] == pairs.judging.sum() == 4
    forgetting = pd.read_parquet(Path(found["folder"]) / "forgetting.parquet")
    store, ids = store_of(audit, found["audit"]), forgetting["sample_id"].to_numpy()
    judging = [key for key, judges in zip(shadow_keys(8), pairs.judging, strict=True) if judges]
    statistic, keep = signal(store.read_signals(judging)[:, :, 0], "margin"), store.read_design()[pairs.judging]
    ratio = lira.of_other_model(signal(store.read_signals(["target"])[0, :, 0], "margin"), statistic, keep)
    assert forgetting["lira_original"].to_numpy() == pytest.approx(ratio[ids])
    expected = (np.where(lira.online(statistic, keep) > 0, keep, ~keep)).mean(axis=0)[ids]
    assert forgetting["risk"].to_numpy() == pytest.approx(expected, abs=1 / 8 + 1e-9)
    with pytest.raises(UsageError, match="between 4 and 4 shadow models"):
        came_to(settings(audit, method="shadow-teacher", parameter=("effort=0.05",), u_lira=6, reference="shadow"))


def test_requests_are_recorded(audit: Path, tmp_path: Path) -> None:
    path = tmp_path / "requests.csv"
    path.write_text("request_id,sample_id,date\nR-1,12,2026-01-31\nR-2,7,2026-02-01\nR-3,12,2026-02-02\n")
    found = came_to(settings(audit, forget=f"ids:{path}", method="retrain", reference="shadow"))
    folder = Path(found["folder"])
    record = json.loads((folder / "record.json").read_text())
    assert [entry["sample_id"] for entry in record["removed"]] == [7, 12]
    assert record["removed"][1]["requests"] == [
        {"request_id": "R-1", "date": "2026-01-31"},
        {"request_id": "R-3", "date": "2026-02-02"},
    ]
    assert record["model"]["sha256"] == files.sha256_of(folder / "model.safetensors")
    assert record["method"]["method"] == "retrain"
    assert (record["outcome"], record["attempted"]) == ("exact", [])
    assert record["evidence"]["accuracy"] == found["accuracy"]
    assert record["limits"]
    assert files.is_whole(folder / "record.json")
    assert "1 ids were given more than once" in found["notes"]
    # The same samples under other requests are another record; nothing is overwritten.
    path.write_text("request_id,sample_id\nR-9,12\nR-8,7\n")
    again = came_to(settings(audit, forget=f"ids:{path}", method="retrain", reference="shadow"))
    assert again["run"] != found["run"]
    assert json.loads((folder / "record.json").read_text()) == record


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("sample_id,date\n3,yesterday\n", "line 2: the date 'yesterday'"),
        ("sample_id,request_id\n3,A\n,B\n", "line 3: '' is not a sample_id"),
        ("request_id,sample_id\nA,99999\n", "1 of 1 ids are not in the training set: 99999"),
    ],
)
def test_bad_requests_are_told_by_line(audit: Path, tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "requests.csv"
    path.write_text(content)
    with pytest.raises(UsageError, match=message):
        came_to(settings(audit, forget=f"ids:{path}"))


def test_a_whole_class_by_ids_is_noticed(audit: Path, tmp_path: Path) -> None:
    table = pd.read_parquet(next((audit / "out").glob("*/scores.parquet")))
    path = tmp_path / "requests.csv"
    path.write_text("\n".join(map(str, table.loc[table["label"] == 1, "sample_id"])))
    found = came_to(settings(audit, forget=f"ids:{path}", reference="shadow", passes=1))
    assert any(note.startswith("all of class 1") for note in found["notes"])
    assert not found["scattered"]
    assert found["exposure"]["called_members"]["original"]["forget"] is None
    assert found["forgotten"]["means"] == "its class is not the first choice any more"


def test_an_interrupted_run_goes_on_by_stage(audit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import privaudit.unlearning.schedule.sequence as sequence

    wanted = settings(audit, method="rl", seed=5, reference="shadow", passes=2)
    real, calls = sequence._run_stage, []

    def failing(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(*arguments)

    # What is tried to foretell the cost runs stages too, and is not what is counted.
    monkeypatch.setattr("privaudit.commands.unlearning.unlearn_estimate._method", lambda *_: NOTHING)
    monkeypatch.setattr(sequence, "_run_stage", failing)
    with pytest.raises(KeyboardInterrupt):
        came_to(wanted)
    found = came_to(wanted)
    assert len(calls) == 4 + 2  # three stages were kept
    folder = Path(found["folder"])
    resumed = (folder / "model.safetensors").read_bytes()
    shutil.rmtree(folder)
    came_to(wanted)
    assert (folder / "model.safetensors").read_bytes() == resumed


@pytest.mark.parametrize(
    "changes",
    [
        {"order": "loss", "pace": "self-paced", "groups": 3},
        {"order": "risk", "rerank": "dynamic", "grouping": "disjoint", "pace": "geometric"},
        {"order": "memorisation", "descending": True, "stage_retain": "complement", "method": "rl"},
        {"order": "entropy", "rank_by": "class", "optimizer_state": "reset", "pace": "quantile"},
        {"order": "loss", "budget": "per-stage"},
    ],
    ids=lambda changes: "-".join(map(str, changes.values())),
)
def test_every_sequence_runs_and_keeps_its_books(audit: Path, changes: dict[str, Any]) -> None:
    found = came_to(settings(audit, reference="shadow", passes=1, learning_rate=1e-4, **changes))
    stages = found["stages"]
    assert found["forget_steps"] == sum(stage["allowed"] for stage in stages)
    assert found["forget_steps_run"] == sum(stage["forget_steps"] for stage in stages)
    assert found["sequencing"]["pace"] == changes.get("pace", "linear")
    if changes.get("budget") == "per-stage":
        assert found["forget_steps"] == 6 + 12 + 18 + 24 + 30
    else:
        assert found["forget_steps"] == 30
        assert found["forget_steps_run"] <= 30


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pace": "self-paced", "order": "loss", "rerank": "static"}, "can't be static"),
        ({"order": "inversion"}, "no inversion_success"),
        ({"method": "retrain", "u_lira": 4}, "retraining never sees"),
        ({"u_lira": 2}, "--u-lira 2"),
        ({"u_lira": 10}, "between 4 and 8"),
        ({"parameter": ("gamma=1",)}, "no parameter 'gamma'"),
    ],
)
def test_mistakes_are_told(audit: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(PrivauditError, match=message):
        came_to(settings(audit, reference="shadow", passes=1, **changes))


def test_orders_are_compared_and_taken_up_again(audit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from privaudit.trials import run_trials
    from privaudit.unlearning.application import run_method

    wanted = settings(audit, passes=1)
    real, runs = run_method.run_method, []

    def counting(*arguments: Any, **more: Any) -> Any:
        runs.append(arguments[1].sequencing)
        if len(runs) == 6:
            raise KeyboardInterrupt
        return real(*arguments, **more)

    monkeypatch.setattr(run_trials, "run_method", counting)
    with pytest.raises(KeyboardInterrupt):
        run_compare_orders(wanted, 2)
    found = run_compare_orders(wanted, 2)
    assert len(runs) == 8 + 1  # four arms that unlearn on two seeds; the interrupted one again
    assert list(found["arms"]) == ["do-nothing", "one-shot", "random-groups", "reverse", "risk", "retrain"]
    assert found["same_budget"]
    assert found["own_target"]
    assert not found["same_forget_set"]
    assert {arm["forget_steps"] for name, arm in found["arms"].items() if name not in ("do-nothing", "retrain")} == {60}
    assert found["verdict"]["claim"] == "descriptive"
    grown = run_compare_orders(wanted, 3)
    assert len(runs) == 9 + 4  # only the third seed is new
    assert grown["comparison"] == found["comparison"]
    table = pd.read_csv(Path(grown["folder"]) / "runs.csv")
    assert len(table) == 18
    primary = grown["contrasts"][0]
    wide = table.pivot(index="seed", columns="arm", values="tow")
    assert primary["mean"] == pytest.approx((wide["risk"] - wide["random-groups"]).mean())
    assert files.is_whole(Path(grown["folder"]) / "results.json")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "retrain"}, "no forget samples one after another"),
        ({"method": "ft"}, "no forget samples one after another"),
        ({"order": "none"}, "one of the arms"),
        ({"order": "loss", "pace": "self-paced"}, "at one budget"),
        ({"reference": "shadow"}, "measured in ToW"),
        ({"tune": True}, "does not take --tune"),
        ({"u_lira": 4}, "does not take --u-lira"),
    ],
)
def test_senseless_comparisons_are_told(audit: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        run_compare_orders(settings(audit, **changes), 2)


def test_purging_leaves_nothing_of_a_person_and_a_whole_audit(
    privaudit: Run, small_audit: dict[str, Any], tmp_path: Path
) -> None:
    for name in ("store", "out"):
        shutil.copytree(small_audit["root"] / name, tmp_path / name)
    requests = tmp_path / "requests.csv"
    requests.write_text("12\n7\n")
    wanted = settings(tmp_path, forget=f"ids:{requests}", passes=1)
    first = came_to(wanted)
    other = came_to(wanted.changed(forget="class:1", reference="shadow"))
    store, out = store_of(tmp_path, first["audit"]), tmp_path / "out" / first["audit"]
    before = signal(store.read_signals(["0000"])[0, :, 0], "margin")
    saw = np.asarray(store.read_design()[:, [7, 12]].any(axis=1))
    shows = [out / "thumbnails.npz", out.parent / "comparisons" / f"{out.name}--other" / "samples.parquet"]
    for path in shows:
        files.write_bytes(path, b"samples")
        files.seal(path)
    command = ["purge", "--store", tmp_path / "store", "--out", tmp_path / "out", "--forget", f"ids:{requests}"]
    dry = privaudit(*command, "--dry-run", "--json")
    assert dry.returncode == 0, dry.stderr
    planned = json.loads(dry.stdout)
    assert planned["samples"] == 2
    # The target, shadow models that saw either, and both unlearned models. Two retrained models stay.
    assert planned["models_removed"] == 1 + saw.sum() + 2
    assert len([kept for kept in planned["models_kept"] if "retrained" in kept["file"]]) == 2
    assert store.model("target").exists()
    asked = privaudit(*command)
    assert asked.returncode == 2
    assert "nobody confirmed it" in asked.stderr
    done = privaudit(*command, "--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["report"]["html"]
    assert not store.model("target").exists()
    for key, seen in zip(shadow_keys(8), saw.tolist(), strict=True):
        assert store.model(key).exists() == (not seen)
        assert len(files.read_array(store.signals(key))) == 298
    left = signal(store.read_signals(["0000"])[0, :, 0], "margin")
    assert np.array_equal(left, np.delete(before, [7, 12]))
    assert store.read_design().shape == (8, 298)
    for path in (out / "scores.parquet", *out.glob("unlearn/*/*.parquet")):
        assert not pd.read_parquet(path)["sample_id"].isin([7, 12]).any()
    assert not (Path(first["folder"]) / "model.safetensors").exists()
    assert not (Path(other["folder"]) / "model.safetensors").exists()
    assert (Path(first["folder"]) / "record.json").exists()
    assert not any(path.exists() for path in shows)
    report = json.loads((out / "report.json").read_text())
    assert any(section["anchor"] == "purged-1" for section in report["sections"])
    verified = privaudit("verify", "--store", tmp_path / "store", "--out", tmp_path / "out")
    assert verified.returncode == 0, verified.stderr
    with pytest.raises(StoreError, match="was purged of 2 samples"):
        came_to(wanted)
    with pytest.raises(UsageError, match="not in the training set"):
        run_purge(wanted.base, None, f"ids:{requests}", 0)


def test_results_no_longer_name_the_purged() -> None:
    content = {"worst": [{"sample_id": 3, "risk": 1}, {"sample_id": 4}], "deep": [[{"sample_id": 3}], 3], "n": 3}
    assert without_samples(content, {3}) == {"worst": [{"sample_id": 4}], "deep": [[], 3], "n": 3}


def test_a_purge_that_was_cut_short_is_finished(
    small_audit: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("store", "out"):
        shutil.copytree(small_audit["root"] / name, tmp_path / name)
    base = settings(tmp_path).base
    real, cuts = files.write_array, []

    def failing(path: Path, array: Any) -> None:
        cuts.append(path)
        if len(cuts) == 4:
            raise KeyboardInterrupt
        real(path, array)

    monkeypatch.setattr(files, "write_array", failing)
    with pytest.raises(KeyboardInterrupt):
        run_purge(base, None, "random:5", 0)
    run_purge(base, None, "random:5", 0)
    store = store_of(tmp_path, small_audit["results"]["audit"])
    assert all(len(files.read_array(store.signals(key))) == 295 for key in ["target", *shadow_keys(8)])
    assert store.read_design().shape == (8, 295)
    assert len(store.read_purges()) == 1
    assert all(files.is_whole(path) for path in store.expected_files())
    results = files.read_json(tmp_path / "out" / store.audit / "score.json")
    assert results["table_sha256"] == files.sha256_of(tmp_path / "out" / store.audit / "scores.parquet")
    assert len(results["purges"]) == 1


@pytest.mark.usefixtures("with_report")
def test_the_report_shows_what_is_left_beside_the_noise_floor(audit: Path, nothing_done: dict[str, Any]) -> None:
    came_to(settings(audit, learning_rate=0.0, forget="random:60", u_lira=6))
    report = json.loads((audit / "out" / nothing_done["audit"] / "report.json").read_text())
    section = next(
        found
        for found in report["sections"]
        if found["anchor"].startswith("unlearning-") and found["paragraphs"][0].startswith("60 samples")
    )
    captions = [table["caption"] for table in section["tables"]]
    assert captions[:3] == [
        "Accuracy and re-audit",
        "What is left of the forgotten",
        "The ledger: what every stage spent",
    ]
    accuracy = section["tables"][0]["rows"]
    assert [row[0] for row in accuracy] == ["Do nothing (original)", "Unlearned (ga)", "Retrained", "Retrained again"]
    assert accuracy[3][4] == f"{nothing_done['noise_floor']:.3f}"
    reproduce = next(found for found in report["sections"] if found["anchor"] == "reproduce")
    commands = [row[1] for row in reproduce["tables"][0]["rows"] if row[0] == "Command"]
    assert any("--u-lira 6" in command and "--learning-rate 0.0" in command for command in commands)
