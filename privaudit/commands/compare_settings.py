"""In what two audits differ besides their results: configuration, data and attack settings, from what is on record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from privaudit.results.audit.score_results import ScoreResults
from privaudit.results.comparison_results import SettingDifference

Kind = Literal["configuration", "data", "attack settings"]

#: What an identity is made of that is told otherwise, or says nothing to people.
_ELSEWHERE = {"recipe", "training_function", "fingerprint", "canaries", "dataset", "training", "network_source"}

#: Digits of a checksum that are shown.
DIGITS = 12

NOTHING = "none"


def differing_settings(a: ScoreResults, b: ScoreResults) -> tuple[SettingDifference, ...]:
    """Return everything on record in which the audits differ, configuration first."""
    first, second = _settings(a), _settings(b)
    found = [
        SettingDifference(of=of, what=what, a=first.get((of, what), NOTHING), b=second.get((of, what), NOTHING))
        for of, what in dict.fromkeys([*first, *second])
        if first.get((of, what)) != second.get((of, what))
    ]
    order: tuple[Kind, ...] = ("configuration", "data", "attack settings")
    return tuple(sorted(found, key=lambda one: order.index(one.of)))


def _settings(results: ScoreResults) -> dict[tuple[Kind, str], str]:
    said: dict[tuple[Kind, str], str] = {}

    def say(kind: Kind, what: str, value: Any) -> None:
        if value not in (None, "", (), []):
            said[kind, what] = f"{value:g}" if isinstance(value, float) else str(value)

    about, identity = results.about, results.about.identity
    if identity is None:
        say("configuration", "models", "trained elsewhere" if about.given is None else f"those of {about.given.file}")
    else:
        say("configuration", "models", "trained here")
        for name, value in identity.to_json().items():
            if name not in _ELSEWHERE and not isinstance(value, Mapping):
                say("configuration", _in_words(name), _cut(name, value))
        say("configuration", "network's code (SHA-256)", _cut("source", identity.network_source))
        for name, value in ({} if identity.recipe is None else identity.recipe.to_json()).items():
            say("configuration", "recipe" if name == "name" else _in_words(name), value)
        if (function := identity.training_function) is not None:
            say("configuration", "training function", function.name)
            say("configuration", "its code (SHA-256)", _cut("source", function.source))
        if (estimator := identity.estimator) is not None:
            say("configuration", "estimator", estimator.builds or estimator.name)
            say("configuration", "its code (SHA-256)", _cut("source", estimator.source))
        if (pretrained := identity.pretrained) is not None:
            say("configuration", "pretrained weights (SHA-256)", _cut("source", pretrained.weights))
            say("configuration", "what of it is trained", pretrained.train)
            say("configuration", "size of its images", pretrained.size)
        say("data", "dataset", identity.dataset)
        say("data", "fingerprint", _cut("fingerprint", identity.fingerprint))
        say("attack settings", "canaries", identity.canaries)
    say("configuration", "torch", (about.versions or {}).get("torch"))
    if about.data is not None:
        say("data", "test samples", about.data.test)
        for name, value in ({} if about.data.table is None else about.data.table.to_json()).items():
            say("data", f"--{name.replace('_', '-')}", ", ".join(value) if isinstance(value, list) else value)
    say("data", "properties that risk is told by", ", ".join(results.groups))
    say("attack settings", "shadow models", results.shadows)
    say("attack settings", "statistic", results.statistic)
    say("attack settings", "queries", ", ".join(results.queries))
    say("attack settings", "RMIA's γ", results.rmia_gamma)
    say("attack settings", "attacks", len(results.attacks))
    left_out = 0 if results.outliers is None else len(results.outliers.left_out)
    say("attack settings", "models left out as outlying", left_out)
    say("attack settings", "privaudit", (about.versions or {}).get("privaudit"))
    return said


def _in_words(name: str) -> str:
    return name.replace("_", " ")


def _cut(name: str, value: Any) -> Any:
    """A checksum by its first digits."""
    return f"{value[:DIGITS]}…" if name in ("source", "target", "fingerprint") and isinstance(value, str) else value
