"""What a user may tune of a method: typed, bounded, by name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Self, TypeVar

from privaudit.errors import UsageError

Given = TypeVar("Given", bound="Parameters")


def setting(default: float, about: str, *, low: float = 0.0, high: float = math.inf) -> Any:
    """A parameter of a method with its default, its meaning and its range, both ends included."""
    return field(default=default, metadata={"about": about, "low": low, "high": high})


@dataclass(frozen=True)
class Parameters:
    """What all methods have in common; a method adds its own in a frozen subclass, each one a `setting`.

    Parameters
    ----------
    passes
        Over D_u for a method that is handed forget samples, over D_r for one that runs once. Above 0.
    learning_rate
        0 or above.
    batch_size
        Samples a step; of a mixed batch, forget and retain samples together.
    """

    passes: float
    learning_rate: float
    batch_size: int = 128

    #: Common parameters that mean nothing to this method: asking for one is a mistake.
    unused: ClassVar[tuple[str, ...]] = ()

    #: The parameter that a guard halves: every step's rate follows it.
    rate: ClassVar[str] = "learning_rate"

    def __post_init__(self) -> None:
        for name in self.names():
            value, (low, high) = getattr(self, name), self.range_of(name)
            if not low <= value <= high or not math.isfinite(value) or (name == "passes" and value == 0):
                raise UsageError(f"{name} = {value}: it must be {_words(name, low, high)}")

    @classmethod
    def names(cls) -> list[str]:
        """Every parameter that means something to this method, the common ones first."""
        return [item.name for item in fields(cls) if item.name not in cls.unused]

    @classmethod
    def range_of(cls, name: str) -> tuple[float, float]:
        """Smallest and largest value."""
        metadata = next(item.metadata for item in fields(cls) if item.name == name)
        return metadata.get("low", 1 if name == "batch_size" else 0.0), metadata.get("high", math.inf)

    def times(self, passes: float) -> Self:
        """The same with so many times the budget."""
        return replace(self, passes=self.passes * passes)

    def describe(self) -> str:
        """Every parameter with its value, for help and errors."""
        return ", ".join(f"{name}={getattr(self, name):g}" for name in self.names())


def with_changes(parameters: Given, changes: Mapping[str, str | float]) -> Given:
    """The parameters with some of them changed; `UsageError` names a wrong one, and lists what the method has."""
    known, hint = parameters.names(), f"This method has: {parameters.describe()}."
    values: dict[str, float] = {}
    for name, text in changes.items():
        if name not in known:
            raise UsageError(f"this method has no parameter '{name}'", hint=hint)
        kind = type(getattr(parameters, name))
        try:
            number = float(text)
            # A count may be written 1e3, but not 1.5.
            values[name] = number if kind is float else int(number)
            if values[name] != number:
                raise ValueError
        except (ValueError, OverflowError):
            wanted = "a number" if kind is float else "a whole number"
            raise UsageError(f"parameter {name} = {text!r}: it must be {wanted}", hint=hint) from None
    return replace(parameters, **values)  # type: ignore[arg-type]


def parse_changes(texts: tuple[str, ...]) -> dict[str, str]:
    """Read ``--parameter NAME=VALUE``, given any number of times."""
    changes: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if not (name and equals and value.strip()):
            raise UsageError(f"--parameter {text!r}: it must be NAME=VALUE", hint="For example --parameter alpha=0.9.")
        if name in changes:
            raise UsageError(f"--parameter {name} was given twice: {changes[name]} and {value.strip()}")
        changes[name] = value.strip()
    return changes


def _words(name: str, low: float, high: float) -> str:
    if name == "passes":
        return "a positive number"
    return f"at least {low:g}" if high == math.inf else f"between {low:g} and {high:g}"
