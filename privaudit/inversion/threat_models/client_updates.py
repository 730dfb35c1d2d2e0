"""What clients send of their records: a gradient, or what several local steps come to, averaged over clients.

A client takes E steps θ ← θ − η ∇L(θ) of plain gradient descent from the server's θ₀, L the mean loss over its
records, and sends u = (θ₀ − θ_E)/η. For E = 1 that is the gradient (FedSGD), else FedAvg's update (McMahan et al. 2017)
up to the factor η. Under secure aggregation (Bonawitz et al. 2017) the server learns (1/K) Σ u_k over K clients alone.
All of it is differentiable by the images: an attacker who knows η and E goes through the same steps.
"""

from __future__ import annotations

import copy
import warnings

import torch
from torch import nn

from privaudit.inversion.gradient_engines.sample_gradients import Gradients, soft_cross_entropy
from privaudit.inversion.threat_models.ladder import batch_norms
from privaudit.results.audit.realistic_inversion import ThreatModel

Weights = dict[str, torch.Tensor]


class ClientUpdates:
    """Computes the updates of groups of records under one threat model; defences come afterwards.

    Parameters
    ----------
    model
        In eval mode; nothing in it is changed.
    setting
        How many clients and records, how many steps, which BatchNorm statistics.
    rate
        η, of several local steps.
    """

    def __init__(self, model: nn.Module, setting: ThreatModel, rate: float) -> None:
        self._setting, self._rate = setting, rate
        self._model = model if setting.statistics == "running" else with_batch_statistics(model)
        self._norms = batch_norms(self._model) if setting.statistics == "known" else []
        self._weights = {name: weight.detach() for name, weight in self._model.named_parameters()}
        self._buffers = dict(self._model.named_buffers())

    def __call__(self, inputs: torch.Tensor, labels: torch.Tensor) -> tuple[Gradients, Gradients]:
        """Updates, and the statistics of what each BatchNorm layer took where the attacker is told them.

        Parameters
        ----------
        inputs, labels
            ``[G, n, C, H, W]`` and ``[G, n, K]`` (distributions): of each group all clients' records, client by client.

        Returns
        -------
        tuple
            A tensor ``[G, P]`` a parameter; and one ``[G, 2 channels]`` (means, then variances) a layer and client.
        """
        if len(inputs) == 1:
            update, seen = self._mean(inputs[0], labels[0])
            return tuple(part.reshape(1, -1) for part in update.values()), tuple(one.unsqueeze(0) for one in seen)
        with warnings.catch_warnings():
            # As in `Vmapped`: some operators are looped over inside.
            warnings.filterwarnings("ignore", message="There is a performance drop")
            update, seen = torch.func.vmap(self._mean)(inputs, labels)
        return tuple(part.flatten(1) for part in update.values()), tuple(seen)

    def _mean(self, inputs: torch.Tensor, labels: torch.Tensor) -> tuple[Weights, list[torch.Tensor]]:
        """One group's update: the mean over its clients."""
        setting = self._setting
        if setting.local_steps == 1 and setting.statistics == "running":
            # The mean of equally large clients' gradients is the gradient of all their records.
            return self._of_client(inputs, labels)
        parts = [
            self._of_client(*part)
            for part in zip(inputs.split(setting.records), labels.split(setting.records), strict=True)
        ]
        mean = {name: torch.stack([update[name] for update, _ in parts]).mean(0) for name in self._weights}
        return mean, [one for _, seen in parts for one in seen]

    def _of_client(self, inputs: torch.Tensor, labels: torch.Tensor) -> tuple[Weights, list[torch.Tensor]]:
        weights = self._weights
        update: Weights = {}
        told: list[torch.Tensor] = []
        gradient = torch.func.grad(self._loss, has_aux=True)
        for step in range(self._setting.local_steps):
            slope, seen = gradient(weights, inputs, labels)
            # (θ₀ − θ_E)/η is the sum of the gradients on the way, which loses no digits to the weights' size.
            update = slope if step == 0 else {name: part + slope[name] for name, part in update.items()}
            told = seen if step == 0 else told
            if step + 1 < self._setting.local_steps:
                weights = {name: weight - self._rate * slope[name] for name, weight in weights.items()}
        return update, told

    def _loss(
        self, weights: Weights, inputs: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        taken: list[torch.Tensor] = []
        hooks = [norm.register_forward_pre_hook(lambda _, given: taken.append(given[0])) for norm in self._norms]
        try:
            logits = torch.func.functional_call(self._model, (weights, self._buffers), (inputs,))
        finally:
            for hook in hooks:
                hook.remove()
        return soft_cross_entropy(logits, labels).mean(), [_statistics(one) for one in taken]


def _statistics(taken: torch.Tensor) -> torch.Tensor:
    """Mean and variance of each channel, one after the other."""
    rest = [axis for axis in range(taken.ndim) if axis != 1]
    return torch.cat([taken.mean(rest), taken.var(rest, unbiased=False)])


def with_batch_statistics(model: nn.Module) -> nn.Module:
    """Return a copy whose BatchNorm normalises by the batch at hand, as in training; all else stays in eval mode."""
    copied = copy.deepcopy(model)
    for norm in batch_norms(copied):
        norm.track_running_stats = False
        norm.running_mean = norm.running_var = None
    return copied
