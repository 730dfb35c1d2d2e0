"""Training images in the report: only with ``--show-samples``, and only those that were stored for it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from privaudit.errors import UsageError
from privaudit.report.content import wording
from privaudit.report.content.elements import Figure, Section, tabulate
from privaudit.report.content.figure_data import Picture, PictureRow, Pictures
from privaudit.report.content.python_call import with_flag
from privaudit.report.content.texts import text
from privaudit.report.content.wording import clip, percent
from privaudit.report.exposure import most_exposed
from privaudit.report.sample_ids import Naming
from privaudit.results.audit.score_results import ScoreResults
from privaudit.runtime import files

#: Images of the riskiest and the safest samples: written when samples are scored, where that is asked for.
THUMBNAILS = "thumbnails.npz"


def samples_shown(folder: Path, table: pd.DataFrame, results: ScoreResults, naming: Naming) -> Section:
    """Show the stored images of an audit, the riskiest samples and the safest, with their risk.

    Raises
    ------
    UsageError
        Where there are none, with the command that stores them.
    """
    path = folder / THUMBNAILS
    command = with_flag(wording.command(results), "show_samples")
    if not path.exists():
        raise UsageError(
            f"{folder} holds no images to show: they are stored when samples are scored, on request",
            hint="Images can't be had from a signals file."
            if results.about.given is not None
            else f"Run this (it trains nothing that is there): {command}",
        )
    files.demand_whole(path, f"Run: {command}")
    with np.load(path, allow_pickle=False) as stored:
        images = dict(zip(map(naming.enter, stored["sample_ids"]), stored["images"], strict=True))
        of_table = str(stored["table_sha256"])
    if of_table != results.table_sha256:
        raise UsageError(f"{path} belongs to earlier scores of this audit", hint=f"Run: {command}")
    kept = table[table["sample_id"].isin(list(images))].sort_values("rank")
    half = len(kept) // 2
    groups = {"Riskiest": kept.iloc[: len(kept) - half], "Safest": kept.iloc[len(kept) - half :].iloc[::-1]}
    rows = [
        PictureRow(
            name=name,
            images=[
                Picture(title=f"{one}\n{clip(str(name_of_class), 14)}\n{percent(risk)}", png=_png(images[one]))
                for one, name_of_class, risk in zip(found["sample_id"], found["class_name"], found["risk"], strict=True)
            ],
        )
        for name, found in groups.items()
    ]
    riskiest, safest = map(len, groups.values())
    figure = Figure(
        "pictures",
        text("samples.figure"),
        f"Images of the {riskiest} training samples at the highest risk and of the {safest} at the lowest.",
        Pictures(rows=rows),
        tabulate(
            "The samples shown",
            [row | {"group": name} for name, found in groups.items() for row in found.to_dict("records")],
            {
                "Sample": lambda row: str(row["sample_id"]),
                "Class": lambda row: clip(str(row["class_name"])),
                "Risk": lambda row: percent(row["risk"]),
                "Row": lambda row: row["group"],
            },
        ),
    )
    caution = most_exposed.why_nobody(results)
    said = [] if caution is None else [f"Which samples stand where is no finding: {caution}."]
    return Section("samples", "The riskiest and the safest samples", [text("samples.shown"), *said], [], [figure])


def _png(image: npt.NDArray[np.uint8]) -> str:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(stream, format="png")
    return stream.getvalue().hex()
