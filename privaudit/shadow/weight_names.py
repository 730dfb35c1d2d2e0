"""Weights of a file, held against a network: which names mean which, where that can be proved by all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

Weights = Mapping[str, torch.Tensor]

#: Parts of names that wrappers of torch and its companions put in: they stand for no layer.
WRAPPERS = frozenset({"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module"})

#: A count that older checkpoints lack, and that says nothing of what a network answers.
COUNT = "num_batches_tracked"

#: How many models torch's `AveragedModel` (SWA, EMA) has averaged: it stands beside the weights, and is none of them.
AVERAGED = "n_averaged"

#: At most this many names are listed in a message.
NAMED = 4


@dataclass(frozen=True)
class Fit:
    """Tensors by the network's own names.

    Parameters
    ----------
    weights
        As the network names them; what it has and the file need not is left out.
    prefix
        What stood before every name in the file.
    left_out
        Names of the file that belong to something else.
    """

    weights: dict[str, torch.Tensor]
    prefix: str
    left_out: tuple[str, ...]


def unwrapped(name: str) -> str:
    """Return a name without the parts of wrappers, wherever they stand."""
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def fits_of(weights: Weights, expected: Weights) -> list[Fit]:
    """Return every way in which weights are those of a network: exactly its names, after one prefix for all of them.

    Parameters
    ----------
    weights
        By the file's names.
    expected
        The network's, freshly built.
    """
    plain = {unwrapped(name): tensor for name, tensor in weights.items()}
    wanted = {unwrapped(name): name for name in expected}
    beside = {name for name in plain if name.rpartition(".")[2] == AVERAGED and name not in wanted}
    if len(plain) < len(weights) or len(wanted) < len(expected) or not wanted:
        return []  # Without their wrappers two names are one: nothing can be proved.
    groups = tied_names(expected)
    some = next((name for name in wanted if not name.endswith(COUNT) and len(groups[wanted[name]]) == 1), None)
    some = some or next(iter(wanted))
    found = []
    for given in plain:
        if given != some and not given.endswith(f".{some}"):
            continue
        prefix = given.removesuffix(some)
        inside = {name.removeprefix(prefix): tensor for name, tensor in plain.items() if name.startswith(prefix)}
        inside = {name: tensor for name, tensor in inside.items() if f"{prefix}{name}" not in beside}
        own = {wanted[name]: tensor for name, tensor in inside.items() if name in wanted}
        if len(own) == len(inside) and not missing_names(own, expected) and not _misshapen(own, expected):
            left_out = tuple(name for name in plain if not name.startswith(prefix) or name in beside)
            found.append(Fit(own, prefix, left_out))
    return found


def tied_names(expected: Weights) -> dict[str, tuple[str, ...]]:
    """Return, for each name, all names of the same memory."""
    memory: dict[tuple[int, int], list[str]] = {}
    for name, tensor in expected.items():
        key = (tensor.untyped_storage().data_ptr(), int(tensor.storage_offset())) if tensor.numel() else (0, id(tensor))
        memory.setdefault(key, []).append(name)
    return {name: tuple(names) for names in memory.values() for name in names}


def missing_names(weights: Weights, expected: Weights) -> list[str]:
    """Return what the weights lack, besides counts of batches and second names of tied weights."""
    groups = tied_names(expected)
    return [
        name
        for name in expected
        if not name.endswith(COUNT) and not any(other in weights for other in groups[name])
    ]  # fmt: skip


def _misshapen(weights: Weights, expected: Weights) -> list[str]:
    return [name for name, tensor in weights.items() if tensor.numel() != expected[name].numel()]


def same(one: Weights, other: Weights) -> bool:
    """Whether two sets of weights are the same numbers."""
    return one.keys() == other.keys() and all(
        tensor.shape == other[name].shape and bool(torch.equal(tensor.float(), other[name].float()))
        for name, tensor in one.items()
    )


def in_words(names: list[str] | tuple[str, ...]) -> str:
    """Return the first few names, and how many more there are."""
    shown = ", ".join(name[:80] for name in names[:NAMED])
    return shown + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
