"""`--declare FILE.toml`: read what an audit's owner declares, and write a file of it to fill in."""

from __future__ import annotations

import json
import tomllib
from datetime import date
from pathlib import Path

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from privaudit.artifacts import DECLARATION
from privaudit.config import decoded
from privaudit.errors import UsageError
from privaudit.results.base import write_result
from privaudit.results.statement.declaration import Declaration
from privaudit.statistics.performance import REPORTED_RATES

HEAD = """\
# What this audit's owner declares. The report repeats it as declared, not measured.
# Take away the # in front of a line to fill it in; what stays a comment is reported as not declared.
"""


def read_declaration(path: Path) -> Declaration:
    """Read a declaration.

    Raises
    ------
    UsageError
        Where the file can't be read, is no TOML, or holds what is not known or makes no sense; all of it at once.
    """
    try:
        content = tomllib.loads(decoded(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"cannot read --declare {path}: {error}", hint="privaudit init writes one to fill in."
        ) from error
    try:
        declared = Declaration.model_validate(content)
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, one['loc']))}: {one['msg'].lower()}" for one in error.errors(include_url=False)]
        raise UsageError(
            f"--declare {path}: {'; '.join(wrong)}", hint="privaudit init writes one that names every entry."
        ) from error
    for rate, most in (declared.limits.tpr or {}).items():
        _demand_rate(path, rate, most)
    return declared


def keep_declaration(declared: Declaration | None, folder: Path) -> None:
    """Put a declaration beside an audit's results, where reports and the gate read it; None leaves what is there."""
    if declared is not None:
        write_result(DECLARATION.at(folder), declared)


def _demand_rate(path: Path, rate: str, most: float) -> None:
    try:
        right = 0 < float(rate) < 1 and 0 <= most <= 1
    except ValueError:
        right = False
    if not right:
        raise UsageError(
            f'--declare {path}: limits.tpr."{rate}" = {most}: the rate lies between 0 and 1, and so does the limit',
            hint='For at most 2% found at 1% of false alarms: "0.01" = 0.02.',
        )
    if float(rate) not in REPORTED_RATES:
        raise UsageError(
            f'--declare {path}: limits.tpr."{rate}": no audit measures at that rate, so the limit could never be held',
            hint=f"Rates: {', '.join(f'{one:g}' for one in REPORTED_RATES)}.",
        )


def template() -> str:
    """Return a file that names every entry, each as a comment with an example."""
    lines = [HEAD]
    tables: list[tuple[str, type[BaseModel]]] = []
    for name, info in Declaration.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            tables.append((name, kind))
        else:
            lines += _entry(name, info)
    for table, kind in tables:
        lines += ["", f"[{table}]"]
        for name, info in kind.model_fields.items():
            lines += _entry(name, info)
    return "\n".join(lines) + "\n"


def _entry(name: str, info: FieldInfo) -> list[str]:
    example = info.examples[0] if info.examples else ""
    return [f"# {info.description}", f"#{name} = {as_toml(example)}"]


def as_toml(value: object) -> str:
    """Write a value as TOML has it."""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {as_toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
