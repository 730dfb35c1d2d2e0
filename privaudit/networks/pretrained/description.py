"""What a pretrained network is known by, and what of it is trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from privaudit.runtime.registry import without_folder

#: ``timm:NAME`` and ``transformers:FOLDER``.
LIBRARIES = ("timm", "transformers")

#: Which weights: those that the library draws, which has to be asked for.
RANDOM = "random"

ALL, HEAD = "all", "head"


def library_of(network: str) -> str | None:
    """Return the library that a network's name belongs to; None for every other name."""
    library, colon, name = network.partition(":")
    return library if colon and name and library in LIBRARIES else None


@dataclass(frozen=True)
class Preparation:
    """What a pretrained network wants of its images.

    Parameters
    ----------
    size
        Pixels a side.
    mean, deviation
        Of each of three channels, on the 0–1 scale.
    interpolation
        ``bilinear`` or ``bicubic``.
    is_fixed
        It takes no other size.
    notes
        What was guessed.
    """

    size: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    interpolation: str = "bilinear"
    is_fixed: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pretrained:
    """One pretrained network, resolved.

    Parameters
    ----------
    network
        ``timm:NAME`` or ``transformers:FOLDER``.
    weights
        The file or folder that they are in; None where they are drawn at random.
    sha256
        Of these weights; None likewise.
    preparation
        How images are given to it.
    train
        ``all``, ``head``, or ``FILE.py:function``, which says what is trained.
    """

    network: str
    weights: Path | None
    sha256: str | None
    preparation: Preparation
    train: str = ALL

    @property
    def library(self) -> str:
        """``timm`` or ``transformers``."""
        return self.network.partition(":")[0]

    @property
    def name(self) -> str:
        """What the library calls it: a name, or a folder."""
        return self.network.partition(":")[2]

    @property
    def is_frozen(self) -> bool:
        """Whether only its head is trained, on what all the rest of it makes of images."""
        return self.train == HEAD

    def in_words(self) -> str:
        """Return its name and which weights it starts from, for people."""
        if self.weights is None:
            return f"{without_folder(self.network)} (random weights)"
        return f"{without_folder(self.network)} (weights {self.weights.name}, SHA-256 {str(self.sha256)[:12]}…)"
