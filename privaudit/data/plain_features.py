"""Plain features of inputs, without any trained network: what images and rows of a table look like from outside."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

#: Images are averaged down to at most this many pixels a side before their principal components are taken.
SIDE = 16

#: How many principal components are kept.
COMPONENTS = 48

#: Tables with more columns are described by their components and statistics alone.
MOST_COLUMNS = 200

#: Samples described at once.
CHUNK = 256


def scaled(inputs: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return inputs as float32, uint8 ones between 0 and 1."""
    return np.asarray(inputs, np.float32) / np.float32(255 if inputs.dtype == np.uint8 else 1)


def reduced(inputs: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return every input as a flat row; images are averaged down to `SIDE` pixels a side first.

    Parameters
    ----------
    inputs
        ``[N, H, W, C]`` images or ``[N, D]`` features.

    Returns
    -------
    numpy.ndarray
        float32 ``[N, D′]``.
    """
    if inputs.ndim != 4:
        return scaled(inputs).reshape(len(inputs), -1)
    step = max(1, -(-max(inputs.shape[1:3]) // SIDE))
    if step == 1:
        return scaled(inputs).reshape(len(inputs), -1)
    parts = []
    for start in range(0, len(inputs), CHUNK):
        part = scaled(inputs[start : start + CHUNK])
        high, wide = (max(1, side // step) for side in part.shape[1:3])
        part = part[:, : high * step, : wide * step] if min(part.shape[1:3]) >= step else part[:, :1, :1]
        blocks = part.reshape(len(part), high, part.shape[1] // high, wide, part.shape[2] // wide, -1)
        parts.append(blocks.mean(axis=(2, 4)).reshape(len(part), -1))
    return np.concatenate(parts) if parts else np.zeros((0, 1), np.float32)


class Components:
    """Principal components of inputs, found on some and taken of any.

    Parameters
    ----------
    rows
        ``[n, D]``: the rows that the components are found on. Columns of a table are brought to one scale.
    is_table
        Whether columns are features of their own kind each.
    most
        How many components at most.
    """

    def __init__(self, rows: npt.NDArray[np.float32], *, is_table: bool, most: int = COMPONENTS) -> None:
        columns = rows.astype(np.float64)
        self._mean = columns.mean(axis=0)
        deviation = columns.std(axis=0) if is_table else np.ones(columns.shape[1])
        self._scale = np.where(deviation > 0, deviation, 1.0)
        centred = (columns - self._mean) / self._scale
        # Of whichever Gram matrix is the smaller; exact, so that it does not depend on a random start.
        if centred.shape[1] <= len(centred):
            values, vectors = np.linalg.eigh(centred.T @ centred)
            axes = vectors
        else:
            values, vectors = np.linalg.eigh(centred @ centred.T)
            axes = centred.T @ (vectors / np.sqrt(np.maximum(values, np.finfo(np.float64).tiny)))
        kept = np.flatnonzero(values > 1e-9 * max(float(values[-1]), np.finfo(np.float64).tiny))[::-1][:most]
        self._axes = axes[:, kept]

    def of(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the components of rows, float32 ``[N, k]``."""
        found = (rows - self._mean.astype(np.float32)) / self._scale.astype(np.float32)
        projected: npt.NDArray[np.float32] = found @ self._axes.astype(np.float32)
        return projected


def statistics_of(inputs: npt.NDArray[Any]) -> FloatArray:
    """Return simple statistics of each input, ``[N, k]``: what brightness, noise, blur or compression change."""
    found = [
        _of_images(part) if inputs.ndim == 4 else _of_rows(part)
        for part in (scaled(inputs[start : start + CHUNK]) for start in range(0, len(inputs), CHUNK))
    ]
    return np.concatenate(found).astype(np.float64)


def _of_rows(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    x = x.reshape(len(x), -1)
    columns = [
        x.mean(axis=1),
        x.std(axis=1),
        x.min(axis=1),
        x.max(axis=1),
        (x == 0).mean(axis=1),
        (x == np.round(x)).mean(axis=1),
        np.abs(x).mean(axis=1),
    ]
    return np.stack(columns, axis=1)


def _of_images(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    grey = x.mean(axis=3)
    columns = [*x.mean(axis=(1, 2)).T, *x.std(axis=(1, 2)).T]
    flat = grey.reshape(len(x), -1)
    columns += list(np.quantile(flat, [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1], axis=1))
    columns += [(flat <= 0).mean(axis=1), (flat >= 1).mean(axis=1)]
    # Whether levels are still those of bytes, and of even ones: what a resize or a decoder leaves.
    levels = 255 * x.reshape(len(x), -1)
    columns += [(np.abs(levels - np.round(levels)) < 1e-3).mean(axis=1), (np.round(levels) % 2 == 0).mean(axis=1)]
    for axis in (1, 2):
        if x.shape[axis] < 3:
            continue
        first, second = np.diff(grey, axis=axis), np.diff(grey, n=2, axis=axis)
        size = np.abs(first)
        columns += [size.mean(axis=(1, 2)), np.abs(second).mean(axis=(1, 2)), (size < 1e-6).mean(axis=(1, 2))]
        if x.shape[axis] >= 16:
            # JPEG codes blocks of 8 pixels: their edges stand out.
            edges = np.arange(size.shape[axis]) % 8 == 7
            on, off = (size.compress(which, axis=axis).mean(axis=(1, 2)) for which in (edges, ~edges))
            columns.append((on + 1e-4) / (off + 1e-4))
    if x.shape[3] > 1:
        columns += [np.abs(x[..., i] - x[..., i + 1]).mean(axis=(1, 2)) for i in range(x.shape[3] - 1)]
    columns += list(_frequencies(grey).T)
    return np.stack(columns, axis=1).astype(np.float32)


def _frequencies(grey: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Mean size of the cosine coefficients of 8 × 8 blocks, by frequency, and the share that is nearly zero."""
    from scipy.fft import dctn

    high, wide = (side // 8 for side in grey.shape[1:])
    if not (high and wide):
        return np.zeros((len(grey), 0), np.float32)
    blocks = grey[:, : 8 * high, : 8 * wide].reshape(len(grey), high, 8, wide, 8).swapaxes(2, 3)
    size = np.abs(dctn(blocks, axes=(3, 4), norm="ortho"))
    frequency = np.add.outer(np.arange(8), np.arange(8))
    of_frequency = [np.log1p(255 * size[..., frequency == one].mean(axis=(1, 2, 3))) for one in range(1, 15)]
    nearly_zero = (size[..., frequency >= 4] < 1 / 255).mean(axis=(1, 2, 3))
    return np.stack([*of_frequency, nearly_zero], axis=1)
