"""The options of images in files, and of networks that were trained before."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from privaudit.config.options import AnyPath, Flag, Named, Options


class ImageFileOptions(Options):
    """How images of several sizes become images of one."""

    image_size: int | None = Field(
        None, ge=4, le=1024, description="Resize images read from files to this many pixels a side."
    )
    image_fit: Literal["stretch", "crop", "pad"] = Field(
        "stretch",
        description="How one that is not square becomes so: stretch; crop its longer side, about the middle; or pad "
        "its shorter one with black [{default}].",
    )


class PretrainedOptions(Options):
    """Which weights a network of timm or transformers starts from, and what of it is trained."""

    weights: Annotated[AnyPath | None, Flag(metavar="FILE|FOLDER|random")] = Field(
        None,
        description="Of --network timm:NAME or transformers:FOLDER: its pretrained weights, .safetensors "
        "[transformers: those in its folder].",
    )
    train: Annotated[Named | None, Flag(metavar="all|head|FILE.py:function")] = Field(
        None, description="What of it is trained; the function names parameters [all]."
    )
