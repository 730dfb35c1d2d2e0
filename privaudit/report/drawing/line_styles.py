"""Lines of figures, each with the word that captions call it by: drawn and said from one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Line:
    """A style of line.

    Parameters
    ----------
    word
        What a caption calls it.
    dashes
        What is drawn and what is left out, in widths of the line, as matplotlib has it.
    """

    word: str
    dashes: tuple[float, ...] = ()

    @property
    def style(self) -> tuple[float, tuple[float, ...]]:
        """As matplotlib takes it."""
        return (0, self.dashes)


SOLID = Line("solid")
DASHED = Line("dashed", (4, 4))
DOTTED = Line("dotted", (1, 2))
LONG_DASHED = Line("long-dashed", (8, 2))
DASH_DOTTED = Line("dash-dotted", (6, 2, 1, 2))
DASH_DOT_DOTTED = Line("dash-dot-dotted", (6, 2, 1, 2, 1, 2))

#: Of curves, in turn: none is taken for the line of guessing beside them.
CURVES = (SOLID, LONG_DASHED, DASH_DOTTED, DASH_DOT_DOTTED)

#: By kind of figure, the line at what means nothing found: guessing, no change, no relation.
NOTHING: dict[str, Line] = {"roc": DOTTED} | dict.fromkeys(
    ("histogram", "scatter", "bars", "forest", "trade-off"), DASHED
)


def at(kind: str, meaning: str = "guessing") -> str:
    """Return the sentence of a caption: ``The dashed line is guessing.``"""
    return f"The {NOTHING[kind].word} line is {meaning}."


def options(line: Line, colour: str, width: float = 1) -> dict[str, Any]:
    """What matplotlib draws it by."""
    return {"color": colour, "linestyle": line.style if line.dashes else "-", "linewidth": width}
