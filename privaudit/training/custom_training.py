"""A training function of the user's own, where the recipe does not fit.

The contract is one function, which trains the model that it is given, in place::

    def fit(model, inputs, labels, seed, device, report): ...

It gets the members alone: nothing else of the pool, and no test sample. Everything random in it must come from
``seed``, so that a model comes out the same whenever, and by whichever worker, it is trained.
"""

from __future__ import annotations

import inspect
import random
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from privaudit.errors import PrivauditError, TrainingDiverged
from privaudit.runtime.registry import Registry, defining_file, import_reference, source_digest, without_folder
from privaudit.runtime.user_code import user_code
from privaudit.training.hardware import Hardware
from privaudit.training.loop import Samples, TrainingRecord, as_network_input, seeded_layers

#: Training functions of installed packages, by the entry-point group ``privaudit.trainings``; none is ours.
TRAININGS = Registry("training", {})


class TrainingFunction(Protocol):
    """What ``--training`` names.

    Parameters
    ----------
    model
        Freshly initialised, on ``device``, in training mode. It takes what ``inputs`` holds and returns logits
        ``[B, C]``. It is to be changed in place: its parameters keep their names, shapes and types.
    inputs
        float32 tensor of the members on ``device``: images ``[n, C, H, W]`` on the 0–1 scale (float images as they
        are; in channels-last memory, as the model), features ``[n, D]``. The model standardises them itself.
    labels
        int64 tensor ``[n]``.
    seed
        The only source of randomness. The global generators of Python, NumPy and torch are seeded with it too.
    device
        ``"cpu"`` or ``"cuda"``.
    report
        May be called with the share that is done, 0 … 1, to show progress.
    """

    def __call__(
        self,
        model: nn.Module,
        inputs: torch.Tensor,
        labels: torch.Tensor,
        seed: int,
        device: str,
        report: Callable[[float], None],
    ) -> None: ...


def load_training(name: str) -> TrainingFunction:
    """The function that ``module:function``, ``FILE.py:function`` or a registered name stands for."""
    found: TrainingFunction = import_reference(name, "training function") if ":" in name else TRAININGS.load(name)
    return found


def training_identity(name: str) -> dict[str, str | None]:
    """What tells one training function from another: its name without folders, and the SHA-256 of its code.

    That is the file that defines a ``module:function``, and the package that brings a registered name.
    """
    source = source_digest(load_training(name)) if ":" in name else TRAININGS.source(name)
    return {"name": without_folder(name), "source": source}


def train_by_function(
    function: TrainingFunction,
    name: str,
    model: nn.Module,
    samples: Samples,
    members: npt.NDArray[np.int64],
    seed: int,
    hardware: Hardware,
    report: Callable[[float], None] | None = None,
) -> TrainingRecord:
    """Train ``model`` in place on ``samples[members]`` by the user's function.

    Parameters
    ----------
    function, name
        What `load_training` gave for this name.
    model, samples, members, seed, hardware
        As `privaudit.training.loop.train` takes them.
    report
        Told the share that is done, 0 … 1.

    Raises
    ------
    PrivauditError
        Where the function fails, with its file and line, or breaks the contract.
    TrainingDiverged
        Where it leaves weights that are not numbers.
    """
    start = time.perf_counter()
    rows = torch.from_numpy(np.ascontiguousarray(members)).to(hardware.torch_device)
    inputs = as_network_input(samples.take(rows))
    labels = samples.labels[rows]
    before = {key: tensor.detach().clone() for key, tensor in model.state_dict().items()}
    share = _Share(report)
    with user_code(), _seeded(seed, hardware), torch.enable_grad(), _counted(model) as counted:
        try:
            returned: Any = function(model.train(), inputs, labels, seed, hardware.device, share)  # type: ignore[func-returns-value]
        except (PrivauditError, MemoryError):
            raise
        except Exception as error:
            raise PrivauditError(
                f"training function {without_folder(name)} failed: {type(error).__name__}: {error} "
                f"({where(error, function)})",
                hint="Mend it and run the same command again: it is part of the audit's identity, so the changed file "
                "makes a new audit. privaudit.testing.check_training tries a function on a small problem.",
            ) from error
    if problems := broken_promises(model, before, returned):
        raise PrivauditError(
            f"training function {without_folder(name)} {'; '.join(problems)}",
            hint="privaudit.testing.check_training says what a training function must keep to.",
        )
    if not all(bool(torch.isfinite(tensor).all()) for tensor in model.state_dict().values()):
        raise TrainingDiverged(f"training function {without_folder(name)} left weights that are not numbers")
    model.zero_grad(set_to_none=True)
    model.requires_grad_(True).eval()
    share(1.0)
    return TrainingRecord(time.perf_counter() - start, [], counted.samples)


def broken_promises(model: nn.Module, before: dict[str, torch.Tensor], returned: Any) -> list[str]:
    """What a training function did to the model and must not, in words."""
    if returned is not None:
        return [f"returned a {type(returned).__name__}: it must train the model that it is given, in place"]
    after = model.state_dict()
    if list(after) != list(before):
        changed = sorted(set(after) ^ set(before))
        return [f"changed which parameters the model has ({', '.join(changed[:4]) or 'their order'})"]
    problems = []
    for key, tensor in after.items():
        if tensor.shape != before[key].shape or tensor.dtype != before[key].dtype:
            problems.append(f"turned {key} from {_kind(before[key])} into {_kind(tensor)}")
        elif tensor.device != before[key].device:
            problems.append(f"moved {key} from {before[key].device} to {tensor.device}")
    if not problems and all(torch.equal(tensor, before[key]) for key, tensor in after.items()):
        problems.append("changed no weight of the model, which is to be trained in place")
    return problems[:4]


def where(error: BaseException, function: Any) -> str:
    """The file and line at which a user's function failed: its own, or failing that where the error was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    own = defining_file(function)
    inside = [frame for frame in frames if own is not None and Path(frame.filename) == Path(own)]
    frame = (inside or frames)[-1]
    return f"{PurePath(frame.filename).name}, line {frame.lineno}"


def takes_what_it_is_given(function: Any) -> str | None:
    """Why a function can't be called as the contract says; None where it can, or where that can't be told."""
    try:
        inspect.signature(function).bind(*range(6))
    except TypeError as error:
        return f"must take (model, inputs, labels, seed, device, report): {error}"
    except ValueError:
        pass
    return None


def _kind(tensor: torch.Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


class _Share:
    """Passes on the share that is done, never less than before and never more than all of it."""

    def __init__(self, report: Callable[[float], None] | None) -> None:
        self._report = report
        self._done = 0.0

    def __call__(self, share: float) -> None:
        self._done = max(self._done, min(1.0, float(share)))
        if self._report is not None:
            self._report(self._done)


class _Counted:
    """How many samples went through the model with gradient."""

    def __init__(self) -> None:
        self.samples = 0

    def __call__(self, _: nn.Module, inputs: tuple[Any, ...]) -> None:
        if torch.is_grad_enabled() and inputs and isinstance(inputs[0], torch.Tensor):
            self.samples += len(inputs[0])


@contextmanager
def _counted(model: nn.Module) -> Iterator[_Counted]:
    counted = _Counted()
    handle = model.register_forward_pre_hook(counted)
    try:
        yield counted
    finally:
        handle.remove()


@contextmanager
def _seeded(seed: int, hardware: Hardware) -> Iterator[None]:
    """Seed every global generator that a user's function may draw from, and put them back afterwards."""
    of_python, of_numpy = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    try:
        with seeded_layers(seed, hardware.torch_device):
            yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)
