"""Datasets from arrays: an ``.npz`` file, or what a user's function returned."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from privaudit.data.dataset import Dataset
from privaudit.data.npz import read_npz as read_npz
from privaudit.data.sampling import NO_LIMITS, Limits, drawn_rows
from privaudit.data.validation import REQUIRED, Examined, Given, examine
from privaudit.errors import DataError


def is_npz(name: str) -> bool:
    """Whether a dataset's name is that of an ``.npz`` file."""
    return name.lower().endswith(".npz")


def given_by_file(path: Path) -> Given:
    """Open an ``.npz`` file as the arrays of a dataset."""
    return Given(read_npz(path))


def from_arrays(
    name: str, given: Given, source: str, samples: int | None, seed: int, limits: Limits = NO_LIMITS
) -> Dataset:
    """Build a dataset from ``x_train, y_train, x_test, y_test`` and optional ``class_names, sample_ids``.

    Raises
    ------
    DataError
        With everything that is wrong with them.
    """
    missing = [key for key in REQUIRED if key not in given.arrays]
    if missing:
        raise DataError(f"{source} lacks {', '.join(missing)}", hint=_held(given))
    found = examine(given, source)
    _demand_sound(found, source)
    x_train, y_train = found.inputs["train"], found.labels["train"]
    names = found.class_names or list(map(str, range(int(y_train.max()) + 1)))
    ids = np.arange(len(y_train)) if found.ids is None else found.ids
    rows = drawn_rows(y_train, samples, limits.of(x_train.ndim == 4), seed)
    strangers = ", ".join(f"'{key}'" for key in found.unknown)
    return Dataset(
        name=name,
        x_train=x_train[rows],
        y_train=y_train[rows],
        x_test=found.inputs["test"],
        y_test=found.labels["test"],
        class_names=tuple(names),
        sample_ids=ids[rows].astype(np.int64),
        source=source,
        available=len(y_train),
        notes=(*found.notes, *([f"not read, since it means nothing here: {strangers}"] if strangers else [])),
        encoding=given.encoding,
    )


def _held(given: Given) -> str:
    """Say what there is, where something is lacking."""
    keys = list(given.arrays)
    hint = f"It holds: {', '.join(map(str, keys)) or 'nothing'}."
    if {"data", "target"} <= set(keys):
        return f"{hint} Of scikit-learn's, return (data, target): a fifth is held out for testing."
    return hint


def _demand_sound(found: Examined, source: str) -> None:
    problems = list(found.problems)
    problems += [
        (f"'{key}' means nothing: is it {meant}?", f"Call it {meant}, or leave it out.")
        for key, meant in found.unknown.items()
        if meant is not None
    ]
    if not problems:
        return
    if len(problems) == 1:
        raise DataError(f"{source}: {problems[0][0]}", hint=problems[0][1])
    found.problems = problems
    said = "\n  - ".join(found.sentences())
    raise DataError(f"{source}: {len(problems)} things are wrong\n  - {said}")


def describe_arrays(name: str) -> tuple[str, str]:
    """Return the title of a dataset of arrays, and its source in words, from what was typed."""
    title = Path(name).stem if is_npz(name) else name.rpartition(":")[2]
    return title, f"arrays of {Path(name).name}"
