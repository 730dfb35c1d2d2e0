"""What was found of sensitive columns: ``attributes.json``, and the ``attributes`` object of ``score --json``."""

from __future__ import annotations

from typing import Literal

from privaudit.results.base import Result
from privaudit.results.measures import Interval, Share

#: The attack that was fixed beforehand: the others are told beside it.
PRIMARY = "calibrated"


class Advantage(Result):
    """How often the right value is guessed of records that a model saw and of others.

    Parameters
    ----------
    seen, unseen
        Shares of right guesses over all cells (a model and a record), 0 … 1; None where there are no such cells.
    advantage, ci
        ``seen − unseen``, −1 … 1, its interval over pairs of models; no interval below 4 pairs.
    """

    seen: float | None
    unseen: float | None
    advantage: float | None
    ci: Interval | None


class AttributeAttack(Advantage):
    """One attack.

    Parameters
    ----------
    surest
        The same of the tenth of either kind of cells of whose guess the attacker is surest.
    target
        Share of right guesses of the target's training records by the target's answers; None where it can't be asked.
    """

    surest: Advantage
    target: float | None = None


class GroupAdvantage(Advantage):
    """The same of some records, by the attack that was fixed beforehand."""

    name: str
    records: int


class AttributeInference(Result):
    """One column.

    Parameters
    ----------
    column
        Its name.
    values
        What the attacker chooses among, in words.
    binned
        Whether these are ranges of numbers, each tried by its median.
    records, left_out
        Training records that were guessed, and those whose cell is missing, so that there is nothing to guess.
    drawn_of
        Out of how many the records were drawn at random; None where all were taken.
    held_out
        Records that no model saw, which the imputation was learnt from.
    imputation
        How: the name of what was fitted to them.
    without
        Shares of right guesses without any model: ``imputation`` and ``marginal``.
    attacks
        By name; ``calibrated`` was fixed beforehand.
    by_value, by_class
        The same attack by true value, and by class.
    notes
        What else is to be known, a sentence each.
    """

    column: str
    values: list[str]
    binned: bool
    records: int
    left_out: int
    drawn_of: int | None = None
    held_out: int
    imputation: str
    without: dict[Literal["imputation", "marginal"], Share]
    attacks: dict[str, AttributeAttack]
    by_value: list[GroupAdvantage]
    by_class: list[GroupAdvantage]
    notes: tuple[str, ...] = ()

    @property
    def primary(self) -> AttributeAttack:
        """The attack that was fixed beforehand."""
        return self.attacks[PRIMARY]

    @property
    def leaks(self) -> bool | None:
        """Whether the model gives away more of those that it saw; None where no interval tells."""
        return None if self.primary.ci is None else self.primary.ci[0] > 0


class AttributeResults(Result):
    """Every sensitive column of an audit."""

    audit: str
    shadows: int
    columns: list[AttributeInference]
