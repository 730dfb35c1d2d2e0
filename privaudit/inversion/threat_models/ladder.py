"""The threat models, from the attacker's best case down to what federated learning shares."""

from __future__ import annotations

from torch import nn

from privaudit.results.audit.realistic_inversion import ThreatModel

#: What the others are held against: what `privaudit.inversion.matching` attacks.
BEST_CASE = "one-record"

#: The step length of clients that take several steps before they answer.
LOCAL_RATE = 0.05

LADDER = (
    ThreatModel(name=BEST_CASE),
    ThreatModel(name="quantised-4", bits=4),
    ThreatModel(name="quantised-1", bits=1),
    ThreatModel(name="pruned-90", keep=0.1),
    ThreatModel(name="pruned-99", keep=0.01),
    ThreatModel(name="noised-0.001", clip=1.0, noise=0.001),
    ThreatModel(name="noised-0.01", clip=1.0, noise=0.01),
    ThreatModel(name="batch-4", records=4),
    ThreatModel(name="batch-8", records=8),
    ThreatModel(name="batch-8-known", records=8, statistics="known"),
    ThreatModel(name="batch-8-unknown", records=8, statistics="unknown"),
    ThreatModel(name="fedavg-8", records=8, local_steps=5),
    ThreatModel(name="batch-16", records=16),
    ThreatModel(name="batch-32", records=32),
    ThreatModel(name="secure-64", records=8, clients=8),
)


def batch_norms(model: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    """Return the layers whose answer in train mode depends on the batch."""
    return [layer for layer in model.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]


def applies(setting: ThreatModel, model: nn.Module) -> bool:
    """Tell whether a network has what a threat model is about."""
    return setting.statistics == "running" or bool(batch_norms(model))
