"""What torch keeps for the whole process: fp32 is fp32 wherever models run, and nobody's generator is disturbed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from privaudit.audit.plan import plan_audit
from privaudit.config import AuditSettings
from privaudit.engines.base import run_jobs
from privaudit.engines.local import LocalEngine
from privaudit.evaluation.measures.relearn import relearn_time
from privaudit.networks import build_network
from privaudit.runtime import torch_globals
from privaudit.runtime.progress import Progress
from privaudit.runtime.torch_globals import full_fp32, seeded_globals
from privaudit.shadow.trainer import one_thread
from privaudit.training.custom_training import train_by_function
from privaudit.training.hardware import Hardware
from privaudit.training.loop import Samples, logits_of, train
from privaudit.training.recipe import Recipe, resolve_recipe
from tests.conftest import ROOT

CPU = Hardware("cpu", "fp32")
STATISTICS = ([0.0] * 4, [1.0] * 4)


def exact() -> bool:
    """Whether products of fp32 are those of IEEE single precision, on either kind of device, by old and new names."""
    backends: Any = torch.backends
    switches = (
        backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn,
        backends.mkldnn.matmul, backends.mkldnn.conv, backends.mkldnn.rnn,
    )  # fmt: skip
    # Torch raises here where its old and new switches contradict each other.
    old = (backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32, torch.get_float32_matmul_precision())
    return all(switch.fp32_precision == "ieee" for switch in switches) and old == (False, False, "highest")


def pinned() -> bool:
    """Whether cuDNN takes kernels that come to the same bits each time."""
    return torch.backends.cudnn.deterministic and not torch.backends.cudnn.benchmark


@pytest.fixture(autouse=True)
def as_a_user_left_it() -> Iterator[None]:
    """A script that lowers torch's precision first and lets cuDNN race its kernels, as many do."""
    torch.set_float32_matmul_precision("medium")
    torch.backends.cudnn.benchmark = True
    yield
    assert torch.backends.cudnn.benchmark
    assert not torch.backends.cudnn.deterministic
    torch.backends.cudnn.benchmark = False
    assert torch.get_float32_matmul_precision() == "medium"
    assert torch.backends.cuda.matmul.allow_tf32
    assert torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest")


class Witness(nn.Module):
    """A linear network that notes how it is computed whenever it is asked."""

    #: Of the class, so that copies write here too.
    seen: ClassVar[list[bool]] = []

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)
        self.seen.clear()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.seen.append(exact() and pinned())
        answers: torch.Tensor = self.layer(inputs)
        return answers


def few_samples() -> Samples:
    random = np.random.default_rng(0)
    return Samples.from_arrays(random.normal(size=(12, 4)).astype(np.float32), np.arange(12) % 2, "cpu")


def one_epoch() -> Recipe:
    return resolve_recipe("fast", {"epochs": 1, "batch_size": 6})


def test_models_are_trained_asked_and_relearned_in_full_fp32_by_fixed_kernels() -> None:
    samples, rows, model = few_samples(), np.arange(12), Witness()

    def by_hand(
        model: nn.Module,
        inputs: torch.Tensor,
        labels: torch.Tensor,
        seed: int,
        device: str,
        report: Callable[[float], None],
    ) -> None:
        loss = nn.functional.cross_entropy(model(inputs), labels)
        loss.backward()
        torch.optim.SGD(model.parameters(), lr=0.1).step()

    train(model, samples, rows, one_epoch(), 0, CPU)
    train_by_function(by_hand, "by_hand", model, samples, rows, 0, CPU)
    logits_of(model, samples)
    relearn_time(model, samples, rows, 0.0, 0, CPU)
    assert len(model.seen) > 50
    assert all(model.seen)


def job(number: int, shared: Path, report: Any) -> None:
    torch.set_float32_matmul_precision("high")
    with one_thread(CPU):
        (shared / f"{number}").write_text(str(exact() and pinned()))


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_model_is_trained_by_one_thread_whatever_the_device(device: str) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with one_thread(Hardware(device, "fp32")):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_workers_compute_full_fp32(tmp_path: Path) -> None:
    run_jobs(job, range(2), tmp_path, LocalEngine(2), Progress("", 2))
    assert [path.read_text() for path in tmp_path.iterdir()] == ["True", "True"]


def test_what_a_users_network_sets_for_all_of_torch_ends_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lowers.py").write_text(
        "import torch\nfrom torch import nn\ntorch.set_float32_matmul_precision('high')\n"
        "def make(shape, classes):\n    torch.backends.cudnn.allow_tf32 = True\n"
        "    return nn.Linear(shape[0], classes)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with one_thread(CPU):
        build_network("lowers:make", (4,), 2, STATISTICS, 0)
        assert exact()
    sys.modules.pop("lowers", None)


def test_switches_are_put_back_after_an_error() -> None:
    def fails() -> None:
        with full_fp32(), full_fp32():
            assert exact()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()


@pytest.mark.parametrize("name", ["mlp", "lowers:make"])
def test_building_a_network_leaves_every_generator_alone(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where CUDA is not in use yet ``torch.manual_seed`` would be remembered, and reseed it once it is."""
    (tmp_path / "lowers.py").write_text("from torch import nn\ndef make(shape, classes): return nn.Linear(4, 2)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("lowers", None)
    reseeded: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", reseeded.append)
    samples, model = few_samples(), Witness()
    torch.manual_seed(5)
    reseeded.clear()
    before = torch.get_rng_state()
    weights = [build_network(name, (4,), 2, STATISTICS, 7).state_dict() for _ in range(2)]
    train(model, samples, np.arange(12), one_epoch(), 0, CPU)
    assert torch.equal(before, torch.get_rng_state())
    assert reseeded == []
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(7)
        first = nn.Linear(4, 256 if name == "mlp" else 2).weight
    assert torch.equal(next(value for key, value in weights[0].items() if key.endswith("weight")), first)
    sys.modules.pop("lowers", None)


def test_generators_of_gpus_in_use_are_seeded_and_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus = (torch.Generator(), torch.Generator())
    for number, gpu in enumerate(gpus):
        gpu.manual_seed(100 + number)
    before = [gpu.get_state() for gpu in gpus]
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "default_generators", gpus)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: gpus[device].get_state())
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device: gpus[device].set_state(state))
    with seeded_globals(7):
        drawn = [float(torch.rand(1, generator=gpu)) for gpu in gpus]
    assert drawn[0] == drawn[1] == float(torch.rand(1, generator=torch.Generator().manual_seed(7)))
    assert all(torch.equal(state, gpu.get_state()) for state, gpu in zip(before, gpus, strict=True))


def test_nothing_else_seeds_torch_globally() -> None:
    """One place seeds the global generators; everything else draws from a generator of its own."""
    seeding = {path.name for path in (ROOT / "privaudit").rglob("*.py") if "torch.manual_seed(" in path.read_text()}
    assert seeding == set()


def test_fp32_on_a_gpu_is_another_audit_than_it_was() -> None:
    """Its convolutions were TF32: other weights. On a processor nothing changed, and neither did the name."""
    plan = plan_audit(AuditSettings(dataset="digits", device="cpu", precision="fp32", shadows=4))
    assert "fp32" not in plan.identity.to_json()
    of_gpu = {
        precision: replace(plan, specification=replace(plan.specification, hardware=Hardware("cuda", precision)))
        for precision in ("fp32", "bf16")
    }
    assert of_gpu["fp32"].identity.fp32 == "ieee"
    assert "fp32" not in of_gpu["bf16"].identity.to_json()


def test_a_benchmark_can_let_cudnn_race(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_globals, "CUDNN", "fast")
    torch.backends.cudnn.benchmark = False
    with torch_globals.pinned_cudnn():
        assert torch.backends.cudnn.benchmark
        assert not torch.backends.cudnn.deterministic
    torch.backends.cudnn.benchmark = True
