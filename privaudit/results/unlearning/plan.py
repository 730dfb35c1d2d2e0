"""What ``unlearn --dry-run`` foretells: seconds and bytes, and which run or comparison it would be."""

from __future__ import annotations

from privaudit.results.base import Result
from privaudit.results.unlearning.calibration import CalibrationPlan
from privaudit.results.unlearning.run import Chosen


class Alternative(Result):
    """What training one model without the forgotten takes: the exact alternative."""

    method: str = "retrain"
    exact: bool = True
    seconds: float


class UnlearnCost(Result):
    """Models to train, and what each part takes; None of parts that there are none of, and of what is there already."""

    to_train: int = 0
    seconds: float = 0.0
    seconds_on_an_idle_machine: float | None = None
    retraining_seconds: float | None = None
    tuning_seconds: float | None = None
    unlearning_seconds: float | None = None
    u_lira_seconds: float | None = None
    measuring_seconds: float | None = None
    memory_bytes: int | None = None
    alternative: Alternative | None = None


class UnlearnPlan(UnlearnCost):
    """Of one run; ``calibration`` comes before it, its seconds apart, where auto has to calibrate first."""

    audit: str
    run: str
    is_there: bool
    method: str
    order: str
    forget: int
    samples: int
    chosen: Chosen
    calibration: CalibrationPlan | None = None


class OrdersPlan(UnlearnCost):
    """Of a comparison of orders."""

    audit: str
    comparison: str
    is_there: bool
    method: str
    seeds: int
    forget: int
    trials: int
