"""`check_training` tries a training function on a small problem, and says all that is wrong with it."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from privaudit.errors import PrivauditError, TrainingDiverged
from privaudit.networks.build import assemble, load_factory
from privaudit.registry import without_folder
from privaudit.testing.contract import demand_none, name_of
from privaudit.training.hardware import Hardware
from privaudit.training.loop import Samples, as_network_input
from privaudit.training.own import TrainingFunction, load_training, takes_what_it_is_given, train_by_function

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
    demand_none(name, _problems(found, name, _Practice(factory, name_of(network), input_shape, classes)))


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

    @torch.no_grad()
    def loss(self, model: nn.Module) -> float:
        rows = torch.from_numpy(self.members)
        logits = model.eval()(as_network_input(self.samples.inputs[rows]))
        return float(functional.cross_entropy(logits.float(), self.samples.labels[rows]))


def _problems(function: Any, name: str, practice: _Practice) -> list[str]:
    shares: list[Any] = []

    @functools.wraps(function)
    def watched(
        model: nn.Module,
        inputs: torch.Tensor,
        labels: torch.Tensor,
        seed: int,
        device: str,
        report: Callable[[float], None],
    ) -> Any:
        def told(share: float) -> None:
            shares.append(share)
            report(share)

        return function(model, inputs, labels, seed, device, told)

    settings = _settings()
    problems = []
    states, before, after = [], 0.0, 0.0
    try:
        # Another seed in between: what a function remembers from call to call would show.
        for seed in (1, 2, 1):
            model = practice.model()
            before = practice.loss(model)
            train_by_function(watched, name, model, practice.samples, practice.members, seed, CPU)
            after = practice.loss(model)
            states.append({key: tensor.clone() for key, tensor in model.state_dict().items()})
            changed = [what for what, value in _settings().items() if value != settings[what]]
            problems += [f"it changes {what} for all that comes after" for what in changed]
            _restore(settings)
    except TrainingDiverged as error:
        problems.append(f"{error.message.removeprefix(f'training function {name} ')} on random samples")
    except PrivauditError as error:
        problems.append(f"it {error.message.removeprefix(f'training function {name} ')}")
    finally:
        _restore(settings)
    if len(states) == 3:
        first, _, third = states
        if not all(torch.equal(tensor, third[key]) for key, tensor in first.items()):
            problems.append(
                "two trainings with the same seed differ: everything random must come from the seed, and nothing may "
                "be remembered from call to call"
            )
        if not after < before:
            problems.append(f"the loss on its members did not fall: {before:.4g} before, {after:.4g} after")
    problems += _of_shares(shares)
    return list(dict.fromkeys(problems))


def _of_shares(shares: list[Any]) -> list[str]:
    wrong = [share for share in shares if not (isinstance(share, int | float) and 0 <= share <= 1)]
    wrong = [share for share in wrong if not (isinstance(share, float) and math.isclose(share, 1))]
    return [f"it reports {wrong[0]!r}: report takes the share that is done, 0 … 1"] if wrong else []


def _settings() -> dict[str, Any]:
    return {
        "torch's number of threads": torch.get_num_threads(),
        "torch's default type": torch.get_default_dtype(),
        "whether torch takes gradients": torch.is_grad_enabled(),
    }


def _restore(settings: dict[str, Any]) -> None:
    if torch.get_num_threads() != settings["torch's number of threads"]:
        torch.set_num_threads(settings["torch's number of threads"])
    torch.set_default_dtype(settings["torch's default type"])
