"""Drawings of the inversion section: reconstructions, their placement, and the two groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from privaudit.report.content.figure_data import Groups, InversionPictures, Placement
from privaudit.report.drawing.line_styles import DASHED, options

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

INK, ACCENT, OTHER, QUIET, FOUND = "#1f2933", "#1b6ca8", "#b5501a", "#6b7885", "#c81e1e"


def draw_pictures(figure: Canvas, data: InversionPictures) -> None:
    """Pairs of rows: originals above what was made of their gradients, a red box round those that were recovered."""
    columns = max(len(block.originals) for block in data.blocks)
    figure.set_size_inches(6.4, 0.25 + 1.5 * len(data.blocks))
    figure.set_layout_engine("constrained", h_pad=0.06, rect=(0, 0, 1, 0.97))
    grid = figure.subplots(2 * len(data.blocks), columns, squeeze=False)
    for axes in grid.ravel():
        axes.set_axis_off()
    for number, block in enumerate(data.blocks):
        for column, recovered in enumerate(block.recovered):
            for row, images in enumerate((block.originals, block.images)):
                axes = grid[2 * number + row, column]
                pixels = np.array(images[column], np.uint8)
                shown = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels[:, :, :3]
                axes.imshow(shown, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            if recovered:
                axes.set_axis_on()
                axes.set(xticks=[], yticks=[])
                for spine in axes.spines.values():
                    spine.set(visible=True, color=FOUND, linewidth=2)
        # A title that took part in the layout would stretch its column.
        corner = grid[2 * number, 0]
        corner.text(0, 1.12, block.title, transform=corner.transAxes, fontsize=9).set_in_layout(False)


def draw_placement(figure: Canvas, data: Placement) -> None:
    """Each inverted sample by its PSNR and by how much nearer the true image is than any other."""
    axes = figure.subplots()
    for name, colour, marker in (("low", ACCENT, "o"), ("high", OTHER, "^"), ("chosen", ACCENT, "o")):
        if (group := data.groups.get(name)) is not None:
            axes.scatter(
                group.psnr, group.nn_margin, s=12, color=colour, marker=marker, alpha=0.6, linewidths=0,
                label=data.titles[name], rasterized=True,
            )  # fmt: skip
    axes.axhline(0, **options(DASHED, QUIET))
    axes.axvline(20, **options(DASHED, QUIET))
    axes.set(xlabel="mean PSNR of the reconstructions (dB)", ylabel="log(nearest other error / own)")
    axes.legend(loc="upper left")


def draw_groups(figure: Canvas, data: Groups) -> None:
    """Every sample of either group as a dot, and the mean with its 95% interval."""
    for axes, panel in zip(figure.subplots(1, len(data.panels), squeeze=False)[0], data.panels, strict=True):
        for place, (group, colour) in enumerate(((panel.high, OTHER), (panel.low, ACCENT))):
            values = np.asarray(group.values)
            if panel.logarithmic:
                values = np.maximum(values, panel.smallest)
            # Dots are spread by a fixed pattern: the same data gives the same drawing.
            spread = place + 0.5 * ((np.arange(len(values)) * 0.618034) % 1 - 0.5)
            axes.scatter(spread, values, s=7, color=colour, alpha=0.4, linewidths=0, rasterized=True)
            low, high = group.ci or (group.mean, group.mean)
            low = max(low, panel.smallest) if panel.logarithmic else low
            axes.vlines(place, low, high, color=INK, linewidth=2.5)
            axes.plot([place - 0.12, place + 0.12], [group.mean] * 2, color=INK, linewidth=2)
        axes.set_xticks([0, 1], data.titles)
        axes.set(ylabel=panel.title, xlim=(-0.6, 1.6))
        if panel.logarithmic:
            axes.set_yscale("log")
