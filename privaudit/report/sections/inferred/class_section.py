"""The section on reconstructed classes: whether they look like the population or like what the model saw."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt

from privaudit import artifacts
from privaudit.report.content import figure_data
from privaudit.report.content.elements import Figure, Section, Table
from privaudit.report.content.inferred.class_wording import verdict
from privaudit.report.content.texts import terms, text, texts
from privaudit.report.content.wording import clip, interval, number, percent, share_within
from privaudit.report.drawing.line_styles import at
from privaudit.results.audit.class_results import ClassCloseness, ClassResults
from privaudit.runtime import files

ANCHOR = "classes"

#: Classes that are told, and shown.
MOST_CLASSES = 10


def section(found: ClassResults, folder: Path, *, show_samples: bool) -> Section:
    """Return the section; with pictures where they may be shown and are there."""
    path = artifacts.CLASS_PICTURES.at(folder)
    pictures = found.of == "pixels" and path.is_file()
    return Section(
        ANCHOR,
        "What a class looks like to the model",
        [
            _what_was_done(found),
            *texts("classes.how"),
            *(f"Note: {note}." for note in found.notes),
            *([text("classes.not-shown")] if pictures and not show_samples else []),
        ],
        [_table(found), _by_class(found)],
        [_figure(found), *([_pictures(path)] if pictures and show_samples else [])],
        lead=f"{verdict(found)[0].upper()}{verdict(found)[1:]}.",
    )


def _what_was_done(found: ClassResults) -> str:
    return (
        f"From each of {found.models} shadow models {found.classes:,} classes were reconstructed, by {found.steps} "
        f"steps up the logarithm of the class's probability. The prior is a Gaussian in the first {found.components} "
        f"principal components of {found.held_out:,} samples that no model saw, its logarithm with a weight of "
        f"{found.weight:g}."
    )


def _each(found: ClassResults, titles: dict[str, str]) -> dict[str, ClassCloseness]:
    return {"Reconstruction": found.found} | {titles[name]: one for name, one in found.null.items()}


def _table(found: ClassResults) -> Table:
    unit = "0–1 scale" if found.of == "pixels" else "standard deviations"
    columns = ["", "AUC of nearness", "Nearest is a member", f"To nearest member ({unit})", "To nearest other"]
    return Table(
        "How near reconstructions, and guesses without a model, come to samples of the class",
        [*columns, "Taken for the class"],
        [
            [
                title,
                f"{number(one.auc)} ({interval(one.auc_ci)})",
                f"{percent(one.nearest_member)} ({interval(one.nearest_member_ci, percent)})",
                f"{one.to_members:.3f}",
                f"{one.to_others:.3f}",
                share_within(one.recognised),
            ]
            for title, one in _each(found, terms("classes.nulls")).items()
        ],
    )


def _by_class(found: ClassResults) -> Table:
    more = len(found.by_class) - MOST_CLASSES
    return Table(
        "By class, the most telling first" + (f"; {more:,} more are not listed" if more > 0 else ""),
        ["Class", "AUC of nearness", "Taken for the class"],
        [
            [clip(one.name, 40), f"{number(one.auc)} ({interval(one.auc_ci)})", share_within(one.recognised)]
            for one in found.by_class[:MOST_CLASSES]
        ],
    )


def _figure(found: ClassResults) -> Figure:
    rows = [
        figure_data.Bar(name=title, values=[figure_data.Estimate.of(one.auc, one.auc_ci)])
        for title, one in _each(found, terms("classes.short")).items()
    ]
    rows += [
        figure_data.Bar(name=f"· {one.name}", values=[figure_data.Estimate.of(one.auc, one.auc_ci)])
        for one in found.by_class[:MOST_CLASSES]
    ]
    return Figure(
        "bars",
        f"{text('classes.figure')} {at('bars')}",
        f"AUC of nearness: reconstructions {number(found.found.auc)} ({interval(found.found.auc_ci)}), a class mean of "
        f"others {number(found.null['class_mean_of_others'].auc)}",
        figure_data.Bars(across="AUC of nearness", of="Guess", guessing=0.5, rows=rows),
    )


def _pictures(path: Path) -> Figure:
    """The target's reconstructions above means of samples that no model saw."""
    files.demand_whole(path, "Run the same privaudit score again: it makes it anew.")
    with np.load(path, allow_pickle=False) as stored:
        names = [str(name) for name in stored["class_names"][:MOST_CLASSES]]
        parts = {title: stored[name][:MOST_CLASSES] for title, name in _ROWS.items()}
    rows = [
        figure_data.PictureRow(
            name=title,
            images=[
                figure_data.Picture(title=name, png=_png(image)) for name, image in zip(names, images, strict=True)
            ],
        )
        for title, images in parts.items()
    ]
    return Figure(
        "pictures",
        text("classes.pictures"),
        f"What the target takes for {len(names)} classes, above the mean of never-trained samples of each.",
        figure_data.Pictures(rows=rows),
        Table("The classes shown", ["Class"], [[clip(name)] for name in names]),
    )


_ROWS = {"Model": "reconstructions", "Mean": "class_means"}


def _png(image: npt.NDArray[np.float32]) -> str:
    from PIL import Image

    stream, pixels = io.BytesIO(), np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels[:, :, :3]).save(stream, format="png")
    return stream.getvalue().hex()
