"""Arrays of inputs: images or features, their layout proven from their shape, or refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from privaudit.errors import DataError

#: As many channels as a picture has: grey, grey with alpha, colour, colour with alpha.
CHANNELS = (1, 2, 3, 4)

#: float32 holds every whole number up to this one.
EXACT = 2**24

SHAPES = "uint8 images [N, H, W] or [N, H, W, C], or float features [N, D]"

#: Kinds of NumPy arrays that are no numbers, and what to do with them.
_NO_NUMBERS = {
    "U": ("words", "Numbers stored as words: .astype(float). Words: one column of 0 and 1 for each, or bring a table."),
    "S": ("bytes", "Numbers stored as words: .astype(float). Words: one column of 0 and 1 for each, or bring a table."),
    "O": ("Python objects", "Every sample must be an array of one shape and kind: numpy.stack(samples).astype(float)."),
    "c": ("complex numbers", "A network takes real ones: numpy.stack([x.real, x.imag], axis=-1)."),
    "M": ("dates", "Turn them into numbers: (x - x.min()).astype('timedelta64[s]').astype(float)."),
    "m": ("time spans", "Turn them into numbers: x.astype('timedelta64[s]').astype(float)."),
    "V": ("records", "Give the fields as columns of numbers."),
}


@dataclass(frozen=True)
class Layout:
    """How an array of inputs is read.

    Parameters
    ----------
    is_image
        Whether a sample is an image; else it is flattened to features.
    channels_first
        Whether the channels stand before height and width, and are to be moved behind them.
    """

    is_image: bool
    channels_first: bool = False


def as_array(value: Any, key: str, source: str) -> npt.NDArray[Any]:
    """Return ``value`` (array, tensor, table or nested list) as an array; `DataError` where it is none.

    A bf16 tensor, which NumPy does not know, becomes float32, which holds each of its numbers.
    """
    try:
        if hasattr(value, "detach"):
            value = value.detach().cpu()
            value = (value.float() if "bfloat16" in str(value.dtype) else value).numpy()
        if hasattr(value, "toarray"):
            raise ValueError("it is a sparse matrix; give its .toarray()")
        if isinstance(value, np.ma.MaskedArray) and np.ma.getmaskarray(value).any():
            raise ValueError("some of it is masked; fill or leave out what is masked")
        return np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:
        raise DataError(
            f"{source}: {key} is no array: {error}", hint="Every sample must have the same shape."
        ) from error


class Outline(Protocol):
    """An array, or the header of one that is not read yet."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Its kind of numbers."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its lengths."""


def layout_of(array: Outline, channels_last: bool, key: str, source: str) -> Layout:
    """Return how inputs of this kind and shape are read; `DataError` where that can't be told.

    Three dimensions of whole numbers are images ``[N, H, W]``, of floats features; four are images ``[N, H, W, C]``,
    or ``[N, C, H, W]`` where the shape proves it and they are not known to be ``channels_last``.
    """
    dtype, shape = array.dtype, array.shape
    what = f"{source}: {key} is {dtype} {list(shape)}"
    if dtype.kind in _NO_NUMBERS:
        kind, cure = _NO_NUMBERS[dtype.kind]
        raise DataError(f"{what}: {kind}, where it must be {SHAPES}", hint=cure)
    if len(shape) < 2:
        raise DataError(
            f"{what}: it must be {SHAPES}", hint=f"One number a sample: {key}[:, None]." if len(shape) == 1 else None
        )
    if 0 in shape[1:]:
        raise DataError(f"{what}: a sample of it holds no number")
    if len(shape) == 4:
        return Layout(True, not channels_last and _has_channels_first(shape, what))
    return Layout(len(shape) == 3 and dtype.kind != "f")


def _has_channels_first(shape: tuple[int, ...], what: str) -> bool:
    """Tell ``[N, C, H, W]`` from ``[N, H, W, C]``.

    A picture has few channels and, mostly, equal sides: so the channels come first where the first length is that of
    channels, the last is not, and the other two are equal. Where both orders make a picture it is refused.
    """
    first, second, last = shape[1:]
    if first == second or (second != last and (last in CHANNELS or first not in CHANNELS)):
        return False
    if first in CHANNELS and second == last and last not in CHANNELS:
        return True
    raise DataError(
        f"{what}: {first}×{second} pixels with {last} channels, or {first} channels of {second}×{last} pixels: which "
        "can't be told",
        hint="Images are [N, H, W, C]. Where the channels come first: x.transpose(0, 2, 3, 1). Where they come last: "
        "x.transpose(0, 2, 1, 3) says so, with height and width exchanged.",
    )


def read_inputs(array: npt.NDArray[Any], layout: Layout, key: str) -> tuple[npt.NDArray[Any], list[str]]:
    """Turn an array of inputs of this layout into what networks take, and say what had to be done for it.

    Returns
    -------
    inputs
        uint8 images ``[N, H, W, C]``, float32 images ``[N, H, W, C]`` or float32 features ``[N, D]``.
    notes
        What was converted or guessed, in words; empty where the array was such already.
    """
    if not layout.is_image:
        return _features(array, key)
    kind, notes = f"{key} is {array.dtype} {list(array.shape)}", []
    # Four dimensions of whole numbers were images always, on the scale that they have: they stay what they were.
    stays = array.ndim == 4 and not layout.channels_first
    if layout.channels_first:
        array = np.moveaxis(array, 1, 3)
        notes.append(f"{kind}: its channels come first, so it is read as [N, H, W, C] = {list(array.shape)}")
    array = array[..., np.newaxis] if array.ndim == 3 else array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * 255, [*notes, f"{kind}: read as black and white images"]
    if array.dtype.kind not in "iu" or array.dtype == np.uint8:
        return (array if array.dtype == np.uint8 else as_floats(array)), notes
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    if low >= 0 and high <= 255 and not stays:
        return array.astype(np.uint8), [*notes, f"{kind}, {low} to {high}: read as uint8 images"]
    return as_floats(array), [*notes, f"{kind}, {low} to {high}: read as images of floats on that scale"]


def _features(array: npt.NDArray[Any], key: str) -> tuple[npt.NDArray[np.float32], list[str]]:
    """Return float32 features ``[N, D]``, and say what is lost or flattened."""
    notes = []
    if array.ndim > 2:
        cure = "; images of floats are [N, H, W, C], those of one channel [N, H, W, 1]" if array.ndim == 3 else ""
        notes.append(
            f"{key} is {array.dtype} {list(array.shape)}: flattened to {int(np.prod(array.shape[1:])):,} features{cure}"
        )
    flat = array.reshape(len(array), int(np.prod(array.shape[1:])))
    numbers = as_floats(flat)
    if array.dtype.kind in "iu" and array.dtype.itemsize > 2 and array.size:
        large = np.flatnonzero((flat.max(axis=0) > EXACT) | (flat.min(axis=0) < -EXACT))
        if len(large):
            notes.append(
                f"{len(large):,} columns of {key}, first column {large[0]}, hold whole numbers beyond 2²⁴, which "
                "float32 rounds: are they ids or times?"
            )
    return numbers, notes


def as_floats(array: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return numbers as float32; what is too large becomes infinite, which is told."""
    with np.errstate(over="ignore"):
        return array.astype(np.float32)


def input_problems(inputs: dict[str, npt.NDArray[Any]]) -> list[str]:
    """Say what is wrong with the inputs of ``train`` and ``test`` once they are read."""
    problems = []
    for part, x in inputs.items():
        if not len(x):
            problems.append(f"x_{part} is empty")
        elif x.dtype != np.uint8:
            wrong = np.flatnonzero(~np.isfinite(x).all(axis=tuple(range(1, x.ndim))))
            if len(wrong):
                rows = ", ".join(map(str, wrong[:5])) + (", …" if len(wrong) > 5 else "")
                problems.append(
                    f"x_{part} holds NaN or infinity in {len(wrong):,} rows, first in row {wrong[0]} (rows {rows}): "
                    "impute or remove them first"
                )
    if len(inputs) == 2:
        train, test = inputs["train"], inputs["test"]
        if train.shape[1:] != test.shape[1:]:
            problems.append(f"an input is {list(train.shape[1:])} in x_train and {list(test.shape[1:])} in x_test")
        if train.dtype != test.dtype:
            problems.append(
                f"x_train is {train.dtype} and x_test {test.dtype}: uint8 images are scaled to 0–1, floats are not"
            )
    return problems
