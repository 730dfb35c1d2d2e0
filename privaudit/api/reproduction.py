"""`reproduce`: the function that asks questions of the paper."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from privaudit.config import read_settings
from privaudit.errors import UsageError


def reproduce(
    names: str | Sequence[str] = (),
    *,
    decide: bool = False,
    scale: str = "small",
    dataset: str | None = None,
    network: str | None = None,
    seeds: int | None = None,
    samples: int | None = None,
    shadows: int | None = None,
    epochs: int | None = None,
    data_dir: str | Path | None = None,
    device: str | None = None,
    workers: int | None = None,
    engine: str | None = None,
    address: str | None = None,
    gpu_share: float | None = None,
    show_samples: bool | None = None,
    store: str | Path | None = None,
    out: str | Path | None = None,
) -> dict[str, Any]:
    """Run tables and figures of the paper, and say of each claim whether it holds: ``privaudit reproduce``.

    Parameters
    ----------
    names
        One or more of ``table1`` … ``figure7``, ``methods`` or ``all``.
    decide
        Decide again what is stored below ``out``, all of it, and run nothing; goes without names.
    scale
        ``smoke``, ``small`` or ``paper``.
    dataset, network, seeds, samples, shadows, epochs, data_dir, device, workers, engine, address, gpu_share,
    show_samples, store, out
        As the command's flags; None: the scale's own.

    Returns
    -------
    dict
        What ``--json`` prints: verdicts and the path of results by experiment, and the report.

    Raises
    ------
    UsageError
        For an unknown experiment or scale, or where there is nothing to decide.
    """
    flags = {
        "dataset": dataset,
        "network": network,
        "samples": samples,
        "shadows": shadows,
        "epochs": epochs,
        "data_dir": data_dir,
        "device": device,
        "workers": workers,
        "engine": engine,
        "address": address,
        "gpu_share": gpu_share,
        "show_samples": show_samples,
        "store": store,
        "out": out,
    }
    wanted = (names,) if isinstance(names, str) else tuple(names)
    settings = read_settings(flags, None)
    if decide:
        if wanted:
            raise UsageError(
                f"decide with {' '.join(wanted)}: it decides everything that is stored", hint="Leave the names out."
            )
        from privaudit.reproduction.verdicts.decide import run_decide

        return run_decide(settings.out, show_samples=settings.show_samples).to_json()
    from privaudit.reproduction.reproduce import ReproduceSettings, run_reproduce

    return run_reproduce(ReproduceSettings(wanted, scale, seeds, settings)).to_json()
