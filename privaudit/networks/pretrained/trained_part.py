"""Which part of a pretrained network is trained: all of it, its head, or what a function of the user's names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from privaudit.errors import PrivauditError, UsageError
from privaudit.networks.pretrained.description import ALL
from privaudit.networks.pretrained.weights import listed
from privaudit.runtime.registry import import_reference, without_folder
from privaudit.runtime.user_code import user_code

RETURN = (
    "Return some of network.parameters(), or names of them: [*network.layer4.parameters(), *network.fc.parameters()]."
)


def find_heads(network: nn.Module, classes: int, hinted: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the linear layers that give logits: those that the library names, else the last that fits."""
    layers = {name: layer for name, layer in network.named_modules() if isinstance(layer, nn.Linear) and name}
    fitting = [name for name, layer in layers.items() if layer.out_features == classes]
    named = [name for name in fitting if any(name == hint or name.startswith(f"{hint}.") for hint in hinted)]
    return tuple(named or fitting[-1:])


def freeze(network: nn.Module, train: str) -> None:
    """Leave gradients to what is to be trained: all of it, or what a function names.

    Raises
    ------
    UsageError
        Where the function fails, or names anything but parameters of the network.
    """
    if train == ALL:
        return
    function, name = import_reference(train, "function of --train"), without_folder(train)
    try:
        with user_code():
            chosen = list(function(network))
    except PrivauditError:
        raise
    except Exception as error:
        raise UsageError(f"--train {name} failed: {type(error).__name__}: {error}", hint=RETURN) from error
    parameters = dict(network.named_parameters())
    kept = _ids(chosen, parameters, name)
    for parameter in parameters.values():
        parameter.requires_grad_(id(parameter) in kept)


def _ids(chosen: Sequence[Any], parameters: dict[str, nn.Parameter], name: str) -> set[int]:
    own = {id(parameter) for parameter in parameters.values()}
    kept = set()
    for one in chosen:
        if isinstance(one, str) and one not in parameters:
            raise UsageError(
                f"--train {name}: the network has no parameter '{one[:80]}'; there are {listed(list(parameters))}",
                hint=RETURN,
            )
        parameter = parameters[one] if isinstance(one, str) else one
        if id(parameter) not in own:
            raise UsageError(
                f"--train {name} returns a {type(one).__name__} that is no parameter of the network", hint=RETURN
            )
        kept.add(id(parameter))
    if not kept:
        raise UsageError(f"--train {name} names no parameter: nothing would be trained", hint=RETURN)
    return kept


def frozen_norms(network: nn.Module) -> list[str]:
    """Return the names of layers that keep running statistics and train no parameter: these stand still.

    A layer without parameters stands still with the layers around it: where nothing of the network's is frozen, none.
    """
    if all(parameter.requires_grad for parameter in network.parameters()):
        return []
    return [
        name
        for name, layer in network.named_modules()
        if getattr(layer, "running_mean", None) is not None
        and not any(parameter.requires_grad for parameter in layer.parameters(recurse=False))
    ]
