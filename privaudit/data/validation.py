"""Everything that is wrong with a dataset of arrays, at once: what an audit and `check_dataset` both ask."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from privaudit.data.dataset import IntArray
from privaudit.data.inputs import Layout, as_array, input_problems, layout_of, read_inputs
from privaudit.data.labels import checked_ids, checked_labels, class_names_of, id_problems, label_problems
from privaudit.data.npz import NpzFile
from privaudit.errors import DataError
from privaudit.results.base import Result

REQUIRED = ("x_train", "y_train", "x_test", "y_test")
OPTIONAL = ("class_names", "sample_ids")

#: What else the optional arrays get called.
_MEANT = {"ids": "sample_ids", "id": "sample_ids", "names": "class_names", "classes": "class_names"}

#: How alike a name must be to one of ours to be taken for a slip of the keyboard.
_ALIKE = 0.8


@dataclass(frozen=True)
class Given:
    """What a file or a function gave.

    Parameters
    ----------
    arrays
        By the names of `REQUIRED` and `OPTIONAL`, or others.
    notes
        What was guessed or converted to make them. They come into the report: no value of a sample is in them.
    channels_last
        Whether arrays of four dimensions are known to be ``[N, H, W, C]``.
    encoding
        How columns of a DataFrame became the features; kept with the audit, and no part of the content.
    """

    arrays: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    channels_last: bool = False
    encoding: Result | None = None


@dataclass
class Examined:
    """The arrays of a dataset as an audit takes them, and all that is wrong with them.

    Parameters
    ----------
    inputs, labels
        ``train`` and ``test``, where they can be read.
    class_names, ids
        None where none were given.
    problems
        Each with its cure, where there is one.
    unknown
        Names of arrays that mean nothing, each with what may have been meant.
    notes
        What was converted or guessed.
    """

    inputs: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    labels: dict[str, IntArray] = field(default_factory=dict)
    class_names: list[str] | None = None
    ids: npt.NDArray[Any] | None = None
    problems: list[tuple[str, str | None]] = field(default_factory=list)
    unknown: dict[str, str | None] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def attempt(self, source: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function that raises `DataError`; keep what it says, and return None."""
        try:
            return function(*arguments)
        except DataError as error:
            self.problems.append((error.message.removeprefix(f"{source}: "), error.hint))
            return None

    def sentences(self) -> list[str]:
        """Return every problem with its cure."""
        return [problem if cure is None else f"{problem.rstrip('.')}. {cure}" for problem, cure in self.problems]

    def add(self, problems: list[str]) -> None:
        """Keep problems that carry their cure in themselves."""
        self.problems += [(problem, None) for problem in problems]


def examine(given: Given, source: str) -> Examined:
    """Read ``x_train, y_train, x_test, y_test`` and the optional arrays, and find all that is wrong with them.

    Kinds and shapes come first: of a file they stand in the headers, so that arrays that can't be a dataset, or are
    larger than memory, are refused before they are unpacked.
    """
    found = Examined(notes=list(given.notes))
    arrays = given.arrays
    found.add([f"{key} is missing" for key in REQUIRED if key not in arrays])
    found.unknown = {key: _meant(key, arrays) for key in arrays if key not in (*REQUIRED, *OPTIONAL)}
    here = [key for key in (*REQUIRED, *OPTIONAL) if key in arrays]
    if isinstance(arrays, NpzFile):
        tried: dict[str, Any] = {key: found.attempt(source, arrays.header, key) for key in here}
    else:
        tried = {key: found.attempt(source, as_array, arrays[key], key, source) for key in here}
    outlines = {key: outline for key, outline in tried.items() if outline is not None}
    agree = _lengths_agree(found, outlines) and len(outlines) == len(here)
    layouts: dict[str, Layout] = {}
    for key in ("x_train", "x_test"):
        if key in outlines:
            layout = found.attempt(source, layout_of, outlines[key], given.channels_last, key, source)
            if layout is not None:
                layouts[key] = layout
    if not isinstance(arrays, NpzFile):
        _read(found, outlines, layouts, source)
    elif agree and len(layouts) == 2:
        arrays.demand_room(here, copies=2)  # as they lie in the file, and as networks take them
        _read(found, arrays, layouts, source)
    return found


def _lengths_agree(found: Examined, outlines: dict[str, Any]) -> bool:
    """Whether there is a label for each input and an id for each label, by the shapes alone."""
    shapes = {key: outline.shape for key, outline in outlines.items()}
    before = len(found.problems)
    for part in ("train", "test"):
        x, y = shapes.get(f"x_{part}"), shapes.get(f"y_{part}")
        if x and y and x[0] != y[0]:
            found.add([f"there are {x[0]:,} inputs and {y[0]:,} labels in x_{part} and y_{part}"])
    ids, y, names = shapes.get("sample_ids"), shapes.get("y_train"), shapes.get("class_names")
    if ids and y and len(ids) == 1 and ids[0] != y[0]:
        found.add([f"there are {ids[0]:,} sample_ids for {y[0]:,} labels"])
    if names is not None and (len(names) != 1 or (y and names[0] > y[0])):
        found.add([f"class_names are {list(names)} for {y[0] if y else 0:,} labels: one name a class that occurs"])
    return len(found.problems) == before


def _read(found: Examined, arrays: Mapping[str, Any], layouts: Mapping[str, Layout], source: str) -> None:
    """Read what can be read, and look at what it says."""
    notes: dict[str, list[str]] = {}
    for part in ("train", "test"):
        if (key := f"y_{part}") in arrays:
            labels = found.attempt(source, checked_labels, arrays[key], key, source)
            if labels is not None:
                found.labels[part] = labels
        if (key := f"x_{part}") in layouts:
            found.inputs[part], notes[part] = read_inputs(arrays[key], layouts[key], key)
    # What was done to the training inputs was, as a rule, done to the others too: once is enough.
    found.notes += notes.get("train") or notes.get("test", [])
    if "class_names" in arrays:
        found.class_names = class_names_of(arrays)
    if "sample_ids" in arrays:
        found.ids = found.attempt(source, checked_ids, arrays["sample_ids"], source)
    found.add(input_problems(found.inputs))
    found.add(label_problems(found.labels, found.class_names))
    if found.ids is not None:
        found.add(id_problems(found.ids))


def _meant(key: str, arrays: Mapping[str, Any]) -> str | None:
    """What an unknown name may stand for, unless that is there as well."""
    near = difflib.get_close_matches(str(key).lower(), OPTIONAL, n=1, cutoff=_ALIKE)
    meant = near[0] if near else _MEANT.get(str(key).lower())
    return None if meant in arrays else meant
