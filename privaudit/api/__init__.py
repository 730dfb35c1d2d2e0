"""The commands as functions: their options are keyword arguments, what ``--json`` prints is what they return.

Where a command would exit with a code, a function raises the `PrivauditError` that says the same. Talk and progress go
to stderr, as there. Nothing heavy is imported before it is needed.
"""

from privaudit.api.defence import defend
from privaudit.api.models import export, load_model
from privaudit.api.quick_look import quick
from privaudit.api.reproduction import reproduce
from privaudit.api.score_and_unlearn import score, unlearn
from privaudit.api.stored_audits import audits, compare, gate, init, purge, verify, write_report

__all__ = [
    "audits",
    "compare",
    "defend",
    "export",
    "gate",
    "init",
    "load_model",
    "purge",
    "quick",
    "reproduce",
    "score",
    "unlearn",
    "verify",
    "write_report",
]
