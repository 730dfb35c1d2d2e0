"""The questions in their order: what there is, what is trained on it, and how many models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from privaudit.cli.questions.about_a_table import ask_about_table
from privaudit.cli.questions.about_images import ask_about_arrays, ask_about_named, ask_about_photos
from privaudit.cli.questions.ask import ask, choose, say, whole_number
from privaudit.config import defaults_for

#: What people have, in words.
KINDS = {
    "named": "a dataset that has a name, to try it out",
    "table": "a table in a file: .csv, .tsv or .parquet",
    "photos": "a folder of photos, a folder a class",
    "arrays": "arrays in a file: .npz",
    "signals": "models that are trained already, elsewhere: their logits in a file",
}
ASKED: dict[str, Callable[[], dict[str, object]]] = {
    "named": ask_about_named,
    "table": ask_about_table,
    "photos": ask_about_photos,
    "arrays": ask_about_arrays,
}

#: Shadow models of heads, which cost next to nothing, and the fewest that LiRA works with.
OF_HEADS, FEWEST = 64, 4


def ask_about_audit() -> dict[str, object]:
    """Ask what is to be audited, and how; return settings by name, or ``signals``."""
    say("What have you got? Enter takes what stands in brackets; nothing is written before the last answer.")
    kind = choose("Which", KINDS, "named")
    if kind == "signals":
        return {"signals": ask("Which file (.npz: logits, keep, labels)", _signals)}
    given = ASKED[kind]()
    say("How many shadow models? Twice as many take twice as long, and tell more: 16 give intervals, 64 narrow ones.")
    usual = OF_HEADS if given.get("train") == "head" else defaults_for(_name(given), "cpu", kind == "photos").shadows
    least = "LiRA needs at least 4, and they come in pairs."
    return given | {"shadows": ask("How many", whole_number(FEWEST, 4096, least), str(usual))}


def _name(given: dict[str, object]) -> str:
    return str(given["dataset"])


def _signals(typed: str) -> str:
    from privaudit.audit.external_signals.signals_file import read_signals_file

    path = Path(typed).expanduser()
    found = read_signals_file(path, 0)
    models, samples = found.evidence.keep.shape
    say(f"  {models:,} models that take part, {samples:,} samples")
    return str(path)
