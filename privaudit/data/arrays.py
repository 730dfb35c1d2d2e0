"""Datasets from arrays: an ``.npz`` file, or what a user's factory returns."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.data.dataset import Dataset, IntArray
from privaudit.data.frame import arrays_of_table, is_table
from privaudit.data.sampling import NO_LIMITS, Limits, drawn_rows
from privaudit.data.torch_dataset import arrays_of_datasets, is_pair_of_datasets
from privaudit.errors import DataError, PrivauditError
from privaudit.foreign import user_code
from privaudit.registry import import_reference

REQUIRED = ("x_train", "y_train", "x_test", "y_test")
OPTIONAL = ("class_names", "sample_ids")


def read_npz(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Read every array of an ``.npz`` file without unpickling anything."""
    if not path.is_file():
        raise DataError(f"there is no file {path}")
    if not zipfile.is_zipfile(path):
        raise DataError(f"{path} is not a readable .npz file", hint="Save one with numpy.savez(path, x_train=…, …).")
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    except (zipfile.BadZipFile, EOFError, OSError, TypeError, AttributeError, KeyError) as error:
        raise DataError(f"{path} is not a readable .npz file: {error}") from error
    # A flipped bit can sit in the compressed stream, in an array's header, or in its length.
    except (zlib.error, tokenize.TokenError, SyntaxError, MemoryError, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{path} is damaged: {error}", hint="Fetch or save it again.") from error
    except ValueError as error:
        raise DataError(
            f"{path}: {error}", hint="Object arrays need pickle, which is never loaded: save plain numbers and strings."
        ) from error


def call_factory(reference: str) -> Mapping[str, Any]:
    """Call ``module:factory`` and return its mapping of arrays."""
    return mapping_of(import_reference(reference, "dataset"), reference)


def call_registered(factory: Any, name: str) -> Mapping[str, Any]:
    """The same for a factory that another package registered as ``name``."""
    return mapping_of(factory, name)


@user_code()
def mapping_of(factory: Any, reference: str) -> Mapping[str, Any]:
    """Call a factory, and turn what it returned (arrays, tables, torch Datasets) into a mapping of arrays."""
    try:
        arrays = factory()
    except PrivauditError:
        raise
    except Exception as error:
        raise DataError(f"{reference}() failed: {type(error).__name__}: {error}") from error
    if is_pair_of_datasets(arrays):
        return arrays_of_datasets(arrays, reference)
    if not isinstance(arrays, Mapping):
        raise DataError(
            f"{reference} returned {type(arrays).__name__}: it must return a dict of {', '.join(REQUIRED)}; a dict of "
            "tables, train and target (and test, id); or two torch Datasets (train, test)"
        )
    return arrays_of_table(arrays, reference) if is_table(arrays) else arrays


def from_arrays(
    name: str,
    arrays: Mapping[str, Any],
    source: str,
    samples: int | None,
    seed: int,
    limits: Limits = NO_LIMITS,
) -> Dataset:
    """Build a dataset from ``x_train, y_train, x_test, y_test`` and optional ``class_names, sample_ids``."""
    missing = [key for key in REQUIRED if key not in arrays]
    if missing:
        raise DataError(f"{source} lacks {', '.join(missing)}", hint=f"It holds: {', '.join(arrays) or 'nothing'}.")
    y_train, y_test = (checked_labels(arrays[key], key, source) for key in ("y_train", "y_test"))
    x_train, x_test = (checked_inputs(arrays[key], key, source) for key in ("x_train", "x_test"))
    if "class_names" in arrays:
        class_names = tuple(map(str, np.asarray(arrays["class_names"]).tolist()))
    else:
        class_names = tuple(map(str, range(int(y_train.max(initial=-1)) + 1)))
    ids = np.asarray(arrays.get("sample_ids", np.arange(len(y_train))))
    if ids.ndim != 1 or not np.issubdtype(ids.dtype, np.integer):
        raise DataError(f"{source}: sample_ids must be integers of shape [N], not {ids.dtype} {list(ids.shape)}")
    if len(ids) and not (int(ids.min()) >= 0 and int(ids.max()) < 2**63):
        raise DataError(
            f"{source}: sample_ids run from {ids.min()} to {ids.max()}: they must lie between 0 and 2⁶³ − 1",
            hint="Negative ids are kept for canaries.",
        )
    if not len(x_train) == len(y_train) == len(ids):
        raise DataError(f"{source}: {len(x_train)} inputs, {len(y_train)} labels and {len(ids)} ids for training")
    rows = drawn_rows(y_train, samples, limits.of(x_train.ndim == 4), seed)
    return Dataset(
        name=name,
        x_train=x_train[rows],
        y_train=y_train[rows],
        x_test=x_test,
        y_test=y_test,
        class_names=class_names,
        sample_ids=ids[rows].astype(np.int64),
        source=source,
        available=len(y_train),
    )


def checked_labels(value: Any, key: str, source: str) -> IntArray:
    """Labels as int64 ``[N]``; `DataError` where they are something else."""
    labels = _as_array(value, key, source)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(f"{source}: {key} must be integers of shape [N], not {labels.dtype} {list(labels.shape)}")
    return labels.astype(np.int64)


def checked_inputs(value: Any, key: str, source: str) -> npt.NDArray[Any]:
    """Inputs as uint8 images ``[N, H, W, C]`` or float32; `DataError` where they are neither."""
    inputs = _as_array(value, key, source)
    if inputs.dtype == np.uint8 and inputs.ndim in (3, 4):
        return inputs[..., np.newaxis] if inputs.ndim == 3 else inputs
    if np.issubdtype(inputs.dtype, np.number) and inputs.ndim >= 2:
        with np.errstate(over="ignore"):  # What is too large becomes infinite, which is told.
            numbers = inputs.astype(np.float32)
        # Four dimensions are float images [N, H, W, C]; anything else is a feature vector.
        return numbers if numbers.ndim == 4 else numbers.reshape(len(numbers), -1)
    raise DataError(
        f"{source}: {key} is {inputs.dtype} {list(inputs.shape)}: it must be uint8 images [N, H, W] or "
        "[N, H, W, C], or float features [N, D]"
    )


def _as_array(value: Any, key: str, source: str) -> npt.NDArray[Any]:
    try:
        return np.asarray(value)
    except ValueError as error:
        raise DataError(
            f"{source}: {key} is no array: {error}", hint="Every sample must have the same shape."
        ) from error
