"""What may be done to an estimator that is to forget: fit it again without the samples, and nothing else."""

from __future__ import annotations

from privaudit.errors import UsageError
from privaudit.unlearning.application.method_choice import AUTO
from privaudit.unlearning.application.problem import Bench
from privaudit.unlearning.base import RETRAIN


def why_not_on_estimators(bench: Bench, what: str) -> str | None:
    """Say why a method, or whatever else takes gradient steps, does not apply; None where it may."""
    if bench.specification.estimator is None:
        return None
    return f"{what} changes the weights of a network by gradient steps, and {bench.specification.network} has none"


def demand_retraining(bench: Bench, method: str) -> None:
    """Raise `UsageError` where an estimator is to forget by anything but a new fit."""
    if method in (RETRAIN, AUTO):
        return
    if (why := why_not_on_estimators(bench, f"--method {method}")) is not None:
        raise UsageError(
            why, hint="--method retrain fits it again without the samples: that is exact, and what auto takes."
        )
