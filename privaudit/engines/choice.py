"""An engine by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from privaudit.engines.base import Engine
from privaudit.errors import UsageError


def choose_engine(
    name: str,
    *,
    device: str,
    workers: int | None,
    address: str | None,
    gpu_share: float,
    folders: Sequence[Path],
    card: int | None = None,
) -> Engine:
    """The engine of this name.

    Parameters
    ----------
    name
        ``local`` or ``ray``.
    device
        ``cpu`` or ``cuda``: what a job computes on.
    workers
        The most jobs at a time; None for what suits the machine or the cluster.
    address
        Of a Ray cluster.
    gpu_share
        The part of a GPU that a job takes on a Ray cluster, in (0, 1].
    folders
        What jobs read and write: a cluster's nodes must share them.
    card
        The only GPU that jobs may take; None for any.

    Raises
    ------
    UsageError
        For one card of a cluster.
    """
    if name == "ray":
        if card is not None:
            raise UsageError(
                f"--device cuda:{card}: Ray itself gives each task its GPU",
                hint="Use --device cuda, and CUDA_VISIBLE_DEVICES where a node of the cluster is started.",
            )
        from privaudit.engines.ray import RayEngine

        return RayEngine(address, workers, gpu_share if device == "cuda" else 0.0, tuple(folders))
    from privaudit.engines.local import LocalEngine

    return LocalEngine.of(device, workers, card)
