"""What an audit must know of a user's training function before it trains by it: equal seeds give equal weights.

`privaudit score` asks this of a few of its own samples, and `privaudit.testing.check_training` of made-up ones.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from privaudit.errors import PrivauditError, TrainingDiverged
from privaudit.runtime.registry import without_folder
from privaudit.training.answer_check import Examined
from privaudit.training.custom_training import TrainingFunction, train_by_function
from privaudit.training.hardware import Hardware
from privaudit.training.loop import Samples, as_network_input

#: Another seed in between: what a function remembers from call to call would show.
SEEDS = (1, 2, 1)


def examine_training(
    function: TrainingFunction,
    name: str,
    make_model: Callable[[], nn.Module],
    samples: Samples,
    members: npt.NDArray[np.int64],
    hardware: Hardware,
    patience: float = math.inf,
) -> Examined:
    """Train three models of the same first weights by a function, and compare the two that have the same seed.

    Parameters
    ----------
    function, name
        The user's, and what messages call it.
    make_model
        Gives a freshly initialised model, always the same.
    samples, members, hardware
        As `train_by_function` takes them.
    patience
        Where the first training takes more seconds than this, no other follows, and that is among the facts.
    """
    found = Examined()
    subject = f"training function {without_folder(name)} "
    shares: list[Any] = []
    changed: list[str] = []
    watched = _watched(function, shares, changed)
    states, before, after = [], 0.0, 0.0
    try:
        for seed in SEEDS:
            model, start = make_model(), time.perf_counter()
            before = _loss(model, samples, members)
            train_by_function(watched, name, model, samples, members, seed, hardware)
            after = _loss(model, samples, members)
            states.append({key: tensor.clone() for key, tensor in model.state_dict().items()})
            if time.perf_counter() - start > patience:
                found.facts.append("whether equal seeds train equal weights was not tried: it takes long")
                break
    except TrainingDiverged as error:
        found.doubts.append(f"{error.message.removeprefix(subject)} on a few samples")
    except PrivauditError as error:
        found.problems.append(f"it {error.message.removeprefix(subject)}")
    if len(states) == len(SEEDS) and not all(torch.equal(one, states[2][key]) for key, one in states[0].items()):
        found.problems.append(
            "two trainings with the same seed differ: everything random must come from the seed, and nothing may "
            "be remembered from call to call"
        )
    if states and not after < before:
        found.doubts.append(f"the loss on its members did not fall: {before:.4g} before, {after:.4g} after")
    found.doubts += [f"it changes {what} for all that comes after" for what in dict.fromkeys(changed)]
    found.doubts += _of_shares(shares)
    return found


def _watched(function: TrainingFunction, shares: list[Any], changed: list[str]) -> TrainingFunction:
    """The same function; what it reports, and which of torch's settings it leaves otherwise, is written down."""

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

        settings = _settings()
        returned: Any = function(model, inputs, labels, seed, device, told)  # type: ignore[func-returns-value]
        changed.extend(what for what, value in _settings().items() if value != settings[what])
        return returned

    return watched


@torch.no_grad()
def _loss(model: nn.Module, samples: Samples, members: npt.NDArray[np.int64]) -> float:
    rows = torch.from_numpy(np.ascontiguousarray(members)).to(samples.device)
    logits = model.eval()(as_network_input(samples.take(rows)))
    return float(functional.cross_entropy(logits.float(), samples.labels[rows]))


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
