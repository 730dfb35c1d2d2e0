"""What a file's numbers are: logits, or probabilities that are taken back to log-odds; refused where that is a guess.

Softmax undoes itself: log p differs from the logits by a constant a row, which no signal reads. So probabilities serve
as well as logits, once they are known for what they are. Read as logits they would leave next to nothing to find.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from privaudit.errors import DataError

Name = Literal["logits", "log-probabilities", "probabilities", "percentages", "shares", "sigmoid"]

#: By how much rows of rounded probabilities may miss a sum of 1; so may their logarithms.
ROUNDING = 0.02

#: Below 0 by no more than this is rounding.
TINY = 1e-5

CURE = "Save the logits themselves, before any softmax, sigmoid or log."


@dataclass(frozen=True)
class Kind:
    """What the numbers of one array are.

    Parameters
    ----------
    name
        As they were found to be.
    least
        What a probability of 0 (or, for one column, of 0 or 1) is counted as.
    clipped
        How many there are of those.
    """

    name: Name
    least: float = 0.0
    clipped: int = 0

    def logits(self, part: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """One model's numbers, ``[N, Q, C]``, as logits."""
        if self.name == "logits":
            return part
        values = part.astype(np.float64)
        if self.name == "log-probabilities":
            return np.maximum(values, float(np.log(self.least))) if self.clipped else values
        if self.name == "sigmoid":
            inside = np.clip(values, self.least, 1 - self.least)
            odds: npt.NDArray[Any] = np.log(inside) - np.log1p(-inside)
            return odds
        logs: npt.NDArray[Any] = np.log(np.maximum(_normalised(self.name, values), self.least))
        return logs

    def note(self, array: str) -> str | None:
        """What was found, for people; None for logits."""
        what = {
            "logits": None,
            "log-probabilities": "log-probabilities (their exponentials sum to 1), which serve as logits",
            "probabilities": "probabilities (rows sum to 1), taken as log-odds",
            "percentages": "percentages (rows sum to 100), taken as log-odds",
            "shares": "shares of one number (all rows have the same sum), taken as log-odds",
            "sigmoid": "probabilities of class 1 (one column between 0 and 1), taken as log-odds",
        }[self.name]
        if what is None:
            return None
        zero = {"log-probabilities": "minus infinity", "sigmoid": "0 or 1"}.get(self.name, "0")
        clip = f"; {self.clipped:,} of {zero} counted as if {self.least:.2g} were left of it"
        return f"{array} holds {what}" + (clip if self.clipped else "")


LOGITS = Kind("logits")


def kind_of(values: npt.NDArray[Any], labels: npt.NDArray[np.int64], array: str, source: str) -> Kind:
    """Tell what an array holds.

    Parameters
    ----------
    values
        ``[S, N, Q, C]``, no NaN and no +∞.
    labels
        ``[N]``: they tell one column's probabilities from logits.
    array, source
        Names for errors.

    Raises
    ------
    DataError
        Where models differ in kind, or it can't be told.
    """
    kinds = [_of_model(part, labels) for part in values]
    if set(kinds) == {"constant"}:
        return LOGITS
    proven = {kind for kind in kinds if kind not in ("logits", "any", "constant")}
    normalised = proven - {"log-probabilities"}
    if normalised and (len(proven) > 1 or "logits" in kinds):
        first, second = _two_kinds(kinds)
        raise DataError(
            f"{source}: {array} of model {first} holds {_named(kinds[first])}, that of model {second} "
            f"{_named(kinds[second])}: all must be of one kind",
            hint=CURE,
        )
    if normalised and values.shape[-1] > 1 and "any" in kinds:
        model = kinds.index("any")
        raise DataError(
            f"{source}: {array} holds {_named(next(iter(proven)))}, but the rows of model {model} don't sum to "
            "the same",
            hint=CURE,
        )
    if np.isneginf(values).any():
        wrong = [model for model, part in enumerate(values) if np.isneginf(part).any()]
        if any(kinds[model] != "log-probabilities" for model in wrong):
            model = next(model for model in wrong if kinds[model] != "log-probabilities")
            sample = int(np.argwhere(np.isneginf(values[model]))[0][0])
            raise DataError(
                f"{source}: {array} holds -inf for model {model}, sample {sample}, and its rows are no "
                "log-probabilities",
                hint=CURE,
            )
        return _with_least("log-probabilities", values)
    if not proven and "logits" not in kinds:
        raise DataError(f"{source}: {_doubt(values, array)}", hint=_cure(values))
    if not proven or (proven == {"log-probabilities"} and "logits" in kinds):
        return LOGITS
    name = next(iter(proven))
    kind = _with_least(name, values)
    if name != "log-probabilities" and kind.least >= 0.5:
        raise DataError(
            f"{source}: {array} holds 0 and 1 alone: labels, from which no likelihood ratio can be taken", hint=CURE
        )
    return kind


def _of_model(part: npt.NDArray[Any], labels: npt.NDArray[np.int64]) -> Any:
    """What one model's numbers are; "constant" where it says the same of everything, which suits any kind."""
    if np.all(part == part[0, 0]):
        return "constant"
    return _of_column(part, labels) if part.shape[-1] == 1 else _of_rows(part)


def _of_rows(part: npt.NDArray[Any]) -> Any:
    """What one model's rows ``[N, Q, C]`` are; "any" where logits and something else would look like this."""
    lowest, highest = float(part.min()), float(part.max())
    if lowest >= -TINY:
        whole = float(part[0, 0].astype(np.float64).sum())
        if whole > 0 and _sums_to(part, named := _whole(whole)):
            return {1.0: "probabilities", 100.0: "percentages"}.get(named, "shares")
        # Logits have a sign: numbers without one are of something else.
        return "any" if highest <= 1 + TINY or np.issubdtype(part.dtype, np.unsignedinteger) else "logits"
    if highest <= ROUNDING and _sums_to(part, 1.0, exponential=True):
        return "log-probabilities"
    return "logits"


def _whole(total: float) -> float:
    return next((whole for whole in (1.0, 100.0) if abs(total - whole) <= ROUNDING * whole), total)


def _sums_to(part: npt.NDArray[Any], whole: float, exponential: bool = False) -> bool:
    values = part.astype(np.float64)
    sums = (np.exp(values) if exponential else values).sum(axis=-1)
    return bool(np.all(np.abs(sums - whole) <= ROUNDING * whole))


def _of_column(part: npt.NDArray[Any], labels: npt.NDArray[np.int64]) -> Any:
    """What one column ``[N, Q, 1]`` is: as logits, numbers that are never negative would call everything class 1."""
    column = part[:, 0, 0].astype(np.float64)
    lowest, highest = float(part.min()), float(part.max())
    as_logits = np.mean((column > 0) == labels)
    if highest <= TINY and np.mean((column > np.log(0.5)) == labels) > as_logits:
        return "any"  # Logarithms of a sigmoid, it seems.
    if np.issubdtype(part.dtype, np.unsignedinteger):
        return "any"
    if lowest < -TINY or highest > 100:
        return "logits"
    whole = 1.0 if highest <= 1 + TINY else 100.0
    better = np.mean((column > whole / 2) == labels) > as_logits
    if whole == 1:
        return "sigmoid" if better else "any"
    return "any" if better else "logits"


def _with_least(name: Name, values: npt.NDArray[Any]) -> Kind:
    """The kind, with half of the smallest positive probability that occurs for what has rounded to 0."""
    smallest, clipped = np.inf, 0
    for part in _as_probabilities(name, values):
        low = part <= 0
        clipped += int(low.sum())
        smallest = min(smallest, float(part.min(initial=np.inf, where=~low)))
    return Kind(name, smallest / 2 if np.isfinite(smallest) else 0.5, clipped)


def _as_probabilities(name: Name, values: npt.NDArray[Any]) -> Iterator[npt.NDArray[Any]]:
    for model in values:
        part = model.astype(np.float64)
        if name == "log-probabilities":
            # Logarithms below −745 have no exponential; they are kept as they are.
            yield np.where(np.isneginf(part), 0.0, np.exp(np.maximum(part, -740.0)))
        elif name == "sigmoid":
            yield np.minimum(part, 1 - part)
        else:
            yield _normalised(name, part)


def _normalised(name: Name, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if name == "shares":
        shares: npt.NDArray[Any] = values / values.sum(axis=-1, keepdims=True)
        return shares
    return values / (100 if name == "percentages" else 1)


def _two_kinds(kinds: list[Any]) -> tuple[int, int]:
    first = next(
        model for model, kind in enumerate(kinds) if kind not in ("any", "constant", "logits", "log-probabilities")
    )
    return first, next(model for model, kind in enumerate(kinds) if kind not in ("any", "constant", kinds[first]))


def _named(kind: str) -> str:
    return "probabilities of class 1" if kind == "sigmoid" else kind


def _doubt(values: npt.NDArray[Any], array: str) -> str:
    if values.shape[-1] == 1:
        return (
            f"{array} lies between {values.min():g} and {values.max():g} in one column: as logits every sample would "
            "be called one class, and what else they are can't be told: of class 0, in percent, or logarithms, perhaps"
        )
    sums = values.astype(np.float64).sum(axis=-1)
    return (
        f"{array} lies between {values.min():g} and {values.max():g}, and its rows sum to {sums.min():.3g}–"
        f"{sums.max():.3g}: neither probabilities of one class of all, nor plainly logits; one sigmoid a class, "
        "perhaps, or rounded too far"
    )


def _cure(values: npt.NDArray[Any]) -> str:
    shift = "" if values.shape[-1] == 1 else " If they are logits, save them less 1: that says the same."
    of_sigmoid = " Of a sigmoid p they are log(p / (1 - p))."
    return CURE + of_sigmoid + shift
