"""What would let a GPU wait for the processor, counted on any device."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

#: Operators whose result, or its size, the processor has to know before it goes on.
WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "unique")


class Synchronisations(TorchDispatchMode):
    """Counts, by operator, the calls for which the processor would wait for a GPU: numbers read, masks made rows."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if any(part in name for part in WAITING) or (
            name in ("index", "index_put", "index_put_") and _by_mask(args[1])
        ):
            self.seen[name] += 1
        return func(*args, **(kwargs or {}))

    @property
    def total(self) -> int:
        """All of them."""
        count: int = self.seen.total()
        return count


def _by_mask(indices: Any) -> bool:
    return any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in indices)
