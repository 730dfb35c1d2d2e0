"""Training images in the report: only with ``--show-samples``, and only those that were stored for it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from privaudit.errors import UsageError
from privaudit.report.content import most_exposed, wording
from privaudit.report.content.elements import Figure, Section, Table
from privaudit.report.content.wording import percent
from privaudit.report.sample_ids import Naming, SampleId
from privaudit.runtime import files

#: Images of the riskiest and the safest samples: written when samples are scored, where that is asked for.
THUMBNAILS = "thumbnails.npz"


@dataclass(frozen=True)
class Pictures:
    """The riskiest and the safest samples: id, class, risk and image of each; ``caution`` says why they are none."""

    riskiest: pd.DataFrame
    safest: pd.DataFrame
    images: dict[SampleId, npt.NDArray[np.uint8]]
    caution: str = ""

    def section(self) -> Section:
        """The images with their risk."""
        groups = {"Riskiest": self.riskiest, "Safest": self.safest}
        rows = [
            {"name": name, "images": [self._picture(row) for row in found.to_dict("records")]}
            for name, found in groups.items()
        ]
        figure = Figure(
            "pictures",
            "The samples at the highest risk (above) and at the lowest (below), each with its risk, in the order of "
            "the table behind.",
            f"Images of the {len(self.riskiest)} training samples at the highest risk and of the {len(self.safest)} at "
            "the lowest.",
            {"rows": rows},
            Table(
                "The samples shown",
                ["Sample", "Class", "Risk", "Row"],
                [
                    [str(row["sample_id"]), wording.clip(str(row["class_name"])), percent(row["risk"]), name]
                    for name, found in groups.items()
                    for row in found.to_dict("records")
                ],
            ),
        )
        said = ["These are training samples, shown because --show-samples asked for them."]
        if self.caution:
            said.append(f"Which samples stand where is no finding: {self.caution}.")
        return Section("samples", "The riskiest and the safest samples", said, [], [figure])

    def _picture(self, row: dict[Any, Any]) -> dict[str, str]:
        from PIL import Image

        image = self.images[row["sample_id"]]
        stream = io.BytesIO()
        Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(stream, format="png")
        return {"title": percent(row["risk"]), "png": stream.getvalue().hex()}


def sample_pictures(folder: Path, table: pd.DataFrame, results: dict[str, Any], naming: Naming) -> list[Pictures]:
    """The stored images of an audit.

    Raises
    ------
    UsageError
        Where there are none, with the command that stores them.
    """
    path = folder / THUMBNAILS
    command = wording.command(results)
    if not path.exists():
        raise UsageError(
            f"{folder} holds no images to show: they are stored when samples are scored, on request",
            hint="Images can't be had from a signals file."
            if "given" in results["about"]
            else f"Run this (it trains nothing that is there): {command} --show-samples",
        )
    files.demand_whole(path, f"Run: {command} --show-samples")
    with np.load(path, allow_pickle=False) as stored:
        images, of_table = stored["images"], str(stored["table_sha256"])
        ids = [naming.enter(one) for one in stored["sample_ids"]]
    if of_table != results["table_sha256"]:
        raise UsageError(f"{path} belongs to earlier scores of this audit", hint=f"Run: {command} --show-samples")
    kept = table[table["sample_id"].isin(ids)].sort_values("rank")
    half = len(kept) // 2
    return [
        Pictures(
            kept.iloc[: len(kept) - half],
            kept.iloc[len(kept) - half :].iloc[::-1],
            dict(zip(ids, images, strict=True)),
            caution=most_exposed.why_nobody(results) or "",
        )
    ]
