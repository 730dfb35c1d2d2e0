"""What the brief says of rebuilding records from gradients."""

from __future__ import annotations

from privaudit.report.brief.plain import percent, span
from privaudit.report.sections.threat_models.settings_wording import mixed
from privaudit.results.audit.realistic_inversion import RealisticInversion
from privaudit.results.audit.score_results import ScoreResults

BEST_CASE_ALONE = (
    "That is the attacker's best case alone; privaudit score --invert-settings realistic measures what is left where "
    "records are mixed."
)


def of_rebuilding(results: ScoreResults, realistic: RealisticInversion | None) -> list[str]:
    """Say what came back in the attacker's best case, and what is left of it in realistic settings."""
    tier = None if results.inversion is None else results.inversion.drawn
    said = []
    if tier is not None and tier.outcomes["recovered"].rate is not None:
        found = tier.outcomes["recovered"]
        said.append(
            f"Rebuilt from the exact gradient of a single record, as hardly any attacker sees it (an upper bound): "
            f"{percent(found.rate or 0.0)} of records drawn at random{span(found.ci)}."
        )
    left = None if realistic is None else mixed(realistic)
    if left is not None:
        said.append(left)
    elif said:
        said.append(BEST_CASE_ALONE)
    return said
