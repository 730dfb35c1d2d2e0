"""Stores and results of other versions: read where that can be, else refused in words, and never spoilt."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from privaudit import api
from privaudit.audit.result_files import write_table
from privaudit.errors import EvidenceError, PrivauditError, StoreError, UsageError
from privaudit.results.report_paths import ReportPaths
from privaudit.runtime import files
from privaudit.scoring.score_table import COLUMNS
from privaudit.shadow.store import FORMAT, AuditStore
from privaudit.signals import SIGNALS
from tests.conftest import Run
from tests.test_store import copy_of, score_again, weights


def rewrite(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a sealed JSON file as another version would have written it."""
    content = json.loads(path.read_text("utf-8"))
    change(content)
    files.write_json(path, content)
    files.seal(path)


@pytest.fixture
def old(small_audit: dict[str, Any], tmp_path: Path) -> Path:
    """A copy of the small audit with its output; the folder in the store."""
    shutil.copytree(small_audit["root"] / "out", tmp_path / "out")
    return copy_of(small_audit, tmp_path)


def refusal_of(command: Callable[..., Any], *arguments: Any, **options: Any) -> PrivauditError:
    with pytest.raises(PrivauditError) as told:
        command(*arguments, **options)
    assert told.value.hint
    return told.value


@pytest.mark.parametrize(("number", "words"), [(FORMAT + 1, "newer"), (FORMAT - 1, "different"), (None, "different")])
def test_another_format_is_refused_by_every_command(old: Path, tmp_path: Path, number: int | None, words: str) -> None:
    rewrite(old / "audit.json", lambda about: about.update(format=number))
    before = weights(old)
    places: dict[str, Any] = {"store": tmp_path / "store", "out": tmp_path / "out"}
    for told in (
        refusal_of(api.verify, **places),
        refusal_of(api.unlearn, **places),
        refusal_of(api.purge, forget="random:5", yes=True, **places),
    ):
        assert f"has format {number}, this version of privaudit reads {FORMAT}: a {words} one wrote it" in told.message
        assert "--store" in str(told.hint)
    (row,) = api.audits(store=tmp_path / "store")
    assert f"format {number}" in str(row["error"])
    # Results are not the store's: they can still be shown.
    assert Path(api.write_report(old.name, **places)["html"]).is_file()
    assert weights(old) == before


def test_score_refuses_another_format_and_loses_nothing(
    privaudit: Run, small_audit: dict[str, Any], old: Path, tmp_path: Path
) -> None:
    rewrite(old / "audit.json", lambda about: about.update(format=FORMAT + 1))
    before = weights(old)
    done = privaudit("score", "--dataset", small_audit["npz"], "--shadows", "8", "--epochs", "30", "--seed", "3",
                     "--store", tmp_path / "store", "--out", tmp_path / "out")  # fmt: skip
    assert done.returncode == 1
    assert "a newer one wrote it" in done.stderr
    assert "Update privaudit" in done.stderr
    assert weights(old) == before


def test_another_way_of_training_is_refused(old: Path, tmp_path: Path) -> None:
    """Models of another training format are not mixed with this one's."""
    rewrite(old / "audit.json", lambda about: about["identity"].update(training=0))
    told = refusal_of(api.unlearn, store=tmp_path / "store", out=tmp_path / "out")
    assert "training 0" in told.message
    assert "beside it" in str(told.hint)


def test_an_identity_of_another_version_is_not_taken_for_a_renamed_folder(old: Path, tmp_path: Path) -> None:
    rewrite(old / "audit.json", lambda about: about["identity"].pop("network_source"))
    told = refusal_of(api.unlearn, store=tmp_path / "store", out=tmp_path / "out")
    assert "another version of privaudit: its identity differs in network_source" in told.message


def keys_of(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """The path of every key of nested objects."""
    if not isinstance(value, dict):
        return []
    return [key for name, entry in value.items() for key in ((*path, name), *keys_of(entry, (*path, name)))]


def without(content: dict[str, Any], path: tuple[str, ...]) -> None:
    for name in path[:-1]:
        content = content[name]
    del content[path[-1]]


def names_what_is_wrong(command: Callable[[], Any], *words: str) -> bool:
    """Whether a command refuses; where it does, one of these words must say why."""
    try:
        command()
    except EvidenceError:  # A verdict of the gate.
        return False
    except (StoreError, UsageError) as error:
        said = error
    else:
        return False
    assert any(word in said.message for word in words), said
    assert said.hint
    return True


def test_a_description_with_fewer_keys(old: Path, tmp_path: Path) -> None:
    """Whatever key ``audit.json`` lacks: each command works without it, or names it."""
    description = files.read_json(old / "audit.json")
    places: dict[str, Any] = {"store": tmp_path / "store", "out": tmp_path / "out"}
    commands: list[Callable[[], Any]] = [
        lambda: api.verify(**places),
        lambda: api.audits(store=tmp_path / "store"),
        lambda: api.purge(forget="random:5", dry_run=True, **places),
    ]
    named = 0
    for path in keys_of(description):
        rewrite(old / "audit.json", partial(without, path=path))
        for command in commands:
            named += names_what_is_wrong(command, "another version of privaudit", "format None")
        files.write_json(old / "audit.json", description)
        files.seal(old / "audit.json")
    assert named > 3


def test_missing_and_unknown_keys_are_mended_by_score(
    privaudit: Run, small_audit: dict[str, Any], old: Path, tmp_path: Path
) -> None:
    """Keys that came later are added, those of a later version are kept, other libraries are told; no model is made."""

    def change(about: dict[str, Any]) -> None:
        del about["queries"], about["code"], about["signals"], about["data"]["input_shape"]
        del about["identity"]["network_source"]
        about["versions"]["torch"] = "1.0.0"
        about["of a later version"] = {"kept": [1, 2]}

    rewrite(old / "audit.json", change)
    files.remove(old / "models" / "0003.safetensors")
    before = weights(old)
    again = score_again(privaudit, small_audit, tmp_path)
    assert again["trained"] == 1
    assert "this audit was begun with torch 1.0.0" in again["stderr"]
    assert again["attacks"] == small_audit["results"]["attacks"]
    about = files.read_json(old / "audit.json")
    assert about["of a later version"] == {"kept": [1, 2]}
    fresh = files.read_json(small_audit["root"] / "store" / old.name / "audit.json")
    assert {name: about[name] for name in fresh if name != "versions"} == {
        name: fresh[name] for name in fresh if name != "versions"
    }
    after = weights(old)
    assert {name: after[name] for name in before} == before


def test_signals_with_fewer_columns_are_asked_for_again(
    privaudit: Run, small_audit: dict[str, Any], old: Path, tmp_path: Path
) -> None:
    """An earlier version kept fewer signals of each sample: reading them is refused, score asks the models anew."""
    for path in [*old.glob("signals/*.npy"), *old.glob("controls/*.npy")]:
        files.write_array(path, np.load(path)[..., :4])
        files.seal(path)
    rewrite(old / "audit.json", lambda about: about.update(signals=list(SIGNALS[:4])))
    with pytest.raises(StoreError, match=f"holds 4 signals, this version of privaudit knows {len(SIGNALS)}") as told:
        AuditStore(tmp_path / "store", old.name).read_signals(["0000"])
    assert "trains nothing" in str(told.value.hint)
    again = score_again(privaudit, small_audit, tmp_path)
    assert again["trained"] == 0
    assert "querying 9 models" in again["stderr"]
    assert weights(old) == weights(small_audit["root"] / "store" / old.name)
    assert files.read_json(old / "audit.json")["signals"] == list(SIGNALS)


@pytest.mark.parametrize("depth", [pytest.param(0, id="some"), pytest.param(2, id="all", marks=pytest.mark.slow)])
def test_results_with_fewer_keys(old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, depth: int) -> None:
    """Whatever key ``score.json`` lacks: report, gate and comparison work without it, or name it."""
    out = tmp_path / "out"
    results = files.read_json(out / old.name / "score.json")
    # What is written of a report is drawn elsewhere; here only its reading counts.
    monkeypatch.setattr("privaudit.report.write.write_report", lambda *_: ReportPaths(html=None, pdf=None))
    monkeypatch.setattr("privaudit.commands.compare.write_report", lambda *_: ReportPaths(html=None, pdf=None))
    shutil.copytree(out / old.name, tmp_path / "other" / old.name)
    commands: list[Callable[[], Any]] = [
        lambda: api.write_report(old.name, store=tmp_path / "store", out=out),
        lambda: api.gate(old.name, max_auc=1.0, max_asr=1.0, store=tmp_path / "store", out=out),
        lambda: api.compare(old.name, tmp_path / "other" / old.name, out=out),
    ]
    assert not any(names_what_is_wrong(command) for command in commands)
    named = 0
    paths = [path for path in keys_of(results) if len(path) <= depth] or [("attacks",), ("about",), ("clusters",)]
    for path in paths:
        files.write_json(out / old.name / "score.json", results)
        rewrite(out / old.name / "score.json", partial(without, path=path))
        for command in commands:
            named += names_what_is_wrong(command, "another version", "an earlier version", "no attack 'lira'")
    print(f"\n{len(paths)} keys left out, {named} times one was named")
    assert named > len(paths) / 3


@pytest.mark.parametrize("column", COLUMNS)
def test_a_score_table_with_fewer_columns(old: Path, tmp_path: Path, column: str) -> None:
    folder = tmp_path / "out" / old.name
    table = pd.read_parquet(folder / "scores.parquet")
    assert set(COLUMNS) <= set(table.columns)
    write_table(table.drop(columns=column), folder / "scores.parquet")
    rewrite(folder / "score.json", lambda found: found.update(table_sha256=files.sha256_of(folder / "scores.parquet")))
    told = refusal_of(api.write_report, old.name, store=tmp_path / "store", out=tmp_path / "out")
    assert f"scores.parquet lacks {column}: it was written by another version" in told.message


def test_what_a_file_lacks_is_named_with_the_file(tmp_path: Path) -> None:
    files.write_json(tmp_path / "x.json", {"a": {"b": 1}})
    content = files.read_json(tmp_path / "x.json")
    assert (content["a"]["b"], content.get("c"), "c" in content) == (1, None, False)
    with pytest.raises(StoreError, match=r"x\.json lacks 'c': it was written by another version"):
        assert content["a"]["c"]
