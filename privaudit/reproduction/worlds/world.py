"""What would support a claim and what would not, as `claims/worlds.toml` has it."""

from __future__ import annotations

import tomllib
from dataclasses import field
from importlib.resources import files as resources

from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from privaudit.reproduction.claims.experiment import STRICT


@dataclass(frozen=True, config=STRICT)
class World:
    """A claim under one protocol, written down beforehand.

    Parameters
    ----------
    supports, refutes
        Which data would support it, and which would speak against it.
    right, nothing
        The world in which the paper is right, and the one in which there is nothing to find.
    draws
        Who draws runs of either: a function of `privaudit.reproduction.worlds.draws`.
    numbers
        Its arguments, where printed figures do not give them.
    """

    supports: str
    refutes: str
    right: str
    nothing: str
    draws: str
    numbers: dict[str, float] = field(default_factory=dict)


#: By experiment and protocol.
WORLDS = TypeAdapter(dict[str, dict[str, World]]).validate_python(
    tomllib.loads(resources("privaudit.reproduction.claims").joinpath("worlds.toml").read_text("utf-8"))
)
