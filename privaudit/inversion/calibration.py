"""By layers, vmapped or looped, and how many at once: measured once per network and device."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import nn

from privaudit.inversion.gradient_engines.engine_choice import Kind, make_engine
from privaudit.inversion.gradient_engines.layers import NoRule
from privaudit.inversion.gradient_engines.sample_gradients import Gradients
from privaudit.inversion.image_scale import PixelScale
from privaudit.inversion.matching import Canvas, Objective, match_gradients
from privaudit.inversion.presets import MatchingAttack
from privaudit.results.audit.inversion_results import EngineChoice
from privaudit.shadow.specification import ModelSpecification

#: Memory that one batch of searches may take: on a CPU fixed, so that its size does not depend on the machine.
CPU_BYTES = 1 << 30
CUDA_SHARE = 0.5
MOST = {"cpu": 32, "cuda": 512}

#: Tensors the size of all parameters that a search keeps alive at once: the gradient seen, that of the image,
#: products of both, and their derivatives.
COPIES_OF_GRADIENT = 8

#: The same for activations: forward, first and second derivative.
COPIES_OF_ACTIVATIONS = 12

#: The vmapped engine is taken where its step takes less than this share of the loop's, and the layerwise one where it
#: takes less than this share of the vmapped one's: a tie must not fall by chance.
CLEARLY = 0.9

#: Gradients and slopes of two engines may differ by this share of their norm.
AGREEMENT = 1e-3


def affordable_batch(model: nn.Module, example: torch.Tensor) -> int:
    """How many searches fit into the memory set aside for them."""
    parameters = sum(parameter.numel() for parameter in model.parameters())
    sizes: list[int] = []
    hooks = [
        module.register_forward_hook(lambda _, __, out: sizes.append(out.numel()) if torch.is_tensor(out) else None)
        for module in model.modules()
        if not list(module.children())
    ]
    try:
        with torch.no_grad():
            model(example[:1])
    finally:
        for hook in hooks:
            hook.remove()
    need = 4 * (COPIES_OF_GRADIENT * parameters + COPIES_OF_ACTIVATIONS * sum(sizes))
    device = example.device
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return max(1, min(MOST["cuda"], int(CUDA_SHARE * free / need)))
    return max(1, min(MOST["cpu"], CPU_BYTES // need))


def calibrate(specification: ModelSpecification, pixels: PixelScale, batch: int | None = None) -> EngineChoice:
    """Time a step of each engine on a fresh network; what is not looped must also agree with the loop.

    Parameters
    ----------
    specification
        Network and device.
    pixels
        The range of its inputs.
    batch
        Searches in a batch, instead of what fits into memory.
    """
    model = specification.build("calibrate").eval()
    height, width, channels = specification.input_shape
    device = specification.hardware.torch_device
    generator = torch.Generator().manual_seed(0)
    few = torch.rand(2, channels, height, width, generator=generator).to(device)
    size = batch or affordable_batch(model, pixels.to_input(few))
    images = torch.rand(size, channels, height, width, generator=generator).to(device)
    labels = nn.functional.one_hot(torch.arange(size) % specification.classes, specification.classes)
    labels = labels.float().to(device)
    seconds = _seconds_of_step("looped", model, images[:1], labels[:1], pixels)
    kind: Kind = "looped"
    reason = None
    some = labels[: len(few)] if size > 1 else labels.expand(len(few), -1)
    try:
        alone = _gradients_and_slopes("looped", model, few, some, pixels)
        # Gradients that are only observed are vmapped by the layerwise engine too: it is a step further.
        steps: tuple[tuple[Kind, Kind], ...] = (("vmapped", "looped"), ("layerwise", "vmapped"))
        for step, before in steps:
            if kind != before:
                break
            if not _agree(alone, _gradients_and_slopes(step, model, few, some, pixels)):
                reason = f"{step} gradients differ from those of single samples"
                break
            taken = _seconds_of_step(step, model, images, labels, pixels) / size
            if taken < CLEARLY * seconds:
                kind, seconds = step, taken
    except NoRule:
        pass
    except (RuntimeError, ValueError, NotImplementedError) as error:
        reason = f"torch.func can't vectorise this network: {str(error).splitlines()[0][:200]}"
    return EngineChoice(engine=kind, batch=size, matching_seconds=seconds, reason=reason)


def _gradients_and_slopes(
    kind: Kind, model: nn.Module, images: torch.Tensor, labels: torch.Tensor, pixels: PixelScale
) -> list[torch.Tensor]:
    """``[B, …]``: every sample's gradient, and the derivative of its cosine with that of the image mirrored."""
    engine = make_engine(kind, model, len(images))

    def gradients(images: torch.Tensor) -> Gradients:
        parts = [engine(*some) for some in zip(images.split(engine.most), labels.split(engine.most), strict=True)]
        return tuple(torch.cat(column).detach() for column in zip(*parts, strict=True))

    attack = MatchingAttack(name="calibration", steps=1)
    canvas = Canvas.of(model, pixels, standardised=False)
    mirrored = gradients(pixels.to_input(images.flip(-1)))
    objective = Objective(engine, mirrored, labels, images.shape[1:], attack, canvas)
    return [torch.cat(gradients(pixels.to_input(images)), 1), objective(images.flatten(1))[1]]


def _agree(alone: list[torch.Tensor], together: list[torch.Tensor]) -> bool:
    return all(
        bool(((ours - theirs).norm(dim=1) <= AGREEMENT * ours.norm(dim=1) + 1e-12).all())
        for ours, theirs in zip(alone, together, strict=True)
    )


def _seconds_of_step(
    kind: Kind, model: nn.Module, images: torch.Tensor, labels: torch.Tensor, pixels: PixelScale
) -> float:
    """Seconds of one step of all searches together: the better of two, after one to warm up."""
    engine = make_engine(kind, model, len(images))
    canvas = Canvas.of(model, pixels, standardised=False)
    seen = tuple(torch.randn_like(part) for part in engine(pixels.to_input(images), labels))
    attack = MatchingAttack(name="calibration", steps=1, restarts=1, total_variation=1e-2)
    return _best_of_two(lambda: match_gradients(engine, seen, labels, images, attack, canvas), images.device)


def _best_of_two(work: Callable[[], object], device: torch.device) -> float:
    """Seconds: on a CPU those of the processor, which do not depend on what else runs there."""
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    taken = []
    for _ in range(3):
        start = clock()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        taken.append(clock() - start)
    return min(taken[1:])
