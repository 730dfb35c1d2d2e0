"""What the fonts that come along can draw: the same on every machine, so the same input gives the same bytes."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from privaudit.report.content.wording import clip, inert, written_out


def font_folder() -> Path:
    """Matplotlib's own fonts. DejaVu Sans among them has Latin, Greek, Cyrillic, Hebrew, Arabic and many symbols."""
    import matplotlib

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf"


@cache
def _drawable() -> frozenset[int]:
    """Code points that the fallback font can draw; PDF/A refuses any other."""
    from fontTools.ttLib import TTFont

    return frozenset(TTFont(font_folder() / "DejaVuSans.ttf").getBestCmap())


def legible(text: str) -> str:
    """Return a text with characters that can't be drawn (an emoji, say) as ``[U+1F986]``."""
    return text if text.isascii() else written_out(text, lambda sign: ord(sign) in _drawable() or sign == "\n")


def plain(name: str, length: int = 26) -> str:
    """A user's name as a drawing can show it: cut, drawable, and never read as mathematics."""
    return legible(inert(clip(name, length))).replace("$", r"\$")
