"""What an audit must know of a network before it trains hundreds of it: each its own, its answers logits, no more.

`privaudit score` asks this of every network that is not ours, and `privaudit.testing.check_network` of any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import safetensors.torch
import torch
from torch import nn
from torch.nn import functional

from privaudit.errors import PrivauditError
from privaudit.networks import untied
from privaudit.networks.build import batch_shape
from privaudit.networks.classifier import Classifier, logits_in
from privaudit.runtime.user_code import user_code
from privaudit.training.answer_check import FOREIGN, Examined, are_probabilities, ask_network, equal, listed, of_range
from privaudit.training.custom_training import where
from privaudit.training.hardware import Hardware
from privaudit.training.loop import make_optimizer, seeded_layers
from privaudit.training.recipe import RECIPES

BATCH = 6


def examine_network(
    build: Callable[[int], Classifier],
    input_shape: tuple[int, ...],
    classes: int,
    hardware: Hardware,
    factory: Any,
) -> Examined:
    """Build, ask, train, save and load a network, on noise of the scale of the data.

    Parameters
    ----------
    build
        Gives a network on ``hardware``'s device, its weights decided by a seed.
    input_shape, classes
        Of the data.
    hardware
        In which precision it will train.
    factory
        The user's function, to say where it failed.
    """
    found = Examined()
    first, twin, other = build(1), build(1), build(2)
    found.problems += of_sharing([first, twin, other])
    found.problems += _of_weights(first, twin)
    if found.problems:
        return found
    found.facts += _of_first_weights(first, other)
    inputs = _noise(first, input_shape)
    device = hardware.torch_device
    try:
        with user_code(), seeded_layers(0, device):
            ask_network(first, inputs, classes, found)
    except Exception as error:
        found.problems.append(f"it can't be asked: {_said(error, factory)}")
    if found.problems and any("logits" in problem for problem in found.problems):
        return found
    if found.problems and found.problems[-1].startswith("it can't be asked"):
        return found
    try:
        with user_code(), seeded_layers(0, device):
            _train(first, twin, inputs, classes, hardware, found)
    except Exception as error:
        fp32 = "" if hardware.precision == "fp32" else f" (in {hardware.precision}; --precision fp32 may do)"
        found.problems.append(f"it can't be trained{fp32}: {_said(error, factory)}")
    found.problems += _of_saving(first, twin, inputs)
    found.problems += of_range(other, inputs)
    return found


def _said(error: Exception, factory: Any) -> str:
    if isinstance(error, PrivauditError):
        return error.message
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]} ({where(error, factory)})"


def _noise(model: Classifier, input_shape: tuple[int, ...]) -> torch.Tensor:
    """Return six inputs of the data's mean and deviation, in the memory layout that audits use."""
    random = torch.Generator().manual_seed(0)
    noise = torch.randn(BATCH, *input_shape, generator=random)
    noise = noise.permute(0, 3, 1, 2) if len(input_shape) == 3 else noise
    standardise: Any = model.standardise
    mean, deviation = standardise.mean, standardise.deviation
    if noise.shape[1:] != batch_shape(input_shape):
        raise AssertionError(f"{noise.shape} for {input_shape}")
    scaled: torch.Tensor = noise.to(mean.device) * deviation + mean
    return scaled


def tensors_of(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield every parameter and every buffer of the network, saved or not, by name."""
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if name.startswith("network.") and tensor.numel():
            yield name.removeprefix("network."), tensor


def of_sharing(models: Sequence[nn.Module]) -> list[str]:
    """Say which memory several networks, each from a call of its own, have in common."""
    shared: list[str] = []
    for index, one in enumerate(models):
        memory = {_memory(tensor) for _, tensor in tensors_of(one)}
        for another in models[index + 1 :]:
            shared += [name for name, tensor in tensors_of(another) if _memory(tensor) in memory]
    if not shared:
        return []
    if len(set(shared)) == len({name for name, _ in tensors_of(models[0])}):
        return ["it returns the same module each time: a new one must be built at each call"]
    return [
        f"networks of two calls share {listed(shared)}: what one model learns, all others would know. Build it anew at "
        "each call (copy.deepcopy of what was loaded once will do)"
    ]


def _memory(tensor: torch.Tensor) -> tuple[str, int]:
    return str(tensor.device), tensor.untyped_storage().data_ptr()


def _of_weights(model: nn.Module, twin: nn.Module) -> list[str]:
    problems = []
    first, second = model.state_dict(), twin.state_dict()
    if list(first) != list(second):
        problems.append("two calls build networks with different parameters")
    elif not all(equal(first[name], second[name]) for name in first):
        problems.append(
            "two networks that are built with the same seed differ: draw initial weights with torch's global "
            "generator, which is seeded for every model"
        )
    parameters = {name.removeprefix("network."): parameter for name, parameter in model.named_parameters()}
    if not parameters:
        return [*problems, "it has no parameters: there is nothing to train"]
    for name, tensor in parameters.items():
        if tensor.dtype != torch.float32:
            problems.append(f"{name} is {tensor.dtype}: parameters must be float32 (network.float())")
            break
    if not any(parameter.requires_grad for parameter in parameters.values()):
        problems.append("no parameter requires a gradient: nothing would be trained")
    return problems


def _of_first_weights(model: nn.Module, other: nn.Module) -> list[str]:
    """Name the weights that every model starts from alike though they were drawn or loaded."""
    facts = []
    another = dict(other.named_parameters())
    varied = {
        name.removeprefix("network."): parameter
        for name, parameter in model.named_parameters()
        if parameter.numel() > 1 and bool((parameter != parameter.flatten()[0]).any())
    }
    same = [name for name, parameter in varied.items() if equal(parameter, another[f"network.{name}"])]
    if same:
        which = "all its weights" if len(same) == len(varied) else f"{len(same)} of its {len(varied)} weights"
        facts.append(
            f"{which} ({listed(same)}) are the same whatever the seed, as pretrained ones are: where they were trained "
            "on samples of this audit, every shadow model has seen those"
        )
    if frozen := [name for name, parameter in model.named_parameters() if not parameter.requires_grad]:
        facts.append(f"{listed([name.removeprefix('network.') for name in frozen])} are frozen: not trained")
    return facts


def _train(
    model: Classifier,
    twin: Classifier,
    inputs: torch.Tensor,
    classes: int,
    hardware: Hardware,
    found: Examined,
) -> None:
    """Take a step with one network, and see that another learns nothing of it."""
    labels = torch.arange(len(inputs), device=inputs.device) % classes
    with _asked(twin, inputs) as learned:
        model.train()
        optimizer = make_optimizer(model, RECIPES["fast"])
        with hardware.autocast():
            returned = model.returned(inputs.clone())
            logits, taken = logits_in(returned, len(inputs), classes)
            loss = functional.cross_entropy(logits.float(), labels)
        if taken is not None and taken not in found.facts:
            found.facts.append(f"while it trains {taken}")
        if are_probabilities(logits.detach()):
            found.problems.append("while it trains it returns probabilities: leave the softmax out")
        if not loss.requires_grad:
            found.problems.append(
                "its logits can't be differentiated: a detach(), a no_grad() or a detour through NumPy cuts the way"
            )
            return
        own = {id(parameter) for parameter in model.parameters()}
        if any(id(variable) not in own for variable in _leaves(loss)) and FOREIGN not in found.problems:
            found.problems.append(FOREIGN)
        loss.backward()
        wanting = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
        without = [name.removeprefix("network.") for name, parameter in wanting.items() if parameter.grad is None]
        if without:
            found.doubts.append(
                f"no gradient reaches {listed(without)}: unused, or cut off (where that is meant, "
                "requires_grad_(False))"
            )
        if not all(bool(torch.isfinite(p.grad).all()) for p in wanting.values() if p.grad is not None):
            found.problems.append("some of its gradients are not finite")
            return
        optimizer.step()
        model(inputs[:2])  # The fewest samples that a batch of an audit has.
    if learned():
        found.problems.append(
            "a step with one of two networks changes what the other says: something that both use (a layer at the top "
            "of a module, an attribute of a class, a cache) must be built anew at each call"
        )


@contextmanager
@torch.no_grad()
def _asked(model: nn.Module, inputs: torch.Tensor) -> Iterator[Callable[[], bool]]:
    """Ask a network that nobody touches; what is given tells, afterwards, whether it says something else by then."""
    with seeded_layers(0, inputs.device):
        before = model.eval()(inputs.clone())

    def changed() -> bool:
        with torch.no_grad(), seeded_layers(0, inputs.device):
            return not torch.equal(before, model.eval()(inputs.clone()))

    with torch.enable_grad():
        yield changed


def _leaves(loss: torch.Tensor) -> Iterator[torch.Tensor]:
    """Yield the parameters that a loss would send a gradient to."""
    waiting: list[Any] = [loss.grad_fn]
    seen: set[Any] = set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            yield node.variable
        waiting += [parent for parent, _ in node.next_functions]


def _of_saving(model: nn.Module, twin: nn.Module, inputs: torch.Tensor) -> list[str]:
    try:
        saved = safetensors.torch.save({name: t.contiguous() for name, t in untied(model.state_dict()).items()})
        twin.load_state_dict(safetensors.torch.load(saved))
        with user_code(), torch.no_grad(), seeded_layers(0, inputs.device):
            expected = model.eval()(inputs.clone())
        with user_code(), torch.no_grad(), seeded_layers(0, inputs.device):
            loaded = twin.eval()(inputs.clone())
    except Exception as error:
        return [f"its weights can't be saved and loaded again: {(str(error).splitlines() or [''])[0][:200]}"]
    if not torch.allclose(expected, loaded, rtol=1e-4, atol=1e-5):
        return [
            "a network that is loaded from its saved weights says something else: part of what it knows is in no "
            "parameter and no buffer (register_buffer)"
        ]
    return []
