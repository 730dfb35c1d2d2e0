"""``--metadata FILE.csv``, ``--group COLUMN``: properties of samples, and whose they are; ``--without FILE``."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from privaudit.config import FEWEST_SAMPLES
from privaudit.data import Dataset
from privaudit.errors import DataError, UsageError
from privaudit.unlearning.requests.forget_requests import read_requests
from privaudit.unlearning.requests.request_cells import KnownSamples

#: A column of numbers with more different values than this is cut into quarters.
MOST_VALUES = 12

#: A column of words with more different values than this names samples, not groups.
MOST_GROUPS = 200

NOT_GIVEN = "(not given)"

#: The column that says whose each sample is.
SUBJECT = "subject_id"


def leave_out(data: Dataset, named: Path | None) -> Dataset:
    """Take the training samples out that a file names; `UsageError` where it names one that there is not."""
    if named is None:
        return data
    rows = read_requests(named, KnownSamples(data.sample_ids, data.paths)).rows
    left = len(data) - len(rows)
    if left < FEWEST_SAMPLES:
        raise UsageError(
            f"--without {named}: it names {len(rows):,} of {len(data):,} training samples, and {left} are too few for "
            f"an audit, which needs at least {FEWEST_SAMPLES}",
            hint="Leave fewer out.",
        )
    return data.without_training_rows(rows)


def group_samples(
    metadata: Path | None,
    columns: Mapping[str, npt.NDArray[np.object_]],
    sample_ids: npt.NDArray[Any],
    strangers: int,
) -> dict[str, npt.NDArray[np.str_]]:
    """Return the group of every sample by property, from a file and from columns of the audited table.

    Parameters
    ----------
    metadata
        The file; None for none.
    columns
        Words or None, one a sample, by the name of their column.
    sample_ids
        The samples.
    strangers
        How many rows follow them that are nobody's, the canaries: "(not given)".
    """
    groups = {} if metadata is None else read_metadata(metadata, sample_ids)
    for name, words in columns.items():
        if name in groups:
            raise UsageError(f"--group {name}: --metadata {metadata} has a column of that name too")
        groups[name] = _groups(pd.Series(words, dtype=object), name, "--group")
    nobody = np.full(strangers, NOT_GIVEN)
    return {name: np.concatenate([found, nobody]) for name, found in groups.items()}


def read_metadata(path: Path, sample_ids: npt.NDArray[Any]) -> dict[str, npt.NDArray[np.str_]]:
    """Read a CSV with a column ``sample_id`` and any others; return the group of every sample by column.

    A column ``subject_id`` says whose a sample is, which is no group: see `read_subjects`.

    Parameters
    ----------
    path
        The file.
    sample_ids
        The samples to tell the groups of; those that the file lacks are "(not given)".

    Raises
    ------
    DataError
        Where the file can't be read, has no ``sample_id``, names a sample twice, or knows none of these samples.
    """
    table = _read(path, sample_ids).drop(columns=SUBJECT, errors="ignore")
    return {str(column): _groups(table[column], str(column), path) for column in table.columns}


def read_subjects(path: Path | None, sample_ids: npt.NDArray[Any]) -> npt.NDArray[np.object_] | None:
    """Return whose each sample is by the file's column ``subject_id``, None where it says nothing; None without one."""
    if path is None or SUBJECT not in (table := _read(path, sample_ids)):
        return None
    words = table[SUBJECT].fillna("").str.strip()
    subjects: npt.NDArray[np.object_] = words.astype(object).where(words != "", None).to_numpy(object)
    return subjects


def _read(path: Path, sample_ids: npt.NDArray[Any]) -> pd.DataFrame:
    """Read the file; return its other columns, a row for each of these samples."""
    try:
        given = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise DataError(f"cannot read --metadata {path}: {error}") from error
    if "sample_id" not in given or len(given.columns) < 2:
        raise DataError(
            f"{path} has the columns {', '.join(map(str, given.columns))}: it needs sample_id and at least one other"
        )
    ids = given.pop("sample_id")
    if sample_ids.dtype.kind == "U":
        ids = ids.str.strip()
    else:
        try:
            ids = ids.astype(np.int64)
        except (ValueError, OverflowError) as error:
            raise DataError(f"{path}: sample_id must be integers: {error}") from error
    twice = ids[ids.duplicated()]
    if len(twice):
        raise DataError(f"{path}: sample {twice.iloc[0]} is there more than once ({len(twice)} such rows)")
    if not ids.isin(sample_ids).any():
        raise DataError(f"{path}: not one of its {len(ids)} sample_ids is in the training set")
    return given.set_index(ids).reindex(sample_ids)


def _groups(values: pd.Series[str], column: str, path: Path | str) -> npt.NDArray[np.str_]:
    words = values.fillna("").str.strip()
    absent = (words == "").to_numpy()
    numbers = pd.to_numeric(words.mask(absent), errors="coerce").to_numpy(np.float64)
    if np.isfinite(numbers[~absent]).all() and len(np.unique(numbers[~absent])) > MOST_VALUES:
        groups = _quarters(numbers)
    else:
        groups = words.to_numpy(np.str_)
        count = len(np.unique(groups))
        if count > MOST_GROUPS:
            raise DataError(
                f"{path}: column '{column}' has {count:,} different values: that names samples rather than groups",
                hint="Leave the column out, or put its values into fewer groups.",
            )
    return np.where(absent, NOT_GIVEN, groups)


def _quarters(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.str_]:
    edges = np.unique(np.nanquantile(numbers, [0, 0.25, 0.5, 0.75, 1]))
    place = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, len(edges) - 2)
    names = np.array(
        [f"{low:g} to {high:g}" for low, high in pairwise(edges)],
        dtype=np.str_,
    )
    return names[place]
