"""`check_dataset` reads what a factory returns, and says everything that is wrong with it at once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.config import FEWEST_SAMPLES
from privaudit.data import load_dataset
from privaudit.data.formats.arrays import from_arrays
from privaudit.data.formats.factory import given_by_function
from privaudit.data.formats.load import given_by, is_folder
from privaudit.data.validation import OPTIONAL, REQUIRED, Given, examine
from privaudit.errors import PrivauditError
from privaudit.runtime.user_code import other_draws
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
        The function, ``module:factory``, ``FILE.py:factory``, or the path of an ``.npz`` file or of a folder of class
        folders.
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
        arrays = _read(factory, name)
        with other_draws():
            again = _read(factory, name)
    except PrivauditError as error:
        return [_without(str(error).replace("\n  ", " "), name)]
    try:
        found = examine(arrays, name)
    except PrivauditError as error:
        return [_without(str(error).replace("\n  ", " "), name)]
    problems = found.sentences()
    problems += [
        f"'{key}' means nothing: the names are {', '.join((*REQUIRED, *OPTIONAL))}"
        + ("" if meant is None else f"; is it {meant}?")
        for key, meant in found.unknown.items()
    ]
    labels = found.labels
    if "train" in labels and len(labels["train"]) < FEWEST_SAMPLES:
        problems.append(f"{len(labels['train'])} training samples are too few: an audit needs {FEWEST_SAMPLES}")
    problems += _shared(found.inputs, overlap)
    problems += [
        f"two calls return different {key}: draw with a fixed seed, and keep an order"
        for key in arrays.arrays
        if key not in again.arrays or not _same(arrays.arrays[key], again.arrays[key])
    ]
    if not problems:
        # Whatever else keeps it from being audited.
        try:
            from_arrays(name, arrays, name, None, 0)
        except PrivauditError as error:
            problems.append(_without(error.message, name))
    return problems


def _read(factory: Callable[[], Any] | str | Path, name: str) -> Given:
    if callable(factory):
        return given_by_function(factory, name)
    if not is_folder(str(factory)):
        return given_by(str(factory))
    data = load_dataset(str(factory))
    return Given({key: getattr(data, key) for key in (*REQUIRED, *OPTIONAL)}, channels_last=True)


def _without(message: str, name: str) -> str:
    return message.removeprefix(f"{name}: ")


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
