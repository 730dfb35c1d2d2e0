"""What people may ask for: every option declared once, and what each dataset gets when nothing is said.

A command's options are one model (`privaudit.config.options.Options`). Its click options (`privaudit.cli.options`), its
Python signature (`privaudit.api.signature`), the keys of a file of settings and all errors are made from it.
"""

from privaudit.config.audit_options import (
    DEFAULT_OUT,
    DEFAULT_STORE,
    FEWEST_SAMPLES,
    AuditOptions,
    AuditSettings,
    QuickOptions,
    ScoreOptions,
)
from privaudit.config.dataset_defaults import (
    CPU_DEFAULTS,
    CUDA_DEFAULTS,
    OWN_RECIPE,
    Defaults,
    available_cores,
    defaults_for,
    has_own_recipe,
)
from privaudit.config.defend_options import DefendOptions
from privaudit.config.reproduce_options import ReproduceOptions, ReproduceSettings
from privaudit.config.settings_file import decoded, read_settings
from privaudit.config.stored_audit_options import (
    CompareOptions,
    ExportOptions,
    GateOptions,
    InitOptions,
    ListOptions,
    PurgeOptions,
    ReportOptions,
    VerifyOptions,
)
from privaudit.config.unlearn_options import Sequencing, UnlearnOptions, UnlearnSettings

__all__ = [
    "CPU_DEFAULTS",
    "CUDA_DEFAULTS",
    "DEFAULT_OUT",
    "DEFAULT_STORE",
    "FEWEST_SAMPLES",
    "OWN_RECIPE",
    "AuditOptions",
    "AuditSettings",
    "CompareOptions",
    "Defaults",
    "DefendOptions",
    "ExportOptions",
    "GateOptions",
    "InitOptions",
    "ListOptions",
    "PurgeOptions",
    "QuickOptions",
    "ReportOptions",
    "ReproduceOptions",
    "ReproduceSettings",
    "ScoreOptions",
    "Sequencing",
    "UnlearnOptions",
    "UnlearnSettings",
    "VerifyOptions",
    "available_cores",
    "decoded",
    "defaults_for",
    "has_own_recipe",
    "read_settings",
]
