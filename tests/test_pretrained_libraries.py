"""timm and transformers themselves, with tiny networks of random weights; trainers of transformers and Lightning."""

from __future__ import annotations

import importlib
import json
import runpy
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

import privaudit
from privaudit.audit.plan import plan_audit
from privaudit.config import AuditSettings
from tests.conftest import ROOT, Run

pytestmark = pytest.mark.slow

CLASSES = ("cat", "dog", "eel")


def imported(name: str) -> Any:
    """The library, or a skip; what it warns of while it is imported is its own affair."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module(name)
        except ImportError:
            pytest.skip(f"no {name} here")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A class tree of pictures of several sizes, in a colour of the class's own beneath the noise."""
    random = np.random.default_rng(0)
    for part, count in (("train", 20), ("test", 10)):
        for channel, name in enumerate(CLASSES):
            folder = tmp_path / "photos" / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                height, width = random.integers(20, 50, 2)
                picture = random.integers(0, 256, (height, width, 3))
                picture[..., channel] = picture[..., channel] // 2 + 100
                Image.fromarray(picture.astype(np.uint8)).save(folder / f"{number}.png")
    return tmp_path / "photos"


def of_timm(folder: Path, name: str) -> dict[str, Any]:
    torch.manual_seed(0)
    path = folder / f"{name}.safetensors"
    safetensors.torch.save_file(imported("timm").create_model(name).state_dict(), path)
    return {"network": f"timm:{name}", "weights": path}


def of_transformers(folder: Path, kind: str) -> dict[str, Any]:
    transformers = imported("transformers")
    torch.manual_seed(0)
    if kind == "ViT":
        sizes = {"num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 32, "patch_size": 8}
        config = transformers.ViTConfig(hidden_size=16, intermediate_size=16, **sizes)
    else:
        config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        getattr(transformers, f"{kind}ForImageClassification")(config).save_pretrained(folder / kind)
    return {"network": f"transformers:{folder / kind}"}


NETWORKS = {
    "timm ResNet": (of_timm, "test_resnet"),
    "timm ViT": (of_timm, "test_vit"),
    "transformers ViT": (of_transformers, "ViT"),
    "transformers ResNet": (of_transformers, "ResNet"),
}


@pytest.fixture(params=NETWORKS)
def network(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    make, name = NETWORKS[request.param]
    return make(tmp_path, name)


def test_a_head_is_audited_unlearned_loaded_and_exported(network: dict[str, Any], photos: Path, tmp_path: Path) -> None:
    places: Any = {"store": tmp_path / "s", "out": tmp_path / "o"}
    small: Any = {"shadows": 4, "epochs": 5, "workers": 1, "device": "cpu", "precision": "fp32"}
    results = privaudit.score(dataset=str(photos), train="head", **network, **small, **places)
    assert results.attacks["lira"].auc > 0
    assert any("only the head is audited" in note for note in results.about.notes)
    run = privaudit.unlearn(method="retrain", forget="random:10%", workers=1, **places)
    assert run.outcome is not None
    model = privaudit.load_model(run.run, **places)
    exported = privaudit.export(run.run, **places)
    shape = results.about.data.input_shape if results.about.data else []
    images = np.random.default_rng(1).integers(0, 256, (3, *shape)).astype(np.uint8)
    served = runpy.run_path(str(Path(exported.folder) / "load.py"))["load"]()
    with torch.inference_mode():
        assert torch.allclose(served(images), model(images), atol=1e-3)


def test_the_whole_network_is_trained_from_its_weights(network: dict[str, Any], photos: Path, tmp_path: Path) -> None:
    given: dict[str, Any] = {"dataset": str(photos), "image_size": 32, "device": "cpu", "precision": "fp32"}
    plan = plan_audit(AuditSettings(store=tmp_path / "s", out=tmp_path / "o", **network, **given))
    first, second = (plan.specification.build(seed).state_dict() for seed in (1, 2))
    differ = {name for name, tensor in first.items() if not torch.equal(tensor, second[name])}
    assert differ
    assert all("fc" in name or "head" in name or "classifier" in name for name in differ)


def test_a_part_of_a_network_is_trained_and_unlearned(photos: Path, tmp_path: Path) -> None:
    network = of_timm(tmp_path, "test_resnet")
    (tmp_path / "part.py").write_text("def last(network):\n    return [*network.layer4.parameters(), 'fc.weight']\n")
    places: Any = {"store": tmp_path / "s", "out": tmp_path / "o"}
    small: Any = {"shadows": 4, "epochs": 1, "workers": 1, "device": "cpu", "precision": "fp32", "image_size": 32}
    results = privaudit.score(dataset=str(photos), train=f"{tmp_path}/part.py:last", **network, **small, **places)
    target = safetensors.torch.load_file(tmp_path / "s" / results.audit / "target.safetensors")
    before = safetensors.torch.load_file(network["weights"])
    still = [name for name in before if not name.startswith(("layer4", "fc"))]
    assert all(torch.equal(target[f"network.{name}"], before[name]) for name in still)
    assert not torch.equal(target["network.layer4.0.conv1.weight"], before["layer4.0.conv1.weight"])
    for method in ("ga", "ft"):
        assert privaudit.unlearn(method=method, forget="random:10%", workers=1, **places).outcome is not None


@pytest.mark.parametrize(("example", "library"), [("transformers", "transformers"), ("lightning", "lightning")])
def test_a_trainer_of_another_library_trains_every_model(
    example: str, library: str, privaudit: Run, tmp_path: Path
) -> None:
    imported(library)
    done = privaudit(
        *("score", "--dataset", "digits", "--samples", "120", "--shadows", "4", "--invert", "0", "--workers", "1"),
        *("--training", f"{ROOT}/examples/{example}_trainer.py:fit", "--store", "s", "--out", "o", "--json"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    accuracy = json.loads(done.stdout)["accuracy"]
    assert accuracy["target_train"] > 0.4
