"""`check_dataset` reads what a factory returns, and says everything that is wrong with it at once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.config import FEWEST_SAMPLES
from privaudit.data.arrays import (
    OPTIONAL,
    REQUIRED,
    call_factory,
    checked_inputs,
    checked_labels,
    from_arrays,
    mapping_of,
    read_npz,
)
from privaudit.errors import PrivauditError
from privaudit.testing.contract import demand_none, name_of

Array = npt.NDArray[Any]


def check_dataset(factory: Callable[[], Any] | str | Path, *, overlap: float = 0.0) -> None:
    """Read a dataset twice, and see whether it can be audited.

    - it is there, and of the shapes and types that ``--dataset`` takes
    - labels are 0 … C − 1, each of them in the training set
    - no input is NaN or infinite; training and test inputs agree in shape and type
    - ids are different, non-negative integers
    - no test sample is a training sample too: what was trained on can't stand for what was not
    - it is the same whenever it is read

    Parameters
    ----------
    factory
        The function, ``module:factory``, ``FILE.py:factory``, or the path of an ``.npz`` file.
    overlap
        The largest share of test samples that may equal a training sample, for tables in which rows repeat.

    Raises
    ------
    ContractError
        With everything that is wrong, a line each.
    """
    name = name_of(factory if not isinstance(factory, Path) else str(factory))
    demand_none(name, _problems(factory, name, overlap))


def _problems(factory: Callable[[], Any] | str | Path, name: str, overlap: float) -> list[str]:
    try:
        arrays, again = _read(factory, name), _read(factory, name)
    except PrivauditError as error:
        return [_without(str(error).replace("\n  ", " "), name)]
    problems = [f"{key} is missing" for key in REQUIRED if key not in arrays]
    problems += [
        f"'{key}' means nothing: the names are {', '.join((*REQUIRED, *OPTIONAL))}"
        for key in arrays
        if key not in (*REQUIRED, *OPTIONAL)
    ]
    inputs: dict[str, Array] = {}
    labels: dict[str, Array] = {}
    readers: list[tuple[str, Callable[..., Array], dict[str, Array]]]
    readers = [("x", checked_inputs, inputs), ("y", checked_labels, labels)]
    for part in ("train", "test"):
        for kind, read, found in readers:
            if (key := f"{kind}_{part}") in arrays:
                try:
                    found[part] = read(arrays[key], key, name)
                except PrivauditError as error:
                    problems.append(_without(error.message, name))
    problems += _of_inputs(inputs) + _of_labels(labels, arrays) + _of_ids(arrays)
    problems += [
        f"there are {len(inputs[part]):,} inputs and {len(labels[part]):,} labels in x_{part} and y_{part}"
        for part in inputs
        if part in labels and len(inputs[part]) != len(labels[part])
    ]
    if "train" in labels and len(labels["train"]) < FEWEST_SAMPLES:
        problems.append(f"{len(labels['train'])} training samples are too few: an audit needs {FEWEST_SAMPLES}")
    problems += _shared(inputs, overlap)
    problems += [
        f"two calls return different {key}: draw with a fixed seed, and keep an order"
        for key in arrays
        if key not in again or not _same(arrays[key], again[key])
    ]
    if not problems:
        # Whatever else keeps it from being audited.
        try:
            from_arrays(name, arrays, name, None, 0)
        except PrivauditError as error:
            problems.append(_without(error.message, name))
    return problems


def _read(factory: Callable[[], Any] | str | Path, name: str) -> Mapping[str, Any]:
    if callable(factory):
        return mapping_of(factory, name)
    return read_npz(Path(factory)) if str(factory).endswith(".npz") else call_factory(str(factory))


def _without(message: str, name: str) -> str:
    return message.removeprefix(f"{name}: ")


def _of_inputs(inputs: dict[str, Array]) -> list[str]:
    problems = []
    for part, x in inputs.items():
        wrong = np.flatnonzero(~np.isfinite(x).all(axis=tuple(range(1, x.ndim))))
        if len(wrong):
            problems.append(f"x_{part} holds NaN or infinity in {len(wrong):,} rows, first in row {wrong[0]}")
        if not len(x):
            problems.append(f"x_{part} is empty")
    if len(inputs) == 2:
        train, test = inputs["train"], inputs["test"]
        if train.shape[1:] != test.shape[1:]:
            problems.append(f"an input is {list(train.shape[1:])} in x_train and {list(test.shape[1:])} in x_test")
        if train.dtype != test.dtype:
            problems.append(
                f"x_train is {train.dtype} and x_test {test.dtype}: uint8 images are scaled to 0–1, floats are not"
            )
    return problems


def _of_labels(labels: dict[str, Array], arrays: Mapping[str, Any]) -> list[str]:
    problems = []
    classes: int | None = None
    if "class_names" in arrays:
        names = list(map(str, np.asarray(arrays["class_names"]).ravel().tolist()))
        classes = len(names)
        problems += [f"two classes are called '{one}'" for one in sorted({n for n in names if names.count(n) > 1})]
    elif "train" in labels and len(labels["train"]):
        classes = int(labels["train"].max()) + 1
    if classes is None:
        return problems
    if classes < 2:
        problems.append(f"there are {max(classes, 0)} classes: a classifier needs at least 2")
    for part, y in labels.items():
        outside = np.flatnonzero((y < 0) | (y >= classes))
        if len(outside):
            problems.append(
                f"{len(outside):,} labels of y_{part} are not among 0 … {classes - 1}, first {y[outside[0]]} in row "
                f"{outside[0]}" + ("" if part == "train" or "class_names" in arrays else ": y_train has none of them")
            )
    if "train" in labels:
        absent = np.setdiff1d(np.arange(min(classes, len(labels["train"]) + 1)), labels["train"])
        if len(absent):
            problems.append(
                f"y_train has no sample of class {', '.join(map(str, absent[:5]))}: number the labels without gaps"
            )
    return problems


def _of_ids(arrays: Mapping[str, Any]) -> list[str]:
    if "sample_ids" not in arrays:
        return []
    ids = np.asarray(arrays["sample_ids"])
    if ids.ndim != 1 or ids.dtype.kind not in "iu":
        return [f"sample_ids are {ids.dtype} {list(ids.shape)}: they must be integers of shape [N]"]
    problems = []
    values, counts = np.unique(ids, return_counts=True)
    if (counts > 1).any():
        problems.append(
            f"{int((counts > 1).sum()):,} sample_ids are there more than once, for example {values[counts > 1][0]}"
        )
    if len(values) and values[0] < 0:
        problems.append(f"sample_ids run from {values[0]}: negative ids are kept for canaries")
    if "y_train" in arrays and len(ids) != len(np.asarray(arrays["y_train"])):
        problems.append(f"there are {len(ids):,} sample_ids for {len(np.asarray(arrays['y_train'])):,} labels")
    return problems


def _shared(inputs: dict[str, Array], overlap: float) -> list[str]:
    """Test samples that are training samples too, by content."""
    if len(inputs) < 2 or inputs["train"].dtype != inputs["test"].dtype:
        return []
    rows = {digest: row for row, digest in enumerate(map(_digest, inputs["train"]))}
    shared = [(row, rows[d]) for row, d in enumerate(map(_digest, inputs["test"])) if d in rows]
    if len(shared) <= overlap * len(inputs["test"]):
        return []
    return [
        f"{len(shared):,} of {len(inputs['test']):,} test inputs are training inputs too, first row {shared[0][0]} of "
        f"x_test and row {shared[0][1]} of x_train: test samples must never have been trained on (where rows repeat by "
        "nature: overlap=…)"
    ]


def _digest(row: Array) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(row).tobytes(), digest_size=16).digest()


def _same(one: Any, other: Any) -> bool:
    try:
        first, second = np.asarray(one), np.asarray(other)
    except ValueError:
        return True  # No arrays at all, which is told elsewhere.
    return np.array_equal(first, second, equal_nan=first.dtype.kind == "f" and second.dtype.kind == "f")
