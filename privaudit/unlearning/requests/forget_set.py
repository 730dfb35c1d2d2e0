"""Which samples are to be forgotten: ``random:10%``, ``class:3,7``, ``classes:10%``, ``top-risk:100``, ``ids:FILE``."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from privaudit.errors import UsageError
from privaudit.runtime.seeds import generator
from privaudit.unlearning.requests.forget_requests import RemovalRequest, RequestList, read_requests
from privaudit.unlearning.requests.request_cells import KnownSamples

#: Of a class; who forgets more of it has no shadow model to compare with.
HALF = 0.5

KINDS = "random:10%, random:500, class:3,7, classes:10%, top-risk:100, ids:FILE"


@dataclass(frozen=True)
class ForgetSet:
    """Rows of the pool to forget.

    ``scattered`` tells whether they are spread over the data, so that shadow models which never saw one of them still
    say how a model without it behaves; forgetting more than half of a class is not. ``requests`` are those of
    ``ids:FILE``, as they were given, ``skipped`` those of samples that the audit does not know, and ``said`` what was
    understood of the file. ``earlier`` are those of the rows that the model which is gone on from has forgotten.
    """

    rows: npt.NDArray[np.int64]
    scattered: bool
    notes: tuple[str, ...] = ()
    requests: tuple[RemovalRequest, ...] = ()
    skipped: tuple[RemovalRequest, ...] = ()
    said: str = ""
    earlier: frozenset[int] = frozenset()


def choose_forget_set(
    specification: str,
    table: pd.DataFrame,
    class_names: tuple[str, ...],
    seed: int,
    *,
    skip_unknown: bool = False,
    known: KnownSamples | None = None,
) -> ForgetSet:
    """Resolve ``--forget`` against the score table (canaries already taken out; row = position in the pool).

    Parameters
    ----------
    specification
        One of `KINDS`.
    table, class_names
        The samples that may be forgotten, and the names of their labels.
    seed
        Of a random choice.
    skip_unknown
        Pass over ids of a file that the table does not know; else they are an error.
    known
        What a file may name [the table's samples], and what else it may mean.

    Raises
    ------
    UsageError
        Where the specification is malformed, or it names nobody, nobody known, or everybody.
    """
    if not isinstance(specification, str):
        raise UsageError(
            f"forget = {specification!r} is not understood", hint=f"It is text, one of: {KINDS}. Put ids into a file."
        )
    kind, _, value = specification.partition(":")
    if skip_unknown and kind != "ids":
        raise UsageError(f"--skip-unknown with --forget {specification}: only ids:FILE can name unknown samples")
    labels = table["label"].to_numpy()
    asked: RequestList | None = None
    if kind == "ids":
        asked = read_requests(Path(value), known or KnownSamples.of(table), skip_unknown=skip_unknown)
        rows, notes = asked.rows, list(asked.notes)
    else:
        rows, notes = _named_rows(specification, table, class_names, seed)
    if len(rows) == 0:
        raise UsageError(f"--forget {specification} names no sample", hint=f"Write one of: {KINDS}.")
    if len(rows) == len(table):
        raise UsageError(
            f"--forget {specification} names all {len(table):,} samples: nothing would be left to learn from",
            hint="Delete the model instead.",
        )
    share = share_lost(rows, labels)
    if kind not in ("class", "classes"):
        notes += [
            f"{'all' if lost == 1 else f'{100 * lost:.0f}%'} of class {class_names[label]} is to be forgotten"
            for label, lost in share.items()
            if lost > HALF
        ]
    scattered = all(lost <= HALF for lost in share.values())
    forget = ForgetSet(np.sort(rows).astype(np.int64), scattered, tuple(notes))
    if asked is None:
        return forget
    return replace(forget, requests=asked.requests, skipped=asked.skipped, said=asked.said)


def check_left(count: int, request: str) -> None:
    """Raise `UsageError` where a single sample would be retained: no network with BatchNorm trains on one."""
    if count == 1:
        raise UsageError(
            f"{request} leaves a single sample: no model learns from one, and none is retrained on it",
            hint="Delete the model instead.",
        )


def share_lost(rows: npt.NDArray[np.int64], labels: npt.NDArray[np.int64]) -> dict[int, float]:
    """Return the share of every class that these rows are.

    Shadow models saw half of every class: they say nothing of a model that lost more than that.
    """
    return {int(label): float((labels[rows] == label).sum() / (labels == label).sum()) for label in np.unique(labels)}


def with_earlier(
    asked: ForgetSet,
    earlier: npt.NDArray[np.int64],
    requests: tuple[RemovalRequest, ...],
    labels: npt.NDArray[np.int64],
) -> tuple[ForgetSet, ForgetSet]:
    """Put together who was asked for before and who is now.

    Parameters
    ----------
    asked
        Of this request.
    earlier, requests
        Rows that were forgotten before, and the requests that named them.
    labels
        Of the whole pool.

    Returns
    -------
    tuple
        Everybody, and those of this request who were not forgotten before, whose rows may be none.
    """
    new = np.setdiff1d(asked.rows, earlier)
    twice = len(asked.rows) - len(new)
    rows = np.union1d(asked.rows, earlier).astype(np.int64)
    notes = [*asked.notes]
    if twice:
        notes.append(f"{twice} of {len(asked.rows)} samples were asked for before, and are forgotten already")
    everybody = replace(
        asked,
        rows=rows,
        scattered=all(lost <= HALF for lost in share_lost(rows, labels).values()),
        notes=tuple(notes),
        requests=(*requests, *asked.requests),
        earlier=frozenset(earlier.tolist()),
    )
    scattered = everybody.scattered and asked.scattered
    return everybody, replace(asked, rows=new.astype(np.int64), scattered=scattered, notes=tuple(notes))


def _named_rows(
    specification: str, table: pd.DataFrame, class_names: tuple[str, ...], seed: int
) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Return the rows that a specification other than a file names, and what is to be said of them."""
    kind, _, value = specification.partition(":")
    labels = table["label"].to_numpy()
    if kind == "random":
        return generator(seed, "forget").permutation(len(table))[: _share(value, len(table), specification)], []
    if kind == "class":
        wanted = [_class_label(name, class_names) for name in value.split(",")]
        return np.flatnonzero(np.isin(labels, wanted)), []
    if kind == "classes":
        count = _share(value, len(class_names), specification)
        drawn = list(generator(seed, "forget-classes").permutation(len(class_names))[:count])
        said = f"classes drawn: {', '.join(class_names[label] for label in sorted(drawn))}"
        return np.flatnonzero(np.isin(labels, drawn)), [said]
    if kind == "top-risk":
        rows = np.flatnonzero((table["rank"] <= _share(value, len(table), specification)).to_numpy())
        return rows, ["chosen by the same shadow models that measure their risk: their measured risk is biased upward"]
    raise UsageError(f"--forget {specification!r} is not understood", hint=f"Write one of: {KINDS}.")


def _share(value: str, total: int, specification: str) -> int:
    percent = value.endswith("%")
    try:
        number = float(value.removesuffix("%"))
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or number <= 0 or (percent and number > 100) or (not percent and number % 1):
        raise UsageError(
            f"--forget {specification}: '{value}' is neither a count nor a percentage", hint=f"Write one of: {KINDS}."
        )
    count = max(1, round(total * number / 100)) if percent else int(number)
    if count > total:
        raise UsageError(f"--forget {specification}: there are only {total:,}")
    return count


def _class_label(name: str, class_names: tuple[str, ...]) -> int:
    name = name.strip()
    if name in class_names:
        return class_names.index(name)
    # Where all names are numbers themselves, a number that is none of them is no position.
    positions = not all(re.fullmatch(r"[-+]?[0-9.]+", known) for known in class_names)
    if positions and re.fullmatch(r"[0-9]{1,9}", name) and int(name) < len(class_names):
        return int(name)
    known = ", ".join(class_names[:20]) + ("…" if len(class_names) > 20 else "")
    raise UsageError(f"--forget: there is no class '{name}'", hint=f"Classes: {known}.")
