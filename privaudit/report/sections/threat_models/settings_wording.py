"""Sentences on what realistic threat models leave of inversion."""

from __future__ import annotations

from privaudit.report.content.texts import terms
from privaudit.report.content.wording import interval, percent, share_within
from privaudit.results.audit.realistic_inversion import RealisticInversion, SettingOutcome
from privaudit.results.measures import Share

#: What the brief tells of: records mixed with 7 others, and with 63, or as many as were tried.
MIXED, MOST_MIXED = "batch-8", ("secure-64", "batch-32", "batch-16")


def name_of(outcome: SettingOutcome) -> str:
    """A threat model's short name."""
    return terms("inversion.settings").get(outcome.setting.name, outcome.setting.name)


def lines(found: RealisticInversion) -> list[str]:
    """For the terminal: a line a threat model."""
    said = [
        "inversion in realistic settings: recovered (of as many other images by chance); identified among "
        f"{found.reference:,} (by chance); labels right"
    ]
    for one in found.outcomes:
        labels = "given" if one.attacked.labels is None else percent(one.attacked.labels)
        told = [
            f"{share_within(attacked)} ({percent(null.rate or 0.0)})"
            for attacked, null in (
                (one.attacked.recovered, one.null.recovered),
                (one.attacked.identified, one.null.identified),
            )
        ]
        said.append(f"      {name_of(one)}: {'; '.join(told)}; {labels}")
    return said


def _beside_chance(attacked: Share, null: Share) -> str:
    bounds = "" if attacked.ci is None else f"{interval(attacked.ci, percent)}; "
    return f"{percent(attacked.rate or 0.0)} ({bounds}by chance {percent(null.rate or 0.0)})"


def mixed(found: RealisticInversion) -> str | None:
    """What is left where records are mixed, in a sentence for whoever decides; None where that was not tried."""
    first = found.outcome(MIXED)
    last = next((one for name in MOST_MIXED if (one := found.outcome(name)) is not None), None)
    told = [one for one in (first, last) if one is not None]
    if not told:
        return None
    parts = [f"{share_within(one.attacked.recovered)} from sums over {one.setting.together}" for one in told]
    nearest = [_beside_chance(one.attacked.identified, one.null.identified) for one in told]
    chance = max(one.null.recovered.rate or 0.0 for one in told)
    return (
        "Of records whose gradients are added up before anybody sees them, as in federated learning, there came back "
        f"{' and '.join(parts)} records (by chance {'up to ' if chance else ''}{percent(chance)}); of "
        f"{' and '.join(nearest)} enough is left to pick them out among {found.reference:,}."
    )
