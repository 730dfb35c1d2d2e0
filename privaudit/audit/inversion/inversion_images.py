"""Images that inversions found, beside the score table: all of them for their owner, some for the report."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.audit.inversion.inversion_plan import InversionPlan
from privaudit.audit.plan import AuditPlan
from privaudit.runtime import files
from privaudit.runtime.seeds import generator

RECONSTRUCTIONS, PICTURES = "reconstructions.npz", "inversion-pictures.npz"

#: Groups of samples: the easiest to invert, and others at random.
HIGH, LOW = "high", "low"

#: What a round of searches left, by name.
Results = dict[str, npt.NDArray[Any]]

#: Pictures shown of either group.
SHOWN = 10


def remove_images(folder: Path) -> None:
    """Delete what an earlier scoring left."""
    for name in (RECONSTRUCTIONS, PICTURES):
        files.remove(folder / name)


def write_reconstructions(
    plan: AuditPlan, rows: npt.NDArray[np.int64], inversion: InversionPlan, matching: Results, folder: Path
) -> None:
    """All images found, ``[M, R, n, H, W, C]`` on the 0–1 scale, beside the score table, for their owner only."""
    _write_arrays(
        folder / RECONSTRUCTIONS,
        sample_ids=plan.data.sample_ids[rows],
        models=np.array(inversion.matching_models),
        images=matching["images"],
        objective=matching["objective"],
        psnr=matching["psnr"],
    )


def write_pictures(
    plan: AuditPlan,
    inversion: InversionPlan,
    rows: npt.NDArray[np.int64],
    high: npt.NDArray[np.int64] | None,
    matching: Results | None,
    folder: Path,
) -> None:
    """Some originals with what was made of them, where ``--show-samples`` asks for it."""
    path = folder / PICTURES
    if not plan.settings.show_samples or matching is None:
        return
    random = generator(plan.settings.seed, "inversion-pictures")
    groups = {LOW: rows} if high is None else {HIGH: high, LOW: np.setdiff1d(rows, high)}
    names, shown = [], []
    for name, members in groups.items():
        some = np.sort(random.permutation(members)[:SHOWN])
        shown.append(some)
        names += [name] * len(some)
    at = np.searchsorted(rows, np.concatenate(shown))
    objective = matching["objective"][0]
    best = np.nan_to_num(objective, nan=np.inf).argmin(axis=0)[at]
    _write_arrays(
        path,
        groups=np.array(names),
        originals=_bytes(inversion.pixels.to_unit(plan.data.x_train[rows[at]])),
        images=_bytes(matching["images"][0, best, at]),
        psnr=matching["psnr"][0, best, at],
        recovered=matching["recovered"][0, best, at],
    )


def _bytes(unit: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    whole: npt.NDArray[np.uint8] = np.round(255 * np.clip(unit, 0, 1)).astype(np.uint8)
    return whole


def _write_arrays(path: Path, **arrays: npt.NDArray[Any]) -> None:
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **arrays)
    files.write_bytes(path, content.getvalue())
    files.seal(path)
