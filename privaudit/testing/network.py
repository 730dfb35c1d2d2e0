"""`check_network` builds, asks, trains, saves and loads a network, and says all that is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import nn
from torch.nn import functional

from privaudit.errors import PrivauditError
from privaudit.foreign import user_code
from privaudit.networks.build import assemble, load_factory
from privaudit.testing.contract import demand_none, name_of
from privaudit.training.hardware import Hardware, resolve_hardware
from privaudit.training.loop import make_optimizer, seeded_layers
from privaudit.training.own import where
from privaudit.training.recipe import RECIPES

BATCH = 6

#: How far the logits of one sample may differ by what else is in the batch: rounding, which depends on its size.
ROUNDING = 1e-3


def check_network(
    factory: Callable[[tuple[int, ...], int], nn.Module] | str,
    input_shape: tuple[int, ...],
    classes: int,
    *,
    precision: str = "auto",
) -> None:
    """Build, ask, train, save and load a network, and see whether an audit can rely on it.

    - it can be built, again and again, and equal seeds give equal weights
    - it returns finite float32 logits ``[B, classes]``, not probabilities, and leaves its inputs as they are
    - in eval mode it says the same of a sample each time, whatever else is in the batch, and does not change
    - it trains: in the precision of this machine, with a gradient for every parameter that wants one
    - its weights can be saved, and a network that is loaded from them says the same

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
    try:
        hardware = resolve_hardware("cpu", precision)
        found = load_factory(factory, input_shape) if isinstance(factory, str) else factory
        model, twin = (_built(found, name, input_shape, classes) for _ in range(2))
    except PrivauditError as error:
        demand_none(name, [str(error).replace("\n  ", " ")])
        raise
    demand_none(name, _problems(found, model, twin, input_shape, classes, hardware))


def _built(factory: Any, name: str, input_shape: tuple[int, ...], classes: int) -> nn.Module:
    channels = input_shape[-1] if len(input_shape) == 3 else input_shape[0]
    return assemble(factory, name, input_shape, classes, ([0.5] * channels, [0.25] * channels), seed=1)


def _problems(
    factory: Any, model: nn.Module, twin: nn.Module, input_shape: tuple[int, ...], classes: int, hardware: Hardware
) -> list[str]:
    problems = _of_weights(model, twin)
    if not any(True for _ in model.parameters()):
        return [*problems, "it has no parameters: there is nothing to train"]
    shape = (input_shape[2], *input_shape[:2]) if len(input_shape) == 3 else input_shape
    values = np.random.default_rng(0).random((BATCH, *shape), np.float32)
    inputs = torch.from_numpy(values)
    labels = torch.arange(BATCH) % classes
    try:
        with user_code(), seeded_layers(0, torch.device("cpu")):
            problems += _when_asked(model, inputs, classes)
    except Exception as error:
        return [*problems, f"it can't be asked: {_said(error, factory)}"]
    if not torch.equal(inputs, torch.from_numpy(np.random.default_rng(0).random((BATCH, *shape), np.float32))):
        problems.append("it changes its inputs in place")
    if any("logits" in problem for problem in problems):
        return problems
    try:
        with user_code(), seeded_layers(0, torch.device("cpu")):
            problems += _when_trained(model, inputs, labels, hardware)
    except Exception as error:
        fp32 = "" if hardware.precision == "fp32" else f" (in {hardware.precision}; --precision fp32 may do)"
        problems.append(f"it can't be trained{fp32}: {_said(error, factory)}")
    return problems + _when_saved(model, twin, inputs)


def _said(error: Exception, factory: Any) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]} ({where(error, factory)})"


def _of_weights(model: nn.Module, twin: nn.Module) -> list[str]:
    problems = []
    first, second = model.state_dict(), twin.state_dict()
    own = {name for name in first if name.startswith("network.")}
    storages = {first[name].data_ptr() for name in own if first[name].numel()}
    if any(second[name].data_ptr() in storages for name in second if name in own and second[name].numel()):
        problems.append("it returns the same module each time: a new one must be built at each call")
    elif list(first) != list(second):
        problems.append("two calls build networks with different parameters")
    elif not all(_equal(first[name], second[name]) for name in first):
        problems.append(
            "two networks that are built with the same seed differ: draw initial weights with torch's global "
            "generator, which is seeded for every model"
        )
    for name, tensor in model.named_parameters():
        if tensor.dtype != torch.float32:
            problems.append(f"{_short(name)} is {tensor.dtype}: parameters must be float32")
            break
    if not any(parameter.requires_grad for parameter in model.parameters()):
        problems.append("no parameter requires a gradient: nothing would be trained")
    return problems


@torch.no_grad()
def _when_asked(model: nn.Module, inputs: torch.Tensor, classes: int) -> list[str]:
    model.eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    logits: Any = model(inputs.clone())
    if not isinstance(logits, torch.Tensor):
        return [f"it returns a {type(logits).__name__}: it must return one tensor of logits"]
    if tuple(logits.shape) != (len(inputs), classes):
        return [f"it returns logits {list(logits.shape)} for {len(inputs)} samples: they must be [B, {classes}]"]
    problems = []
    if not logits.is_floating_point() or not bool(torch.isfinite(logits).all()):
        return [f"its logits are {logits.dtype} or not finite: they must be numbers"]
    if bool((logits >= 0).all()) and torch.allclose(logits.sum(1), torch.ones(len(logits)), atol=1e-4):
        problems.append("it returns probabilities: leave the softmax out, losses and attacks take logits")
    if not torch.equal(model(inputs.clone()), logits):
        problems.append("in eval mode it says something else each time: does something draw at random (dropout)?")
    else:
        problems += _when_alone(model, inputs, logits)
    if not all(_equal(before[name], tensor) for name, tensor in model.state_dict().items()):
        problems.append("in eval mode it changes its own state: running statistics must stand still")
    model(inputs)
    return problems


def _when_alone(model: nn.Module, inputs: torch.Tensor, logits: torch.Tensor) -> list[str]:
    """What is said of a sample must not depend on the others in the batch: the last batch may have but one."""
    why = "does a layer use the statistics of the batch (BatchNorm with track_running_stats=False)?"
    try:
        alone = torch.cat([model(inputs[row : row + 1].clone()) for row in range(len(inputs))])
    except Exception as error:
        return [f"in eval mode it can't be asked about one sample alone ({str(error).splitlines()[0][:120]}): {why}"]
    scale = float(logits.abs().max()) + 1e-6
    if alone.shape != logits.shape or float((alone - logits).abs().max()) > ROUNDING * scale:
        return [f"in eval mode what it says of a sample depends on the others in the batch: {why}"]
    return []


def _when_trained(model: nn.Module, inputs: torch.Tensor, labels: torch.Tensor, hardware: Hardware) -> list[str]:
    model.train()
    optimizer = make_optimizer(model, RECIPES["fast"])
    with hardware.autocast():
        loss = functional.cross_entropy(model(inputs.clone()).float(), labels)
    if not loss.requires_grad:
        return ["its logits can't be differentiated: a detach(), a no_grad() or a detour through NumPy cuts the way"]
    loss.backward()
    problems = []
    wanting = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    without = [_short(name) for name, parameter in wanting.items() if parameter.grad is None]
    if without:
        problems.append(
            f"no gradient reaches {', '.join(without[:4])}: unused, or cut off (where that is meant, "
            "requires_grad_(False))"
        )
    if not all(bool(torch.isfinite(p.grad).all()) for p in wanting.values() if p.grad is not None):
        problems.append("some of its gradients are not finite")
    else:
        optimizer.step()
        model(inputs[:2])  # The fewest samples that a batch of an audit has.
    return problems


def _when_saved(model: nn.Module, twin: nn.Module, inputs: torch.Tensor) -> list[str]:
    try:
        saved = safetensors.torch.save({name: tensor.contiguous() for name, tensor in model.state_dict().items()})
    except (RuntimeError, ValueError) as error:
        shared = "share" in str(error)
        why = "two of its parameters are the same tensor" if shared else str(error).splitlines()[0][:200]
        return [f"its weights can't be saved: {why}" + (": give each a memory of its own" if shared else "")]
    try:
        twin.load_state_dict(safetensors.torch.load(saved))
        with user_code(), torch.no_grad(), seeded_layers(0, torch.device("cpu")):
            expected = model.eval()(inputs.clone())
        with user_code(), torch.no_grad(), seeded_layers(0, torch.device("cpu")):
            found = twin.eval()(inputs.clone())
    except RuntimeError as error:
        return [f"its weights can't be loaded again: {str(error).splitlines()[0][:200]}"]
    if not torch.allclose(expected, found, rtol=1e-4, atol=1e-5):
        return [
            "a network that is loaded from its saved weights says something else: part of what it knows is in no "
            "parameter and no buffer (register_buffer)"
        ]
    return []


def _equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.shape == other.shape and torch.equal(one, other)


def _short(name: str) -> str:
    return name.removeprefix("network.")
