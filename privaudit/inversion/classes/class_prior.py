"""The prior of a reconstruction: a Gaussian in the first principal components of samples that no model saw.

x = μ + Σₖ zₖ σₖ uₖ with z standard normal: μ, σₖ and uₖ are those of held-out samples of all classes, whose classes are
not used. An attacker with data of the same kind and no labels has as much.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

Floats = npt.NDArray[np.float32]

#: Components at most, held-out samples for each, and held-out samples that are looked at.
MOST_COMPONENTS, SAMPLES_EACH, MOST_SAMPLES = 100, 4, 2_000


@dataclass(frozen=True)
class ClassPrior:
    """A Gaussian over flat samples.

    Parameters
    ----------
    mean
        float32 ``[D]``.
    axes
        float32 ``[K, D]``: principal axes, each as long as the deviation along it.
    low, high
        float32 ``[D]``: outside of this range no sample lies.
    samples
        How many it was fitted to.
    """

    mean: Floats
    axes: Floats
    low: Floats
    high: Floats
    samples: int

    @classmethod
    def of(cls, samples: Floats) -> ClassPrior:
        """Fit it to flat held-out samples ``[M, D]``: evenly spaced ones, where there are many."""
        rows = samples[:: -(-len(samples) // MOST_SAMPLES)].astype(np.float64)
        mean = rows.mean(axis=0)
        components = max(1, min(MOST_COMPONENTS, len(rows) // SAMPLES_EACH, rows.shape[1]))
        _, sizes, axes = np.linalg.svd(rows - mean, full_matrices=False)
        deviations = sizes[:components] / np.sqrt(max(len(rows) - 1, 1))
        # An axis has two directions: which one it is shown in must not depend on the library.
        turned = axes[:components]
        turned = turned * np.sign(turned[np.arange(len(turned)), np.abs(turned).argmax(axis=1)])[:, np.newaxis]
        lengths = deviations[:, np.newaxis] * turned
        middle, stretched, low, high = (
            part.astype(np.float32) for part in (mean, lengths, rows.min(axis=0), rows.max(axis=0))
        )
        return cls(middle, stretched, low, high, len(rows))

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Turn ``z [B, K]`` into flat samples ``[B, D]``, cut off where no sample lies."""
        mean, axes, low, high = (
            torch.from_numpy(part).to(z.device) for part in (self.mean, self.axes, self.low, self.high)
        )
        return torch.minimum(torch.maximum(mean + z @ axes, low), high)
