"""`privaudit init`: the two files that an audit can start from, every line explained."""

from __future__ import annotations

import json
from pathlib import Path

from privaudit.audit.declaration import template
from privaudit.config import AuditOptions
from privaudit.config.options import help_of
from privaudit.errors import UsageError
from privaudit.results.statement.starting_files import StartingFiles
from privaudit.runtime import files

SETTINGS, DECLARATION = "audit.toml", "declared.toml"

HEAD = """\
# An audit's settings: privaudit score --config {name}. Flags beat them; privaudit score --help names all of them.
# Take away the # in front of a line to change it.
"""

#: What most audits set, in this order, each with a value to start from.
SHOWN: dict[str, object] = {
    "dataset": "digits",
    "data_dir": "data",
    "network": "cnn",
    "samples": 10_000,
    "shadows": 32,
    "epochs": 30,
    "seed": 0,
    "target": "model.safetensors",
    "metadata": "people.csv",
    "invert": 0,
    "redact": "ids",
    "workers": 2,
    "store": "shadow_models",
    "out": "reports",
}


def settings_template(declaration: str) -> str:
    """Return a file of settings in which all but the declaration is a comment."""
    lines = [HEAD.format(name=SETTINGS)]
    for name, value in SHOWN.items():
        lines += [f"# {help_of(AuditOptions, name)}", f"#{name} = {json.dumps(value)}"]
    return "\n".join([*lines, f"# {help_of(AuditOptions, 'declare')}", f"declare = {json.dumps(declaration)}"]) + "\n"


def write_starting_files(folder: Path) -> StartingFiles:
    """Write both files into ``folder``, over nothing.

    Raises
    ------
    UsageError
        Where one of them is there already, or the folder can't be written to.
    """
    settings, declaration = folder / SETTINGS, folder / DECLARATION
    for path in (settings, declaration):
        if path.exists():
            raise UsageError(f"{path} is there already", hint="Name another folder: privaudit init FOLDER.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files.write_text(declaration, template())
        files.write_text(settings, settings_template(declaration.as_posix()))
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error.strerror}") from error
    return StartingFiles(settings=str(settings), declaration=str(declaration))
