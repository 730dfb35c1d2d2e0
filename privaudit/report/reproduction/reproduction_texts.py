"""What the reproduction report says that is no figure: `texts.toml`."""

from __future__ import annotations

import tomllib
from importlib.resources import files as resources

from privaudit.results.base import Result


class Texts(Result):
    """Texts that stand as they are, and names: of the paper's claims, of methods, of criteria of an inversion."""

    limits: str
    deviations: list[str]
    claims: dict[str, str]
    methods: dict[str, str]
    outcomes: dict[str, str]


TEXTS = Texts.model_validate(
    tomllib.loads(resources("privaudit.report.reproduction").joinpath("texts.toml").read_text("utf-8"))
)

#: Methods as the paper calls them, by their names here.
METHOD = TEXTS.methods
