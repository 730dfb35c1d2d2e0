"""Names that users type, and what they stand for.

Datasets, networks and unlearners are found by entry points, so that another package adds one without
editing this one. Nothing is imported until it is asked for.
"""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Iterator
from functools import cached_property
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from privaudit.errors import PrivauditError, UsageError


def import_reference(reference: str, what: str) -> Any:
    """Import ``module:attribute``, looking in the current folder too; `UsageError` says why it can't be done.

    Parameters
    ----------
    reference
        As typed.
    what
        What it stands for in messages, e.g. ``"network"``.
    """
    module_name, _, attribute = reference.partition(":")
    if not attribute.isidentifier() or not all(part.isidentifier() for part in module_name.split(".")):
        raise UsageError(f"'{reference}' names no {what}", hint="Write it as module:function.")
    if (here := str(Path.cwd())) not in sys.path:
        # As python -m does: a user's own module lies beside them.
        sys.path.insert(0, here)
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"cannot find {what} '{reference}': {error}", hint="Write it as module:function.") from error
    except Exception as error:
        raise UsageError(f"importing {module_name} failed: {type(error).__name__}: {error}") from error
    if not callable(found):
        raise UsageError(f"{reference} is a {type(found).__name__}: it must be a function")
    return found


class Registry:
    """A family of named things, ours and those of installed packages.

    Parameters
    ----------
    family
        What one entry is called in messages, e.g. ``"network"``.
    builtin
        Our own entries, as ``name -> "module:attribute"``. Entries of other packages come from the entry-point
        group ``privaudit.<family>s``.
    """

    def __init__(self, family: str, builtin: dict[str, str]) -> None:
        self.family = family
        self._builtin = builtin

    @cached_property
    def _targets(self) -> dict[str, str]:
        targets = dict(self._builtin)
        for entry in entry_points(group=f"privaudit.{self.family}s"):
            if entry.name in targets and targets[entry.name] != entry.value:
                raise PrivauditError(
                    f"two {self.family}s are called '{entry.name}': {targets[entry.name]} and {entry.value}",
                    hint="Rename one of them, or uninstall the package that brings it.",
                )
            targets[entry.name] = entry.value
        return targets

    def names(self) -> list[str]:
        """Every known name, sorted."""
        return sorted(self._targets)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __contains__(self, name: object) -> bool:
        return name in self._targets

    def check(self, name: str, besides: tuple[str, ...] = ()) -> None:
        """Raise `UsageError` unless ``name`` is known (or one of ``besides``), saying what was meant."""
        known = sorted({*self.names(), *besides})
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            meant = f"Did you mean '{near[0]}'? " if near else ""
            raise UsageError(
                f"unknown {self.family} '{name}'", hint=f"{meant}Known {self.family}s: {', '.join(known)}."
            )

    def load(self, name: str) -> Any:
        """Import and return what ``name`` stands for; `UsageError` if it is unknown."""
        self.check(name)
        module, _, attribute = self._targets[name].partition(":")
        return getattr(importlib.import_module(module), attribute)
