"""A target that was trained elsewhere: the same figures as if it had been trained here, and every misfit told."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
from click.testing import CliRunner
from torch import nn

from privaudit.cli.commands.score import command
from privaudit.config import read_settings
from privaudit.errors import DataError, PrivauditError, UsageError
from privaudit.networks.cnn import build_cnn
from privaudit.scoring.external_target_check import doubts_about
from privaudit.shadow.external_target import read_given_target, take_in
from privaudit.shadow.specification import ModelSpecification
from privaudit.shadow.store import AuditStore
from privaudit.shadow.trainer import AuditArrays, TrainingJob, load_model, save_model
from privaudit.training.hardware import Hardware
from privaudit.training.recipe import RECIPES
from tests.conftest import SMALL, Run


def trained_target(audit: dict[str, Any]) -> dict[str, torch.Tensor]:
    store = audit["root"] / "store" / audit["results"]["audit"]
    return safetensors.torch.load_file(store / "target.safetensors")


def score(privaudit: Run, npz: Path, root: Path, target: Path, *more: str) -> Any:
    return privaudit(
        "score", "--dataset", npz, *SMALL, "--target", target, *more, "--store", root / "store", "--out", root / "out",
        "--json",
    )  # fmt: skip


@pytest.fixture(scope="module")
def given_audit(
    privaudit: Run, small_audit: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """The small audit's own target, brought as a state dict of the network alone."""
    root = tmp_path_factory.mktemp("given")
    network = {name.removeprefix("network."): w for name, w in trained_target(small_audit).items() if "network" in name}
    torch.save(network, root / "ours v1.pt")
    done = score(privaudit, small_audit["npz"], root, root / "ours v1.pt")
    assert done.returncode == 0, done.stderr
    return {"results": json.loads(done.stdout), "root": root, "stderr": done.stderr, "npz": small_audit["npz"]}


def test_it_reads_as_if_it_had_been_trained_here(given_audit: dict[str, Any], small_audit: dict[str, Any]) -> None:
    ours, theirs = given_audit["results"], small_audit["results"]
    assert ours["audit"] != theirs["audit"]
    assert ours["trained"] == 8  # the shadow models alone
    stores = [audit["root"] / "store" / audit["results"]["audit"] for audit in (given_audit, small_audit)]
    for name in ("target.safetensors", "models/0000.safetensors", "models/0007.safetensors", "signals/target.npy"):
        assert (stores[0] / name).read_bytes() == (stores[1] / name).read_bytes(), name
    pd.testing.assert_frame_equal(pd.read_parquet(ours["scores"]), pd.read_parquet(theirs["scores"]))
    assert ours["target"] == theirs["target"]


def test_it_is_on_record_as_given(given_audit: dict[str, Any]) -> None:
    results, root = given_audit["results"], given_audit["root"]
    digest = hashlib.sha256((root / "ours v1.pt").read_bytes()).hexdigest()
    record = json.loads((root / "store" / results["audit"] / "target.json").read_text())
    given = {"file": "ours v1.pt", "sha256": digest, "scales_itself": False}
    assert record["given"] == given
    assert record["seconds"] is None
    assert results["training"]["target_seconds"] is None
    assert results["about"]["target"] == given | {"doubts": []}
    assert results["about"]["identity"]["target"] == digest
    assert "the target was given: ours v1.pt" in given_audit["stderr"]
    report = (root / "out" / results["audit"] / "report.json").read_text()
    assert "shadow models were trained by the recipe here, which may differ" in report
    assert "given by the user as ours v1.pt" in report
    assert digest in report
    assert str(root) not in (root / "out" / results["audit"] / "report.html").read_text("utf-8")


def test_it_is_asked_for_again_unlearned_from_and_verified(privaudit: Run, given_audit: dict[str, Any]) -> None:
    root, name = given_audit["root"], given_audit["results"]["audit"]
    places = ("--store", root / "store", "--out", root / "out")
    again = score(privaudit, given_audit["npz"], root, root / "ours v1.pt", "--dry-run")
    assert json.loads(again.stdout)["to_train"] == 0
    # From here on the file is not needed any more.
    (root / "ours v1.pt").rename(root / "elsewhere.pt")
    done = privaudit("unlearn", "--method", "ga", "--audit", name, "--forget", "random:20", *places, "--json")
    assert done.returncode == 0, done.stderr
    unlearned = json.loads(done.stdout)
    assert unlearned["seconds"]["training"] is None
    assert unlearned["accuracy"]["retrained"] is not None
    assert privaudit("verify", name, *places).returncode == 0
    assert privaudit("report", name, *places).returncode == 0
    compared = privaudit(
        "unlearn", "--audit", name, "--compare-orders", "--seeds", "2", "--forget", "random:20", *places, "--json"
    )
    assert compared.returncode == 0, compared.stderr
    assert json.loads(compared.stdout)["own_target"] is False
    (root / "elsewhere.pt").rename(root / "ours v1.pt")


def test_a_lost_target_is_taken_in_again(privaudit: Run, given_audit: dict[str, Any]) -> None:
    root, name = given_audit["root"], given_audit["results"]["audit"]
    stored = root / "store" / name / "target.safetensors"
    before = stored.read_bytes()
    stored.write_bytes(before[:-1] + b"\x00")
    done = score(privaudit, given_audit["npz"], root, root / "ours v1.pt")
    assert done.returncode == 0, done.stderr
    assert "damaged" in done.stderr
    assert json.loads(done.stdout)["trained"] == 0
    assert stored.read_bytes() == before


def test_another_target_is_another_audit(
    privaudit: Run, given_audit: dict[str, Any], small_audit: dict[str, Any]
) -> None:
    """And one that is no better than chance on what it is taken to have been trained on is told."""
    root = given_audit["root"]
    torch.manual_seed(0)
    other = {"standardise.mean": torch.zeros(1), "standardise.deviation": torch.ones(1)}
    other |= {f"network.{name}": w for name, w in build_cnn((8, 8, 1), 3).state_dict().items()}
    safetensors.torch.save_file(other, root / "other.safetensors")
    done = score(privaudit, given_audit["npz"], root, root / "other.safetensors")
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert results["audit"] != given_audit["results"]["audit"]
    assert results["about"]["target"]["scales_itself"] is True
    assert "naming the commonest class" in done.stderr
    report = json.loads((root / "out" / results["audit"] / "report.json").read_text())
    assert "naming the commonest class" in json.dumps(report["overview"])
    stored = safetensors.torch.load_file(root / "store" / results["audit"] / "target.safetensors")
    assert stored["standardise.mean"].flatten().tolist() == [0.0]
    # The first audit's target is what it was.
    first = safetensors.torch.load_file(root / "store" / given_audit["results"]["audit"] / "target.safetensors")
    assert torch.equal(first["network.0.weight"], trained_target(small_audit)["network.0.weight"])


SPECIFICATION = ModelSpecification(
    "cnn", (8, 8, 1), 3, ((0.5,), (0.25,)), RECIPES["fast"], seed=0, hardware=Hardware("cpu", "fp32")
)


class _RunsCode:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.write_text, (Path("pwned"), "ran"))


def _network(**changes: Any) -> dict[str, Any]:
    state: dict[str, Any] = dict(build_cnn((8, 8, 1), 3).state_dict())
    return {name: value for name, value in (state | changes).items() if value is not None}


@pytest.mark.parametrize(
    ("name", "content", "code", "said"),
    [
        ("absent.pt", None, 1, "cannot read --target"),
        ("weights.h5", b"x", 2, "a target is read from .safetensors, .pt, .pth, .ckpt, .bin"),
        ("weights", b"x", 2, "a target is read from"),
        ("weights.onnx", b"x", 2, "a target is read from"),
        ("empty.pt", b"", 1, "no readable state dict"),
        ("junk.pt", b"junk" * 50, 1, "--target junk.pt"),
        ("junk.safetensors", b"junk" * 50, 1, "no readable safetensors file"),
        ("code.pt", pickle.dumps(_RunsCode()), 1, "unpickled"),
        ("whole.pt", lambda: nn.Linear(2, 2), 1, "unpickled"),
        ("tensor.pt", lambda: torch.zeros(2), 1, "holds no state dict"),
        ("list.pt", lambda: [torch.zeros(2)], 1, "holds no state dict"),
        ("nothing.pt", lambda: {}, 1, "holds no state dict"),
        ("other.pt", lambda: {"a": torch.zeros(2)}, 1, "it lacks 0.weight, 0.bias, 3.weight, 3.bias and 2 more"),
        ("lacks.pt", lambda: _network(**{"0.bias": None}), 1, "it lacks 0.bias"),
        ("more.pt", lambda: _network(head=torch.zeros(3)), 1, "the network has no head"),
        ("shape.pt", lambda: _network(**{"7.bias": torch.zeros(10)}), 1, "7.bias has shape [10], the network's [3]"),
        ("kind.pt", lambda: _network(**{"7.bias": torch.zeros(3, dtype=torch.int64)}), 1, "int64"),
        ("complex.pt", lambda: _network(**{"7.bias": torch.zeros(3, dtype=torch.complex64)}), 1, "complex64"),
        ("sparse.pt", lambda: _network(**{"7.bias": torch.zeros(3).to_sparse()}), 1, "sparse"),
        ("nan.pt", lambda: _network(**{"7.bias": torch.full((3,), torch.nan)}), 1, "not numbers"),
        (
            "scale.pt",
            lambda: {f"network.{name}": value for name, value in _network().items()}
            | {"standardise.mean": torch.zeros(1), "standardise.deviation": torch.zeros(1)},
            1,
            "deviation must be above 0",
        ),
    ],
)  # fmt: skip
def test_what_is_no_target_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    content: bytes | Callable[[], Any] | None,
    code: int,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    if isinstance(content, bytes):
        Path(name).write_bytes(content)
    elif content is not None:
        torch.save(content(), name)
    with pytest.raises(PrivauditError) as told:
        read_given_target(Path(name), SPECIFICATION)
    assert told.value.exit_code == code
    assert said in str(told.value)
    assert not Path("pwned").exists()


def test_the_command_tells_too(privaudit: Run, small_npz: Path, tmp_path: Path) -> None:
    (tmp_path / "code.pt").write_bytes(pickle.dumps(_RunsCode()))
    done = score(privaudit, small_npz, tmp_path, tmp_path / "code.pt")
    assert done.returncode == 1
    assert "so it is not loaded" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("flag", ["--signals", "--config"])
def test_it_can_stand_in_a_file_and_not_beside_signals(tmp_path: Path, flag: str) -> None:
    if flag == "--signals":
        done = CliRunner().invoke(command, ["--signals", "x.npz", "--target", "x.pt"])
        assert isinstance(done.exception, UsageError)
        assert "--target means nothing with --signals" in str(done.exception)
    else:
        (tmp_path / "a.toml").write_text('target = "own.pt"')
        assert read_settings({}, tmp_path / "a.toml").target == Path("own.pt")


def test_logits_that_are_not_numbers_are_told(tmp_path: Path) -> None:
    """Before anything is trained, and what was written does not count as finished."""
    torch.save(_network(**{"7.weight": torch.full((3, 256), 3e38)}), tmp_path / "huge.pt")
    given = read_given_target(tmp_path / "huge.pt", SPECIFICATION)
    images = np.full((4, 8, 8, 1), 200, np.uint8)
    arrays = AuditArrays(images, np.arange(4) % 3, images, np.arange(4) % 3, np.arange(4))
    job = TrainingJob("target", np.arange(4), SPECIFICATION, AuditStore(tmp_path, "a"))
    with pytest.raises(DataError, match="its logits of training row"):
        take_in(job, given, arrays)
    assert not job.store.is_finished("target")


def test_wrappers_and_other_precisions_are_understood(tmp_path: Path) -> None:
    plain = _network()
    wrapped = {f"module._orig_mod.{name}": value.double() for name, value in plain.items()}
    torch.save(wrapped, tmp_path / "wrapped.pth")
    given = read_given_target(tmp_path / "wrapped.pth", SPECIFICATION)
    assert given.weights is not None
    assert all(torch.equal(given.weights[f"network.{name}"], value) for name, value in plain.items())
    assert given.weights["standardise.mean"].flatten().tolist() == [0.5]
    own = {f"network.{name}": value for name, value in plain.items()}
    own |= {"standardise.mean": torch.tensor([0.25]), "standardise.deviation": torch.tensor([2.0])}
    safetensors.torch.save_file(own, tmp_path / "own.safetensors")
    brought = read_given_target(tmp_path / "own.safetensors", SPECIFICATION)
    assert brought.description.scales_itself
    assert brought.weights is not None
    assert brought.weights["standardise.deviation"].shape == (1, 1, 1, 1)


def test_doubts() -> None:
    assert doubts_about(0.99, 0.90, 1000, 500, 0.1, False) == []
    assert "by heart" in doubts_about(0.90, 0.90, 1000, 500, 0.1, False)[0]
    assert "by heart" in doubts_about(0.91, 0.90, 1000, 500, 0.1, False)[0]  # 1% of 500 is within chance
    assert doubts_about(0.91, 0.90, 100_000, 50_000, 0.1, False) == []
    assert doubts_about(0.90, 0.92, 1000, 500, 0.1, True) == []  # an easier test set; the attack tells them apart
    assert "commonest class" in doubts_about(0.51, 0.30, 1000, 500, 0.5, True)[0]
    # A model that was trained on nothing of it is doubted in most draws.
    random = np.random.default_rng(1)
    draws = [(random.binomial(1000, 0.8) / 1000, random.binomial(500, 0.8) / 500) for _ in range(400)]
    assert 0.9 < np.mean([bool(doubts_about(*draw, 1000, 500, 0.1, False)) for draw in draws]) < 0.99


class Deep(nn.Module):
    """Layers whose wrappers stand at several depths, BatchNorm's counts, and weights that are tied."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 64))
        self.body[4].weight = self.body[1].weight
        self.head = nn.Linear(64, 3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(inputs))  # type: ignore[no-any-return]


def deep(shape: tuple[int, ...], classes: int) -> nn.Module:
    return Deep()


OF_DEEP = ModelSpecification(
    f"{__file__}:deep", (8, 8, 1), 3, ((0.5,), (0.25,)), RECIPES["fast"], seed=0, hardware=Hardware("cpu", "fp32")
)


def of_deep(change: Callable[[str], str] = str, less: str = "nothing") -> dict[str, Any]:
    torch.manual_seed(5)
    return {change(name): tensor for name, tensor in Deep().state_dict().items() if less not in name}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("both ways.pt", lambda: of_deep(lambda n: f"_orig_mod.module.{n}"), None),
        ("the other.PTH", lambda: of_deep(lambda n: f"module._orig_mod.{n}"), None),
        ("within.bin", lambda: of_deep(lambda n: n.replace("body.", "body._orig_mod.module.")), None),
        ("sharded.pth.tar", lambda: of_deep(lambda n: f"_fsdp_wrapped_module.{n}"), None),
        ("counts.pt", lambda: of_deep(less="num_batches"), "lacks body.2.num_batches_tracked, which no answer"),
        ("tied.pt", lambda: of_deep(less="body.4.weight"), None),
        ("half.pt", lambda: {n: t.bfloat16() for n, t in of_deep().items()}, None),
        ("lightning.ckpt", lambda: {"epoch": 3, "callbacks": {}, "state_dict": of_deep(lambda n: f"model.{n}")},
         "weights are 'state_dict' 'model.…' of lightning.ckpt"),
        ("net.pt", lambda: {"optimizer": {"state": {0: {"momentum": torch.zeros(2)}}}, "net": of_deep()}, "'net'"),
        ("loss.pt", lambda: of_deep(lambda n: f"backbone.{n}") | {"criterion.weight": torch.ones(3)},
         "criterion.weight are left out"),
        ("swa.pt", lambda: of_deep(lambda n: f"module.{n}") | {"n_averaged": torch.tensor(3)},
         "n_averaged are left out"),
        ("ema.ckpt",
         lambda: {"state_dict": of_deep(lambda n: f"ema.module.{n}") | {"ema.n_averaged": torch.tensor(3)}},
         "'state_dict' 'ema.…'"),
        ("epoch.pt", lambda: {"epoch": 7} | of_deep(), None),
        ("twice the same.pt", lambda: {"model": of_deep(), "ema": of_deep()}, "are 'model' of"),
    ],
)  # fmt: skip
def test_a_checkpoint_is_understood_where_its_names_prove_it(
    tmp_path: Path, name: str, content: Callable[[], Any], said: str | None
) -> None:
    torch.save(content(), tmp_path / name)
    given = read_given_target(tmp_path / name, OF_DEEP)
    assert given.weights is not None
    rounding = 1e-2 if name == "half.pt" else 0
    for key, tensor in of_deep(less="num_batches").items():
        torch.testing.assert_close(given.weights[f"network.{key}"], tensor, rtol=rounding, atol=0)
    assert said is None or any(said in note for note in given.notes), given.notes


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda: {"model": of_deep(), "ema": {n: t + 1 for n, t in of_deep().items()}}, "'model', 'ema'"),
        (lambda: of_deep(lambda n: f"online.{n}") | {f"target.{n}": t + 1 for n, t in of_deep().items()},
         "'online.…', 'target.…'"),
        (lambda: of_deep() | {"body.4.weight": torch.zeros(64, 64)}, "are tied in the network, and differ in the file"),
        (lambda: of_deep(less="head.bias"), "it lacks head.bias"),
        (lambda: {"state_dict": of_deep(lambda n: f"model.{n}", less="head")}, "it lacks head.weight, head.bias"),
    ],
)  # fmt: skip
def test_a_checkpoint_that_leaves_a_doubt_is_refused(tmp_path: Path, content: Callable[[], Any], said: str) -> None:
    torch.save(content(), tmp_path / "doubt.pt")
    with pytest.raises(DataError, match=re.escape(said)):
        read_given_target(tmp_path / "doubt.pt", OF_DEEP)


def test_programs_bombs_and_folders_are_refused_unread(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's scripting is on its way out
        torch.jit.script(nn.Linear(2, 2)).save(str(tmp_path / "program.pt"))
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb/data/0", b"\0" * (50 << 20))
    (tmp_path / "folder.pt").mkdir()
    told = {"program.pt": "TorchScript", "bomb.pt": "unpacks to 52,428,800", "folder.pt": "no ordinary file"}
    for name, said in told.items():
        with pytest.raises(DataError, match=said):
            read_given_target(tmp_path / name, OF_DEEP)


def test_tied_weights_are_saved_and_loaded(tmp_path: Path) -> None:
    model = OF_DEEP.build("tied")
    save_model(model, tmp_path / "tied.safetensors")
    loaded = load_model(OF_DEEP, tmp_path / "tied.safetensors")
    assert all(torch.equal(tensor, loaded.state_dict()[name]) for name, tensor in model.state_dict().items())
