"""What a GPU must do as a processor does, and what it must do the same way twice.

pytest -m gpu tests/test_gpu.py                              on a machine with a CUDA device
PRIVAUDIT_TEST_DEVICE=cpu pytest -m gpu tests/test_gpu.py    the tests themselves, anywhere
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import privaudit as package
from privaudit.audit.plan import AuditPlan, plan_audit
from privaudit.config import read_settings
from privaudit.engines.local import dismiss
from privaudit.errors import UsageError
from privaudit.inversion.calibration import calibrate
from privaudit.inversion.gradient_engines.engine_choice import Kind, make_engine
from privaudit.inversion.image_scale import PixelScale
from privaudit.inversion.matching import Canvas, match_gradients
from privaudit.inversion.presets import MatchingAttack
from privaudit.networks import NETWORKS, build_network
from privaudit.runtime.torch_globals import full_fp32, pin_cublas, pinned_cudnn
from privaudit.shadow.specification import ModelSpecification
from privaudit.shadow.trainer import load_model, one_thread
from privaudit.signals import signal, signals_of
from privaudit.testing.unlearner import practice_context
from privaudit.training import loop
from privaudit.training.augment import Augmenter
from privaudit.training.hardware import Hardware, resolve_hardware
from privaudit.training.loop import Samples, logits_of, train
from privaudit.training.recipe import RECIPES, resolve_recipe
from privaudit.unlearning.base import UNLEARNERS, Context
from privaudit.unlearning.parameters import with_changes
from privaudit.unlearning.schedule.one_shot import run_once
from privaudit.unlearning.schedule.sequence import run_sequence
from privaudit.unlearning.schedule.stages import plan_stages
from tests.conftest import Run, unlearn

DEVICE = os.environ.get("PRIVAUDIT_TEST_DEVICE", "cuda")
ON_CARD = DEVICE == "cuda"

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(ON_CARD and not torch.cuda.is_available(), reason="torch sees no CUDA device"),
    # Drivers and new cards have things to say that are no fault of ours.
    pytest.mark.filterwarnings("default"),
]

#: The audit of these tests: 400 digits, 8 shadow models of 2 epochs.
FLAGS: dict[str, Any] = {"dataset": "digits", "samples": 400, "network": "cnn", "shadows": 8, "epochs": 2, "seed": 3}
CNN = ["resnet18", "cnn"]
NEW = [name for name in ("airbench",) if name in NETWORKS]

#: Signals of the same weights on two devices differ by the rounding of sums in another order: this share of the
#: largest logit.
SIGNALS_AGREE = 1e-4

#: The same of gradients, as a share of their norm.
GRADIENTS_AGREE = 1e-4


@pytest.fixture(scope="module", autouse=True)
def as_commands_do() -> None:
    """Before the first matrix product of this process, whichever test is the first."""
    pin_cublas()


def plan_of(**changes: Any) -> AuditPlan:
    return plan_audit(read_settings({**FLAGS, "device": DEVICE, **changes}, None))


@pytest.fixture(scope="module")
def audit(privaudit: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One audit by the command, in one process; read it, never change it."""
    root = tmp_path_factory.mktemp("gpu")
    arguments = [text for name, value in FLAGS.items() for text in (f"--{name}", str(value))]
    done = privaudit(
        "score", *arguments, "--device", DEVICE, "--workers", "1", "--invert", "0",
        "--store", root / "store", "--out", root / "out", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {"results": json.loads(done.stdout), "root": root, "stderr": done.stderr}


def score_again(root: Path, **changes: Any) -> Any:
    places = {"store": root / "store", "out": root / "out"}
    return package.score(**{**FLAGS, "device": DEVICE, "workers": 1, "invert": 0, **places, **changes})


def weights_below(root: Path, name: str) -> dict[str, bytes]:
    folder = root / "store" / name
    paths = [folder / "target.safetensors", *sorted((folder / "models").glob("*.safetensors"))]
    return {path.name: path.read_bytes() for path in paths}


def test_a_small_audit_ends_well(audit: dict[str, Any]) -> None:
    results = audit["results"]
    assert results["trained"] == 9
    assert (results["samples"], results["shadows"]) == (400, 8)
    assert 0 <= results["attacks"]["lira"]["auc"] <= 1
    assert Path(results["scores"]).is_file()
    assert Path(results["report"]["html"]).is_file()
    stored = json.loads((audit["root"] / "store" / results["audit"] / "audit.json").read_text())
    assert stored["identity"]["device"] == DEVICE
    assert len(weights_below(audit["root"], results["audit"])) == 9


def test_design_and_first_weights_are_the_processors() -> None:
    here, there = plan_of(), plan_of(device="cpu")
    assert np.array_equal(here.design(8), there.design(8))
    first, second = (plan.specification.build("0003", 0).state_dict() for plan in (here, there))
    assert next(iter(first.values())).device.type == DEVICE
    assert all(torch.equal(first[name].cpu(), second[name]) for name in second)


@pytest.mark.parametrize("kind", ["none", "flip", "crop", "crop-flip", "shift-flip"])
def test_augmentation_draws_and_moves_pixels_as_on_the_processor(kind: Any) -> None:
    images = torch.from_numpy(noise().inputs.cpu().numpy()[:64])
    found = []
    for device in (DEVICE, "cpu"):
        augmenter = Augmenter(kind, images.shape[1:], 64, torch.Generator().manual_seed(5))
        augmenter.begin_epoch(1, torch.arange(64), [40, 24], torch.device(device))
        found.append([augmenter(part.to(device)).cpu() for part in images.split([40, 24])])
    assert torch.equal(torch.cat(found[0]), torch.cat(found[1]))


def test_signals_of_the_same_weights_agree(audit: dict[str, Any]) -> None:
    """Stored signals, which the card computed, against the processor's of the same weights."""
    plan = plan_of(store=audit["root"] / "store", out=audit["root"] / "out")
    arrays, margins = plan.arrays, []
    for device in (DEVICE, "cpu"):
        specification = replace(plan.specification, hardware=Hardware(device, "fp32"))
        model = load_model(specification, plan.store.model("0002"))
        samples = Samples.from_arrays(arrays.pool_inputs, arrays.pool_labels, device)
        with one_thread(specification.hardware):
            logits = logits_of(model, samples)
        margins.append(signal(signals_of(logits, arrays.pool_labels), "margin"))
    stored = signal(np.load(plan.store.signals("0002"))[:, 0], "margin")
    assert np.array_equal(stored, margins[0])
    assert np.abs(margins[0] - margins[1]).max() <= SIGNALS_AGREE * np.abs(margins[1]).max()


@pytest.mark.parametrize("network", [*CNN, *NEW])
def test_logits_of_every_kind_of_network_agree(network: str) -> None:
    samples = noise()
    answers = []
    for device in (DEVICE, "cpu"):
        model = specification_of(network, "fp32", device).build("0000", 0)
        answers.append(logits_of(model, Samples(samples.inputs.to(device)[:64], samples.labels.to(device)[:64])))
    assert np.abs(answers[0] - answers[1]).max() <= SIGNALS_AGREE * np.abs(answers[1]).max()


def noise(samples: int = 512) -> Samples:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (samples, 32, 32, 3)).astype(np.uint8)
    return Samples.from_arrays(images, np.arange(samples) % 10, DEVICE)


def specification_of(network: str, precision: str, device: str = DEVICE) -> ModelSpecification:
    recipe = resolve_recipe(network if network in RECIPES else "fast", {"epochs": 2})
    statistics = ((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
    return ModelSpecification(network, (32, 32, 3), 10, statistics, recipe, 0, Hardware(device, precision))


def trained(network: str, precision: str) -> dict[str, torch.Tensor]:
    specification, samples = specification_of(network, precision), noise()
    with one_thread(specification.hardware):
        model = specification.build("0000", 0)
        train(model, samples, np.arange(400), specification.recipe, 7, specification.hardware)
    return {name: tensor.cpu() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("network", [*CNN, *NEW])
def test_a_model_that_is_trained_twice_is_the_same_to_the_bit(network: str, precision: str) -> None:
    first, second = trained(network, precision), trained(network, precision)
    differ = [name for name in first if not torch.equal(first[name], second[name])]
    assert not differ


def test_weights_do_not_depend_on_the_number_of_processes(audit: dict[str, Any], tmp_path: Path) -> None:
    results = score_again(tmp_path, workers=3)
    dismiss()
    assert results["trained"] == 9
    assert results["audit"] == audit["results"]["audit"]
    first, second = (weights_below(root, results["audit"]) for root in (audit["root"], tmp_path))
    assert [name for name in first if first[name] != second[name]] == []


def test_filters_that_whiten_do_not_depend_on_the_number_of_processes(tmp_path: Path) -> None:
    """They are computed on the processor, whose sums depend on its threads."""
    random = np.random.default_rng(0)
    images, labels = random.integers(0, 256, (240, 16, 16, 3), np.uint8), np.arange(240) % 2
    path = tmp_path / "noise.npz"
    np.savez(path, x_train=images[:200], y_train=labels[:200], x_test=images[200:], y_test=labels[200:])
    changes = {"dataset": str(path), "samples": None, "network": "airbench", "shadows": 4, "epochs": 1}
    names = [score_again(tmp_path / str(workers), **changes, workers=workers)["audit"] for workers in (1, 2)]
    dismiss()
    first, second = (weights_below(tmp_path / str(workers), name) for workers, name in zip((1, 2), names, strict=True))
    assert len(first) == 5
    assert [name for name in first if first[name] != second[name]] == []


def test_a_run_that_lost_a_model_goes_on_to_the_same_bits(audit: dict[str, Any], tmp_path: Path) -> None:
    """By the Python interface, on one card by its number: neither changes the audit."""
    shutil.copytree(audit["root"] / "store", tmp_path / "store")
    name = audit["results"]["audit"]
    (tmp_path / "store" / name / "models" / "0003.safetensors").unlink()
    results = score_again(tmp_path, device="cuda:0" if ON_CARD else "cpu")
    assert results["trained"] == 1
    assert results["audit"] == name
    assert weights_below(tmp_path, name) == weights_below(audit["root"], name)


@pytest.mark.skipif(not ON_CARD, reason="counts cards")
def test_a_card_that_is_not_there_is_told() -> None:
    there = torch.cuda.device_count()
    with pytest.raises(UsageError, match=rf"--device cuda:{there}: torch sees {there} CUDA device"):
        resolve_hardware(f"cuda:{there}", "fp32")


def test_a_pool_that_does_not_fit_stays_in_main_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """And comes to the same answers, a batch at a time."""
    model, fits = specification_of("cnn", "fp32").build("0000", 0), noise()
    monkeypatch.setattr(loop, "POOL_SHARE", 0.0)
    large = noise()
    assert large.inputs.device.type == "cpu"
    assert large.device.type == DEVICE
    assert np.array_equal(logits_of(model, large), logits_of(model, fits))
    rows = torch.tensor([3, 1, 2], device=DEVICE)
    assert torch.equal(large.take(rows), fits.take(rows))


@pytest.fixture
def rounded_to_tf32() -> Iterator[None]:
    """As much training code leaves torch."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = True
    yield
    torch.set_float32_matmul_precision(before[0])
    torch.backends.cudnn.allow_tf32 = before[1]


def test_fp32_means_fp32(rounded_to_tf32: None) -> None:
    """Products and convolutions against those of double precision: TF32 would be off by some 10⁻⁴."""
    draw = torch.Generator().manual_seed(0)
    a, b = (torch.randn(256, 1024, generator=draw).to(DEVICE), torch.randn(1024, 256, generator=draw).to(DEVICE))
    images = torch.randn(16, 64, 16, 16, generator=draw).to(DEVICE)
    kernels = torch.randn(64, 64, 3, 3, generator=draw).to(DEVICE)
    with full_fp32(), pinned_cudnn():
        product, convolved = a @ b, functional.conv2d(images, kernels)
    for found, exact in ((product, a.double() @ b.double()), (convolved, convolved64(images, kernels))):
        assert float((found.double() - exact).norm() / exact.norm()) < 2e-5
    if ON_CARD:
        rounded = a @ b
        assert float((rounded.double() - a.double() @ b.double()).norm() / product.double().norm()) > 5e-5


def convolved64(images: torch.Tensor, kernels: torch.Tensor) -> torch.Tensor:
    return functional.conv2d(images.cpu().double(), kernels.cpu().double()).to(images.device)


PIXELS = PixelScale(0.0, 1.0, 255.0)


def attacked(device: str) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    model = build_network("cnn", (12, 12, 1), 5, ((0.4,), (0.3,)), 0).eval().to(device)
    images = torch.rand(4, 1, 12, 12, generator=torch.Generator().manual_seed(1)).to(device)
    return model, images, functional.one_hot(torch.arange(4) % 5, 5).float().to(device)


@pytest.mark.parametrize("kind", ["looped", "vmapped", "layerwise"])
def test_every_inversion_engine_gives_the_processors_gradients(kind: Kind) -> None:
    found = []
    for device in (DEVICE, "cpu"):
        model, images, labels = attacked(device)
        engine = make_engine(kind, model, 4)
        with full_fp32(), pinned_cudnn():
            parts = [engine(*some) for some in zip(images.split(engine.most), labels.split(engine.most), strict=True)]
        found.append(torch.cat([torch.cat(column).detach().cpu() for column in zip(*parts, strict=True)], 1))
    apart = (found[0] - found[1]).norm(dim=1)
    assert bool((apart <= GRADIENTS_AGREE * found[1].norm(dim=1)).all())


@pytest.mark.parametrize("kind", ["looped", "vmapped", "layerwise"])
def test_an_inversion_comes_closer(kind: Kind) -> None:
    model, images, labels = attacked(DEVICE)
    engine = make_engine(kind, model, 4)
    attack = MatchingAttack(name="few", steps=30, total_variation=1e-3)
    canvas = Canvas.of(model, PIXELS, standardised=False)
    with full_fp32(), pinned_cudnn():
        parts = [engine(*some) for some in zip(images.split(engine.most), labels.split(engine.most), strict=True)]
        seen = tuple(torch.cat(column).detach() for column in zip(*parts, strict=True))
        starts = torch.rand(images.shape, generator=torch.Generator().manual_seed(2)).to(DEVICE)
        few, many = (
            match_gradients(engine, seen, labels, starts, attack.model_copy(update={"steps": steps}), canvas)
            for steps in (1, 30)
        )
    assert bool(torch.isfinite(many.images).all())
    assert bool((many.objective < few.objective).all())


def test_the_inversion_engine_is_chosen_by_measuring() -> None:
    specification = replace(plan_of().specification, input_shape=(8, 8, 1))
    with one_thread(specification.hardware):
        found = calibrate(specification, PIXELS)
    assert found.batch >= 1
    assert (found.matching_seconds or 0) > 0
    assert found.reason is None


def on_card() -> Context:
    """The practice problem of method authors, moved to the card."""
    plain = practice_context()
    assert plain.teachers is not None
    teachers = plain.teachers()
    moved = replace(teachers, mean=teachers.mean.to(DEVICE), divergence=teachers.divergence.to(DEVICE))
    build = plain.build
    return replace(
        plain,
        model=plain.model.to(DEVICE),
        samples=Samples(plain.samples.inputs.to(DEVICE), plain.samples.labels.to(DEVICE)),
        hardware=Hardware(DEVICE, "fp32"),
        build=lambda *purpose: build(*purpose).to(DEVICE),
        teachers=lambda: moved,
    )


@pytest.mark.parametrize("name", list(UNLEARNERS))
def test_every_unlearning_method_runs_and_leaves_numbers(name: str) -> None:
    method, context = UNLEARNERS.load(name), on_card()
    changes = {"ssd": {"alpha": 1.1}, "shadow-teacher": {"effort": 0.1}}.get(name, {"passes": 1.0})
    before = [weight.detach().clone() for weight in context.model.parameters()]
    with one_thread(context.hardware):
        unlearner = method(context, with_changes(method.defaults, changes))
        if method.takes_forget_steps:
            run_sequence(unlearner, plan_stages([context.forget], 1.0), lambda _: None)
        else:
            run_once(unlearner, lambda _: None)
    after = list(context.model.parameters())
    assert all(bool(torch.isfinite(weight).all()) for weight in after)
    assert not all(map(torch.equal, before, after))


def test_unlearning_by_the_command_with_its_judges(privaudit: Run, audit: dict[str, Any], tmp_path: Path) -> None:
    """Ascent on the target and on shadow models (U-LiRA), and a model retrained beside it."""
    shutil.copytree(audit["root"], tmp_path / "root")
    run = ("--method", "ga", "--passes", "1", "--forget", "random:20", "--reference", "retrain", "--u-lira", "4")
    results = unlearn(privaudit, tmp_path / "root", *run, "--workers", "1")
    assert results["accuracy"]["retrained"] is not None
    assert 0 <= results["accuracy"]["unlearned"]["test"] <= 1


def test_shadow_models_teach(privaudit: Run, audit: dict[str, Any], tmp_path: Path) -> None:
    shutil.copytree(audit["root"], tmp_path / "root")
    run = ("--method", "shadow-teacher", "--parameter", "effort=0.05", "--forget", "random:20", "--reference", "shadow")
    results = unlearn(privaudit, tmp_path / "root", *run, "--workers", "1")
    assert results["method"] == "shadow-teacher"
    assert results["forget_steps_run"] == results["forget_steps"] > 0
