"""From images in memory to the 0–1 scale that they are sought and compared on, and to the network's input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch


@dataclass(frozen=True)
class PixelScale:
    """The range of pixel values, as a network takes them: 0–1 for bytes, that of the data for floats."""

    low: float
    high: float
    divisor: float

    @classmethod
    def of(cls, images: npt.NDArray[Any]) -> PixelScale:
        """Of training images ``[N, H, W, C]``."""
        if images.dtype == np.uint8:
            return cls(0.0, 1.0, 255.0)
        low, high = float(images.min()), float(images.max())
        return cls(low, high if high > low else low + 1.0, 1.0)

    def to_unit(self, images: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Stored images on the 0–1 scale, same shape."""
        floats = images.astype(np.float32) / np.float32(self.divisor)
        if (self.low, self.high) == (0.0, 1.0):
            return floats
        unit: npt.NDArray[np.float32] = ((floats - self.low) / (self.high - self.low)).astype(np.float32)
        return unit

    def to_input(self, unit: torch.Tensor) -> torch.Tensor:
        """Images on the 0–1 scale as the network's input."""
        if (self.low, self.high) == (0.0, 1.0):
            return unit
        return self.low + (self.high - self.low) * unit
