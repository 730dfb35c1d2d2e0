"""Pictures as grey or colour of 8 bits: turned upright, laid on white where they are transparent, and named."""

from __future__ import annotations

from collections import Counter

from PIL import Image, ImageOps

#: Modes in which one channel of 8 bits (or 1) holds a brightness.
GREY = ("L", "1", "LA", "La")

#: EXIF's tag of how a camera was held, and the value of one that was held upright.
ORIENTATION, UPRIGHT = 0x0112, 1

WHITE = (255, 255, 255, 255)


def is_grey(image: Image.Image) -> bool:
    """Whether a picture is grey by its kind. A palette's entries are colours."""
    return image.mode in GREY


def is_deep(image: Image.Image) -> bool:
    """Whether it has more than 8 bits a pixel of one channel: turning it into 8 would clip, not scale."""
    return image.mode.startswith(("I", "F"))


def upright(image: Image.Image, mode: str) -> tuple[Image.Image, list[str]]:
    """Turn an opened picture into ``mode`` (``L`` or ``RGB``).

    Returns
    -------
    image
        As it is meant to be seen: turned as its EXIF entry says, its transparent parts on white.
    peculiarities
        What had to be done, or was left out: keys of `SENTENCES`.
    """
    found = []
    if getattr(image, "n_frames", 1) > 1:
        image.seek(0)
        found.append("frames")
    if any(";16" in str(part[3]) for part in getattr(image, "tile", [])):
        found.append("deep")
    if image.getexif().get(ORIENTATION, UPRIGHT) not in (UPRIGHT, 0):
        found.append("turned")
        image = ImageOps.exif_transpose(image)
    if image.mode not in (*GREY, "RGB", "RGBA", "RGBa", "P", "PA", "RGBX"):
        found.append("converted")
    if image.has_transparency_data:
        layered = image.convert("RGBA")
        if layered.getchannel("A").getextrema() != (255, 255):
            found.append("transparent")
            ground = Image.new("RGBA", layered.size, WHITE)
            return Image.alpha_composite(ground, layered).convert(mode), found
    return image.convert(mode), found


#: EXIF's values for pictures that lie on their side.
ON_THEIR_SIDE = (5, 6, 7, 8)


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height of an opened picture once it is turned upright."""
    width, height = image.size
    return (height, width) if image.getexif().get(ORIENTATION) in ON_THEIR_SIDE else (width, height)


def made_square(picture: Image.Image, size: int, fit: str) -> tuple[Image.Image, list[str]]:
    """Resize a picture to ``size`` pixels a side.

    Parameters
    ----------
    fit
        Of one that is not square: ``stretch`` it, ``crop`` its longer side, or ``pad`` its shorter one with black.

    Returns
    -------
    image
        The square one.
    peculiarities
        What became of its proportions: keys of `SENTENCES`.
    """
    if picture.width == picture.height or fit == "stretch":
        found = [] if picture.width == picture.height else ["stretch"]
        return picture.resize((size, size), Image.Resampling.BILINEAR), found
    if fit == "crop":
        return ImageOps.fit(picture, (size, size), Image.Resampling.BILINEAR), ["crop"]
    return ImageOps.pad(picture, (size, size), Image.Resampling.BILINEAR, color=0), ["pad"]


#: What is said of pictures that were more than plain grey or colour. Counts alone: a file's name may be a person's.
SENTENCES = {
    "frames": "of {count} with several frames the first was taken",
    "deep": "{count} of 16 bits a channel were cut to 8",
    "turned": "{count} were turned upright, as their EXIF entry says",
    "converted": "{count} of another colour space (CMYK, YCbCr …) were turned into colour",
    "transparent": "{count} with transparent parts were laid on white",
    "stretch": "{count} were not square and were stretched to be so; --image-fit crop or pad keeps their proportions",
    "crop": "{count} were not square: what their longer side has beyond the middle square was cut off",
    "pad": "{count} were not square: beside what they show is black",
}


def sentences(peculiarities: Counter[str]) -> list[str]:
    """Return a sentence for each peculiarity of pictures that was counted."""
    return [
        "images: " + sentence.format(count=f"{peculiarities[one]:,}")
        for one, sentence in SENTENCES.items()
        if peculiarities[one]
    ]
