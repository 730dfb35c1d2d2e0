"""`check_training` tries a training function on a small problem, and says all that is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import nn

from privaudit.errors import PrivauditError
from privaudit.networks.build import assemble, load_factory
from privaudit.runtime.registry import without_folder
from privaudit.testing.contract import demand_none, name_of
from privaudit.training.custom_training import TrainingFunction, load_training, takes_what_it_is_given
from privaudit.training.function_check import examine_training
from privaudit.training.hardware import Hardware
from privaudit.training.loop import Samples

SAMPLES, CLASSES, SIDE = 60, 3, 8
CPU = Hardware("cpu", "fp32")


def check_training(
    function: TrainingFunction | str,
    network: Callable[[tuple[int, ...], int], nn.Module] | str = "cnn",
    input_shape: tuple[int, ...] = (SIDE, SIDE, 1),
    classes: int = CLASSES,
) -> None:
    """Train a network on 40 of 60 random samples, three times, and see whether an audit can rely on the function.

    - it takes ``(model, inputs, labels, seed, device, report)``, ends, and returns nothing
    - it trains the model that it is given, in place, to finite weights, and the loss on the members falls
    - equal seeds give equal weights, to the bit
    - it leaves torch's settings as they are, and reports shares that rise from 0 to 1, if any

    Parameters
    ----------
    function
        The function, ``module:function``, ``FILE.py:function``, or a registered name.
    network
        What it trains: a factory or its name.
    input_shape, classes
        Of the made-up samples.

    Raises
    ------
    ContractError
        With everything that is wrong, a line each.
    """
    name = without_folder(name_of(function))
    try:
        found: Any = load_training(function) if isinstance(function, str) else function
        factory = load_factory(network, input_shape) if isinstance(network, str) else network
    except PrivauditError as error:
        demand_none(name, [str(error).replace("\n  ", " ")])
        raise
    if not callable(found):
        demand_none(name, [f"it is a {type(found).__name__}: it must be a function"])
    if unfit := takes_what_it_is_given(found):
        demand_none(name, [f"it {unfit}"])
    practice = _Practice(factory, name_of(network), input_shape, classes)
    examined = examine_training(found, name, practice.model, practice.samples, practice.members, CPU)
    demand_none(name, list(dict.fromkeys([*examined.problems, *examined.doubts])))


class _Practice:
    """Random samples, two thirds of them members, and a network that always starts the same."""

    def __init__(self, factory: Any, name: str, input_shape: tuple[int, ...], classes: int) -> None:
        self._factory, self._name, self._shape, self._classes = factory, name, input_shape, classes
        random = np.random.default_rng(0)
        images = len(input_shape) == 3
        size = (SAMPLES, *input_shape)
        inputs = random.integers(0, 256, size).astype(np.uint8) if images else random.random(size, np.float32)
        self.samples = Samples.from_arrays(inputs, np.arange(SAMPLES) % classes, "cpu")
        self.members = np.flatnonzero(np.arange(SAMPLES) % 3 != 2) if classes != 3 else np.arange(2 * SAMPLES // 3)

    def model(self) -> nn.Module:
        channels = self._shape[-1] if len(self._shape) == 3 else self._shape[0]
        statistics = ([0.5] * channels, [0.25] * channels)
        return assemble(self._factory, self._name, self._shape, self._classes, statistics, seed=1)
