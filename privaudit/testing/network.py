"""`check_network` builds, asks, trains, saves and loads a network, and says all that is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from privaudit.errors import PrivauditError
from privaudit.networks.build import assemble, load_factory
from privaudit.networks.classifier import Classifier
from privaudit.testing.contract import demand_none, name_of
from privaudit.training.hardware import resolve_hardware
from privaudit.training.network_check import examine_network


def check_network(
    factory: Callable[[tuple[int, ...], int], nn.Module] | str,
    input_shape: tuple[int, ...],
    classes: int,
    *,
    precision: str = "auto",
) -> None:
    """Build, ask, train, save and load a network, and see whether an audit can rely on it.

    - it can be built, again and again, equal seeds give equal weights, and no two networks share any
    - it returns finite logits ``[B, classes]``, not probabilities
    - in eval mode it says the same of a sample each time, whatever else is in the batch, and does not change
    - it trains: in the precision of this machine, with a gradient for every parameter that wants one
    - its weights can be saved, and a network that is loaded from them says the same

    ``privaudit score`` asks the same before it trains, and puts up with parameters that no gradient reaches.

    Parameters
    ----------
    factory
        The function, ``module:factory``, ``FILE.py:factory``, or a registered name.
    input_shape
        ``(H, W, C)`` of an image or ``(D,)`` of a feature vector.
    classes
        Number of logits.
    precision
        ``auto``, ``fp32`` or ``bf16``, as ``--precision``.

    Raises
    ------
    ContractError
        With everything that is wrong, a line each.
    """
    name = name_of(factory)
    channels = input_shape[-1] if len(input_shape) == 3 else input_shape[0]
    statistics = ([0.5] * channels, [0.25] * channels)
    try:
        hardware = resolve_hardware("cpu", precision)
        found: Any = load_factory(factory, input_shape) if isinstance(factory, str) else factory

        def build(seed: int) -> Classifier:
            return assemble(found, name, input_shape, classes, statistics, seed)

        examined = examine_network(build, input_shape, classes, hardware, found)
    except PrivauditError as error:
        demand_none(name, [str(error).replace("\n  ", " ")])
        raise
    demand_none(name, [*examined.problems, *examined.doubts])
