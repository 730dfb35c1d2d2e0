"""The commands as functions: the flags are the arguments, the results are those of ``--json``, mistakes are raised."""

from __future__ import annotations

import inspect
import json
import re
import shutil
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
import pytest

import privaudit
from privaudit.cli.main import COMMANDS
from privaudit.errors import DataError, EvidenceError, GateBreached, PrivauditError, StoreError, UsageError
from privaudit.results.audit.score_results import ScoreAnswer, ScoreEstimate
from privaudit.results.gate_results import GateAnswer
from privaudit.results.stored_audits import AuditEntry, PurgeResults, VerifyResults
from privaudit.results.unlearning.run import UnlearnAnswer
from tests.conftest import ROOT, Run
from tests.pages import command_of

#: Functions that are not called like their command.
NAMED = {"report": "write_report", "list": "audits"}


def names_of(command: click.Command) -> set[str]:
    """The flags of a command, as they are typed."""
    found = set()
    for parameter in command.params:
        longest = max(parameter.opts, key=len)
        found.add(longest.removeprefix("--").replace("-", "_"))
    return found - {"json", "help"}


#: Commands by name, and options that make no sense in Python.
OF_THE_COMMAND_LINE = {"reproduce": {"list"}, "report": {"reveal"}, "export": {"audit"}}

#: Arguments that take objects, which nobody can type into a shell.
IN_PYTHON = {"score": {"data"}, "quick": {"data"}, "unlearn": {"data", "network"}}


@pytest.mark.parametrize("name", COMMANDS)
def test_flags_are_arguments(name: str) -> None:
    """Every one typed, with its default; help tells of each."""
    function = getattr(privaudit, NAMED.get(name, name))
    parameters = inspect.signature(function).parameters
    # ``from`` is a word of Python's own.
    as_flags = {parameter.removesuffix("_") for parameter in parameters}
    as_flags -= IN_PYTHON.get(name, set())
    assert as_flags | OF_THE_COMMAND_LINE.get(name, set()) == names_of(command_of(name))
    for parameter in parameters.values():
        assert parameter.annotation is not parameter.empty
        assert parameter.default is not parameter.empty or parameter.name in ("a", "b", "forget", "model")
        assert re.search(rf"^ *(\w+, )*{parameter.name}\b", function.__doc__, re.MULTILINE), parameter.name
    if name == "score":
        assert (parameters["seed"].annotation, parameters["seed"].default) == (int, 0)
        assert parameters["dataset"].default == "digits"


def test_every_command_is_a_function() -> None:
    for command in COMMANDS:
        assert callable(getattr(privaudit, NAMED.get(command, command)))


@pytest.fixture
def places(small_audit: dict[str, Any]) -> dict[str, Any]:
    return {"store": small_audit["root"] / "store", "out": small_audit["root"] / "out"}


@pytest.fixture
def copied(small_audit: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    for name in ("store", "out"):
        shutil.copytree(small_audit["root"] / name, tmp_path / name)
    return {"store": tmp_path / "store", "out": tmp_path / "out"}


def small(audit: dict[str, Any]) -> dict[str, Any]:
    return {"dataset": audit["npz"], "shadows": 8, "epochs": 30, "workers": 2, "seed": 3, "invert": 0}


def test_score_returns_what_the_command_prints(small_audit: dict[str, Any], copied: dict[str, Any]) -> None:
    planned = privaudit.score(**small(small_audit), **copied, dry_run=True)
    assert isinstance(planned, ScoreEstimate)
    assert planned["to_train"] == planned.to_train == 0
    found = privaudit.score(**small(small_audit), **copied)
    assert isinstance(found, ScoreAnswer)
    assert found["trained"] == dict(found)["trained"] == 0
    assert found["attacks"]["lira"]["auc"] == found.attacks["lira"].auc
    printed = small_audit["results"]
    changing = {"trained", "scores", "report", "about"}
    assert {key: value for key, value in json.loads(json.dumps(found.to_json())).items() if key not in changing} == {
        key: value for key, value in printed.items() if key not in changing
    }
    assert set(printed) == set(found.keys())


def test_unlearn_and_purge(small_audit: dict[str, Any], copied: dict[str, Any]) -> None:
    found = privaudit.unlearn(forget="random:10", method="retrain", reference="shadow", parameter={}, **copied)
    assert isinstance(found, UnlearnAnswer)
    assert Path(found["folder"], "model.safetensors").is_file()
    with pytest.raises(UsageError, match="yes=True does it"):
        privaudit.purge(forget="random:3", **copied)
    planned = privaudit.purge(forget="random:3", dry_run=True, **copied)
    purged = privaudit.purge(forget="random:3", yes=True, **copied)
    assert isinstance(purged, PurgeResults)
    assert purged.model_copy(update={"report": None}) == planned


def test_gate_raises_with_its_results(small_audit: dict[str, Any], places: dict[str, Any]) -> None:
    held = privaudit.gate(max_auc=1.0, **places)
    assert isinstance(held, GateAnswer)
    assert held["checks"][0]["verdict"] == "holds"
    with pytest.raises(GateBreached) as breached:
        privaudit.gate(max_tpr="0.0001@0.01", max_auc=0.5, **places)
    assert {check["verdict"] for check in breached.value.results["checks"]} >= {"breached"}
    with pytest.raises(EvidenceError):
        privaudit.gate(max_tpr=["0.5@0.001"], **places)
    with pytest.raises(UsageError, match="max_auc = 2"):
        privaudit.gate(max_auc=2, **places)
    with pytest.raises(UsageError, match="write TPR@FPR"):
        privaudit.gate(max_tpr="much", **places)


def test_what_is_there(small_audit: dict[str, Any], copied: dict[str, Any]) -> None:
    name = small_audit["results"]["audit"]
    (entry,) = privaudit.audits(store=copied["store"])
    assert isinstance(entry, AuditEntry)
    assert (entry["audit"], entry["latest"], entry["shadows"]) == (name, True, 8)
    assert privaudit.audits(store=copied["store"] / "none") == []
    paths = privaudit.write_report(**copied)
    assert Path(paths["html"]).is_file()
    whole = privaudit.verify(name, **copied)
    assert isinstance(whole, VerifyResults)
    assert whole["damaged"] == whole["missing"] == []
    (copied["store"] / name / "models" / "0003.safetensors").write_bytes(b"")
    with pytest.raises(StoreError, match="1 damaged") as damaged:
        privaudit.verify(name, **copied)
    assert len(damaged.value.results["damaged"]) == 1


#: Without types: what mypy would tell is told all the same.
UNTYPED: Any = privaudit


@pytest.mark.parametrize(
    ("call", "kind", "said"),
    [
        (lambda: UNTYPED.score(dataset="mnits"), UsageError, "Did you mean 'mnist'"),
        (lambda: UNTYPED.score(shadow=8), UsageError, "did you mean shadows"),
        (lambda: UNTYPED.score(dataset=np.zeros((9, 9))), UsageError, "dataset = a ndarray of shape (9, 9)"),
        (lambda: UNTYPED.score(samples=pd.DataFrame({"a": [1]})), UsageError, "samples = a DataFrame of shape (1, 1)"),
        (lambda: UNTYPED.score(network=[np.arange(3)]), UsageError, "network = a list: it is no name"),
        (lambda: UNTYPED.score(shadows="many"), UsageError, "shadows = 'many'"),
        (lambda: UNTYPED.score(dataset="absent.npz"), DataError, "there is no file"),
        (lambda: UNTYPED.score(signals="absent.npz", epochs=3), UsageError, "--epochs means nothing with --signals"),
        (lambda: UNTYPED.score(config="absent.toml"), UsageError, "cannot read --config"),
        (lambda: UNTYPED.score(dataset=lambda: {}), UsageError, "can't be found again"),
        (lambda: UNTYPED.unlearn(ordre="risk"), UsageError, "ordre = 'risk'"),
        (lambda: UNTYPED.unlearn(groups="five"), UsageError, "groups = 'five'"),
        (lambda: UNTYPED.unlearn(method="gaa"), UsageError, "Did you mean 'ga'"),
        (lambda: UNTYPED.unlearn(seeds=3), UsageError, "--seeds goes with --compare-orders"),
        (lambda: UNTYPED.compare("one", "other"), PrivauditError, "one"),
        (lambda: UNTYPED.verify(store="nowhere"), UsageError, "no latest audit"),
        (lambda: UNTYPED.write_report(store="nowhere"), UsageError, "no latest audit"),
        (lambda: UNTYPED.gate(max_auc=0.5, store="nowhere"), UsageError, "no latest audit"),
    ],
)
def test_mistakes_are_raised(
    call: Any, kind: type[PrivauditError], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind) as raised:
        call()
    assert said in str(raised.value)


def test_a_function_stands_for_itself(privaudit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from privaudit.config.options import reference

    shutil.copy(ROOT / "examples" / "image_model.py", tmp_path / "my_image_model.py")
    monkeypatch.syspath_prepend(tmp_path)
    import importlib

    module = importlib.import_module("my_image_model")
    assert reference(module.data, "dataset") == f"{tmp_path / 'my_image_model.py'}:data"
    assert reference(tmp_path / "a.npz", "dataset") == str(tmp_path / "a.npz")
    monkeypatch.setattr(module.data, "__module__", "__main__")
    monkeypatch.setitem(sys.modules, "__main__", module)
    with pytest.raises(UsageError, match="of its own, not of the script that runs"):
        reference(lambda: None, "dataset")
