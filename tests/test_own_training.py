"""A training function of the user's own: it trains every model alike on its members alone; faults are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from privaudit.cli.main import main
from privaudit.errors import PrivauditError, TrainingDiverged
from privaudit.networks import build_network
from privaudit.runtime.registry import defining_file, source_digest
from privaudit.training.custom_training import load_training, train_by_function, where
from privaudit.training.hardware import Hardware
from privaudit.training.loop import Samples
from tests.conftest import Run

CPU = Hardware("cpu", "fp32")

FIT = """
import os
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy


def fit(model, inputs, labels, seed, device, report):
    print("training on", len(inputs))  # must not end up among the results
    if Path(__file__).with_name("stop").exists() and seed % 5 == 3:  # the third model
        raise RuntimeError("the disk is gone")
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    shuffler = torch.Generator().manual_seed(seed)
    for epoch in range(12):
        for batch in torch.randperm(len(inputs), generator=shuffler).split(50):
            optimizer.zero_grad()
            cross_entropy(model(inputs[batch]), labels[batch]).backward()
            optimizer.step()
        report((epoch + 1) / 12)
"""

#: Every way in which a function can be wrong that a run tells of.
WRONG = """
import torch


def raises(model, inputs, labels, seed, device, report):
    values = {}
    values["absent"]


def raises_inside_torch(model, inputs, labels, seed, device, report):
    torch.zeros(2) @ torch.zeros(3)


def takes_too_little(model, inputs, labels):
    pass


def returns(model, inputs, labels, seed, device, report):
    return model


def idles(model, inputs, labels, seed, device, report):
    pass


def halves(model, inputs, labels, seed, device, report):
    model.half()


def adds(model, inputs, labels, seed, device, report):
    model.add_module("more", torch.nn.Linear(1, 1))


def explodes(model, inputs, labels, seed, device, report):
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(torch.inf)


numbers = [1, 2]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "own.py").write_text(FIT)
    (tmp_path / "code" / "wrong.py").write_text(WRONG)
    return tmp_path


def score(privaudit: Run, npz: Path, folder: Path, *more: str) -> Any:
    flags = ("--shadows", "8", "--seed", "3", "--invert", "0", "--store", "s", "--out", "o", "--json")
    return privaudit("score", "--dataset", npz, *flags, *more, cwd=folder)


def weights(folder: Path, audit: str) -> dict[str, bytes]:
    store = folder / "s" / audit
    return {
        path.name: path.read_bytes() for path in [store / "target.safetensors", *store.glob("models/*.safetensors")]
    }


def test_an_audit_by_a_function(privaudit: Run, small_npz: Path, folder: Path) -> None:
    (folder / "code" / "stop").touch()
    own = ("--training", "code/own.py:fit")
    failed = score(privaudit, small_npz, folder, *own, "--workers", "1")
    assert failed.returncode == 1
    assert "training function own.py:fit failed: RuntimeError: the disk is gone (own.py, line 12)" in failed.stderr
    assert "Traceback" not in failed.stderr
    (folder / "code" / "stop").unlink()
    done = score(privaudit, small_npz, folder, *own, "--workers", "2")
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert results["trained"] == 7  # the two that were finished before the failure are kept
    identity = results["about"]["identity"]
    assert identity["recipe"] is None
    assert identity["training_function"] == {"name": "own.py:fit", "source": source_digest_of(folder / "code/own.py")}
    assert results["attacks"]["lira"]["auc"] > 0.55  # a fifth of the labels is noise, which is memorised
    report = (folder / "o" / results["audit"] / "report.html").read_text("utf-8")
    assert "by the user&#39;s function own.py:fit" in report
    assert str(folder) not in report
    record = json.loads((folder / "s" / results["audit"] / "target.json").read_text())
    assert record["members"] == 300

    whole = folder / "again"
    whole.mkdir()
    again = score(privaudit, small_npz, whole, "--training", str(folder / "code/own.py") + ":fit", "--workers", "1")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["audit"] == results["audit"]  # wherever the file lies
    assert weights(whole, results["audit"]) == weights(folder, results["audit"])

    # Unlearning has steps of its own; what it is compared with is trained by the function. From another folder, too.
    places = ("--store", folder / "s", "--out", folder / "o")
    unlearned = privaudit("unlearn", "--method", "ga", "--forget", "random:20", *places, "--json", cwd=whole)
    assert unlearned.returncode == 0, unlearned.stderr
    assert json.loads(unlearned.stdout)["accuracy"]["retrained"] is not None

    (folder / "code" / "own.py").write_text(FIT.replace("range(12)", "range(13)"))
    other = score(privaudit, small_npz, folder, *own, "--dry-run")
    assert json.loads(other.stdout)["audit"] != results["audit"]
    changed = privaudit("unlearn", "--method", "ga", "--forget", "random:20", *places, cwd=whole)
    assert changed.returncode == 2
    assert "the file of the training function own.py:fit has changed" in changed.stderr


def source_digest_of(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--training", "code/wrong.py:raises"], 1, "KeyError: 'absent' (wrong.py, line 7)"),
        (
            ["--training", "code/wrong.py:takes_too_little"],
            2,
            "must take (model, inputs, labels, seed, device, report)",
        ),
        (["--training", "code/wrong.py:returns"], 1, "returned a Classifier: it must train the model"),
        (["--training", "code/wrong.py:numbers"], 2, "is a list: it must be a function"),
        (["--training", "code/absent.py:fit"], 2, "there is no file"),
        (["--training", "fitting"], 2, "unknown training 'fitting'"),
        (["--training", "code/own.py:fit", "--epochs", "3"], 2, "--epochs means nothing with --training"),
        (["--training", "code/own.py:fit", "--recipe", "paper"], 2, "--recipe means nothing with --training"),
    ],
)
def test_mistakes_are_told(
    small_npz: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    said: str,
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.argv", ["privaudit", "score", "--dataset", str(small_npz), "--invert", "0", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == code
    shown = capsys.readouterr()
    assert said in shown.err
    assert "Traceback" not in shown.err
    assert shown.out == ""


def small_problem() -> tuple[torch.nn.Module, Samples]:
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1)).astype(np.uint8)
    model = build_network("cnn", (8, 8, 1), 3, ([0.5], [0.3]), seed=1)
    return model, Samples.from_arrays(images, np.arange(40) % 3, "cpu")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("raises_inside_torch", r"\(wrong.py, line 11\)"),
        ("idles", "changed no weight"),
        ("halves", r"from float32 \[.*\] into float16"),
        ("adds", "which parameters the model has .*more.bias"),
    ],
)
def test_promises_that_a_function_breaks(folder: Path, name: str, said: str) -> None:
    model, samples = small_problem()
    function = load_training(f"{folder}/code/wrong.py:{name}")
    with pytest.raises(PrivauditError, match=said):
        train_by_function(function, name, model, samples, np.arange(9), 1, CPU)


def test_weights_that_are_not_numbers_are_divergence(folder: Path) -> None:
    model, samples = small_problem()
    function = load_training(f"{folder}/code/wrong.py:explodes")
    with pytest.raises(TrainingDiverged, match="not numbers"):
        train_by_function(function, "explodes", model, samples, np.arange(9), 1, CPU)


def test_it_sees_the_members_alone_and_draws_from_the_seed(tmp_path: Path) -> None:
    """Its inputs are the members', scaled; every global generator is seeded, and put back; progress never falls."""
    (tmp_path / "looks.py").write_text(
        "import random\nimport numpy\nimport torch\nseen = {}\n"
        "def fit(model, inputs, labels, seed, device, report):\n"
        "    seen.update(inputs=inputs.clone(), labels=labels.clone(), training=model.training)\n"
        "    seen['drawn'] = (random.random(), numpy.random.random(), torch.rand(1).item())\n"
        "    model(inputs[:4])\n    report(0.5)\n    report(0.2)\n    report(7)\n"
        "    torch.set_grad_enabled(False)\n    inputs.zero_()\n"
        "    model.requires_grad_(False)\n"
        "    model[1][0].weight.add_(0.1)\n"
    )
    members = np.array([3, 8, 21])
    drawn, told = [], list[float]()
    for _ in range(2):
        model, samples = small_problem()
        before = (str(np.random.get_state()), torch.random.get_rng_state())
        function = load_training(f"{tmp_path}/looks.py:fit")
        record = train_by_function(function, "looks.py:fit", model, samples, members, 5, CPU, told.append)
        assert before[0] == str(np.random.get_state())
        assert torch.equal(before[1], torch.random.get_rng_state())
        assert torch.is_grad_enabled()
        assert all(parameter.requires_grad for parameter in model.parameters())
        assert not model.training
        seen = import_seen(tmp_path)
        drawn.append(seen["drawn"])
        expected = samples.inputs[torch.from_numpy(members)].permute(0, 3, 1, 2).float() / 255
        assert torch.equal(seen["inputs"], expected)
        assert samples.inputs.any()  # zeroing its inputs harmed nobody
        assert seen["labels"].tolist() == [0, 2, 0]
        assert seen["training"]
        assert record.gradients == 3  # of four that were asked for there are three
    assert drawn[0] == drawn[1]
    assert told[:4] == [0.5, 0.5, 1.0, 1.0]


def import_seen(folder: Path) -> dict[str, Any]:
    from privaudit.runtime.registry import import_reference

    function = import_reference(f"{folder}/looks.py:fit", "training function")
    seen: dict[str, Any] = function.__globals__["seen"]
    return seen


def test_where_an_error_was_and_which_file_defines_what() -> None:
    import functools

    class Trainer:
        def __call__(self) -> None:
            raise ValueError

    for function in (Trainer(), functools.partial(Trainer.__call__, Trainer())):
        assert defining_file(function) == __file__
        assert source_digest(function) == source_digest_of(Path(__file__))
        with pytest.raises(ValueError) as raised:  # noqa: PT011
            function()
        assert where(raised.value, function).startswith("test_own_training.py, line ")
    assert source_digest(len) is None
