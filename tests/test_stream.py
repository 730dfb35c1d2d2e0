"""A stream of requests: who is handed over, who is judged, what a chain of records proves, and when to begin anew."""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from privaudit import api
from privaudit.cli.commands.list import _chained
from privaudit.commands.unlearning import unlearn_run
from privaudit.commands.unlearning.earlier_run import MOST_IN_A_ROW, EarlierRun, beginning, link_to, why_retrain
from privaudit.errors import StoreError, UsageError
from privaudit.purging import purge as purging
from privaudit.runtime import files
from privaudit.unlearning.application.problem import UnlearningProblem
from privaudit.unlearning.application.run_method import run_method
from privaudit.unlearning.requests.forget_set import ForgetSet
from tests.conftest import unlearn_anyway

NO_REPORT = {"html": "report.html", "pdf": None}


@pytest.fixture(scope="module", autouse=True)
def _no_report() -> Any:
    patch = pytest.MonkeyPatch()
    patch.setattr("privaudit.commands.unlearning.unlearn.render_report", lambda *_: NO_REPORT)
    patch.setattr(purging, "render_report", lambda *_: NO_REPORT)
    yield
    patch.undo()


@pytest.fixture(scope="module")
def prepared(small_audit: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An audit and lists of requests: the first is retrained for, the second goes on from that."""
    root = tmp_path_factory.mktemp("stream")
    for name in ("store", "out"):
        shutil.copytree(small_audit["root"] / name, root / name)
    for name, ids in {"first": (7, 12, 20), "second": (20, 31, 45), "third": (50, 51)}.items():
        lines = [f"{name}-{number},{one}" for number, one in enumerate(ids)]
        (root / f"{name}.csv").write_text("\n".join(["request_id,sample_id", *lines]) + "\n")
    ask(root, "first", method="retrain")
    ask(root, "second", method="rl", from_="latest", passes=1.0)
    return root


@pytest.fixture
def root(prepared: Path, tmp_path: Path) -> Path:
    shutil.copytree(prepared, tmp_path / "root")
    return tmp_path / "root"


def ask(root: Path, name: str, **more: Any) -> dict[str, Any]:
    """What a request came to, rejected or not."""
    given = {"forget": f"ids:{root / f'{name}.csv'}", "reference": "shadow", "order": "none", **places(root), **more}
    found: dict[str, Any] = unlearn_anyway(functools.partial(api.unlearn, **given))
    return found if isinstance(found, dict) else found.to_json()


def places(root: Path) -> dict[str, Any]:
    return {"store": root / "store", "out": root / "out"}


def runs(root: Path) -> list[Any]:
    (audit,) = api.audits(**places(root))
    return list(audit.runs)


def record_path(root: Path, run: str) -> Path:
    (path,) = (root / "out").glob(f"*/unlearn/{run}/record.json")
    return path


def test_a_request_is_handed_its_own_people_and_keeps_the_earlier_out(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[UnlearningProblem] = []
    real = run_method

    def spying(problem: UnlearningProblem, *given: Any, **more: Any) -> Any:
        seen.append(problem)
        return real(problem, *given, **more)

    monkeypatch.setattr(unlearn_run, "run_method", spying)
    before = runs(root)[0]
    results = ask(root, "second", method="rl", from_=before.run, passes=2.0)
    (handed,) = seen
    everybody = {7, 12, 20, 31, 45}
    assert handed.forget.rows.tolist() == [31, 45]
    assert set(handed.retain.tolist()) == set(range(len(handed.bench.table))) - everybody
    assert handed.original == Path(before.model)
    # Judged is everybody so far; who was asked for twice counts once, and that is said.
    assert results["forget"] == 5
    assert any("1 of 3 samples were asked for before" in note for note in results["notes"])
    record = json.loads(record_path(root, results["run"]).read_text())
    named = {one["sample_id"]: one for one in record["removed"] + record["attempted"]}
    assert set(named) == everybody
    assert {one for one, entry in named.items() if entry["earlier"]} == {7, 12, 20}
    assert [one["request_id"] for one in named[20]["requests"]] == ["first-2", "second-0"]


def test_what_does_nothing_for_this_request_is_no_success_of_the_earlier_one(root: Path) -> None:
    before = runs(root)[0]
    results = ask(root, "second", method="ga", from_=before.run, learning_rate=0.0)
    assert results["outcome"] == "unchanged"
    assert results["outcome_of_request"]["name"] == "unchanged"
    # Its weights are those of the run that it went on from, not the target's.
    rejected = Path(results["folder"]) / "rejected.safetensors"
    assert rejected.read_bytes() == Path(before.model).read_bytes()
    # Nothing goes on from it, and who was asked for is not lost.
    with pytest.raises(UsageError, match="came out unchanged: its model is rejected") as told:
        ask(root, "third", method="rl", from_="latest")
    assert f"--from {before.run}" in str(told.value.hint)


def test_each_record_names_the_hash_of_the_one_before_and_list_shows_the_chain(root: Path) -> None:
    first, second = runs(root)
    link = json.loads(record_path(root, second.run).read_text())["predecessor"]
    assert link["run"] == first.run
    assert link["record_sha256"] == hashlib.sha256(record_path(root, first.run).read_bytes()).hexdigest()
    assert (link["forgotten"], link["asked"], link["since_exact"]) == (3, 2, 1)
    assert (first.went_on_from, second.went_on_from, second.link) == (None, first.run, "whole")
    assert _chained(second) == f", going on from {first.run}"
    assert api.verify(**places(root)).broken_chains == []


def test_a_chain_whose_record_was_changed_is_told_and_mended(root: Path) -> None:
    first, second = runs(root)
    path = record_path(root, first.run)
    path.write_text(path.read_text().replace('"made": "20', '"made": "19'))
    files.seal(path)
    assert runs(root)[1].link == "broken"
    with pytest.raises(StoreError, match=f"went on from run {first.run}, whose record is gone or another") as told:
        api.verify(**places(root))
    assert told.value.results["broken_chains"] == [str(record_path(root, second.run))]
    # The same request again makes the run anew, on the record as it is.
    ask(root, "second", method="rl", from_=first.run, passes=1.0)
    assert {one.link for one in runs(root)} == {None, "whole"}


def test_retraining_goes_on_by_leaving_everybody_out(root: Path) -> None:
    before = runs(root)[0]
    results = ask(root, "second", method="retrain", from_=before.run)
    assert (results["outcome"], results["forget"], results["predecessor"]["since_exact"]) == ("exact", 5, 0)
    samples = len(np.load(next((root / "store").glob("*/design.npy")))[0])
    members = np.setdiff1d(np.arange(samples), [7, 12, 20, 31, 45])
    digest = hashlib.sha256(Path(results["folder"], "model.safetensors").read_bytes()).hexdigest()
    proven = [json.loads(path.read_text()) for path in (root / "store").glob("*/retrained/*.json")]
    assert [one["members"] for one in proven if one["sha256"] == digest] == [len(members)]


def test_a_purge_keeps_what_was_retrained_and_says_where_a_chain_ends(root: Path) -> None:
    first, second = runs(root)
    api.purge(forget=f"ids:{root / 'third.csv'}", yes=True, **places(root))
    after = {one.run: one for one in runs(root)}
    assert after[second.run].link == "purged"
    assert after[first.run].model is None
    assert api.verify(**places(root)).broken_chains == []


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"from_": "nobody"}, "has no such run"),
        ({"from_": "latest", "u_lira": 4}, "--u-lira with --from"),
        ({"from_": "latest", "tune": True}, "--tune with --from"),
        ({"from_": "latest", "compare_orders": True, "order": "risk"}, "does not take --from"),
    ],
)
def test_what_can_not_be_gone_on_from_is_told(prepared: Path, more: dict[str, Any], what: str) -> None:
    with pytest.raises(UsageError, match=what):
        ask(prepared, "third", method="ga", **more)


def test_who_was_forgotten_already_is_not_asked_for_again(prepared: Path) -> None:
    with pytest.raises(UsageError, match="all 3 samples were asked for before"):
        ask(prepared, "first", method="rl", from_=runs(prepared)[0].run)


def test_what_goes_on_training_begins_with_the_last_exact_model_and_everybody_since() -> None:
    everybody, asked = (ForgetSet(np.array(rows), True) for rows in ([1, 2, 3, 4, 5], [5]))
    retrained = Path("retrain-1") / "model.safetensors"
    earlier = EarlierRun("rl-3", Path("rl-3/model.safetensors"), "", np.array([1, 2, 3, 4]), (), "close", 2)
    # A method of steps costs what it is handed: it goes on.
    went = beginning(earlier, everybody, asked, "rl")
    assert (went.model, went.forget.rows.tolist()) == (earlier.model, [5])
    assert link_to(earlier, 1, "rl", went).since_exact == 3
    for exact, model, handed in ((None, None, [1, 2, 3, 4, 5]), ((retrained, np.array([1, 2])), retrained, [3, 4, 5])):
        began = beginning(replace(earlier, exact=exact), everybody, asked, "shadow-teacher")
        assert (began.model, began.forget.rows.tolist()) == (model, handed)
        # Only one approximate run went into such weights.
        assert link_to(earlier, 1, "shadow-teacher", began).since_exact == 1
    assert link_to(earlier, 1, "retrain", beginning(earlier, everybody, asked, "retrain")).since_exact == 0


def test_auto_begins_anew_after_enough_requests_or_where_the_last_fell_short() -> None:
    earlier = EarlierRun("run", Path("model"), "", np.arange(3), (), "close", 1)
    assert why_retrain(None) is None
    assert why_retrain(earlier) is None
    assert why_retrain(replace(earlier, outcome="unclear", since_exact=MOST_IN_A_ROW - 1)) is None
    assert f"{MOST_IN_A_ROW} requests in a row" in str(why_retrain(replace(earlier, since_exact=MOST_IN_A_ROW)))
    assert "came out partial" in str(why_retrain(replace(earlier, outcome="partial")))
