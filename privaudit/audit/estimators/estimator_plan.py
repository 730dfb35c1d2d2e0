"""What an audit of estimators is planned as: on processors alone, by no recipe, and without what needs gradients."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from privaudit.config import AuditSettings
from privaudit.errors import UsageError
from privaudit.estimators.build import build_estimator, shown_name
from privaudit.training.hardware import Hardware

#: How many classes and models a note names.
NAMED = 5


def estimator_hardware(settings: AuditSettings, device: str, precision: str) -> Hardware:
    """Return where estimators are fitted: processors, on every machine, so that names of audits are the same there.

    Raises
    ------
    UsageError
        Where anything was asked for that means nothing to an estimator, or there is none of that name.
    """
    for name in ("network", "training", "recipe", *settings.recipe_changes()):
        if getattr(settings, name) is not None:
            raise UsageError(
                f"--{name.replace('_', '-')} means nothing with --estimator: it is for networks",
                hint="An estimator's parameters stand in a function that makes it: --estimator own.py:make.",
            )
    if device.startswith("cuda") or precision == "bf16":
        flag = f"--device {device}" if device.startswith("cuda") else f"--precision {precision}"
        raise UsageError(f"{flag} with --estimator: estimators are fitted on processors, in their own precision")
    if settings.queries != "original":
        raise UsageError(f"--queries {settings.queries} with --estimator: views are for networks that take images")
    build_estimator(settings.estimator or "")  # One that can't be had is told before any data is read.
    return Hardware("cpu", "fp32")


def estimator_name(settings: AuditSettings) -> str:
    """Return what stands where a network's name does."""
    return shown_name(settings.estimator or "")


def unseen_classes(
    keep: npt.NDArray[np.bool_], labels: npt.NDArray[np.int64], class_names: tuple[str, ...]
) -> list[str]:
    """Say which shadow models see no sample of a class: they put it at the least probability.

    Parameters
    ----------
    keep
        Who sees what, bool ``[S, N]``.
    labels
        Of the pool.
    class_names
        Of every class.
    """
    notes = []
    for label, name in enumerate(class_names):
        blind = np.flatnonzero(~keep[:, labels == label].any(axis=1))
        if len(blind):
            notes.append(
                f"class '{name}' is so rare that {len(blind)} of {len(keep)} shadow models see no sample of it: to "
                "them its probability is 0, and its samples' scores are worth little"
            )
    more = len(notes) - NAMED
    return notes if more <= 0 else [*notes[:NAMED], f"and {more} more classes that some models see no sample of"]
