"""Augmentation of whole batches at once, on the device, driven by one generator."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from privaudit.training.recipe import Augmentation

#: Pixels that an image is shifted by at most; what comes in is black, or for small shifts the image's mirrored edge.
CROP_PADDING, SHIFT_PADDING = 4, 2

#: Images of fewer pixels a side than this are shifted by one pixel alone where it is to be a little.
WIDE_ENOUGH = 14


class Augmenter:
    """Random shifts and mirror images of one training's batches.

    What is random is drawn on the CPU, so that devices agree on it, and sent once an epoch.

    Parameters
    ----------
    kind
        ``flip``: mirror half of the images. ``crop``: shift by up to 4 pixels. ``shift``: by up to 2, small images by
        1, black coming in: for digits and letters, which a mirror makes others. ``shift-flip``: shift by up to 2
        pixels, edges mirrored, and mirror each image in every other epoch, half of them in the first
        (Jordan 2024, arXiv 2404.00498, section 3.6).
    shape
        ``(H, W, C)`` of an image; anything where ``kind`` is ``none``.
    members
        How many samples an epoch has.
    generator
        Of the CPU. Draws are made batch by batch, in the order of the batches.
    """

    def __init__(self, kind: Augmentation, shape: Sequence[int], members: int, generator: torch.Generator) -> None:
        self.kind = kind
        self._generator = generator
        self._padding = {"crop": CROP_PADDING, "crop-flip": CROP_PADDING, "shift-flip": SHIFT_PADDING}.get(kind, 0)
        if kind == "shift":
            self._padding = SHIFT_PADDING if min(shape[0], shape[1]) >= WIDE_ENOUGH else 1
        if kind == "shift-flip":
            self._mirrored_first = torch.rand(members, generator=generator) < 0.5
        if kind != "none":
            self._height, self._width = shape[0], shape[1]
            self._edge = _mirrored_edge(self._height, self._width, self._padding if kind == "shift-flip" else 0)

    def begin_epoch(self, epoch: int, order: torch.Tensor, sizes: Sequence[int], device: torch.device) -> None:
        """Draw for one epoch: ``order`` says which member comes when, ``sizes`` how many a batch has."""
        if self.kind == "none":
            return
        drawn = [self._draw(size) for size in sizes]
        if self.kind == "shift-flip":
            mirrored = self._mirrored_first[order] ^ bool(epoch % 2)
        else:
            mirrored = torch.cat([each[1] for each in drawn])
        rows, columns = torch.arange(self._height), torch.arange(self._width)
        shifts = torch.cat([each[0] for each in drawn], dim=1)
        across = torch.where(mirrored[:, None], columns.flip(0), columns) + shifts[1]
        down = rows + shifts[0]
        if self.kind == "shift-flip":
            down, across = self._edge[0][down], self._edge[1][across]
        self._down = iter(down.to(device).split(list(sizes)))
        self._across = iter(across.to(device).split(list(sizes)))

    def _draw(self, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Shifts ``[2, B, 1]`` and whether each image is mirrored ``[B]``."""
        shift = torch.zeros((2, size, 1), dtype=torch.int64)
        mirrored = torch.zeros(size, dtype=torch.bool)
        if self._padding:
            shift = torch.randint(0, 2 * self._padding + 1, (2, size, 1), generator=self._generator)
        if self.kind in ("flip", "crop-flip"):
            mirrored = torch.rand((size, 1), generator=self._generator)[:, 0] < 0.5
        return shift, mirrored

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Return the next batch ``[B, H, W, C]`` of the epoch, augmented; same shape and type."""
        if self.kind == "none":
            return images
        batch, height, width, channels = images.shape
        if self.kind in ("crop", "crop-flip", "shift"):
            pad = self._padding
            images = torch.nn.functional.pad(images, (0, 0, pad, pad, pad, pad))
        # One gather of whole pixels does both: no per-sample work.
        padded_width = images.shape[2]
        pixels = (next(self._down)[:, :, None] * padded_width + next(self._across)[:, None, :]).reshape(batch, -1)
        flat = images.reshape(batch, -1, channels)
        return flat.gather(1, pixels[..., None].expand(-1, -1, channels)).reshape(batch, height, width, channels)


def _mirrored_edge(height: int, width: int, padding: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Which row and column of an image stands at each place of the one that is padded with its mirrored edges."""

    def places(size: int) -> torch.Tensor:
        place = torch.arange(-padding, size + padding).abs()
        return torch.where(place >= size, 2 * (size - 1) - place, place).clamp(0, size - 1)

    return places(height), places(width)
