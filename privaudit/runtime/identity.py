"""What a result follows from, and the name that comes of it: equal causes are found again under one name.

Audits, unlearning runs, trials, retrained models, searches of inversion and comparisons of orders are named by an
`Identity`: data by its fingerprint, code by the SHA-256 of its file, arrays by that of their content.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


def digest_of(content: bytes | str | npt.NDArray[np.generic]) -> str:
    """Return the SHA-256 of bytes, of a text as UTF-8, or of an array's content in C order, in hexadecimal."""
    if isinstance(content, np.ndarray):
        content = np.ascontiguousarray(content).tobytes()
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def slug(text: str, most: int | None = None) -> str:
    """Return a text in lower case with ``-`` for all that is no letter or digit: as part of a file's name."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:most].strip("-")


@dataclass(frozen=True)
class Identity:
    """Everything that decides a result, by name.

    Parameters
    ----------
    parts
        Plain values as JSON has them, or a name that says it all; `of` takes arrays too, for which their digest stands.
    """

    parts: Mapping[str, object] | str

    @classmethod
    def of(cls, **parts: object) -> Identity:
        """Name the parts: an array is known by its content, everything else by its value."""
        return cls({
            name: digest_of(part) if isinstance(part, np.ndarray) else part for name, part in parts.items()
        })  # fmt: skip

    def digest(self, digits: int = 16) -> str:
        """Return the first hexadecimal digits of the SHA-256 of the parts, as JSON with sorted keys."""
        return digest_of(json.dumps(self.parts, sort_keys=True))[:digits]

    def named(self, *words: str) -> str:
        """Return a name for files: words for people and 8 digits that tell it from all others."""
        return "-".join([*words, self.digest(8)])
