"""Networks that were trained before: from local weights alone, all of one or its head, and what is said of that.

Without timm a small stand-in is put in its place; tests/test_pretrained_libraries.py has the libraries themselves.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

import privaudit
from privaudit.audit.plan import plan_audit
from privaudit.audit.reopening import reopen_plan
from privaudit.config import AuditSettings
from privaudit.errors import DataError, PrivauditError, UsageError
from privaudit.networks.pretrained.build import PretrainedClassifier, build_head, resized, whole_state
from privaudit.networks.pretrained.description import Preparation
from privaudit.networks.pretrained.trained_part import find_heads, freeze
from privaudit.networks.pretrained.weights import digest_of_weights, give_weights, weight_files
from privaudit.results.audit.audit_description import AuditIdentity, DataDescription
from privaudit.shadow.store import AuditStore
from tests.conftest import save_noisy_images

WIDTH, SIDE = 6, 12
MEAN, DEVIATION = (0.2, 0.3, 0.4), (0.5, 0.6, 0.7)


class Tiny(nn.Module):
    """What timm might build: a convolution with BatchNorm, a pool, and a head."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, WIDTH, 3), nn.BatchNorm2d(WIDTH), nn.ReLU())
        self.fc = nn.Linear(WIDTH, classes)
        self.pretrained_cfg = {"classifier": "fc"}

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        assert images.shape[1:] == (3, SIDE, SIDE)
        logits: torch.Tensor = self.fc(self.stem(images).mean((2, 3)))
        return logits


@pytest.fixture
def timm(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A package of that name with one network in it, which has no weights and downloads none."""
    fake: Any = ModuleType("timm")
    fake.__version__ = "0"
    fake.is_model = lambda name: name == "tiny"
    fake.list_models = lambda: ["tiny"]
    config = SimpleNamespace(
        input_size=(3, SIDE, SIDE), mean=MEAN, std=DEVIATION, interpolation="bilinear", fixed_input_size=True
    )
    fake.get_pretrained_cfg = lambda name, allow_unregistered: config

    def create_model(name: str, pretrained: bool, num_classes: int, in_chans: int) -> Tiny:
        assert (name, pretrained, in_chans) == ("tiny", False, 3)
        return Tiny(num_classes)

    fake.create_model = create_model
    monkeypatch.setitem(sys.modules, "timm", fake)
    module: ModuleType = fake
    return module


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(7)
    network = Tiny(1000)
    with torch.no_grad():
        network.state_dict()["stem.1.running_mean"].fill_(0.1)
    path = tmp_path / "tiny.safetensors"
    safetensors.torch.save_file(network.state_dict(), path)
    return path


@pytest.fixture
def images(tmp_path: Path) -> str:
    save_noisy_images(tmp_path / "noisy.npz")
    return str(tmp_path / "noisy.npz")


def settings(folder: Path, **given: Any) -> AuditSettings:
    usual: dict[str, Any] = {"network": "timm:tiny", "precision": "fp32", "device": "cpu", "workers": 1}
    places: dict[str, Any] = {"store": folder / "s", "out": folder / "o"}
    return AuditSettings(**(places | usual | given))


# What is asked for, and what is not there.


def test_weights_have_to_be_named_or_left_out_on_purpose(timm: ModuleType, tmp_path: Path, images: str) -> None:
    with pytest.raises(UsageError, match="needs its weights: none are named") as missing:
        plan_audit(settings(tmp_path, dataset=images))
    assert "--weights random" in str(missing.value.hint)
    plan = plan_audit(settings(tmp_path, dataset=images, weights="random", epochs=1))
    assert plan.identity.pretrained is not None
    assert plan.identity.pretrained.weights == "random"
    assert any("starts from nothing" in note for note in plan.notes)
    with pytest.raises(UsageError, match="a network that learned nothing"):
        plan_audit(settings(tmp_path, dataset=images, weights="random", train="head"))


def test_no_pickle_is_read_and_nothing_is_fetched(tmp_path: Path) -> None:
    pickled = tmp_path / "weights.pt"
    torch.save({"a": torch.zeros(1)}, pickled)
    with pytest.raises(UsageError, match=r"loading a '.pt' may run code"):
        weight_files(pickled)
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(UsageError, match=r"pytorch_model.bin is a pickle, which is not read"):
        weight_files(tmp_path)
    with pytest.raises(UsageError, match="no such file or folder"):
        weight_files(tmp_path / "absent.safetensors")


@pytest.mark.parametrize(("network", "library"), [("timm:resnet18", "timm"), ("transformers:here", "transformers")])
def test_a_library_that_is_not_installed_is_named(
    network: str, library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UsageError, match=f"needs the package {library}") as error:
        plan_audit(settings(tmp_path, dataset="digits", network=network, weights="random"))
    assert error.value.hint == f"Install it: pip install 'privaudit[{library}]'."


def test_flags_of_pretrained_networks_mean_nothing_elsewhere(timm: ModuleType, tmp_path: Path, weights: Path) -> None:
    with pytest.raises(UsageError, match="--train head is for pretrained networks, and --network cnn is none"):
        plan_audit(settings(tmp_path, dataset="digits", network="cnn", train="head"))
    with pytest.raises(UsageError, match=r"--train heads: it is all, head or FILE.py:function"):
        plan_audit(settings(tmp_path, dataset="digits", weights=weights, train="heads"))
    with pytest.raises(UsageError, match="timm 0 has no such model") as unknown:
        plan_audit(settings(tmp_path, dataset="digits", network="timm:tinny", weights=weights))
    assert "Did you mean tiny?" in str(unknown.value.hint)
    for flag in ({"augment": "flip"}, {"queries": "flip"}, {"target": weights}):
        with pytest.raises(UsageError, match="--train head"):
            plan_audit(settings(tmp_path, dataset="digits", weights=weights, train="head", **flag))


def test_features_and_images_of_another_scale_are_refused(timm: ModuleType, tmp_path: Path, weights: Path) -> None:
    random = np.random.default_rng(0)
    labels: dict[str, Any] = {"y_train": np.arange(40) % 2, "y_test": np.arange(40) % 2}
    for name, shape in (("rows", (40, 5)), ("scaled", (40, 8, 8, 3))):
        x = random.normal(0, 3, shape).astype(np.float32)
        np.savez(tmp_path / f"{name}.npz", x_train=x, x_test=x + 1, **labels)
    with pytest.raises(UsageError, match="takes grey or colour images"):
        plan_audit(settings(tmp_path, dataset=str(tmp_path / "rows.npz"), weights=weights))
    with pytest.raises(DataError, match="knows bytes, or floats from 0 to 1"):
        plan_audit(settings(tmp_path, dataset=str(tmp_path / "scaled.npz"), weights=weights))


# Weights.


def test_weights_are_given_to_all_but_the_head(tmp_path: Path) -> None:
    torch.manual_seed(0)
    given, network = Tiny(1000).state_dict(), Tiny(3)
    head = network.fc.weight.clone()
    wrapped = {f"module.{name}": tensor for name, tensor in given.items()} | {"module.spare": torch.zeros(2)}
    assert give_weights(network, wrapped, ["fc"], tmp_path) == ("spare",)
    assert torch.equal(network.fc.weight, head)
    assert all(torch.equal(network.state_dict()[name], given[name]) for name in given if name.startswith("stem"))


def test_weights_of_another_network_are_refused_with_what_differs(tmp_path: Path) -> None:
    given = Tiny(3).state_dict()
    del given["stem.0.bias"]
    given["stem.1.weight"] = torch.zeros(WIDTH + 1)
    with pytest.raises(DataError, match=r"they lack stem.0.bias; stem.1.weight is \[7\], the network's \[6\]"):
        give_weights(Tiny(3), given, ["fc"], tmp_path)
    given = Tiny(3).state_dict() | {"stem.0.bias": torch.full((WIDTH,), torch.nan)}
    with pytest.raises(DataError, match=r"stem.0.bias hold values that are not numbers"):
        give_weights(Tiny(3), given, ["fc"], tmp_path)


def test_weights_in_parts_are_one(tmp_path: Path) -> None:
    for number in (1, 2):
        safetensors.torch.save_file(
            {f"t{number}": torch.ones(number)}, tmp_path / f"model-0000{number}-of-2.safetensors"
        )
    found = weight_files(tmp_path)
    assert [path.name[:11] for path in found] == ["model-00001", "model-00002"]
    assert digest_of_weights(found) != digest_of_weights(found[:1])


# What is trained.


def test_a_function_names_what_is_trained_and_batchnorm_below_stands_still(tmp_path: Path) -> None:
    (tmp_path / "part.py").write_text(
        "def head(network):\n    return network.fc.parameters()\n"
        "def by_name(network):\n    return ['fc.bias']\n"
        "def wrong(network):\n    return ['fc.weights']\n"
        "def none(network):\n    return []\n"
    )
    network = Tiny(3)
    freeze(network, f"{tmp_path}/part.py:head")
    trained = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert trained == {"fc.weight", "fc.bias"}
    model = PretrainedClassifier(Preparation(SIDE, MEAN, DEVIATION), network, 3, ["fc"]).train()
    before = network.state_dict()["stem.1.running_mean"].clone()
    model(torch.rand(4, 3, SIDE, SIDE))
    assert torch.equal(network.state_dict()["stem.1.running_mean"], before)
    freeze(whole := Tiny(3), f"{tmp_path}/part.py:by_name")
    assert [name for name, parameter in whole.named_parameters() if parameter.requires_grad] == ["fc.bias"]
    with pytest.raises(UsageError, match=r"has no parameter 'fc.weights'"):
        freeze(Tiny(3), f"{tmp_path}/part.py:wrong")
    with pytest.raises(UsageError, match="nothing would be trained"):
        freeze(Tiny(3), f"{tmp_path}/part.py:none")
    moving = PretrainedClassifier(Preparation(SIDE, MEAN, DEVIATION), Tiny(3), 3, ["fc"]).train()
    assert moving.network.get_submodule("stem.1").training


def test_the_head_is_the_layer_that_the_library_names_or_the_last_that_fits() -> None:
    assert find_heads(Tiny(3), 3, ["fc"]) == ("fc",)
    assert find_heads(nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 3)), 3, []) == ("1",)


def test_a_head_within_the_whole_network_answers_as_it_did_on_embeddings() -> None:
    """Its standardisation is folded into its weights."""
    torch.manual_seed(0)
    whole = PretrainedClassifier(Preparation(SIDE, MEAN, DEVIATION), Tiny(3), 3, ["fc"]).eval()
    images = torch.rand(5, 1, 20, 20)
    prepared = (resized(images, SIDE, "bilinear") - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(DEVIATION).view(
        3, 1, 1
    )
    embeddings = whole.network.get_submodule("stem")(prepared).mean((2, 3))
    head = build_head(WIDTH, 3, (np.linspace(-1, 1, WIDTH).tolist(), np.linspace(0.5, 2, WIDTH).tolist()), 1)
    whole.load_state_dict(whole_state(whole, head.state_dict()))
    assert torch.allclose(whole(images), head(embeddings), atol=1e-5)


# A whole audit.


def test_an_audit_of_a_head_from_images_to_the_exported_model(
    timm: ModuleType, tmp_path: Path, weights: Path, images: str
) -> None:
    given = settings(tmp_path, dataset=images, weights=weights, train="head", shadows=4, epochs=10)
    plan = plan_audit(given)
    shown = {"timm": "0", "network": "timm:tiny"}
    assert plan.identity.network == shown["network"]
    options: Any = {name: value for name, value in given.given().items() if name != "address"}
    results = privaudit.score(**options)
    identity = AuditIdentity.model_validate(results.about.identity)
    assert identity.pretrained is not None
    assert (identity.pretrained.train, identity.pretrained.size) == ("head", SIDE)
    assert any("only the head is audited" in note for note in results.about.notes)
    report = Path(str(results.report.html)).read_text("utf-8")
    assert "Only the head was audited" in report
    assert str(tmp_path) not in report

    store = AuditStore(tmp_path / "s", plan.name)
    kept = np.load(store.embeddings)
    assert kept.shape == (420, WIDTH)
    assert kept.dtype == np.float32
    reference = Tiny(1000)
    reference.load_state_dict(safetensors.torch.load_file(weights))
    arrays = np.load(images)
    grey = torch.from_numpy(arrays["x_train"][:40] / 255.0).float()[:, None].expand(-1, 3, -1, -1)
    mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, DEVIATION))
    by_hand = reference.eval().stem((resized(grey, SIDE, "bilinear") - mean) / deviation).mean((2, 3))
    assert np.allclose(kept[:40], by_hand.detach(), atol=1e-5)

    # Models answer for images, exported ones too; what is purged is gone.
    model = privaudit.load_model(plan.name, store=tmp_path / "s", out=tmp_path / "o")
    assert "only its head" in model.describe()
    state = safetensors.torch.load_file(store.model("target"))
    head = (by_hand - state["standardise.mean"]) / state["standardise.deviation"] @ state["network.weight"].T
    assert torch.allclose(model(arrays["x_train"][:40]), head + state["network.bias"], atol=1e-4)
    exported = privaudit.export(plan.name, store=tmp_path / "s", out=tmp_path / "served")
    assert "timm" in exported.needs
    assert privaudit.score(**options).trained == 0
    privaudit.purge(forget="random:5", audit=plan.name, store=tmp_path / "s", out=tmp_path / "o", yes=True)
    assert not store.embeddings.exists()


def test_weights_are_part_of_what_an_audit_is(timm: ModuleType, tmp_path: Path, weights: Path, images: str) -> None:
    one = plan_audit(settings(tmp_path, dataset=images, weights=weights), embed=False)
    head = plan_audit(settings(tmp_path, dataset=images, weights=weights, train="head"), embed=False)
    torch.manual_seed(8)
    safetensors.torch.save_file(Tiny(1000).state_dict(), weights)
    other = plan_audit(settings(tmp_path, dataset=images, weights=weights), embed=False)
    assert len({one.name, head.name, other.name}) == 3
    assert head.shadows == 64
    assert one.specification.build("a").state_dict().keys() == other.specification.build("a").state_dict().keys()


def test_weights_below_a_head_that_moved_are_asked_for_and_another_version_s_code_is_told(
    timm: ModuleType,
    tmp_path: Path,
    weights: Path,
    images: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("privaudit.audit.inputs.trained_code.version_of", lambda _: "1.0.1")
    monkeypatch.setattr("privaudit.networks.pretrained.libraries.version_of", lambda _: "1.0.1")
    given = settings(tmp_path, dataset=images, weights=weights, train="head", shadows=4, epochs=1)
    name = plan_audit(given, embed=False).name
    options: Any = given.given()
    privaudit.score(**options)
    moved = weights.rename(tmp_path / "elsewhere.safetensors")
    places: Any = {"store": tmp_path / "s", "out": tmp_path / "o"}
    with pytest.raises(UsageError, match="the weights of the network below it are not at") as gone:
        privaudit.load_model(name, **places)
    assert "load_model(…, weights=PATH)" in str(gone.value.hint)
    assert privaudit.load_model(name, weights=moved, **places).about.kind == "target"
    assert "was built by" not in capsys.readouterr().err
    monkeypatch.setattr("privaudit.networks.pretrained.libraries.version_of", lambda _: "2.0.0")
    assert privaudit.load_model(name, weights=moved, **places).about.audit == name
    assert "was built by timm 1.0.1, now it is 2.0.0: its code is timm's" in capsys.readouterr().err
    store, without_folders = AuditStore(tmp_path / "s", name), AuditSettings(device="cpu", workers=1)
    moved.rename(weights)
    reopen_plan(store, without_folders)
    assert "pip install timm==1.0.1 has what it was" in capsys.readouterr().err
    weights.rename(moved)
    safetensors.torch.save_file(Tiny(1000).state_dict(), weights)
    with pytest.raises(UsageError, match="is not what the head was trained on"):
        privaudit.load_model(name, **places)
    with pytest.raises(PrivauditError, match="weights"):
        privaudit.unlearn(audit=name, **places)


def test_an_audit_that_is_of_no_pretrained_network_is_named_as_before() -> None:
    """Fields that came later are left out where nothing is said of them."""
    identity = AuditIdentity(
        dataset="d", fingerprint="f", network="n", recipe=None, seed=0, device="cpu", precision="p"
    )
    assert "pretrained" not in identity.to_json()
    assert "image_fit" not in DataDescription(dataset="d", samples=1, train=1, classes=[]).to_json()
