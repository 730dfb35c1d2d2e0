"""Which sample a cell names: what is proved is understood, and whatever else it may mean is said."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from privaudit.results.purge_record import SampleIdentifier

#: Above this a number that went through a float need not be what it was.
_EXACT_FLOATS = 2**53

#: More digits than any id has, and than Python turns into an integer.
_MOST_DIGITS = 30

_MISSING = re.compile(r"(nan|na|n/a|none|null|nil|nat|<na>|\(?missing\)?|-|#.*)?", re.IGNORECASE)

#: What a cell looks like that is no plain integer, and what that means.
_REASONS = (
    (r"-[0-9].*", "no sample has a negative id"),
    (r"'.*", "a spreadsheet marked it as text: remove the apostrophe"),
    (r"=.*", "a spreadsheet's formula: write what it shows"),
    (rf"[0-9]{{{_MOST_DIGITS + 1},}}", "too many digits for an id"),
    (r"[0-9]+ *(-|:|\.\.+) *[0-9]+", "a range? Write every id that is meant, one a line"),
    (r"([\[({][\s0-9,;]+[])}]*|[0-9][\s0-9,;]*[])}]+) *[,;]?", "as a program shows a list: write one id a line, bare"),
    (r"\+[0-9]+|[0-9]+\.|0x[0-9a-f]+", "write plain digits"),
    (r"0[0-9]+(\.0*)?", "an integer has no zeros before it; is it an id of another system?"),
    (r"[+-]?[0-9.,]+e[+-]?[0-9]+", "a spreadsheet shortened a long number, and its digits are lost"),
    (r"[0-9]{1,3}([.,'’_\s][0-9]{3})+", "a thousands separator, or several ids? Write plain digits, one id a line"),
    (r"[0-9]{1,4}[-./][0-9]{1,2}[-./][0-9]{1,4}([ T][0-9:.]*)?", "a date"),
    (r"([0-9]{1,4}[-. ])?(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*([-. ][0-9]{1,4})?", "a date"),
    (r"[0-9]+[.][0-9]+", "a number with a fraction"),
    (r"[0-9+'\"]+\s*([,;|\t ]\s*[0-9+'\"]+\s*)+[,;|\t ]*", "several values: without a header every line is one id"),
)


def plain(value: Any) -> SampleIdentifier:
    """A sample's id as a Python integer or text."""
    return int(value) if isinstance(value, int | np.integer) else str(value)


#: What every refusal of a list says.
NOTHING = "Nothing was done."


@dataclass(frozen=True)
class KnownSamples:
    """What may be named: ids ``[N]`` (integers or text), and the samples' paths where they have some.

    ``called`` is what the audited table calls its column of ids, where it has one; ``subjects`` says whose each sample
    is, and ``tested`` are the ids of rows that no model was trained on: neither may be named, and both are known.
    """

    ids: Sequence[Any] | npt.NDArray[Any]
    paths: Sequence[str] | None = None
    called: str | None = None
    subjects: Sequence[Any] = ()
    tested: npt.NDArray[Any] | None = None

    @classmethod
    def of(cls, table: pd.DataFrame, called: str | None = None, tested: npt.NDArray[Any] | None = None) -> KnownSamples:
        """Those of a score table, row by row."""
        paths = table["path"].tolist() if "path" in table else None
        subjects = table["subject"].dropna().tolist() if "subject" in table else ()
        return cls(table["sample_id"].to_numpy(), paths, called, subjects, tested)

    @cached_property
    def are_text(self) -> bool:
        """Whether ids are text."""
        return any(isinstance(one, str) for one in self.ids)

    @cached_property
    def by_id(self) -> dict[SampleIdentifier, int]:
        """The row of every id."""
        return {plain(one): row for row, one in enumerate(self.ids)}

    @cached_property
    def by_path(self) -> dict[str, int]:
        """The row of every path that a single sample has."""
        return _once([str(path) for path in self.paths or ()])

    @cached_property
    def records_of(self) -> dict[str, int]:
        """How many samples each subject has."""
        return dict(Counter(map(str, self.subjects)))

    @cached_property
    def _tested(self) -> frozenset[str]:
        return frozenset(map(str, () if self.tested is None else self.tested.tolist()))

    def is_tested(self, name: SampleIdentifier) -> bool:
        """Whether an unknown id is that of a row in the test part."""
        return str(name) in self._tested

    def meant_by(self, name: SampleIdentifier) -> str | None:
        """What an unknown id is known as besides; None where as nothing."""
        if self.is_tested(name):
            return "in the test part"
        if (records := self.records_of.get(str(name))) is not None:
            return f"a subject, of {records:,} sample{'s'[: records - 1]}"
        return None

    @cached_property
    def _composed(self) -> dict[str, int]:
        return _once([_composed(str(one)) for one in (self.ids if self.are_text else ())])

    @cached_property
    def _composed_paths(self) -> dict[str, int]:
        return _once([_composed(path) for path in self.paths or ()])

    @cached_property
    def _alike(self) -> dict[str, int]:
        return _once([_alike(str(one)) for one in (self.ids if self.are_text else self.paths or ())])

    def row_of_id(self, cell: str) -> int | None:
        """The row that an id names; None where it names none."""
        if not self.are_text:
            number = as_integer(cell)
            return None if number is None else self.by_id.get(number)
        return self.by_id.get(cell, self._composed.get(_composed(cell)))

    def row_of_path(self, cell: str) -> int | None:
        """The row whose path this is, as it stands in the score table's column ``path``."""
        for form in (cell, cell.removeprefix("./"), cell.replace("\\", "/").removeprefix("./")):
            row = self.by_path.get(form, self._composed_paths.get(_composed(form)))
            if row is not None:
                return row
        return None

    def _row_of_longer_path(self, cell: str) -> int | None:
        """The row whose path, from the class's folder on, ends this one, or is ended by it."""
        parts = cell.replace("\\", "/").split("/")
        ends = (self.by_path.get("/".join(parts[start:])) for start in range(1, len(parts)))
        return next((row for row in ends if row is not None), self._names.get(cell))

    @cached_property
    def _names(self) -> dict[str, int]:
        return _once([path.rsplit("/", 1)[-1] for path in self.paths or ()])

    def looks_like(self, cell: str) -> str | None:
        """What an unknown name may have been before a spreadsheet changed it; never taken for it."""
        row = self._alike.get(_alike(cell), self._row_of_longer_path(cell))
        source = self.ids if self.are_text else self.paths
        return None if row is None or source is None else str(source[row])


def as_integer(cell: str) -> int | None:
    """The integer that a cell is beyond doubt: plain digits, or a float of that value as programs write it."""
    if len(cell) > _MOST_DIGITS:
        return None
    if re.fullmatch(r"0|[1-9][0-9]*", cell):
        return int(cell)
    # As numpy.savetxt writes: all 19 digits of a float are there, so none was lost.
    if re.fullmatch(r"[0-9]\.[0-9]{18}e\+[01][0-9]", cell) and (value := float(cell)).is_integer():
        return int(value) if value < _EXACT_FLOATS else None
    # 12.000 may be twelve thousand; one or two zeros are no group of thousands.
    if re.fullmatch(r"(0|[1-9][0-9]*)\.0{1,2}", cell) and int(cell.split(".")[0]) < _EXACT_FLOATS:
        return int(cell.split(".")[0])
    return None


def is_missing(cell: str) -> bool:
    """Whether a cell says that there is nothing in it."""
    return _MISSING.fullmatch(cell) is not None


def why_no_integer(cell: str) -> str | None:
    """What is wrong with a cell of integer ids; None where nothing is."""
    if as_integer(cell) is not None:
        return None
    if is_missing(cell):
        return "an empty or broken cell"
    for pattern, reason in _REASONS:
        if re.fullmatch(pattern, cell, re.IGNORECASE | re.ASCII):
            return reason
    if any(unicodedata.category(sign) in ("Cf", "Cc") for sign in cell):
        return "it holds a character that can't be seen; ids of this audit are integers"
    return "ids of this audit are integers"


def _once(names: list[str]) -> dict[str, int]:
    """The place of every name that is there once: what names two samples names none."""
    count = pd.Series(names, dtype=object).value_counts().to_dict()
    return {name: row for row, name in enumerate(names) if count[name] == 1 and name}


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _alike(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().strip("'\"\u200b\ufeff ").lstrip("0").removesuffix(".0")


def shown_cell(text: str) -> str:
    """Return a cell as messages show it: in quotes, cut, and without signs that can't be seen."""
    clean = text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
    return f"'{clean[:60]}{'…' if len(clean) > 60 else ''}'"
