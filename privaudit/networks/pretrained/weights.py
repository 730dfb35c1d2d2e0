"""Weights of a pretrained network from local ``.safetensors`` files, held against the network by name and shape."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import safetensors.torch
import torch
from torch import nn

from privaudit.errors import DataError, UsageError
from privaudit.runtime import files

#: What a folder of weights holds: one file, or parts of it.
WHOLE, PARTS = "model.safetensors", "model-*.safetensors"

#: A count that no answer depends on; old files lack it.
COUNT = "num_batches_tracked"

#: What wrappers put before every name: those of torch, and those of a target of ours.
WRAPPERS = ("module.", "_orig_mod.", "model.", "network.")

#: At most this many names in a message.
NAMED = 4

HOW_TO_SAVE = "safetensors.torch.save_file(model.state_dict(), 'weights.safetensors') writes one."


def weight_files(path: Path) -> list[Path]:
    """Return the files of weights that a path leads to.

    Raises
    ------
    UsageError
        Where there is none, or it is of a format that could run code.
    """
    if path.is_dir():
        found = [path / WHOLE] if (path / WHOLE).is_file() else sorted(path.glob(PARTS))
        if not found:
            pickled = sorted(entry.name for entry in path.iterdir() if entry.suffix in (".bin", ".pt", ".pth", ".ckpt"))
            others = f"; {pickled[0]} is a pickle, which is not read" if pickled else ""
            raise UsageError(f"--weights {path}: the folder holds no {WHOLE}{others}", hint=HOW_TO_SAVE)
        return found
    if not path.exists():
        raise UsageError(
            f"--weights {path}: there is no such file or folder",
            hint="Weights are read from this machine alone. Fetch them beforehand, as .safetensors.",
        )
    if path.suffix.lower() != ".safetensors":
        raise UsageError(
            f"--weights {path}: weights are read from .safetensors alone, since loading a '{path.suffix}' may run code",
            hint=HOW_TO_SAVE,
        )
    return [path]


def digest_of_weights(paths: Sequence[Path]) -> str:
    """SHA-256 of the weights' file, of several over those of all in order of their names."""
    sums = [files.sha256_of(path) for path in paths]
    return sums[0] if len(sums) == 1 else hashlib.sha256("".join(sums).encode()).hexdigest()


def read_weights(paths: Sequence[Path]) -> dict[str, torch.Tensor]:
    """Read every tensor of some files; `DataError` names one that can't be read."""
    tensors: dict[str, torch.Tensor] = {}
    for path in paths:
        try:
            tensors |= safetensors.torch.load_file(path)
        # What a damaged header makes the reader raise is not documented.
        except Exception as error:
            said = (str(error).splitlines() or [""])[0][:160]
            raise DataError(f"{path} is no readable safetensors file: {type(error).__name__}: {said}") from error
    return tensors


def give_weights(
    network: nn.Module, tensors: Mapping[str, torch.Tensor], heads: Sequence[str], path: Path
) -> tuple[str, ...]:
    """Load weights into a network, all but its head's; return what was left out, by name.

    Parameters
    ----------
    network
        Built for the classes of the data.
    tensors
        By name, which may have a wrapper's prefix, or lack that of the library's base model.
    heads
        Names of the layers that give logits: they keep the weights that they were drawn with.
    path
        Where the weights come from, for messages.

    Raises
    ------
    DataError
        Where they are not this network's, with the names that differ.
    """
    expected = network.state_dict()
    wanted = [name for name in expected if not _is_of(name, heads)]
    found = max(_readings(tensors, network), key=lambda names: sum(name in names for name in wanted))
    missing = [name for name in wanted if name not in found and not name.endswith(COUNT)]
    unlike = [
        f"{name} is {list(found[name].shape)}, the network's {list(expected[name].shape)}"
        for name in wanted
        if name in found and found[name].shape != expected[name].shape
    ]
    problems = ([f"they lack {listed(missing)}"] if missing else []) + unlike[:NAMED]
    if problems:
        size = any("pos_embed" in problem or "position_embeddings" in problem for problem in unlike)
        raise DataError(
            f"the weights {path} are not those of this network: {'; '.join(problems)}",
            hint="They are of another input size: name the network of that size."
            if size
            else "Name the network that they were trained as, or the file that belongs to it.",
        )
    taken = {name: found[name].to(expected[name].dtype) for name in wanted if name in found}
    if broken := [name for name, tensor in taken.items() if not bool(torch.isfinite(tensor).all())]:
        raise DataError(f"the weights {path}: {listed(broken)} hold values that are not numbers")
    network.load_state_dict(taken, strict=False)
    return tuple(name for name in found if name not in expected)


def _readings(tensors: Mapping[str, torch.Tensor], network: nn.Module) -> list[dict[str, torch.Tensor]]:
    """The tensors by the names that they may have been meant by."""
    readings = [dict(tensors)]
    for wrapper in WRAPPERS:
        if any(name.startswith(wrapper) for name in tensors):
            readings.append({n.removeprefix(wrapper): t for n, t in tensors.items() if n.startswith(wrapper)})
    base = getattr(network, "base_model_prefix", "")
    if base:
        readings += [{f"{base}.{name}": tensor for name, tensor in reading.items()} for reading in tuple(readings)]
    return readings


def _is_of(name: str, heads: Sequence[str]) -> bool:
    return any(name.startswith(f"{head}.") for head in heads)


def listed(names: Sequence[str]) -> str:
    """Return the first few names, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
