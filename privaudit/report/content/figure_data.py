"""What figures are drawn from, by kind of figure; as JSON it stands in ``report.json``."""

from __future__ import annotations

from collections.abc import Sequence

from privaudit.results.base import Result
from privaudit.results.measures import Curve, Interval


class FigureData(Result):
    """What one figure is drawn from."""


class Panels(FigureData):
    """What is drawn a panel at a time, so that panels can stand beside or below each other."""

    panels: Sequence[Result]


class Curves(FigureData):
    """ROC curves by title."""

    curves: dict[str, Curve]


class Group(Result):
    """So many people of a picture, and the mark that they are drawn by: ``hit``, ``miss``, ``part`` or ``none``."""

    name: str
    count: int
    mark: str


class People(FigureData):
    """A dot a person, group by group."""

    groups: list[Group]


class Histogram(FigureData):
    """How often each value stands."""

    values: list[float]
    counts: list[int]


class Dots(Result):
    """A scatter's panel: ``title`` is what goes up, ``guessing`` where risk means nothing, if it does anywhere."""

    title: str
    x: list[float]
    y: list[float]
    across: str = "risk"
    diagonal: bool = False
    guessing: float | None = 0.5


class Scatter(Panels):
    """Panels of dots."""

    panels: list[Dots]


class Estimate(Result):
    """A value, with its interval where it has one."""

    value: float
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, value: float, bounds: Interval | None) -> Estimate:
        """Return a value with its interval, None and None where it has none."""
        low, high = bounds or (None, None)
        return cls(value=value, low=low, high=high)


class Bar(Result):
    """A row of estimates, one a series; None where a series has none."""

    name: str
    values: list[Estimate | None]


class Bars(FigureData):
    """Rows of estimates: ``across`` is what they are of, ``of`` what rows are, ``guessing`` what means nothing."""

    across: str
    of: str = "Group"
    series: tuple[str, ...] = ("",)
    guessing: float | None = None
    rows: list[Bar]


class TradeOffPoint(Result):
    """A measure: what it keeps across, what it leaves up, and whether no other one beats it in both."""

    name: str
    across: Estimate
    up: Estimate
    on_front: bool


class TradeOff(FigureData):
    """Points, the audited configuration first; ``guessing`` is as low as an attacker gets who knows nothing."""

    name_across: str
    name_up: str
    guessing: float
    points: list[TradeOffPoint]


class ForestCell(Result):
    """One claim on one data set: an estimate a series, and the word that was decided of each."""

    values: list[Estimate | None]
    verdicts: list[str]


class ForestRow(Result):
    """A claim, a cell a data set (None where it was not run), and the smallest difference worth having."""

    name: str
    worth: float | None
    cells: list[ForestCell | None]


class Forest(FigureData):
    """Claims below each other, each on a scale of its own, data sets (``columns``) side by side."""

    columns: list[str]
    series: list[str]
    rows: list[ForestRow]


class Picture(Result):
    """A PNG in hexadecimal digits."""

    title: str
    png: str


class PictureRow(Result):
    """Pictures side by side."""

    name: str
    images: list[Picture]


class Pictures(FigureData):
    """Rows of small pictures."""

    rows: list[PictureRow]


class Block(Result):
    """Images as ``[image][y][x][channel]``: originals, their reconstructions, and which count as recovered."""

    title: str
    originals: list[list[list[list[int]]]]
    images: list[list[list[list[int]]]]
    recovered: list[bool]


class InversionPictures(FigureData):
    """Blocks of originals above their reconstructions."""

    blocks: list[Block]


class Placed(Result):
    """Inverted samples by mean PSNR (dB) and log(nearest other error / own)."""

    psnr: list[float]
    nn_margin: list[float]


class Placement(FigureData):
    """The same by group, and the groups' titles."""

    titles: dict[str, str]
    groups: dict[str, Placed]


class GroupDots(Result):
    """A group's values, their mean and its interval."""

    values: list[float]
    mean: float
    ci: Interval | None


class GroupPanel(Result):
    """Two groups beside each other; on a logarithmic axis nothing lies below ``smallest``."""

    title: str
    logarithmic: bool
    smallest: float
    high: GroupDots
    low: GroupDots


class Groups(Panels):
    """Panels of two groups, and the groups' titles."""

    panels: list[GroupPanel]
    titles: list[str]
