"""privaudit: which training samples does a classifier leak, and what is left of them after unlearning?

The names below are the whole public API. They are imported when they are first used, so that ``import privaudit``
loads neither torch nor pandas.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "AuditSettings": "privaudit.config",
    "Dataset": "privaudit.data.dataset",
    "PrivauditError": "privaudit.errors",
    "load_dataset": "privaudit.data.locate",
    "run_score": "privaudit.workflow.score",
    "run_unlearn": "privaudit.workflow.unlearn",
    "signals_of": "privaudit.signals",
    "run_signals": "privaudit.workflow.signals",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'privaudit' has no attribute '{name}'")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
