"""Labels, class names and ids: whole numbers or nothing, and no gaps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.data.dataset import IntArray
from privaudit.data.inputs import as_array
from privaudit.errors import DataError

#: Problems of one kind that are named.
NAMED = 5


def checked_labels(value: Any, key: str, source: str) -> IntArray:
    """Return labels as int64 ``[N]`` (False and True as 0 and 1); `DataError` where they are something else."""
    labels = as_array(value, key, source)
    if labels.ndim == 1 and labels.dtype.kind in "iub":
        if labels.dtype.kind == "u" and len(labels) and int(labels.max()) >= 2**63:
            raise DataError(f"{source}: {key} holds {labels.max()}, which is no class", hint=_GAPS)
        return labels.astype(np.int64)
    raise DataError(
        f"{source}: {key} must be integers of shape [N], not {labels.dtype} {list(labels.shape)}"
        + _first_fraction(labels),
        hint=_cure(labels, key),
    )


_GAPS = "Number the classes 0 … C − 1: names, y = numpy.unique(y, return_inverse=True), and give names as class_names."


def _first_fraction(labels: npt.NDArray[Any]) -> str:
    if labels.ndim != 1 or labels.dtype.kind != "f":
        return ""
    missing = np.flatnonzero(~np.isfinite(labels))
    if len(missing):
        return f": {len(missing):,} of them are missing or infinite, first in row {missing[0]}"
    cut = np.flatnonzero(labels != np.floor(labels))
    return f": {labels[cut[0]]} in row {cut[0]} is no class" if len(cut) else ""


def _cure(labels: npt.NDArray[Any], key: str) -> str:
    """Say how to make integers ``[N]`` of what was given."""
    if labels.dtype.kind in "USO" and labels.ndim <= 2:
        return (
            f"names, y = numpy.unique({key}{'[:, 0]' if labels.ndim == 2 else ''}, return_inverse=True), and give "
            "names as class_names."
        )
    if labels.ndim == 2 and labels.shape[1] == 1:
        return f"Leave out the second axis: {key}[:, 0]{'' if labels.dtype.kind in 'iub' else '.astype(int)'}."
    if labels.ndim == 2:
        return f"One column a class: {key}.argmax(axis=1). Several classes at once are not audited."
    if labels.ndim == 1 and labels.dtype.kind == "f":
        if np.isfinite(labels).all() and (labels == np.floor(labels)).all():
            return f"They are whole: {key}.astype(int)."
        return "A classifier is audited: cut measurements into classes first, and leave out rows without a label."
    return "One whole number a sample: 0 … C − 1."


def class_names_of(arrays: Mapping[str, Any]) -> list[str] | None:
    """Return the names that ``class_names`` gives, or None where there are none."""
    if "class_names" not in arrays:
        return None
    names = np.asarray(arrays["class_names"])
    return [
        name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in names.ravel().tolist()
    ]


def label_problems(labels: Mapping[str, IntArray], names: list[str] | None) -> list[str]:
    """Say what is wrong with the labels of ``train`` and ``test``."""
    if names is not None:
        classes = len(names)
    elif "train" in labels and len(labels["train"]):
        classes = int(labels["train"].max()) + 1
    else:
        return []
    twice = sorted(name for name, count in Counter(names or []).items() if count > 1)
    problems = [f"two classes are called '{name}'" for name in twice[:NAMED]]
    if classes < 2:
        problems.append(f"there are {max(classes, 0)} classes: a classifier needs at least 2")
    for part, y in labels.items():
        outside = np.flatnonzero((y < 0) | (y >= classes))
        if len(outside):
            problems.append(
                f"{len(outside):,} labels of y_{part} are not among 0 … {classes - 1}, first {y[outside[0]]} in row "
                f"{outside[0]}" + ("" if part == "train" or names is not None else ": y_train has none of them")
            )
    if "train" in labels:
        # One sample a class: of more classes than samples, some have none.
        absent = np.setdiff1d(np.arange(min(classes, len(labels["train"]) + 1)), labels["train"])
        if len(absent):
            problems.append(
                f"y_train has no sample of class {', '.join(map(str, absent[:NAMED]))}: number the labels without gaps"
                + (f" (they run to {classes - 1:,})" if classes > len(labels["train"]) else "")
            )
    return problems


def checked_ids(value: Any, source: str) -> npt.NDArray[Any]:
    """Return ``sample_ids`` as integers ``[N]``; `DataError` where they are something else."""
    ids = as_array(value, "sample_ids", source)
    if ids.ndim != 1 or ids.dtype.kind not in "iu":
        raise DataError(
            f"{source}: sample_ids are {ids.dtype} {list(ids.shape)}: they must be integers of shape [N]",
            hint="Number the samples, and keep the table of your own ids to yourself.",
        )
    return ids


def id_problems(ids: npt.NDArray[Any]) -> list[str]:
    """Say which ids are there twice, or can't be ids."""
    problems = []
    values, counts = np.unique(ids, return_counts=True)
    if (counts > 1).any():
        problems.append(
            f"{int((counts > 1).sum()):,} sample_ids are there more than once, for example {values[counts > 1][0]}"
        )
    if len(values) and values[0] < 0:
        problems.append(
            f"sample_ids run from {values[0]}: they must lie between 0 and 2⁶³ − 1, and negative ids are "
            "kept for canaries"
        )
    if len(values) and int(values[-1]) >= 2**63:
        problems.append(f"sample_ids run to {values[-1]}: they must lie between 0 and 2⁶³ − 1")
    return problems


def class_notes(y_train: IntArray, y_test: IntArray, names: tuple[str, ...]) -> list[str]:
    """Say which classes are so rare that a half of the shadow models, or the test set, never meets them."""
    rare = np.flatnonzero(np.bincount(y_train, minlength=len(names)) == 1)
    absent = np.flatnonzero(np.bincount(y_test, minlength=len(names)) == 0)
    notes = []
    if len(rare):
        notes.append(
            f"{_named(rare, names)} with a single training sample: half of the shadow models never see such a class"
        )
    if len(absent):
        notes.append(f"{_named(absent, names)} without a test sample: nothing is said of how well they are learnt")
    return notes


def _named(classes: npt.NDArray[np.int64], names: tuple[str, ...]) -> str:
    shown = ", ".join(f"'{names[label]}'" for label in classes[:NAMED]) + (", …" if len(classes) > NAMED else "")
    return f"{len(classes):,} {'class' if len(classes) == 1 else 'classes'} ({shown})"
