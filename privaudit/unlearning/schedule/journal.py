"""Remembers finished stages on disk, so that a killed run goes on after the last of them, bit for bit.

Nothing is pickled: tensors go to safetensors, numbers to JSON. What is kept of a method is what lies in its attributes:
numbers, tensors, arrays, optimisers, and objects, lists and dictionaries of these. A method that keeps anything else
(an open iterator, say) can't be resumed in its middle, and its run starts anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import nn

from privaudit.errors import StoreError
from privaudit.results.unlearning.ledger import Look
from privaudit.runtime import files
from privaudit.runtime.progress import talk
from privaudit.unlearning.base import Unlearner
from privaudit.unlearning.guard import Guard
from privaudit.unlearning.schedule.sequence import Progress, StageEntry
from privaudit.unlearning.schedule.trajectory import Trajectory

#: Attributes that are made anew with the method, from the same original model.
_MADE_ANEW = ("context", "parameters")


class NotKept(Exception):
    """A method keeps something that can't be written down, or that can't be put back: it has to start anew."""


class StageJournal:
    """One run's journal below its folder; `close` removes it once the run is finished.

    Parameters
    ----------
    folder
        Of the run.
    trajectory
        What was seen so far goes on with it.
    guard
        So does what was watched and taken back, where anything is.
    """

    def __init__(self, folder: Path, trajectory: Trajectory, guard: Guard | None = None) -> None:
        self._folder = folder / "stages"
        self._trajectory = trajectory
        self._guard = guard
        self._useless = False

    def load(self, unlearner: Unlearner) -> Progress | None:
        """Go on from the latest whole entry, if there is one.

        Raises
        ------
        NotKept
            Where it can't be put back; the model and the method are in disorder then, and have to be made anew.
        """
        for record in sorted(self._folder.glob("*.json"), reverse=True):
            tensors_path = record.with_suffix(".safetensors")
            if not (files.is_whole(record) and files.is_whole(tensors_path)):
                continue
            try:
                tensors = safetensors.torch.load(tensors_path.read_bytes())
                content = files.read_json(record)
            except (StoreError, safetensors.SafetensorError):
                continue
            try:
                _restore(unlearner, tensors, content["values"])
                if self._guard is not None:
                    self._guard.restore(tensors, content["guard"])
            except (KeyError, RuntimeError, StoreError) as error:
                raise NotKept(f"what does not fit any more: {error}") from error
            self._trajectory.restore(tensors["trajectory/steps"].numpy(), tensors["trajectory/margins"].numpy())
            entries = [StageEntry.model_validate(entry) for entry in content["entries"]]
            talk(f"  going on after stage {len(entries)}")
            looks = [Look.model_validate(look) for look in content.get("looks", [])]
            return Progress(entries, tensors["reached"].numpy(), looks)
        return None

    def save(self, unlearner: Unlearner, progress: Progress) -> None:
        """Write down where the method is now, and forget the stage before."""
        if self._useless:
            return
        try:
            tensors, values = _capture(unlearner)
        except NotKept as what:
            talk(f"  this method keeps {what}: should the run be interrupted, it starts anew")
            self._useless = True
            return
        tensors["reached"] = torch.from_numpy(progress.reached)
        tensors["trajectory/steps"] = torch.from_numpy(self._trajectory.steps)
        tensors["trajectory/margins"] = torch.from_numpy(self._trajectory.margins)
        watched, of_guard = ({}, None) if self._guard is None else self._guard.capture()
        tensors |= watched
        record = self._folder / f"{len(progress.entries):04d}.json"
        older = sorted(self._folder.glob("*.json"))
        files.write_bytes(record.with_suffix(".safetensors"), safetensors.torch.save(tensors))
        files.seal(record.with_suffix(".safetensors"))
        entries = [entry.to_json() for entry in progress.entries]
        looks = [look.to_json() for look in progress.looks]
        files.write_json(record, {"values": values, "entries": entries, "guard": of_guard, "looks": looks})
        files.seal(record)
        for path in older:
            files.remove(path)
            files.remove(path.with_suffix(".safetensors"))

    def close(self) -> None:
        """Remove what is not needed any more."""
        files.remove_folder(self._folder)


def _capture(unlearner: Unlearner) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    tensors: dict[str, torch.Tensor] = {}
    values: dict[str, Any] = {}
    for name, tensor in unlearner.context.model.state_dict().items():
        tensors[f"model/{name}"] = tensor.detach().cpu().clone().contiguous()
    tensors["random/method"] = unlearner.context.generator.get_state()
    for index, state in enumerate(_layer_random_states(unlearner)):
        tensors[f"random/layers/{index}"] = state
    for path, value in _attributes(unlearner):
        if isinstance(value, torch.Tensor):
            tensors[path] = value.detach().cpu().clone().contiguous()
        elif isinstance(value, np.ndarray):
            tensors[path] = torch.from_numpy(np.ascontiguousarray(value))
        elif isinstance(value, torch.Generator):
            tensors[path] = value.get_state()
        else:
            values[path] = value
    return tensors, values


def _restore(unlearner: Unlearner, tensors: dict[str, torch.Tensor], values: dict[str, Any]) -> None:
    prefix = "model/"
    weights = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    unlearner.context.model.load_state_dict(weights)
    unlearner.context.generator.set_state(tensors["random/method"])
    torch.set_rng_state(tensors["random/layers/0"])
    if "random/layers/1" in tensors:
        torch.cuda.set_rng_state(tensors["random/layers/1"])
    for name in list(vars(unlearner)):
        if name not in _MADE_ANEW:
            path = f"method/{name}"
            setattr(unlearner, name, _restored(getattr(unlearner, name), path, tensors, values))


def _layer_random_states(unlearner: Unlearner) -> list[torch.Tensor]:
    states = [torch.get_rng_state()]
    if unlearner.context.hardware.torch_device.type == "cuda":
        states.append(torch.cuda.get_rng_state())
    return states


def _attributes(unlearner: Unlearner) -> Iterator[tuple[str, Any]]:
    for name, value in vars(unlearner).items():
        if name not in _MADE_ANEW:
            yield from _leaves(f"method/{name}", value, unlearner)


def _leaves(path: str, value: Any, unlearner: Unlearner) -> Iterator[tuple[str, Any]]:
    """Every number, tensor and array below a value, with its path; what belongs to the context is not the method's."""
    if _is_of_context(value, unlearner) or isinstance(value, (torch.device, torch.dtype)):
        return
    if value is None or isinstance(value, (bool, int, float, str, torch.Tensor, np.ndarray, torch.Generator)):
        yield path, value
    elif isinstance(value, torch.optim.Optimizer):
        for index, parameter in enumerate(_optimised(value)):
            for name, entry in value.state.get(parameter, {}).items():
                yield from _leaves(f"{path}/state/{index}/{name}", entry, unlearner)
        for index, group in enumerate(value.param_groups):
            yield f"{path}/rate/{index}", float(group["lr"])
    elif isinstance(value, nn.Module):
        # A teacher, a copy of the original: whatever its weights were at the start, they may have moved since.
        for name, tensor in value.state_dict().items():
            yield f"{path}/{name}", tensor
    elif isinstance(value, (list, tuple)):
        yield f"{path}/length", len(value)
        for index, entry in enumerate(value):
            yield from _leaves(f"{path}/{index}", entry, unlearner)
    elif isinstance(value, dict) and all(isinstance(key, (str, int)) for key in value):
        for key, entry in value.items():
            yield from _leaves(f"{path}/{key}", entry, unlearner)
    elif not hasattr(value, "__dict__") or callable(value):
        raise NotKept(f"a {type(value).__name__} ({path})")
    else:
        for name, entry in vars(value).items():
            yield from _leaves(f"{path}/{name}", entry, unlearner)


def _is_of_context(value: Any, unlearner: Unlearner) -> bool:
    context = unlearner.context
    own = [context, *vars(context).values(), context.samples.inputs, context.samples.labels]
    return value is not None and any(value is known for known in own)


def _optimised(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _restored(value: Any, path: str, tensors: dict[str, torch.Tensor], values: dict[str, Any]) -> Any:
    """The value as it was written down; objects are put back in place."""
    if value is None and any(name.startswith(f"{path}/") for name in (*tensors, *values)):
        raise NotKept(f"what it made only later ({path})")
    if path in values:
        return values[path]
    if path in tensors:
        saved = tensors[path]
        if isinstance(value, torch.Generator):
            value.set_state(saved)
            return value
        if isinstance(value, np.ndarray):
            return saved.numpy()
        return saved.to(value.device) if isinstance(value, torch.Tensor) else saved
    if isinstance(value, torch.optim.Optimizer):
        _restore_optimizer(value, path, tensors, values)
    elif isinstance(value, nn.Module):
        weights = {name[len(path) + 1 :]: tensor for name, tensor in tensors.items() if name.startswith(f"{path}/")}
        if weights:
            value.load_state_dict(weights)
    elif isinstance(value, (list, tuple)):
        length = values[f"{path}/length"]
        if len(value) == length:
            return type(value)(_restored(item, f"{path}/{i}", tensors, values) for i, item in enumerate(value))
        return type(value)(_leaf(f"{path}/{index}", tensors, values) for index in range(length))
    elif isinstance(value, dict):
        return {key: _restored(entry, f"{path}/{key}", tensors, values) for key, entry in value.items()}
    elif hasattr(value, "__dict__") and not callable(value):
        for name, entry in vars(value).items():
            # Frozen data classes too: this is the same object as before, put back to where it was.
            object.__setattr__(value, name, _restored(entry, f"{path}/{name}", tensors, values))
    return value


def _leaf(path: str, tensors: dict[str, torch.Tensor], values: dict[str, Any]) -> Any:
    """An entry of a list that has grown since: a number or a tensor can be put back, anything else can't."""
    if path in values:
        return values[path]
    if path in tensors:
        return tensors[path]
    raise NotKept(f"a list of more than numbers that grew ({path})")


def _restore_optimizer(
    optimizer: torch.optim.Optimizer, path: str, tensors: dict[str, torch.Tensor], values: dict[str, Any]
) -> None:
    for index, parameter in enumerate(_optimised(optimizer)):
        prefix = f"{path}/state/{index}/"
        state: dict[str, Any] = {n[len(prefix) :]: v for n, v in values.items() if n.startswith(prefix)}
        for name, tensor in tensors.items():
            if name.startswith(prefix):
                entry = name[len(prefix) :]
                # Adam counts its steps in a tensor on the CPU, whatever the device.
                state[entry] = tensor if entry == "step" else tensor.to(parameter.device)
        if state:
            optimizer.state[parameter] = state
    for index, group in enumerate(optimizer.param_groups):
        group["lr"] = values[f"{path}/rate/{index}"]
