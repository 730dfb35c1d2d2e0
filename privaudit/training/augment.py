"""Augmentation of a whole batch at once, on the device, driven by one generator."""

from __future__ import annotations

import torch

from privaudit.training.recipe import Augmentation

CROP_PADDING = 4


def augment_batch(images: torch.Tensor, kind: Augmentation, generator: torch.Generator) -> torch.Tensor:
    """Randomly shift (zero padding of 4 pixels) and mirror a batch of images.

    Parameters
    ----------
    images
        uint8 or float ``[B, H, W, C]``.
    kind
        Which of the two to apply.
    generator
        Where the randomness comes from; on the CPU, so that devices agree on it.

    Returns
    -------
    torch.Tensor
        Same shape and type.
    """
    if kind == "none":
        return images
    batch, height, width, channels = images.shape
    device = images.device
    rows = torch.arange(height).expand(batch, height)
    columns = torch.arange(width).expand(batch, width)
    if kind in ("crop", "crop-flip"):
        shift = torch.randint(0, 2 * CROP_PADDING + 1, (2, batch, 1), generator=generator)
        rows, columns = rows + shift[0], columns + shift[1]
        images = torch.nn.functional.pad(images, (0, 0, CROP_PADDING, CROP_PADDING, CROP_PADDING, CROP_PADDING))
    if kind in ("flip", "crop-flip"):
        mirrored = torch.rand((batch, 1), generator=generator) < 0.5
        columns = torch.where(mirrored, columns.flip(1), columns)
    # One gather of whole pixels does both: no per-sample work. What travels to the device is small.
    padded_width = images.shape[2]
    rows, columns = rows.to(device), columns.to(device)
    pixels = (rows[:, :, None] * padded_width + columns[:, None, :]).reshape(batch, -1)
    flat = images.reshape(batch, -1, channels)
    return flat.gather(1, pixels[..., None].expand(-1, -1, channels)).reshape(batch, height, width, channels)
