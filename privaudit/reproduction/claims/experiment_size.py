"""How large an experiment is: seconds for a test, minutes to an hour on two cores, or the paper's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from privaudit.audit.plan import replace_settings
from privaudit.config import AuditSettings
from privaudit.errors import UsageError
from privaudit.trials.order_comparison import FEWEST_SEEDS

#: The paper's networks and training sets (its Table 4 and the section on training details).
PAPER = {
    "mnist": {"network": "cnn", "samples": 60_000},
    "cifar10": {"network": "resnet18", "samples": 50_000},
    "cifar100": {"network": "resnext50", "samples": 50_000},
    "tiny-imagenet": {"network": "resnet50", "samples": 100_000},
}


@dataclass(frozen=True)
class Scale:
    """Sizes.

    Parameters
    ----------
    seeds
        Original models, each with forget sets and retrained models of its own.
    tuned
        Whether arms are tuned on a seed of their own; else they run with default parameters.
    audit
        Entries of the audit's settings where nothing is said.
    means
        In words.
    """

    name: str
    seeds: int
    tuned: bool
    audit: dict[str, Any]
    means: str


SCALES = {
    "smoke": Scale(
        "smoke",
        2,
        False,
        {"samples": 300, "shadows": 6, "epochs": 8, "invert": 60},
        "seconds: a test of the machinery, no evidence",
    ),
    "small": Scale("small", FEWEST_SEEDS, True, {}, "minutes to hours on two cores: 10,000 samples, small networks"),
    "paper": Scale(
        "paper",
        FEWEST_SEEDS,
        True,
        {"recipe": "paper", "shadows": 16},
        "the paper's networks and 200 epochs on whole datasets, for a GPU",
    ),
}

#: What a dataset needs besides at `small`: MNIST's default is all of its 60,000 samples, and that of larger images a
#: network which would make days of the hours that dozens of retrainings take.
SMALL: dict[str, dict[str, Any]] = {
    "mnist": {"samples": 10_000},
    "cifar10": {"network": "cnn"},
    "cifar100": {"network": "cnn"},
    "tiny-imagenet": {"network": "cnn"},
}


def scale_of(name: str) -> Scale:
    """A scale by name."""
    if name not in SCALES:
        raise UsageError(f"unknown --scale '{name}'", hint=f"Known: {', '.join(SCALES)}.")
    return SCALES[name]


def audit_settings(scale: Scale, base: AuditSettings) -> AuditSettings:
    """The audit that serves every experiment: the scale's sizes wherever ``base`` says nothing."""
    wanted = dict(scale.audit)
    if scale.name == "small":
        wanted |= SMALL.get(base.dataset, {})
    if scale.name == "paper":
        wanted |= PAPER.get(base.dataset, {})
    changes = {name: value for name, value in wanted.items() if getattr(base, name) is None}
    return replace_settings(base, **changes)
