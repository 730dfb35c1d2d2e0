"""`check_unlearner` holds a method to the contract.

A package adds a method by an entry point of the group ``privaudit.unlearners``, whose name is what ``--method`` takes::

    [project.entry-points."privaudit.unlearners"]
    my-method = "my_package.my_module:MyMethod"

and its tests say ``check_unlearner(MyMethod)``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from privaudit.runtime.torch_globals import seeded_globals
from privaudit.testing.contract import ContractError
from privaudit.training.hardware import Hardware
from privaudit.training.loop import Samples
from privaudit.unlearning.base import UNLEARNERS, Context, Parameters, Unlearner
from privaudit.unlearning.parameters import with_changes
from privaudit.unlearning.schedule.one_shot import run_once
from privaudit.unlearning.schedule.sequence import Ledger, plan_stages, run_sequence
from privaudit.unlearning.teachers import Teachers

SAMPLES, FORGET, CLASSES, SIDE = 60, 12, 3, 8


def check_unlearner(method: type[Unlearner] | str, parameters: Parameters | None = None) -> None:
    """Run a method on a small problem, and see whether it keeps what privaudit relies on.

    - it says what it is: a subclass of `Unlearner` with `defaults`, and `step` or `run`
    - it changes the model it was given, in place, to finite weights, and nothing else: not the samples, not torch's
      global generators
    - equal seeds give equal weights, to the bit
    - with learning rate 0 (where it has one) no weight changes
    - every sample whose gradient it takes is counted
    - its budget does not depend on how the forget set is grouped
    - one request alone, a forget set of one sample, is honoured too
    - what it tells the results is JSON

    Parameters
    ----------
    method
        The class, or the name of a registered method.
    parameters
        Instead of its defaults.

    Raises
    ------
    ContractError
        Naming the first of these that does not hold.
    """
    method = UNLEARNERS.load(method) if isinstance(method, str) else method
    _declares(method)
    parameters = parameters or method.defaults
    _keeps_to_itself(method, parameters)
    _counts(method, parameters)
    if "learning_rate" in parameters.names():
        _stands_still(method, with_changes(parameters, {"learning_rate": 0.0}))
    if method.takes_forget_steps:
        _spends_alike(method, parameters)
    _run(method, parameters, practice_context(forget=1))


def practice_context(forget: int = FORGET, seed: int = 0) -> Context:
    """A small problem: 60 random images of 8×8 in 3 classes, a network with BatchNorm and dropout, made-up teachers.

    Parameters
    ----------
    forget
        How many samples are to be forgotten.
    seed
        Of the method's own randomness; the problem is always the same.
    """
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (SAMPLES, SIDE, SIDE, 1)).astype(np.uint8)
    samples = Samples.from_arrays(images, np.arange(SAMPLES) % CLASSES, "cpu")
    rows = np.arange(forget)
    answers = torch.from_numpy(random.dirichlet(np.ones(CLASSES), forget)).float()
    return Context(
        model=_network("original").eval(),
        samples=samples,
        forget=rows,
        retain=np.arange(forget, SAMPLES),
        classes=CLASSES,
        unseen_loss=lambda: 1.5,
        hardware=Hardware("cpu", "fp32"),
        generator=torch.Generator().manual_seed(seed),
        build=_network,
        teachers=lambda: Teachers(rows, answers, torch.full((forget,), 0.1), np.full(forget, 4)),
    )


def _network(*purpose: str | int) -> nn.Module:
    with seeded_globals(sum(map(ord, "/".join(map(str, purpose))))):
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(0.1),
            nn.Linear(4 * SIDE * SIDE, CLASSES),
        )


def _declares(method: type[Unlearner]) -> None:
    if not (isinstance(method, type) and issubclass(method, Unlearner)):
        raise ContractError(f"{method!r} is no subclass of privaudit.unlearning.base.Unlearner")
    defaults = getattr(method, "defaults", None)
    if not isinstance(defaults, Parameters):
        raise ContractError(f"{method.__name__}.defaults must be Parameters (or a frozen subclass), not {defaults!r}")
    wanted = "step" if method.takes_forget_steps else "run"
    if getattr(method, wanted) is getattr(Unlearner, wanted):
        raise ContractError(f"{method.__name__}.takes_forget_steps is {method.takes_forget_steps}: it needs `{wanted}`")


def _keeps_to_itself(method: type[Unlearner], parameters: Parameters) -> None:
    weights = []
    for _ in range(2):
        context = practice_context()
        model, before = context.model, _weights(context.model)
        inputs, labels = context.samples.inputs.clone(), context.samples.labels.clone()
        with torch.random.fork_rng(devices=[]):
            random = torch.random.get_rng_state()
            ledger, _ = _run(method, parameters, context)
            if not torch.equal(random, torch.random.get_rng_state()):
                raise ContractError("it draws from torch's global generator: draw from context.generator")
        if not (torch.equal(inputs, context.samples.inputs) and torch.equal(labels, context.samples.labels)):
            raise ContractError("it changes the samples")
        after = _weights(model)
        if not all(bool(torch.isfinite(weight).all()) for weight in after):
            raise ContractError("it leaves weights that are not numbers: raise StopUnlearning instead of such a step")
        if ledger.stopped is None and all(map(torch.equal, before, after)):
            raise ContractError("it changes no weight of context.model, which is to be changed in place")
        if context.model.training:
            raise ContractError("it leaves the model in training mode")
        weights.append(after)
    if not all(map(torch.equal, *weights)):
        raise ContractError("two runs with the same seed differ: draw from context.generator alone")


def _counts(method: type[Unlearner], parameters: Parameters) -> None:
    context = practice_context()
    with _watched(context.model) as seen:
        ledger, unlearner = _run(method, parameters, context)
    counted = unlearner.forget_steps_beside + unlearner.retain_steps
    counted += ledger.forget_steps_run if method.takes_forget_steps else 0
    # A step that stopped the run looked at its samples, and was not taken.
    stopped = unlearner.forget_batch_size + parameters.batch_size if ledger.stopped else 0
    if sum(seen) > counted + stopped:
        raise ContractError(
            f"it takes gradients of {sum(seen)} samples and counts {counted}: add the others to retain_steps, or to "
            "forget_steps_beside"
        )
    try:
        json.dumps(unlearner.details(), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ContractError(f"its details() are not JSON: {error}") from error


def _stands_still(method: type[Unlearner], parameters: Parameters) -> None:
    context = practice_context()
    before = _weights(context.model)
    _run(method, parameters, context)
    if not all(map(torch.equal, before, _weights(context.model))):
        raise ContractError("with learning rate 0 it changes weights")


def _spends_alike(method: type[Unlearner], parameters: Parameters) -> None:
    spent = set()
    for groups in (1, 3):
        ledger, _ = _run(method, parameters, practice_context(), groups)
        if ledger.stopped is None:
            spent.add(ledger.forget_steps_run)
    if len(spent) > 1:
        raise ContractError(f"its budget depends on the groups: {sorted(spent)} forget-sample gradients")


def _run(
    method: type[Unlearner], parameters: Parameters, context: Context, groups: int = 1
) -> tuple[Ledger, Unlearner]:
    unlearner: Any = method(context, parameters)
    if not method.takes_forget_steps:
        return run_once(unlearner, lambda _: None), unlearner
    size = len(context.forget)
    nested = [context.forget[: max(1, size * (number + 1) // groups)] for number in range(groups)]
    return run_sequence(unlearner, plan_stages(nested, unlearner.passes), lambda _: None), unlearner


def _weights(model: nn.Module) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in model.parameters()]


@contextmanager
def _watched(model: nn.Module) -> Iterator[list[int]]:
    """How many samples go through the model with gradient, one entry a call."""
    seen: list[int] = []

    def count(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if torch.is_grad_enabled():
            seen.append(len(inputs[0]))

    handle = model.register_forward_pre_hook(count)
    try:
        yield seen
    finally:
        handle.remove()
