"""How alike two images are: PSNR, SSIM, and the place of the true image among others.

Images are ``[n, H, W, C]`` on the 0–1 scale throughout.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.statistics.intervals import FloatArray

Images = npt.NDArray[np.floating]

#: Errors below this are not told apart: PSNR ends at 100 dB.
SMALLEST_ERROR = 1e-10

#: Of SSIM (Wang et al. 2004): the window's side and deviation in pixels, and the two constants at data range 1.
WINDOW, DEVIATION = 11, 1.5
C1, C2 = 0.01**2, 0.03**2

#: A reconstruction is recovered where its mean squared error is at most this (20 dB) …
RECOVERED_ERROR = 0.01

#: Reference images that are held against the reconstructions at once.
CHUNK = 1_000


def mean_squared_error(images: Images, others: Images) -> FloatArray:
    """Mean squared error of each pair, ``[n]``."""
    difference = np.asarray(images, np.float64) - np.asarray(others, np.float64)
    error: FloatArray = np.mean(difference.reshape(len(difference), -1) ** 2, axis=1)
    return error


def psnr_of_error(error: FloatArray) -> FloatArray:
    """Peak signal-to-noise ratio in dB at data range 1: −10 log₁₀ max(MSE, 1e-10)."""
    ratio: FloatArray = -10 * np.log10(np.maximum(error, SMALLEST_ERROR))
    return ratio


def psnr(images: Images, others: Images) -> FloatArray:
    """PSNR of each pair in dB, ``[n]``, at most 100."""
    return psnr_of_error(mean_squared_error(images, others))


def ssim(images: Images, others: Images) -> FloatArray:
    """Structural similarity of each pair (Wang et al. 2004), ``[n]``, −1 … 1.

    A Gaussian window (σ 1.5) of side 11, or the largest odd one that the image holds; only where it lies wholly
    inside; averaged over places and channels. Equal to scikit-image's on images of at least 11 pixels a side.
    """
    first, second = np.asarray(images, np.float64), np.asarray(others, np.float64)
    height, width = first.shape[1:3]
    side = min(WINDOW, height, width)
    side -= 1 - side % 2
    down, across = _blur_matrix(height, side), _blur_matrix(width, side)

    def blur(values: FloatArray) -> FloatArray:
        blurred: FloatArray = np.einsum("ih,nhwc,jw->nijc", down, values, across, optimize=True)
        return blurred

    mean_1, mean_2 = blur(first), blur(second)
    variance_1 = blur(first**2) - mean_1**2
    variance_2 = blur(second**2) - mean_2**2
    covariance = blur(first * second) - mean_1 * mean_2
    top = (2 * mean_1 * mean_2 + C1) * (2 * covariance + C2)
    bottom = (mean_1**2 + mean_2**2 + C1) * (variance_1 + variance_2 + C2)
    similarity: FloatArray = np.mean(top / bottom, axis=(1, 2, 3))
    return similarity


def _blur_matrix(length: int, side: int) -> FloatArray:
    """``[length − side + 1, length]``: each row is the window at one place."""
    offsets = np.arange(side) - side // 2
    window = np.exp(-(offsets**2) / (2 * DEVIATION**2))
    window /= window.sum()
    places = length - side + 1
    matrix = np.zeros((places, length))
    for place in range(places):
        matrix[place, place : place + side] = window
    return matrix


@dataclass(frozen=True)
class Placement:
    """Where each reconstruction lies among the images it might be of, ``[n]`` each.

    Parameters
    ----------
    error
        Mean squared error to the true image.
    nearest_error
        The same to the nearest other image.
    nearest
        Which one that is: its position among the references.
    rank
        1 + the number of other images that are nearer than the true one.
    """

    error: FloatArray
    nearest_error: FloatArray
    nearest: npt.NDArray[np.int64]
    rank: npt.NDArray[np.int64]

    @property
    def margin(self) -> FloatArray:
        """log(error to the nearest other image / error to the true one): above 0 where the true one is nearest."""
        floor = SMALLEST_ERROR
        return np.log(np.maximum(self.nearest_error, floor) / np.maximum(self.error, floor))

    @property
    def recovered(self) -> npt.NDArray[np.bool_]:
        """At most 0.01 off (20 dB) and nearer to the true image than to any other."""
        return (self.error <= RECOVERED_ERROR) & (self.margin > 0)


def place(
    images: Images, truths: Images, references: npt.NDArray[Any], own: npt.NDArray[np.int64], scale: float = 1.0
) -> Placement:
    """Find where each image lies between its truth and all other references.

    Parameters
    ----------
    images, truths
        ``[n, H, W, C]``.
    references
        ``[m, H, W, C]``: the images it might be of, times ``scale``.
    own
        ``[n]``: which reference is the truth itself and so no other image; −1 where it is not among them.
    scale
        What references are divided by: 255 for bytes.
    """
    rows = np.arange(len(images))
    flat = np.asarray(images, np.float32).reshape(len(images), -1)
    squares = (flat.astype(np.float64) ** 2).sum(axis=1, keepdims=True)
    error = mean_squared_error(images, truths)
    nearest, nearest_distance = np.full(len(images), -1), np.full(len(images), np.inf)
    rank = np.ones(len(images), np.int64)
    for start in range(0, len(references), CHUNK):
        part = (references[start : start + CHUNK] / scale).astype(np.float32).reshape(-1, flat.shape[1])
        distance = squares + (part.astype(np.float64) ** 2).sum(axis=1) - 2 * (flat @ part.T)
        mine = (own >= start) & (own < start + len(part))
        distance[rows[mine], own[mine] - start] = np.inf
        rank += (distance < error[:, np.newaxis] * flat.shape[1]).sum(axis=1)
        best = distance.argmin(axis=1)
        nearer = distance[rows, best] < nearest_distance
        nearest[nearer] = start + best[nearer]
        nearest_distance[nearer] = distance[rows, best][nearer]
    # The expansion above loses digits where images nearly agree: the distance that counts is computed anew.
    nearest_error = mean_squared_error(images, references[nearest] / scale)
    nearest_error[nearest < 0] = np.inf
    return Placement(error, nearest_error, nearest, rank)
