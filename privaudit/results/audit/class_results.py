"""What was found of reconstructed classes: ``classes.json``, and the ``classes`` object of ``score --json``."""

from __future__ import annotations

from typing import Literal

from privaudit.results.base import Result
from privaudit.results.measures import Interval, Share


class ClassCloseness(Result):
    """How near reconstructions of classes come to samples that the model saw, and to others of the class.

    Parameters
    ----------
    auc, auc_ci
        How well nearness, each sample's own mean over other models taken off, tells the model's members of the class
        from the others: ½ tells nothing. The interval is over pairs of models; None below 4.
    nearest_member, nearest_member_ci
        In what share of reconstructions the nearest sample of the class is a member; by chance ½.
    to_members, to_others
        Root of the mean squared difference to the nearest member and to the nearest other, averaged; on the 0–1 scale
        of pixels, of a table in standard deviations.
    recognised
        How many reconstructions a model of another pair takes for the class.
    """

    auc: float
    auc_ci: Interval | None
    nearest_member: float
    nearest_member_ci: Interval | None
    to_members: float
    to_others: float
    recognised: Share


class ClassOutcome(Result):
    """One class: how well nearness tells members, and how often its reconstruction is recognised."""

    name: str
    auc: float
    auc_ci: Interval | None
    recognised: Share


class ClassResults(Result):
    """Reconstructed classes of an audit's shadow models.

    Parameters
    ----------
    models, classes
        How many models, in pairs, and classes were reconstructed.
    of
        ``pixels`` or ``features``.
    held_out, components
        Never-trained samples behind the prior, and its dimensions.
    steps, weight
        Of the ascent, and of the prior's logarithm in what it climbs.
    found
        The reconstructions.
    null
        Guesses that see no model: ``class_mean_of_others`` (of the samples that it did not see) and, as a yardstick,
        ``class_mean_of_members``.
    by_class
        The most telling first.
    pictures
        The file of the target's reconstructions.
    """

    audit: str
    models: int
    classes: int
    of: Literal["pixels", "features"]
    held_out: int
    components: int
    steps: int
    weight: float
    found: ClassCloseness
    null: dict[Literal["class_mean_of_others", "class_mean_of_members"], ClassCloseness]
    by_class: list[ClassOutcome]
    pictures: str
    notes: tuple[str, ...] = ()

    @property
    def leaks(self) -> bool | None:
        """Whether reconstructions are nearer to members; None where no interval tells."""
        return None if self.found.auc_ci is None else self.found.auc_ci[0] > 0.5
