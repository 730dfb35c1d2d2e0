"""Unlearning methods in words."""

from __future__ import annotations

from typing import Any

from privaudit.report.content.unlearning_wording import order

#: What a method's short name stands for, where it does not say so itself.
METHODS = {
    "ga": "gradient ascent (ga)",
    "rl": "random labels (rl)",
    "ft": "fine-tuning (ft)",
    "retrain": "retraining",
    "ssd": "selective synaptic dampening (ssd)",
}


def method(run: dict[str, Any]) -> str:
    """A run's method and order in words."""
    named = METHODS.get(run["method"], str(run["method"]))
    return named + ("" if run.get("sequencing", run["parameters"]) is None else f", {order(run)}")
