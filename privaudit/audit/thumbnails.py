"""Images of the riskiest and the safest samples, stored beside the scores where ``--show-samples`` asks for it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt

from privaudit.audit.plan import AuditPlan
from privaudit.audit.result_files import RESULTS, SCORES, read_table
from privaudit.errors import UsageError
from privaudit.report.sample_images import THUMBNAILS
from privaudit.runtime import files

#: How many of either.
SHOWN = 10


def check_images(plan: AuditPlan) -> None:
    """Refuse ``--show-samples`` where the inputs are no images: before anything is trained."""
    if not plan.data.is_image:
        raise UsageError(
            f"--show-samples: an input of {plan.data.name} has shape {list(plan.data.input_shape)}, which is no image",
            hint="Leave --show-samples out.",
        )


def write_thumbnails(plan: AuditPlan, folder: Path) -> None:
    """Store the images that a report with ``--show-samples`` shows, sealed and readable by their owner only."""
    table = read_table(folder / SCORES)
    table = table[~table["canary"]].sort_values("rank")
    shown = min(SHOWN, len(table) // 2)
    chosen = np.concatenate([table.index[:shown].to_numpy(), table.index[len(table) - shown :].to_numpy()])
    content = io.BytesIO()
    np.savez_compressed(
        content,
        sample_ids=plan.data.sample_ids[chosen],
        images=as_bytes(plan.data.x_train[chosen], plan.data.x_train),
        table_sha256=np.array(files.read_json(folder / RESULTS)["table_sha256"]),
    )
    files.write_bytes(folder / THUMBNAILS, content.getvalue())
    files.seal(folder / THUMBNAILS)


def as_bytes(images: npt.NDArray[np.generic], everything: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
    """Images ``[n, H, W, C]`` as uint8 with 1 or 3 channels; floats are scaled from the range of the whole set."""
    if images.dtype != np.uint8:
        low, high = float(np.min(everything)), float(np.max(everything))
        scaled = (images.astype(np.float64) - low) / (high - low if high > low else 1.0)
        images = np.round(255 * scaled).astype(np.uint8)
    kept: npt.NDArray[np.uint8] = images if images.shape[3] == 3 else images[:, :, :, :1]  # type: ignore[assignment]
    return kept
