"""Unlearning methods in words."""

from __future__ import annotations

from privaudit.report.content.unlearning_wording import order
from privaudit.results.unlearning.run import UnlearnResults

#: What a method's short name stands for, where it does not say so itself.
METHODS = {
    "ga": "gradient ascent (ga)",
    "rl": "random labels (rl)",
    "ft": "fine-tuning (ft)",
    "retrain": "retraining",
    "ssd": "selective synaptic dampening (ssd)",
}


def method(run: UnlearnResults) -> str:
    """A run's method and order in words."""
    return METHODS.get(run.method, run.method) + ("" if run.sequencing is None else f", {order(run)}")
