"""What every result has: named and typed fields, JSON of the same names, and one way to be read and written."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from privaudit.errors import StoreError
from privaudit.runtime import files

T = TypeVar("T", bound="Result")


class Result(BaseModel):
    """A result, or a part of one: immutable, its fields named as they stand in JSON.

    A field that earlier versions did not write has a default, None as a rule; what is not known is ignored. People who
    took results for dicts may go on: ``result["auc"]`` is ``result.auc``.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())

    def to_json(self) -> dict[str, Any]:
        """Return the same as plain dicts, lists, numbers and texts."""
        return self.model_dump(mode="json", by_alias=True)

    def __getitem__(self, name: str) -> Any:
        """Return a field by its name in JSON."""
        if name not in self:
            raise KeyError(name)
        return getattr(self, _aliases(type(self)).get(name, name))

    def __contains__(self, name: object) -> bool:
        """Tell whether there is such a field, None or not."""
        return name in type(self).model_fields or name in _aliases(type(self))

    def get(self, name: str, default: Any = None) -> Any:
        """Return a field by its name in JSON, or ``default`` where there is none."""
        return getattr(self, _aliases(type(self)).get(name, name)) if name in self else default

    def keys(self) -> Iterable[str]:
        """Return the names of the fields in JSON."""
        return [field.alias or name for name, field in type(self).model_fields.items() if not field.exclude]


def _aliases(kind: type[Result]) -> dict[str, str]:
    """Names of fields by what they are called in JSON, where that differs."""
    return {field.alias: name for name, field in kind.model_fields.items() if field.alias is not None}


class SparseResult(Result):
    """A result that says only what was set, and keeps what another version wrote besides."""

    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=())

    def to_json(self) -> dict[str, Any]:
        """Return what was set as plain dicts, lists, numbers and texts."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


def read_result(path: Path, kind: type[T]) -> T:
    """Read a file of results; `StoreError` names it, and what it lacks, where it can't be read."""
    return _validated(path, kind, files.read_json(path))


def read_results(path: Path, kind: type[T]) -> list[T]:
    """Read a file that holds a list of results; `StoreError` as above."""
    return [_validated(path, kind, entry) for entry in files.read_json(path)]


def _validated(path: Path, kind: type[T], content: Any) -> T:
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        why = f"has no legible '{where}' ({first['msg'].lower()})"
        said = f"lacks '{where}'" if first["type"] == "missing" else why
        raise StoreError(
            f"{path} {said}: it was written by another version of privaudit",
            hint="Move it out of the way and run the command that made it again: what else is there is not made twice.",
        ) from error


def write_result(path: Path, result: Result) -> None:
    """Write a result as JSON, whole and sealed."""
    files.write_json(path, result.to_json())
    files.seal(path)


def write_results(path: Path, results: list[T]) -> None:
    """Write a list of results as JSON, whole and sealed."""
    files.write_json(path, [result.to_json() for result in results])
    files.seal(path)
