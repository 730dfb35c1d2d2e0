"""privaudit: which training samples does a classifier leak, and what is left of them after unlearning?

The names below are the whole public API: every command as a function of its name (``privaudit report`` is
`write_report`, ``privaudit list`` is `audits`), and what is needed to give them more than files. They are imported when
they are first used, so that ``import privaudit`` loads neither torch nor pandas.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from privaudit.api import audits as audits
    from privaudit.api import compare as compare
    from privaudit.api import defend as defend
    from privaudit.api import export as export
    from privaudit.api import gate as gate
    from privaudit.api import init as init
    from privaudit.api import load_model as load_model
    from privaudit.api import purge as purge
    from privaudit.api import quick as quick
    from privaudit.api import reproduce as reproduce
    from privaudit.api import score as score
    from privaudit.api import unlearn as unlearn
    from privaudit.api import verify as verify
    from privaudit.api import write_report as write_report
    from privaudit.data.dataset import Dataset as Dataset
    from privaudit.data.formats.load import load_dataset as load_dataset
    from privaudit.errors import PrivauditError as PrivauditError
    from privaudit.signals import signals_of as signals_of

__version__ = "0.1.0"

_COMMANDS = (
    "audits", "compare", "defend", "export", "gate", "init", "load_model", "purge", "quick", "reproduce", "score",
    "unlearn", "verify", "write_report",
)  # fmt: skip
_PUBLIC = dict.fromkeys(_COMMANDS, "privaudit.api") | {
    "Dataset": "privaudit.data.dataset",
    "PrivauditError": "privaudit.errors",
    "load_dataset": "privaudit.data.formats.load",
    "signals_of": "privaudit.signals",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'privaudit' has no attribute '{name}'")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
