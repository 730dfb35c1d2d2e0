"""Fixed views of an image that a model is queried with, the same for every model."""

from __future__ import annotations

import torch

from privaudit.errors import UsageError
from privaudit.training.recipe import Augmentation

#: name -> (pixels down, pixels right, mirrored) of each view. The order is that in which signals are stored.
QUERIES: dict[str, tuple[tuple[int, int, bool], ...]] = {
    "original": ((0, 0, False),),
    "flip": ((0, 0, True),),
    "shift": ((-1, 0, False), (1, 0, False), (0, -1, False), (0, 1, False)),
}
ORIGINAL = ("original",)

#: What asks for the views that are like those which a recipe trains on.
RECIPE = "recipe"

#: By a recipe's augmentation: the views that are like what it draws.
OF_AUGMENTATION: dict[Augmentation, tuple[str, ...]] = {
    "none": (),
    "flip": ("flip",),
    "crop": ("shift",),
    "shift": ("shift",),
    "crop-flip": ("flip", "shift"),
    "shift-flip": ("flip", "shift"),
}


def parse_queries(text: str, augment: Augmentation | None = "none") -> tuple[str, ...]:
    """``"original,flip"`` in stored order, without repetition; the original is always among them.

    ``recipe`` stands for the views of the augmentation that models are trained with, since members were seen so. None
    is that of a function of the user's.
    """
    asked = [name.strip() for name in text.split(",") if name.strip()]
    if RECIPE in asked:
        if augment is None:
            raise UsageError(
                f"--queries {text} with --training: your function says itself how it augments",
                hint="Name the views that are like it: --queries flip,shift.",
            )
        asked = [name for name in asked if name != RECIPE] + [*OF_AUGMENTATION[augment]]
    for name in asked:
        if name not in QUERIES:
            raise UsageError(f"unknown query '{name}'", hint=f"Known queries: {', '.join(QUERIES)}, {RECIPE}.")
    return tuple(name for name in QUERIES if name in asked or name == "original")


def columns_of(stored: tuple[str, ...], wanted: tuple[str, ...]) -> list[int]:
    """Where the views of ``wanted`` lie among those of ``stored``."""
    places: list[int] = []
    start = 0
    for name in stored:
        if name in wanted:
            places += range(start, start + len(QUERIES[name]))
        start += len(QUERIES[name])
    return places


def view(images: torch.Tensor, down: int, right: int, mirrored: bool) -> torch.Tensor:
    """Shift ``[B, H, W, C]`` by whole pixels (zeros come in) and mirror it."""
    if mirrored:
        images = images.flip(2)
    if down == right == 0:
        return images
    shifted = torch.zeros_like(images)
    height, width = images.shape[1:3]
    to_rows, from_rows = _overlap(down, height)
    to_columns, from_columns = _overlap(right, width)
    shifted[:, to_rows, to_columns] = images[:, from_rows, from_columns]
    return shifted


def _overlap(by: int, size: int) -> tuple[slice, slice]:
    return slice(max(by, 0), size + min(by, 0)), slice(max(-by, 0), size - max(by, 0))
