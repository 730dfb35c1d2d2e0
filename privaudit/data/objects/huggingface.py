"""A ``datasets.Dataset``, or several in a ``DatasetDict``: images, vectors or the columns of a table.

The library itself is not imported: whoever has such an object has it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from privaudit.data.formats.torch_datasets import given_by_dataset, given_by_datasets
from privaudit.data.row_names import shown
from privaudit.data.validation import Given
from privaudit.errors import DataError

#: Parts to test with, the first that is there.
TESTS = ("test", "validation", "valid", "val")


def is_huggingface(value: Any) -> bool:
    """Whether this is a dataset, or several, of the package ``datasets``."""
    kinds = [f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(value).__mro__]
    is_named = any(f"datasets.{name}" in kinds for name in ("Dataset", "DatasetDict", "IterableDataset"))
    return is_named and (isinstance(value, Mapping) or hasattr(value, "features"))


def tables_in(value: Any, label: str | None) -> Any:
    """Return it as DataFrames, ``train`` and ``test``, where it is of columns; None where it is of images or vectors.

    Classes that are numbers with names stand there by their names.
    """
    parts = _parts(value)
    label = label or _label_of(parts["train"])
    if _inputs_of(parts["train"], label) is not None:
        return None
    frames: dict[str, pd.DataFrame] = {}
    for name, part in parts.items():
        frame = part.with_format(None).to_pandas()
        for column, feature in part.features.items():
            if type(feature).__name__ == "ClassLabel":
                names = dict(enumerate(feature.names))
                frame[column] = frame[column].map(names)
        frames[name] = frame
    return frames if len(frames) > 1 else frames["train"]


def given_by_huggingface(value: Any, source: str, label: str | None) -> Given:
    """Read images or vectors with their column of classes, the one that is named or likely, into arrays."""
    parts = _parts(value)
    label = label or _label_of(parts["train"])
    if label is None:
        raise DataError(
            f"{source}: which of its columns holds the classes? {_listed(parts['train'])}",
            hint="Name it: label='COLUMN'.",
        )
    inputs = _inputs_of(parts["train"], label) or ""
    lacking = [name for name, part in parts.items() if not {inputs, label} <= set(part.column_names)]
    if lacking:
        raise DataError(f"{source}: its part '{lacking[0]}' lacks the columns '{inputs}' and '{label}'")
    pairs = {name: _Pairs(part.with_format(None), inputs, label) for name, part in parts.items()}
    given = (
        given_by_datasets((pairs["train"], pairs["test"]), source)
        if "test" in pairs
        else given_by_dataset(pairs["train"], source)
    )
    others = [name for name in parts["train"].column_names if name not in (inputs, label)]
    notes = [f"columns that are not read: {shown(others, 8)}"] if others else []
    names = getattr(parts["train"].features[label], "names", None)
    arrays = given.arrays if names is None else {**given.arrays, "class_names": np.array(names)}
    return Given(arrays, (*given.notes, *notes), channels_last=given.channels_last)


class _Pairs:
    """A dataset's rows as ``(input, label)``."""

    def __init__(self, part: Any, inputs: str, label: str) -> None:
        self.part, self.inputs, self.label = part, inputs, label

    def __len__(self) -> int:
        return len(self.part)

    def __getitem__(self, row: int) -> tuple[Any, Any]:
        found = self.part[row]
        return found[self.inputs], found[self.label]

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return (self[row] for row in range(len(self)))


def _parts(value: Any) -> dict[str, Any]:
    """The part to train with and, where there is one, that to test with."""
    if not isinstance(value, Mapping):
        value = {"train": value}
    if "train" not in value:
        raise DataError(f"data has no part 'train': it has {shown(list(value))}", hint="Give one of them: data['…'].")
    for part in value.values():
        if not hasattr(part, "__len__"):
            raise DataError(
                f"data is a stream ({type(part).__name__}) without a length: an audit needs every sample at its own "
                "place, the same each time",
                hint="Load it without streaming=True.",
            )
    test = next((name for name in TESTS if name in value), None)
    return {"train": value["train"]} | ({} if test is None else {"test": value[test]})


def _label_of(part: Any) -> str | None:
    """The column of classes: the only ClassLabel, or what is called so."""
    labels: list[str] = [name for name, one in part.features.items() if type(one).__name__ == "ClassLabel"]
    if len(labels) == 1:
        return labels[0]
    return next((name for name in ("label", "labels") if name in part.features), None)


def _inputs_of(part: Any, label: str | None) -> str | None:
    """The column of images, or else the one column of vectors; None where each column is a number or a word."""
    others = {name: feature for name, feature in part.features.items() if name != label}
    images = [name for name, feature in others.items() if type(feature).__name__ == "Image"]
    vectors = [name for name, feature in others.items() if type(feature).__name__ in _VECTORS]
    if len(images) > 1 or (not images and len(vectors) > 1):
        raise DataError(
            f"data: which of its columns is the input, {shown(images or vectors)}?",
            hint="Keep one: dataset.remove_columns([…]).",
        )
    return next(iter(images or vectors), None)


_VECTORS = ("Sequence", "List", "LargeList", "Array2D", "Array3D", "Array4D", "list")


def _listed(part: Any) -> str:
    return f"Columns: {shown(list(part.features), 30)}."
