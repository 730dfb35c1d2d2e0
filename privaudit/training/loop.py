"""The one training loop: target, shadow and retrained models all come from here."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from privaudit.errors import TrainingDiverged
from privaudit.networks.data_dependent_init import AdaptsToInputs
from privaudit.runtime.torch_globals import full_fp32, pinned_cudnn, seeded_globals
from privaudit.training.augment import Augmenter
from privaudit.training.averaging import AverageWeights
from privaudit.training.hardware import Hardware
from privaudit.training.recipe import Recipe
from privaudit.training.views import view

#: Part of every audit's identity. Raise it whenever the same configuration would come to other weights.
TRAINING_FORMAT = 1


@dataclass(frozen=True)
class Samples:
    """Inputs and labels as tensors, labels on the device that they are used on.

    ``inputs`` stays uint8 ``[N, H, W, C]`` for images (float ``[N, D]`` for features) until a batch is taken, and lies
    on the same device; where that is a card without room for it, in main memory. `take` gives a batch in either case.
    """

    inputs: torch.Tensor
    labels: torch.Tensor

    @classmethod
    def from_arrays(cls, inputs: npt.NDArray[np.generic], labels: npt.NDArray[np.int64], device: str) -> Samples:
        """Wrap arrays; read-only (memory-mapped) ones are shared, not copied."""
        near = device if _has_room(device, inputs.nbytes) else "cpu"
        return cls(_as_tensor(inputs).to(near), _as_tensor(labels).to(device))

    @property
    def device(self) -> torch.device:
        """Where batches are handed out."""
        return self.labels.device

    def take(self, rows: torch.Tensor) -> torch.Tensor:
        """The inputs at these rows (int64 ``[B]``, on any device), on the device that they are used on."""
        return self.inputs[rows.to(self.inputs.device)].to(self.labels.device)

    def __len__(self) -> int:
        return len(self.labels)


#: Share of a card's free memory that a pool may fill: networks and their activations need the rest.
POOL_SHARE = 0.5


def _has_room(device: str, size: int) -> bool:
    """Whether ``size`` bytes may lie on the device for the whole of a job."""
    if torch.device(device).type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return size <= POOL_SHARE * free


def _as_tensor(array: npt.NDArray[np.generic]) -> torch.Tensor:
    with warnings.catch_warnings():
        # torch warns of read-only (memory-mapped) arrays, which it could write to. Ours are only ever read.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)


def as_network_input(batch: torch.Tensor) -> torch.Tensor:
    """Float inputs on the 0–1 scale; images become ``[B, C, H, W]`` in channels-last memory without a copy."""
    floats = batch.float().div_(255.0) if batch.dtype == torch.uint8 else batch.float()
    return floats.permute(0, 3, 1, 2) if batch.ndim == 4 else floats


@dataclass(frozen=True)
class TrainingRecord:
    """What a training left behind besides its weights, and of how many samples it took the gradient."""

    seconds: float
    epoch_losses: list[float]
    gradients: int


def train(
    model: nn.Module,
    samples: Samples,
    members: npt.NDArray[np.int64],
    recipe: Recipe,
    seed: int,
    hardware: Hardware,
    on_epoch: Callable[[int], None] | None = None,
) -> TrainingRecord:
    """Train ``model`` in place on ``samples[members]``.

    Parameters
    ----------
    model
        On ``hardware.device``, freshly initialised.
    samples
        The whole pool, on the device.
    members
        int64 rows of the pool to train on.
    recipe
        Epochs, rates, augmentation.
    seed
        Decides the order of samples, the augmentation and what layers such as dropout draw.
    hardware
        Device and precision.
    on_epoch
        Called after each epoch with its number, counted from 1.

    Raises
    ------
    TrainingDiverged
        As soon as an epoch's mean loss is not a finite number.
    """
    with seeded_layers(seed, hardware.torch_device):
        if recipe.privacy is not None:
            from privaudit.training.private.loop import train_privately  # It is built of this file's parts.

            return train_privately(model, samples, members, recipe, seed, hardware, on_epoch)
        return _train(model, samples, members, recipe, seed, hardware, on_epoch)


@contextmanager
def seeded_layers(seed: int, device: torch.device) -> Iterator[None]:
    """Seed what layers draw from (dropout, say), torch's global generators, and put them back afterwards.

    What runs within computes fp32 in full (`privaudit.runtime.torch_globals.full_fp32`), by cuDNN's deterministic
    kernels.
    """
    if device.type == "cuda":
        torch.cuda.init()
    with full_fp32(), pinned_cudnn(), seeded_globals(seed):
        yield


def _train(
    model: nn.Module,
    samples: Samples,
    members: npt.NDArray[np.int64],
    recipe: Recipe,
    seed: int,
    hardware: Hardware,
    on_epoch: Callable[[int], None] | None,
) -> TrainingRecord:
    start = time.perf_counter()
    device = hardware.torch_device
    generator = torch.Generator().manual_seed(seed)
    rows = torch.from_numpy(np.ascontiguousarray(members)).to(device)
    steps_per_epoch = -(-len(rows) // recipe.batch_size)
    steps = steps_per_epoch * recipe.epochs
    adapting = _adapt(model, samples, rows, seed)
    optimizer = make_optimizer(model, recipe)
    rates = [group["lr"] / recipe.learning_rate for group in optimizer.param_groups]
    average = AverageWeights(model, steps) if recipe.averaging else None
    augmentation = Augmenter(recipe.augment, samples.inputs.shape[1:], len(rows), generator)
    model.train()
    losses: list[float] = []
    step = 0
    for epoch in range(recipe.epochs):
        if adapting is not None:
            adapting.begin_epoch(epoch)
        total = torch.zeros((), device=device)
        order = torch.randperm(len(rows), generator=generator)
        sizes = _batch_sizes(len(rows), steps_per_epoch)
        augmentation.begin_epoch(epoch, order, sizes, device)
        for batch in rows[order.to(device)].split(sizes):
            for group, times in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = recipe.rate_at(step, steps) * times
            inputs = augmentation(samples.take(batch))
            with hardware.autocast():
                logits = model(as_network_input(inputs)).float()
                loss = functional.cross_entropy(logits, samples.labels[batch], label_smoothing=recipe.label_smoothing)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(batch)
            step += 1
            if average is not None:
                average.after_step(step)
        losses.append(total.item() / len(rows))
        demand_finite(losses, recipe)
        if on_epoch is not None:
            on_epoch(epoch + 1)
    if adapting is not None:
        adapting.begin_epoch(-1)
    demand_finite(losses, recipe, model)
    model.eval()
    return TrainingRecord(time.perf_counter() - start, losses, len(rows) * recipe.epochs)


def demand_finite(losses: list[float], recipe: Recipe, model: nn.Module | None = None) -> None:
    """Raise `TrainingDiverged` where the last epoch's loss, or a weight of ``model``, is not a finite number."""
    what = None
    if not np.isfinite(losses[-1]):
        what = f"the loss became {losses[-1]} in epoch {len(losses)} of {recipe.epochs}"
    elif model is not None and not all(bool(torch.isfinite(one).all()) for one in model.parameters()):
        what = "the last step left weights that are not numbers"
    if what is not None:
        raise TrainingDiverged(
            f"{what} (recipe '{recipe.name}', learning rate {recipe.learning_rate})",
            hint="Try a lower --learning-rate.",
        )


#: Training inputs that a network with a part computed from them looks at.
ADAPTED_TO = 2000


def _adapt(model: nn.Module, samples: Samples, rows: torch.Tensor, seed: int) -> AdaptsToInputs | None:
    """Show a network that wants it some of its members' inputs; return it, None where it does not."""
    network = getattr(model, "network", model)
    if not isinstance(network, AdaptsToInputs):
        return None
    chosen = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:ADAPTED_TO]
    inputs = as_network_input(samples.take(rows[chosen.to(rows.device)]))
    standardise = getattr(model, "standardise", None)
    network.adapt(inputs if standardise is None else standardise(inputs))
    return network


def make_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.SGD:
    """Return momentum SGD as one fused kernel over all parameters.

    Where the recipe lets BatchNorm's biases learn faster they are a group of their own, decayed by as much a step as
    the others are.
    """
    groups: list[dict[str, object]] = [{"params": list(model.parameters())}]
    if recipe.bias_rate != 1:
        biases = [
            module.bias for module in model.modules() if isinstance(module, _BatchNorm) and module.bias is not None
        ]
        chosen = set(biases)
        groups = [{"params": [parameter for parameter in model.parameters() if parameter not in chosen]}]
        if biases:
            rate, decay = recipe.learning_rate * recipe.bias_rate, recipe.weight_decay / recipe.bias_rate
            groups.append({"params": biases, "lr": rate, "weight_decay": decay})
    return torch.optim.SGD(
        groups,
        lr=recipe.learning_rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
        fused=True,
    )


def _batch_sizes(samples: int, batches: int) -> list[int]:
    # Batches of nearly equal size: a last batch of one sample would break BatchNorm.
    small, larger = divmod(samples, batches)
    return [small + 1] * larger + [small] * (batches - larger)


#: Samples queried at once: on a CPU as many as stay in its cache.
QUERY_BATCH = {"cpu": 64, "cuda": 1024}


@torch.inference_mode()
def logits_of(
    model: nn.Module,
    samples: Samples,
    rows: npt.NDArray[np.int64] | None = None,
    seen_as: tuple[int, int, bool] = (0, 0, False),
) -> npt.NDArray[np.float32]:
    """Logits ``[N, C]`` of one view in eval mode and fp32, whatever the training precision was."""
    model.eval()
    inputs = samples.inputs if rows is None else samples.inputs[torch.from_numpy(rows).to(samples.inputs.device)]
    batches = inputs.split(QUERY_BATCH[samples.device.type])
    with full_fp32(), pinned_cudnn():
        parts = [model(as_network_input(view(batch.to(samples.device), *seen_as))).float() for batch in batches]
    # One transfer at the end: to fetch each batch's answers would let a card wait for every one of them.
    return torch.cat(parts).cpu().numpy()
