"""What a check raises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class ContractError(AssertionError):
    """What something of the user's does and must not, or does not and must."""


def demand_none(what: str, problems: Sequence[str]) -> None:
    """Raise `ContractError` with every problem that was found, a line each."""
    if problems:
        raise ContractError("\n".join([f"{what}: {_counted(len(problems))}", *(f"- {said}" for said in problems)]))


def name_of(found: Any) -> str:
    """What to call a user's function in messages."""
    return found if isinstance(found, str) else str(getattr(found, "__name__", type(found).__name__))


def _counted(problems: int) -> str:
    return "1 problem" if problems == 1 else f"{problems} problems"
