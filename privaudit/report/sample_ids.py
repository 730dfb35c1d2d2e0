"""Ids of samples in a report: objects without text, until one place says what each of them is called.

Whatever reads stored results for a report takes their ids through `Naming.enter`. What comes back can be put into any
sentence or table and tells nothing: it prints as a placeholder. `Naming.resolve` puts the names in when the report is
complete, redacted or not. So no section can forget to redact.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import re
from collections.abc import Iterable
from typing import Any, TypeVar, cast

import numpy as np
import pandas as pd

from privaudit.results.base import Result
from privaudit.results.purge_record import SampleIdentifier
from privaudit.unlearning.requests.request_cells import plain

#: Hexadecimal digits of a redacted id; more where two would be equal.
DIGITS = 12

#: Signs of no script around a placeholder's number.
_OPEN, _CLOSE = "\U0010fffc", "\U0010fffd"
_PLACEHOLDER = re.compile(f"{_OPEN}([0-9]+){_CLOSE}")

#: Entries of results that hold sentences of those who made them, in which an id may stand.
_SENTENCES = ("notes", "warnings", "doubts")
_NUMBERED = re.compile(r"\b(samples?|ids?|rows?)((?:[ ,]+(?:and )?[0-9]+)+)\b")

Content = TypeVar("Content")
R = TypeVar("R", bound=Result)


class SampleId:
    """Which sample, but not what it is called: as text it is a placeholder."""

    __slots__ = ("_index",)

    def __init__(self, index: int) -> None:
        self._index = index

    def __str__(self) -> str:
        return f"{_OPEN}{self._index}{_CLOSE}"

    def __format__(self, specification: str) -> str:
        if specification:
            raise TypeError("an id has no format before the report is complete")
        return str(self)

    def __repr__(self) -> str:
        return f"SampleId({self._index})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SampleId) and other._index == self._index

    def __hash__(self) -> int:
        return hash((SampleId, self._index))


class Naming:
    """What every sample of a report is called.

    Parameters
    ----------
    ids
        Of all samples.
    salt
        To redact them with; None shows them.
    """

    def __init__(self, ids: Iterable[Any], salt: bytes | None) -> None:
        everyone = [plain(one) for one in ids]
        self.redacts = salt is not None
        self._salt = salt
        names = list(map(str, everyone)) if salt is None else hashes_of(everyone, salt)
        # Numbered by name: of a redacted id not even the placeholder may tell where it stood.
        order = sorted(range(len(everyone)), key=names.__getitem__) if self.redacts else range(len(everyone))
        self._names = [names[row] for row in order]
        self._values = [everyone[row] for row in order]
        self._index = {value: index for index, value in enumerate(self._values)}

    def enter(self, value: Any) -> SampleId:
        """Take an id of stored results in."""
        value = plain(value)
        if value not in self._index:
            self._index[value] = len(self._values)
            self._values.append(value)
            self._names.append(str(value) if self._salt is None else hashes_of([value], self._salt)[0])
        return SampleId(self._index[value])

    def enter_table(self, table: pd.DataFrame) -> pd.DataFrame:
        """Take a per-sample table in; redacted, its rows are in the order of names, as theirs would tell the ids."""
        known = [self.enter(value) for value in table["sample_id"]]
        entered = table.assign(sample_id=pd.Series(known, index=table.index, dtype=object))
        entered = entered.drop(columns=["path", "subject"], errors="ignore")
        if not self.redacts:
            return entered
        return entered.iloc[np.argsort([self.text(one) for one in known], kind="stable")].reset_index(drop=True)

    def enter_result(self, result: R) -> R:
        """Take a result in: every ``sample_id`` of it, and ids in its notes where they are redacted."""
        return type(result).model_validate(self.enter_json(result.model_dump(mode="json", exclude_unset=True)))

    def enter_json(self, content: Any) -> Any:
        """Take a JSON value in, alike; its ids become placeholders."""
        if isinstance(content, list):
            return [self.enter_json(entry) for entry in content]
        if not isinstance(content, dict):
            return content
        return {key: self._enter_entry(key, value) for key, value in content.items()}

    def _enter_entry(self, key: str, value: Any) -> Any:
        if key == "sample_id" and isinstance(value, int | str):
            return str(self.enter(value))
        if key in _SENTENCES and isinstance(value, list) and self.redacts:
            return [self._without_ids(entry) if isinstance(entry, str) else entry for entry in value]
        return self.enter_json(value)

    def _without_ids(self, sentence: str) -> str:
        """A stored sentence with placeholders for the ids in it: numbers behind "sample", and ids of text anywhere."""

        def numbered(found: re.Match[str]) -> str:
            return found[1] + re.sub("[0-9]+", lambda number: self._placeholder(int(number[0])), found[2])

        sentence = _NUMBERED.sub(numbered, sentence)
        for value in sorted((one for one in self._values if isinstance(one, str)), key=len, reverse=True):
            if value and value in sentence:
                sentence = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", str(self.enter(value)), sentence)
        return sentence

    def _placeholder(self, value: SampleIdentifier) -> str:
        return str(SampleId(self._index[value])) if value in self._index else str(value)

    def text(self, one: SampleId) -> str:
        """What a sample is called in this report."""
        return self._names[one._index]

    def column(self, ids: pd.Series[Any]) -> pd.Series[Any]:
        """A column of ids as it is shown: names, or the ids themselves in their own type."""
        if self.redacts:
            return ids.map(self.text)
        return pd.Series([self._values[one._index] for one in ids], index=ids.index)

    def resolve(self, content: Content) -> Content:
        """The same report, table or text with names for placeholders."""
        resolved: Any = content
        if isinstance(content, str):
            resolved = _PLACEHOLDER.sub(self._name_of, content) if _OPEN in content else content
        elif isinstance(content, SampleId):
            resolved = self.text(content)
        elif isinstance(content, Result):
            resolved = type(content).model_validate(self.resolve(content.model_dump(exclude_unset=True)))
        elif isinstance(content, dict):
            resolved = {self.resolve(key): self.resolve(value) for key, value in content.items()}
        elif isinstance(content, list | tuple):
            resolved = type(content)([self.resolve(entry) for entry in content])
        elif dataclasses.is_dataclass(content) and not isinstance(content, type):
            changed = {one.name: self.resolve(getattr(content, one.name)) for one in dataclasses.fields(content)}
            resolved = dataclasses.replace(content, **changed)
        return cast(Content, resolved)

    def _name_of(self, found: re.Match[str]) -> str:
        # What looks like a placeholder and is none stands in a name of the user's.
        index = int(found[1])
        return self._names[index] if index < len(self._names) else found[0]


def hashes_of(ids: Iterable[Any], salt: bytes) -> list[str]:
    """HMAC-SHA-256 of every id's text under the salt, cut to as few digits as keep them apart (at least 12)."""
    full = [hmac.new(salt, str(plain(one)).encode(), hashlib.sha256).hexdigest() for one in ids]
    digits = DIGITS
    while len({one[:digits] for one in full}) < len(full):
        digits += 4
    return [one[:digits] for one in full]
