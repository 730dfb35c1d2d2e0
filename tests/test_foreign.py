"""Users' code within our process: it may not end it, nor change it for what comes after; plug-ins are known by code."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from privaudit.config import Sequencing
from privaudit.engines.base import run_jobs
from privaudit.engines.local import LocalEngine
from privaudit.errors import PrivauditError, UsageError
from privaudit.networks import NETWORKS, network_source
from privaudit.runtime.progress import Progress
from privaudit.runtime.registry import Registry, import_reference
from privaudit.runtime.user_code import ProgramEnded, user_code
from privaudit.training.custom_training import TRAININGS, training_identity
from privaudit.trials.treatment import Treatment
from privaudit.unlearning.application.run_method import Request
from privaudit.unlearning.base import UNLEARNERS
from tests.conftest import ROOT


class Cancelled(BaseException):
    pass


def ends_by(error: BaseException) -> Callable[[], None]:
    def end() -> None:
        raise error

    return end


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (sys.exit, r"sys.exit\(None\)"),
        (lambda: sys.exit(0), r"sys.exit\(0\) \(test_foreign.py, line"),
        (lambda: sys.exit("bye"), r"sys.exit\('bye'\)"),
        (ends_by(GeneratorExit()), "GeneratorExit"),
        (ends_by(Cancelled()), "Cancelled"),
    ],
)
def test_code_that_ends_the_program_is_told(end: Callable[[], None], said: str) -> None:
    with pytest.raises(ProgramEnded, match=said), user_code():
        end()


def test_errors_and_interrupts_pass_as_they_are() -> None:
    for error in (ValueError("x"), KeyboardInterrupt(), UsageError("y")):
        with pytest.raises(type(error)), user_code():
            raise error


def test_a_module_that_exits_when_it_is_imported_is_told(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("import argparse\nargparse.ArgumentParser().parse_args(['--unknown'])\n")
    with pytest.raises(PrivauditError, match=r"ended the program with sys\.exit"):
        import_reference(f"{tmp_path}/script.py:data", "dataset")


def exits(job: int, shared: None, report: Any) -> None:
    raise SystemExit(0)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_job_that_exits_is_an_error_in_this_process_and_in_workers(workers: int) -> None:
    with pytest.raises(ProgramEnded, match=r"sys.exit\(0\) \(test_foreign.py"):
        run_jobs(exits, range(3), None, LocalEngine(workers), Progress("jobs", 3))


def test_what_it_sets_for_the_whole_process_is_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    random.seed(1)
    np.random.seed(1)
    expected = (random.getrandbits(64), np.random.random())
    random.seed(1)
    np.random.seed(1)
    before = (torch.get_num_threads(), signal.getsignal(signal.SIGTERM), sys.stdout, sys.stderr, np.geterr())
    with user_code():
        os.chdir("data")
        random.seed(99)
        np.random.seed(99)
        np.seterr(all="raise")
        torch.set_num_threads(torch.get_num_threads() + 1)
        torch.set_default_dtype(torch.float64)
        torch.set_default_device("meta")
        torch.set_grad_enabled(False)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        warnings.simplefilter("ignore")
        sys.stdout = sys.stderr = None
    assert Path.cwd() == tmp_path
    assert (torch.get_num_threads(), signal.getsignal(signal.SIGTERM), sys.stdout, sys.stderr, np.geterr()) == before
    assert torch.zeros(1).dtype == torch.float32
    assert torch.zeros(1).device == torch.device("cpu")
    assert torch.is_grad_enabled()
    assert (random.getrandbits(64), np.random.random()) == expected
    with pytest.raises(UserWarning):
        warnings.warn("still an error here", stacklevel=1)
    with user_code():
        assert Path.cwd() == tmp_path / "data", "its own code finds itself where it went"
        os.chdir(tmp_path)
    with user_code():
        assert Path.cwd() == tmp_path


THEIRS = """
import os, sys, threading, time
import numpy as np

def arrays():
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (60, 8, 8)).astype(np.uint8)
    return {"x_train": images[:40], "y_train": np.arange(40) % 3, "x_test": images[40:], "y_test": np.arange(20) % 3}

def exits():
    sys.exit()

def leaves_a_thread():
    os.system("echo a child prints")
    threading.Thread(target=time.sleep, args=(600,), name="pump").start()
    return arrays()
"""


def run_score(folder: Path, dataset: str) -> subprocess.CompletedProcess[str]:
    (folder / "theirs.py").write_text(THEIRS)
    command = [sys.executable, "-m", "privaudit", "score", "--dataset", f"theirs.py:{dataset}", "--shadows", "4"]
    return subprocess.run(
        [*command, "--epochs", "1", "--invert", "0", "--workers", "1", "--dry-run", "--json"],
        capture_output=True, text=True, cwd=folder, check=False, timeout=1200,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def test_the_command_does_not_exit_with_0_where_user_code_does(tmp_path: Path) -> None:
    done = run_score(tmp_path, "exits")
    assert done.returncode == 1
    assert "ended the program with sys.exit(None) (theirs.py, line 11)" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_thread_that_user_code_left_is_named_and_ended(tmp_path: Path) -> None:
    """And what a child of it prints is no part of the answer."""
    done = run_score(tmp_path, "leaves_a_thread")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["to_train"] == 5
    assert "a child prints" in done.stderr
    assert "thread 'pump' still ran when the command was done, and was ended" in done.stderr


# Plug-ins.

NETWORK = """
from torch import nn
from {package}.helper import WIDTH

def net(shape, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, WIDTH), nn.Linear(WIDTH, classes))

def fit(model, inputs, labels, seed, device, report):
    pass
"""

METHOD = """
from privaudit.unlearning.methods.gradient_ascent import GradientAscent

class Mine(GradientAscent):
    pass
"""


@dataclass(frozen=True)
class Entry:
    name: str
    value: str


@pytest.fixture
def plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package that brings a network, a training function and a method; its name is used once."""
    package = f"brought_{tmp_path.name}".replace("-", "_")
    folder = tmp_path / package
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "helper.py").write_text("WIDTH = 8\n")
    (folder / "nets.py").write_text(NETWORK.format(package=package))
    (folder / "methods.py").write_text(METHOD)
    monkeypatch.syspath_prepend(str(tmp_path))
    for registry, place in ((NETWORKS, "nets:net"), (TRAININGS, "nets:fit"), (UNLEARNERS, "methods:Mine")):
        monkeypatch.setitem(vars(registry), "_targets", registry._builtin | {"theirs": f"{package}.{place}"})
    return folder


def identities() -> list[Any]:
    method = UNLEARNERS.load("theirs")
    request = Request("theirs", method.defaults, Sequencing(order="none"), 0)
    return [network_source("theirs"), training_identity("theirs")["source"], Treatment(request).identity()["source"]]


def test_an_edited_plug_in_is_another_network_training_and_method(plug_in: Path) -> None:
    before = identities()
    assert all(isinstance(source, str) for source in before)
    assert identities() == before
    # A helper that the entry point's own file imports.
    (plug_in / "helper.py").write_text("WIDTH = 9\n")
    after = identities()
    assert all(one != other for one, other in zip(before, after, strict=True))
    (plug_in / "helper.py").write_text("WIDTH = 8\n")
    assert identities() == before


def test_what_is_ours_is_known_by_its_name_alone() -> None:
    assert network_source("cnn") is None
    request = Request("ga", UNLEARNERS.load("ga").defaults, Sequencing(order="none"), 0)
    assert "source" not in Treatment(request).identity()


def test_a_plug_in_that_can_not_be_imported_or_exits_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "exits_at_import.py").write_text("raise SystemExit(0)\n")
    (tmp_path / "fails_at_import.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    entries = [Entry("one", "exits_at_import:net"), Entry("two", "fails_at_import:net")]
    monkeypatch.setattr("privaudit.runtime.registry.entry_points", lambda group: entries)
    networks = Registry("network", {})
    with pytest.raises(ProgramEnded, match=r"exits_at_import\.py, line 1"):
        networks.load("one")
    with pytest.raises(UsageError, match="can't be loaded from fails_at_import:net: ZeroDivisionError"):
        networks.load("two")


def test_a_file_without_its_function_and_an_import_that_is_missing_are_told_with_the_cure(tmp_path: Path) -> None:
    (tmp_path / "lacks.py").write_text("import no_such_module_anywhere\n")
    with pytest.raises(UsageError, match="no_such_module_anywhere") as refused:
        import_reference(f"{tmp_path}/lacks.py:net", "network")
    assert "install it" in str(refused.value.hint)
    with pytest.raises(UsageError, match=r"unknown network 'own\.py'") as refused:
        NETWORKS.check("own.py")
    assert "own.py:function" in str(refused.value.hint)
