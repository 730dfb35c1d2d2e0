"""The paper's eleven tables and figures, and one table of our own, as `catalogue.toml` has them."""

from __future__ import annotations

import json
import tomllib
from importlib.resources import files as resources

from pydantic import TypeAdapter

from privaudit.reproduction.claims.experiment import Experiment

CATALOGUE = tomllib.loads(resources("privaudit.reproduction.claims").joinpath("catalogue.toml").read_text("utf-8"))


def _read() -> dict[str, Experiment]:
    """Every experiment by name, in the order of the file."""
    found = {}
    for entry in CATALOGUE["experiments"]:
        primary = (entry.get("as_in_paper", {}), entry.get("controlled", {}), *entry.get("further", {}).values())
        for contrast in (*primary, *entry.get("secondary", ())):
            contrast.setdefault("methods", entry.get("methods", ()))
        for variant in entry.pop("variants", [{}]):
            words = variant.pop("words", {})
            filled = json.dumps(entry | variant)
            for name, value in words.items():
                filled = filled.replace(f"{{{name}}}", value)
            experiment = TypeAdapter(Experiment).validate_json(filled)
            found[experiment.name] = experiment
    return found


_FOUND = _read()

#: The paper's, in its order.
EXPERIMENTS = tuple(_FOUND[name] for name in CATALOGUE["paper"])

BY_NAME = {experiment.name: experiment for experiment in EXPERIMENTS} | _FOUND
