"""The retained samples that lie nearest to a forget set: what a model without the set says of it rests on them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from privaudit.training.loop import Samples

Rows = npt.NDArray[np.int64]

#: Retained samples that are held against the forget set at a time.
CHUNK = 4096


def nearest_retained(samples: Samples, forget: Rows, retain: Rows, count: int) -> Rows:
    """Return ``count`` rows of ``retain``: every forget sample's nearest, then every one's second nearest, and so on.

    By the Euclidean distance of the inputs as they are. In ascending order.
    """
    count = min(count, len(retain))
    if count < 1:
        return retain[:0]
    device = samples.labels.device
    own = samples.take(torch.from_numpy(forget).to(device)).float().flatten(1)
    best = torch.empty(len(forget), 0, device=device)
    whose = torch.empty(len(forget), 0, dtype=torch.int64, device=device)
    for start in range(0, len(retain), CHUNK):
        rows = torch.from_numpy(retain[start : start + CHUNK]).to(device)
        distance = torch.cdist(own, samples.take(rows).float().flatten(1))
        best, whose = torch.cat([best, distance], 1), torch.cat([whose, rows.expand(len(forget), -1)], 1)
        best, kept = best.topk(min(count, best.shape[1]), largest=False)
        whose = whose.gather(1, kept)
    in_turn = whose.T.flatten().cpu().numpy()
    _, first = np.unique(in_turn, return_index=True)
    return np.sort(in_turn[np.sort(first)[:count]])
