"""A target that was trained elsewhere: weights from the user's file, held against the network, taken into the store."""

from __future__ import annotations

import hashlib
import io
import pickle
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.torch
import torch

from privaudit import files
from privaudit.errors import DataError, UsageError
from privaudit.shadow.trainer import AuditArrays, ModelSpecification, TrainingJob, one_thread, save_model, write_signals
from privaudit.training.loop import Samples, logits_of

#: Prefixes that wrappers of torch put before every name: DataParallel's and torch.compile's.
WRAPPERS = ("module.", "_orig_mod.")

#: How the first layer and the user's network are called in a whole model.
FIRST_LAYER, NETWORK = "standardise.", "network."

HOW_TO_SAVE = "Save its weights alone: safetensors.torch.save_file(model.state_dict(), 'target.safetensors')"

#: At most this many names are listed in a message.
NAMED = 4

Weights = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class GivenTarget:
    """A target model that the user brought.

    Parameters
    ----------
    file
        The file's name, without its folder.
    sha256
        Of the file as it was given: part of the audit's identity.
    scales_itself
        Whether the file brought ``standardise.mean`` and ``standardise.deviation`` of its own; else inputs are
        standardised as those of the audit's other models are.
    weights
        Of the whole model, fitted to the audit's network; None where the store has it already.
    """

    file: str
    sha256: str
    scales_itself: bool
    weights: Weights | None = field(default=None, repr=False)

    def to_json(self) -> dict[str, Any]:
        """As it stands in ``audit.json``."""
        return {"file": self.file, "sha256": self.sha256, "scales_itself": self.scales_itself}


def read_given_target(path: Path, specification: ModelSpecification) -> GivenTarget:
    """Read a ``.safetensors`` file or a state dict (``.pt``, ``.pth``); nothing is unpickled but plain tensors.

    Raises
    ------
    UsageError
        Where the file's name has another ending.
    DataError
        Where it can't be read, holds more than named tensors, or does not fit the audit's network.
    """
    if path.suffix not in _READERS:
        raise UsageError(
            f"--target {path}: a target is read from {', '.join(_READERS)}, not from '{path.suffix}'", hint=HOW_TO_SAVE
        )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read --target {path}: {error.strerror}") from error
    weights = _READERS[path.suffix](content, path)
    fitted, scales_itself = _fitted(weights, path, specification)
    return GivenTarget(path.name, hashlib.sha256(content).hexdigest(), scales_itself, fitted)


def take_in(job: TrainingJob, given: GivenTarget, arrays: AuditArrays) -> None:
    """Put the given target into the store, ask it as every other model is asked, and seal its files, the record last.

    Raises
    ------
    DataError
        Where what it says of a sample is not a number.
    """
    specification, store = job.specification, job.store
    with one_thread(specification.hardware):
        model = specification.build("load")
        model.load_state_dict(dict(given.weights or {}))
        pool = Samples.from_arrays(arrays.pool_inputs, arrays.pool_labels, specification.hardware.device)
        test = Samples.from_arrays(arrays.test_inputs, arrays.test_labels, specification.hardware.device)
        for part, samples in (("training", pool), ("test", test)):
            _demand_numbers(logits_of(model, samples), part, given)
        save_model(model, store.model(job.key))
        test_accuracy = write_signals(job, model, pool, arrays)
    notes = {
        "given": given.to_json(),
        "seed_offset": 0,
        "diverged": [],
        # It was not trained here: how long that took is not known.
        "seconds": None,
        "members": len(job.members),
        "epoch_losses": [],
        "test_accuracy": test_accuracy,
        "queries": list(job.queries),
        "torch": str(torch.__version__),
    }
    files.write_json(store.record(job.key), notes)
    files.seal(store.record(job.key))


def _demand_numbers(logits: npt.NDArray[np.float32], part: str, given: GivenTarget) -> None:
    wrong = np.flatnonzero(~np.isfinite(logits).all(axis=1))
    if len(wrong):
        raise DataError(
            f"--target {given.file}: its logits of {part} row {wrong[0]} are not numbers ({len(wrong):,} such rows)",
            hint="Was it trained on inputs of another scale? docs/bring-your-own.md says how to bring its own.",
        )


def _read_safetensors(content: bytes, path: Path) -> Weights:
    try:
        return safetensors.torch.load(content)
    # What a damaged header makes the reader raise is not documented.
    except Exception as error:
        raise DataError(f"--target {path} is no readable safetensors file: {_first_line(error)}") from error


def _read_state_dict(content: bytes, path: Path) -> Weights:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old formats, which load all the same
            found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise DataError(
            f"--target {path} holds Python objects besides tensors, or is damaged: those would have to be unpickled, "
            "which runs whatever code they name, so it is not loaded",
            hint=HOW_TO_SAVE,
        ) from error
    # A damaged archive can raise anything.
    except Exception as error:
        raise DataError(f"--target {path} is no readable state dict: {_first_line(error)}", hint=HOW_TO_SAVE) from error
    if not isinstance(found, Mapping):
        raise DataError(
            f"--target {path} holds a {type(found).__name__}: it must be a state dict, names with their tensors",
            hint=HOW_TO_SAVE,
        )
    for name, value in found.items():
        if not (isinstance(name, str) and isinstance(value, torch.Tensor)):
            inside = isinstance(value, Mapping) and value and all(isinstance(v, torch.Tensor) for v in value.values())
            raise DataError(
                f"--target {path}: the entry {str(name)[:60]!r} is a {type(value).__name__}, not a tensor: "
                "a checkpoint holds more than a state dict",
                hint=f"Save that part alone: torch.save(checkpoint[{str(name)[:60]!r}], 'target.pt')"
                if inside
                else HOW_TO_SAVE,
            )
    return dict(found)


_READERS = {".safetensors": _read_safetensors, ".pt": _read_state_dict, ".pth": _read_state_dict}


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:160]}"


def _fitted(weights: Weights, path: Path, specification: ModelSpecification) -> tuple[dict[str, torch.Tensor], bool]:
    """The weights by the names of the whole model and in its types, and whether they scale inputs themselves."""
    whole = specification.build("load").state_dict()
    for wrapper in WRAPPERS:
        if weights and all(name.startswith(wrapper) for name in weights):
            weights = {name.removeprefix(wrapper): tensor for name, tensor in weights.items()}
    scales_itself = any(name.startswith(FIRST_LAYER) for name in weights)
    prefix = "" if scales_itself else NETWORK
    expected = {name.removeprefix(prefix): tensor for name, tensor in whole.items() if name.startswith(prefix)}
    problems = _differences(weights, expected)
    if problems:
        raise DataError(
            f"--target {path} does not fit network '{specification.network}' for inputs "
            f"{list(specification.input_shape)} and {specification.classes} classes: {'; '.join(problems)}",
            hint="Name the network that it was trained as: --network NAME or --network FILE.py:function.",
        )
    fitted = dict(whole)
    for name, tensor in weights.items():
        own = whole[prefix + name]
        fitted[prefix + name] = tensor.detach().to(own.dtype).reshape(own.shape).contiguous()
    broken = [name for name, tensor in fitted.items() if not bool(torch.isfinite(tensor).all())]
    if broken:
        raise DataError(f"--target {path}: {_named(broken)} hold values that are not numbers")
    if not bool((fitted[f"{FIRST_LAYER}deviation"] > 0).all()):
        raise DataError(f"--target {path}: {FIRST_LAYER}deviation must be above 0, since inputs are divided by it")
    return fitted, scales_itself


def _differences(weights: Weights, expected: Weights) -> list[str]:
    """In words, how the names, shapes and kinds of the weights differ from the network's."""
    problems = []
    if missing := [name for name in expected if name not in weights]:
        problems.append(f"it lacks {_named(missing)}")
    if unexpected := [name for name in weights if name not in expected]:
        problems.append(f"the network has no {_named(unexpected)}")
    for name in [name for name in expected if name in weights]:
        given, own = weights[name], expected[name]
        if given.layout != torch.strided or given.is_quantized or given.is_meta:
            problems.append(f"{name} is quantised, sparse or empty of data")
        elif given.is_floating_point() != own.is_floating_point() or given.is_complex():
            problems.append(f"{name} is {_kind(given)}, the network's {_kind(own)}")
        elif given.shape != own.shape and not (name.startswith(FIRST_LAYER) and given.numel() == own.numel()):
            problems.append(f"{name} has shape {list(given.shape)}, the network's {list(own.shape)}")
    return problems if len(problems) <= NAMED else [*problems[:NAMED], f"and {len(problems) - NAMED} more"]


def _kind(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _named(names: list[str]) -> str:
    shown = ", ".join(name[:80] for name in names[:NAMED])
    return shown + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
