"""How large an experiment is: seconds for a test, minutes to an hour on two cores, or the paper's own."""

from __future__ import annotations

from dataclasses import field

from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from privaudit.audit.plan import replace_settings
from privaudit.config import AuditSettings
from privaudit.errors import UsageError
from privaudit.reproduction.claims.catalogue import CATALOGUE
from privaudit.reproduction.claims.experiment import STRICT

#: Entries of an audit's settings.
Entries = dict[str, int | str]


@dataclass(frozen=True, config=STRICT)
class Scale:
    """Sizes.

    Parameters
    ----------
    seeds
        Original models, each with forget sets and retrained models of its own.
    tuned
        Whether arms are tuned on a seed of their own; else they run with default parameters.
    means
        In words.
    audit, datasets
        Entries of the audit's settings where nothing is said: of every dataset, and of single ones.
    seeds_of
        Of single datasets another number of seeds.
    all_budgets
        Whether orders are compared at further budgets than that of one shot.
    """

    name: str
    seeds: int
    tuned: bool
    means: str
    audit: Entries = field(default_factory=dict)
    datasets: dict[str, Entries] = field(default_factory=dict)
    seeds_of: dict[str, int] = field(default_factory=dict)
    all_budgets: bool = True

    def seeds_for(self, dataset: str) -> int:
        """How many seeds this dataset gets where nothing is said."""
        return self.seeds_of.get(dataset, self.seeds)


SCALES = {
    name: TypeAdapter(Scale).validate_python({"name": name, **scale}) for name, scale in CATALOGUE["scales"].items()
}


def scale_of(name: str) -> Scale:
    """A scale by name."""
    if name not in SCALES:
        raise UsageError(f"unknown --scale '{name}'", hint=f"Known: {', '.join(SCALES)}.")
    return SCALES[name]


def audit_settings(scale: Scale, base: AuditSettings) -> AuditSettings:
    """The audit that serves every experiment: the scale's sizes wherever ``base`` says nothing."""
    wanted = scale.audit | scale.datasets.get(base.dataset, {})
    return replace_settings(base, **{name: value for name, value in wanted.items() if getattr(base, name) is None})
