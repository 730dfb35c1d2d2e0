"""`privaudit init`: the two files that an audit can start from, every line explained."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from privaudit.audit.declaration import as_toml, template
from privaudit.config import AuditOptions
from privaudit.config.options import help_of
from privaudit.data.tables.table_file import is_table_file
from privaudit.errors import UsageError
from privaudit.results.statement.starting_files import StartingFiles
from privaudit.runtime import files

SETTINGS, DECLARATION = "audit.toml", "declared.toml"

HEAD = """\
# An audit's settings: {command}. Flags beat them; privaudit score --help names all of them.
# Take away the # in front of a line to change it.
"""

#: Of a table, whose columns have names: an example of each.
OF_TABLES: dict[str, object] = {
    "label": "churned",
    "id": "customer_id",
    "subject": "household",
    "group": ["region"],
    "leave_out": ["notes"],
    "test": "20%",
    "estimator": "random-forest",
}

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

#: What means something where models are trained elsewhere.
WITH_SIGNALS = ("seed", "metadata", "redact", "store", "out")

#: What an estimator takes no notice of.
OF_NETWORKS = ("network", "epochs", "invert")


def settings_template(declaration: str, command: str, given: Mapping[str, object] | None = None) -> str:
    """Return a file of settings: what was given, the declaration, and all else as a comment."""
    lines = [HEAD.format(command=command)]
    for name, value, is_given in _entries({} if given is None else given):
        lines += [f"# {_help(name)}", f"{'' if is_given else '#'}{name} = {as_toml(value)}"]
    return "\n".join([*lines, f"# {_help('declare')}", f"declare = {as_toml(declaration)}"]) + "\n"


def _help(name: str) -> str:
    return help_of(AuditOptions, name).replace("; see below", "")


def _entries(given: Mapping[str, object]) -> Iterator[tuple[str, object, bool]]:
    """Every line: name, value, and whether it was given; a given dataset's own come after it."""
    if "signals" in given:
        yield from ((name, SHOWN[name], False) for name in WITH_SIGNALS)
        return
    examples = dict(SHOWN)
    if is_table_file(str(given.get("dataset", ""))):
        examples = {"dataset": SHOWN["dataset"], **OF_TABLES, **SHOWN}
        del examples["data_dir"]
    if "estimator" in given:
        examples = {name: value for name, value in examples.items() if name not in OF_NETWORKS}
    elif "network" in given:
        examples.pop("estimator", None)
    own = {name: value for name, value in given.items() if name not in examples}
    for name, example in examples.items():
        yield name, _plain(given.get(name, example)), name in given
        if name == "dataset":
            yield from ((other, _plain(value), True) for other, value in own.items())


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value


def demand_no_files(folder: Path) -> None:
    """Raise `UsageError` where either file is there already."""
    for path in (folder / SETTINGS, folder / DECLARATION):
        if path.exists():
            raise UsageError(f"{path} is there already", hint="Name another folder: privaudit init FOLDER.")


def write_starting_files(folder: Path, given: Mapping[str, object]) -> StartingFiles:
    """Write both files into ``folder``, over nothing.

    Parameters
    ----------
    folder
        It need not be there.
    given
        Settings by name, ``signals`` among them, which stands in the command alone.

    Raises
    ------
    UsageError
        Where one of them is there already, the folder can't be written to, or what was given does not go together.
    """
    settings, declaration = folder / SETTINGS, folder / DECLARATION
    if "signals" in given and (others := sorted(given.keys() - {"signals"})):
        raise UsageError(
            f"--signals with --{others[0].replace('_', '-')}: those models are trained already",
            hint="Leave one of them out.",
        )
    demand_no_files(folder)
    signals = [f"--signals {shlex.quote(str(given['signals']))}"] if "signals" in given else []
    command = " ".join(["privaudit score", *signals, f"--config {shlex.quote(settings.as_posix())}"])
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files.write_text(declaration, template())
        files.write_text(settings, settings_template(declaration.as_posix(), command, given))
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error.strerror}") from error
    return StartingFiles(settings=str(settings), declaration=str(declaration), command=command)
