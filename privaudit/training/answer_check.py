"""What a network answers in eval mode: logits, the same each time, of each sample alone, with parameters of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from privaudit.errors import PrivauditError
from privaudit.networks.classifier import Classifier, logits_in
from privaudit.runtime.user_code import user_code

#: How far the logits of one sample may differ by what else is in the batch: rounding, which depends on its size.
ROUNDING = 1e-3

#: What parameters are multiplied with to see whether outputs can leave [0, 1], as logits do.
STRETCHES = (1.0, -1.0, -30.0)

FOREIGN = (
    "it computes with parameters that are none of its own: layers at the top of a module, of a class, or in a plain "
    "list are not trained or saved with it, and other models use them too (set them in __init__, or in nn.ModuleList)"
)

#: At most this many names in a message.
NAMED = 4


@dataclass
class Examined:
    """What was found.

    Parameters
    ----------
    problems
        What no audit can rely on.
    doubts
        What is wrong in most networks and meant in some.
    facts
        What was guessed, or is good to know.
    """

    problems: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    facts: list[str] = field(default_factory=list)


@torch.no_grad()
def ask_network(model: Classifier, inputs: torch.Tensor, classes: int, found: Examined) -> None:
    """Ask in eval mode, and note in ``found`` what is wrong with the answers."""
    model.eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with _called() as layers:
        returned = model.returned(inputs.clone())
    own = {id(layer) for layer in model.modules()}
    if any(id(layer) not in own and _has_tensors(layer) for layer in layers):
        found.problems.append(FOREIGN)
    try:
        logits, taken = logits_in(returned, len(inputs), classes)
    except PrivauditError as error:
        found.problems.append(error.message.replace("the network returns", "it returns", 1))
        return
    if taken is not None:
        found.facts.append(taken)
    if not logits.is_floating_point() or not bool(torch.isfinite(logits).all()):
        found.problems.append(f"its logits are {logits.dtype} or not finite: they must be numbers")
        return
    if logits.dtype in (torch.float16, torch.bfloat16):
        found.facts.append(f"its logits are {str(logits.dtype).removeprefix('torch.')}, which rounds what attacks read")
    logits = logits.float()
    if are_probabilities(logits):
        found.problems.append("it returns probabilities: leave the softmax out, losses and attacks take logits")
    elif float(logits.logsumexp(1).abs().max()) < 1e-4:
        found.facts.append("it returns log-probabilities, which are logits like any others")
    if not torch.equal(model(inputs.clone()).float(), logits):
        found.problems.append("in eval mode it says something else each time: does something draw at random (dropout)?")
    else:
        found.problems += _when_alone(model, inputs, logits)
    if not all(equal(before[name], tensor) for name, tensor in model.state_dict().items()):
        found.problems.append("in eval mode it changes its own state: running statistics must stand still")


@contextmanager
def _called() -> Iterator[list[nn.Module]]:
    """Note every layer that is called, whoever owns it."""
    layers: list[nn.Module] = []
    handle = register_module_forward_pre_hook(lambda layer, _: layers.append(layer))
    try:
        yield layers
    finally:
        handle.remove()


def _has_tensors(layer: nn.Module) -> bool:
    return any(True for _ in (*layer.parameters(), *layer.buffers()))


def are_probabilities(logits: torch.Tensor) -> bool:
    """Tell whether each row holds numbers from 0 that add up to 1."""
    return bool((logits >= 0).all()) and torch.allclose(
        logits.float().sum(1),
        torch.ones(len(logits), device=logits.device),
        atol=1e-4 if logits.dtype == torch.float32 else 1e-2,
    )


def _when_alone(model: nn.Module, inputs: torch.Tensor, logits: torch.Tensor) -> list[str]:
    """What is said of a sample must not depend on the others in the batch: the last batch may have but one."""
    why = "does a layer use the statistics of the batch (BatchNorm with track_running_stats=False)?"
    try:
        alone = torch.cat([model(inputs[row : row + 1].clone()) for row in range(len(inputs))]).float()
    except Exception as error:
        said = (str(error).splitlines() or [""])[0][:120]
        return [f"in eval mode it can't be asked about one sample alone ({said}): {why}"]
    scale = float(logits.abs().max()) + 1e-6
    if alone.shape != logits.shape or float((alone - logits).abs().max()) > ROUNDING * scale:
        return [f"in eval mode what it says of a sample depends on the others in the batch: {why}"]
    return []


@torch.no_grad()
def of_range(model: nn.Module, inputs: torch.Tensor) -> list[str]:
    """Whether outputs stay between 0 and 1 whatever the weights, as a sigmoid's do; changes the network's weights."""
    model.eval()
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    whole = []
    try:
        with user_code():
            for stretch in STRETCHES:
                for parameter in parameters:
                    parameter.mul_(stretch)
                whole.append(model(inputs.clone()).float())
    except Exception:
        return []  # It was asked before; what it makes of other weights is its own affair.
    outputs = torch.cat(whole)
    if bool(((outputs >= 0) & (outputs <= 1)).all()) and float(outputs.max() - outputs.min()) > 1e-6:
        return [
            "its outputs lie between 0 and 1 whatever its weights: leave the sigmoid (or the softmax) out, losses and "
            "attacks take logits"
        ]
    return []


def equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Tell whether two tensors have one shape and the same values."""
    return one.shape == other.shape and torch.equal(one, other)


def listed(names: Sequence[str]) -> str:
    """Return the first few different names, and how many more there are."""
    different = list(dict.fromkeys(names))
    more = f" and {len(different) - NAMED} more" if len(different) > NAMED else ""
    return ", ".join(different[:NAMED]) + more
