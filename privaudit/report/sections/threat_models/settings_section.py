"""The section on what realistic threat models leave of inversion: one curve, from the attacker's best case down."""

from __future__ import annotations

from pathlib import Path

from privaudit.report.content import figure_data
from privaudit.report.content.elements import Figure, Section, Table, tabulate
from privaudit.report.content.figure_data import Bar, Estimate
from privaudit.report.content.texts import terms, text
from privaudit.report.content.wording import percent, share_within
from privaudit.report.sections.threat_models.settings_wording import mixed, name_of
from privaudit.report.sections.threat_models.stored_settings import realistic_in
from privaudit.results.audit.realistic_inversion import RealisticInversion, SettingOutcome
from privaudit.results.measures import Share

ANCHOR = "inversion-settings"
SERIES = ("attacked", "images that took no part")


def sections(folder: Path) -> list[Section]:
    """The section, where it was measured."""
    if (found := realistic_in(folder)) is None:
        return []
    return [
        Section(
            ANCHOR,
            "What a realistic setting leaves of inversion",
            [_what_was_done(found), text("inversion.settings-judged"), *_of_labels(found), *_left_out(found)],
            figures=[_curve(found)],
            lead=mixed(found) or "",
        )
    ]


def _what_was_done(found: RealisticInversion) -> str:
    at = "trained shadow models" if found.at == "trained" else "freshly initialised networks"
    attack = found.attack
    return (
        f"Gradient matching from noise ({attack.cost}, {attack.optimiser}, at most {attack.steps:,} steps, one start) "
        f"on {found.models} {at}, under threat models from the best case of a single record's gradient downwards. "
        f"{text('inversion.settings-what')}"
    )


def _of_labels(found: RealisticInversion) -> list[str]:
    if not found.labels_read:
        return ["The network's last layer does not give labels away: the attacker was given them."]
    return [text("inversion.settings-labels")]


def _left_out(found: RealisticInversion) -> list[str]:
    names = terms("inversion.settings")
    reasons: dict[str, list[str]] = {}
    for name, reason in found.left_out.items():
        reasons.setdefault(reason, []).append(names.get(name, name))
    return [f"Not measured: {'; '.join(left)}: {reason}." for reason, left in reasons.items()]


def _curve(found: RealisticInversion) -> Figure:
    rows = [
        Bar(name=name_of(one), values=[_estimate(one.attacked.recovered), _estimate(one.null.recovered)])
        for one in found.outcomes
    ]
    shares = "; ".join(f"{name_of(one)} {percent(one.attacked.recovered.rate or 0.0)}" for one in found.outcomes)
    return Figure(
        "shares",
        text("inversion.settings-curve"),
        f"Shares of records rebuilt under each threat model, the best case first: {shares}.",
        figure_data.Bars(across="records rebuilt", of="Threat model", series=SERIES, rows=rows),
        table=_table(found),
    )


def _estimate(found: Share) -> Estimate | None:
    return None if found.rate is None else Estimate.of(found.rate, found.ci)


def _table(found: RealisticInversion) -> Table:
    meanings = terms("inversion.settings-meanings")

    def labels(one: SettingOutcome) -> str:
        if one.attacked.labels is None:
            return "given"
        chance = "" if one.null.labels is None else f" (chance {percent(one.null.labels)})"
        return percent(one.attacked.labels) + chance

    return tabulate(
        text("inversion.settings-curve"),
        found.outcomes,
        {
            "Threat model": lambda one: f"{name_of(one)}: {meanings.get(one.setting.name, one.setting.name)}",
            "Records": lambda one: f"{one.attacked.recovered.n:,} in {one.groups:,} groups",
            "Recovered": lambda one: share_within(one.attacked.recovered),
            "By chance": lambda one: share_within(one.null.recovered),
            "Identified": lambda one: share_within(one.attacked.identified),
            "Identified by chance": lambda one: share_within(one.null.identified),
            "PSNR (dB), by chance": lambda one: f"{one.attacked.psnr:.1f}, {one.null.psnr:.1f}",
            "Labels right": labels,
        },
    )
