"""Which networks DP-SGD can train: those in which each sample's gradient is its own."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from privaudit.errors import UsageError
from privaudit.networks.data_dependent_init import AdaptsToInputs

#: Networks here that have BatchNorm, and the same with GroupNorm.
WITH_GROUP_NORM = {
    "airbench": "airbench-groupnorm",
    "airbench-narrow": "airbench-groupnorm",
    "airbench-wide": "airbench-groupnorm",
    "resnet18": "resnet18-groupnorm",
    "resnet50": "resnet18-groupnorm",
    "resnext50": "resnet18-groupnorm",
}


def demand_own_gradients(model: nn.Module, name: str) -> None:
    """Raise `UsageError` where samples of a batch meet within the network, or it looks at its data without noise.

    Parameters
    ----------
    model
        Freshly built.
    name
        What messages call it.
    """
    hint = (
        f"Use --network {WITH_GROUP_NORM[name]}."
        if name in WITH_GROUP_NORM
        else "Use nn.GroupNorm in its place, or --network cnn or mlp."
    )
    for module in model.modules():
        if isinstance(module, _BatchNorm) or (isinstance(module, _InstanceNorm) and module.track_running_stats):
            raise UsageError(
                f"the recipe dp-sgd can't train the network '{name}': its {type(module).__name__} mixes the samples of "
                "a batch, and keeps their mean without noise, so that no sample's gradient is its own to clip",
                hint=hint,
            )
    if any(isinstance(module, AdaptsToInputs) for module in model.modules()):
        raise UsageError(
            f"the recipe dp-sgd can't train the network '{name}': a part of it is computed from its training inputs, "
            "without noise",
            hint=hint,
        )
