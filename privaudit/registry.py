"""Names that users type, and what they stand for.

Datasets, networks and unlearners are found by entry points, so that another package adds one without
editing this one. Nothing is imported until it is asked for.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator
from functools import cached_property
from importlib.metadata import entry_points
from typing import Any

from privaudit.errors import PrivauditError, UsageError


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

    def check(self, name: str) -> None:
        """Raise `UsageError` unless ``name`` is known, saying what was meant."""
        if name not in self._targets:
            near = difflib.get_close_matches(name, self.names(), n=1)
            meant = f"Did you mean '{near[0]}'? " if near else ""
            raise UsageError(
                f"unknown {self.family} '{name}'", hint=f"{meant}Known {self.family}s: {', '.join(self.names())}."
            )

    def load(self, name: str) -> Any:
        """Import and return what ``name`` stands for; `UsageError` if it is unknown."""
        self.check(name)
        module, _, attribute = self._targets[name].partition(":")
        return getattr(importlib.import_module(module), attribute)
