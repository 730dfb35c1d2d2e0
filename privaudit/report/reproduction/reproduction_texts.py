"""What the reproduction report says, as `texts.toml` has it."""

from __future__ import annotations

import tomllib
from importlib.resources import files as resources

from privaudit.results.base import Result


class Texts(Result):
    """Texts and names, in braces what is filled in: the claims in brief, methods as the paper calls them."""

    limits: str
    deviations: list[str]
    claims: dict[str, str]
    methods: dict[str, str]
    outcomes: dict[str, str]
    captions: dict[str, str]
    sentences: dict[str, str]
    questions: dict[str, str]
    protocols: dict[str, str]


TEXTS = Texts.model_validate(
    tomllib.loads(resources("privaudit.report.reproduction").joinpath("texts.toml").read_text("utf-8"))
)

#: Methods as the paper calls them, by their names here.
METHOD = TEXTS.methods
