"""The section on gradient inversion: what gradients give away, by how much more than chance, and who is easy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from privaudit.report.content import figure_data
from privaudit.report.content.elements import Figure, Section, Table, tabulate
from privaudit.report.content.texts import terms, text
from privaudit.report.content.wording import number, p_value, percent, share_within, spearman, warned
from privaudit.report.drawing.line_styles import DASHED
from privaudit.results.audit.inversion_results import InversionGroups, InversionResults, Outcomes, Tier
from privaudit.results.audit.score_results import ScoreResults
from privaudit.results.measures import Interval
from privaudit.runtime import files

PICTURES = "inversion-pictures.npz"


def sections(results: ScoreResults, table: pd.DataFrame, folder: Path, *, show_samples: bool = True) -> list[Section]:
    """The section, where anything was inverted; with images where they were stored and may be shown."""
    if (found := results.inversion) is None or found.drawn is None:
        return []
    figures: list[Figure] = []
    said: list[str] = []
    if found.matching is not None and show_samples and (folder / PICTURES).is_file():
        figures = [pictures_in(folder / PICTURES)]
    elif found.matching is not None:
        figures, said = [_placement(table)], [text("inversion.not-shown")]
    paragraphs = [
        _what_was_done(found),
        text("inversion.upper-bound"),
        *(_how_reliable(tier, name) for name, tier in _tiers(found).items()),
        text("inversion.worth"),
        *_groups_in_words(found),
        *warned(found.warnings),
        *(f"Note: {note}." for note in found.notes),
        *said,
    ]
    figures += [] if found.groups is None else [_group_figure(found.groups)]
    tables = [_outcome_table(found), _relation_table(found)]
    return [Section("inversion", "What gradients give away", paragraphs, tables, figures)]


def _tiers(found: InversionResults) -> dict[str, Tier]:
    """The ways of inverting that were run, by their names."""
    return {name: tier for name, tier in (("T1", found.features), ("T2", found.matching)) if tier is not None}


def _what_was_done(found: InversionResults) -> str:
    at = "shadow models" if found.at == "trained" else "freshly initialised networks"
    said = [
        "Whoever sees the gradient of one sample (in federated learning, say) can look for the image that gives such a "
        f"gradient. That was tried on {at} in eval mode."
    ]
    if (features := found.features) is not None:
        how = (
            "in closed form from the first layer"
            if features.kind == "closed form"
            else "by matching the features that the last layer's gradient gives away exactly"
        )
        said.append(f"T1: {features.samples:,} samples, {how}, on {features.models} models.")
    if (matching := found.matching) is not None:
        attack = found.attack
        said.append(
            f"T2: {matching.samples:,} samples by gradient matching (preset '{found.preset}': {attack.cost}, "
            f"{attack.optimiser}, at most {attack.steps:,} steps, {matching.restarts} starts"
            f"{', from what the features give away' if attack.refines else ''}), on {matching.models} other models."
        )
        if matching.labels_right is not None:
            said.append(f"The label was read off the gradient: right in {percent(matching.labels_right)}.")
        else:
            said.append(text("inversion.label-sought" if attack.joint_label else "inversion.label-known"))
    defence = []
    if found.gradient_clip is not None:
        defence.append(f"gradients were clipped to a norm of {found.gradient_clip:g}")
    if found.gradient_noise > 0:
        defence.append(f"noise of deviation {found.gradient_noise:g} was added to every coordinate")
    if defence:
        said.append(f"As a defence, {' and '.join(defence)}.")
    return " ".join(said)


def _how_reliable(tier: Tier, name: str) -> str:
    alike = f"two models rank the samples alike with a Spearman of {spearman(tier.reliability['models'])}"
    if tier.reliability["restarts"].spearman is not None:
        alike += f"; two starts with {spearman(tier.reliability['restarts'])}"
    by_model = ", ".join(f"{value:.1f}" for value in tier.psnr_by_model)
    return f"How far the ranking by PSNR can be trusted ({name}): {alike}. Mean PSNR by model: {by_model} dB."


def _groups_in_words(found: InversionResults) -> list[str]:
    if (groups := found.groups) is None:
        return []
    others = (
        f"measured by {found.risk_models} shadow models of which none was inverted"
        if found.risk_of_others
        else "measured by all shadow models, as in the score table"
    )
    said = [
        f"MI-high are the {groups.size} samples of the pool that were easiest by {groups.chosen_by}; MI-low are "
        f"as many others at random. Membership risk had no say in it, and is {others}."
    ]
    for name, what in (("risk", "attack success rate"), ("entropy", "entropy of the target's answer")):
        one = groups.compared[name]
        verdict = (
            "shows no difference that chance does not explain"
            if one.p is None or one.p >= 0.05
            else f"tends to be {'higher' if one.superiority > 0.5 else 'lower'} among the easiest"
        )
        said.append(
            f"The {what} {verdict} (Mann and Whitney, p {p_value(one.p)}): an easy sample exceeds a random one in "
            f"{percent(one.superiority)} of pairs. Means {one.means[0]:.3g} and {one.means[1]:.3g}, "
            f"difference {one.difference:+.3g} (95% {_signed(one.difference_ci)})."
        )
    return said


def _signed(bounds: Interval | None) -> str:
    return "no interval" if bounds is None else f"{bounds[0]:+.3g} to {bounds[1]:+.3g}"


def _outcome_table(found: InversionResults) -> Table:
    shares: dict[str, Outcomes] = {f"{name}, random samples": tier.outcomes for name, tier in _tiers(found).items()}
    if found.groups is not None:
        shares["T2, MI-high"] = found.groups.high
    shares |= {
        f"Null: {title}": found.null[null] for null, title in terms("inversion.nulls").items() if null in found.null
    }
    return Table(
        "What inversions achieve, and what guesses achieve that never saw a gradient",
        ["Criterion", *shares],
        [
            [title, *(share_within(outcomes[name]) for outcomes in shares.values())]
            for name, title in terms("inversion.criteria").items()
        ],
    )


def _relation_table(found: InversionResults) -> Table:
    tiers = _tiers(found)
    rows = [
        [title, *(spearman(tier.confounders[name]) for tier in tiers.values())]
        for name, title in terms("inversion.confounders").items()
    ]
    rows += [
        [title, *(spearman(tier.reliability[name]) for tier in tiers.values())]
        for name, title in (("models", "PSNR under another model"), ("restarts", "PSNR from another start"))
    ]
    return Table("What the ease of inversion goes with", ["", *(f"{one}: Spearman with PSNR" for one in tiers)], rows)


def _placement(table: pd.DataFrame) -> Figure:
    """Where the reconstructions lie."""
    groups = {}
    for name, rows in table[table["inversion_group"].notna()].groupby("inversion_group"):
        finite = rows[np.isfinite(rows["nn_margin"])]
        groups[str(name)] = figure_data.Placed(
            psnr=[round(float(value), 3) for value in finite["psnr"]],
            nn_margin=[round(float(value), 4) for value in finite["nn_margin"]],
        )
    return Figure(
        "inversion-placement",
        f"Right of 20 dB and above 0 (the {DASHED.word} lines) a sample counts as recovered. Above 0 the "
        "reconstruction is nearer to the true image than to any other.",
        "Scatter plot of inverted samples: mean PSNR against the margin to the nearest other image.",
        figure_data.Placement(titles=terms("inversion.groups"), groups=groups),
    )


def pictures_in(path: Path) -> Figure:
    """The paper's Figure 1 from a file of originals and reconstructions."""
    files.demand_whole(path, "Run the same privaudit score again: it makes it anew.")
    with np.load(path, allow_pickle=False) as stored:
        groups, recovered = stored["groups"], stored["recovered"]
        blocks = [
            figure_data.Block(
                title=f"{terms('inversion.groups')[name]}: originals above reconstructions",
                **{key: stored[key][groups == name].tolist() for key in ("originals", "images", "recovered")},
            )
            for name in dict.fromkeys(groups.tolist())
        ]
    return Figure(
        "inversion-pictures",
        text("inversion.pictures"),
        f"Rows of small images: originals and reconstructions; {int(recovered.sum())} of {len(recovered)} are boxed.",
        figure_data.InversionPictures(blocks=blocks),
        table=tabulate(
            "What the pictures show",
            blocks,
            {
                "Group": lambda block: block.title,
                "Shown": lambda block: f"{len(block.recovered)}",
                "Recovered": lambda block: f"{sum(block.recovered)}",
            },
        ),
    )


def _group_figure(groups: InversionGroups) -> Figure:
    titles = {"risk": "attack success rate", "entropy": "entropy (nats)"}
    panels, means = [], []
    for name, title in titles.items():
        compared, values = groups.compared[name], groups.values[name]
        high, low = (
            figure_data.GroupDots(values=drawn, mean=mean, ci=bounds)
            for drawn, mean, bounds in zip((values.high, values.low), compared.means, compared.cis, strict=True)
        )
        panels.append(
            figure_data.GroupPanel(title=title, logarithmic=name == "entropy", smallest=1e-6, high=high, low=low)
        )
        means.append(f"{title} {number(compared.means[0])} and {number(compared.means[1])}")
    return Figure(
        "inversion-groups",
        text("inversion.group-figure"),
        f"Two panels of dots, means of the easiest and of random samples: {'; '.join(means)}.",
        figure_data.Groups(panels=panels, titles=["MI-high", "MI-low"]),
    )
