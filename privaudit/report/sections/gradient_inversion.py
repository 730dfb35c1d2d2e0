"""The section on gradient inversion: what gradients give away, by how much more than chance, and who is easy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from privaudit.report.content.elements import Figure, Section, Table
from privaudit.report.content.wording import interval, number, p_value, percent, spearman
from privaudit.report.drawing.line_styles import DASHED
from privaudit.runtime import files

PICTURES = "inversion-pictures.npz"
TITLES = {"high": "MI-high (easiest)", "low": "MI-low (random)", "chosen": "inverted samples"}

CRITERIA = {
    "recovered": "recovered: 20 dB or better, and nearest to the true image",
    "identified": "identified: nearest to the true image",
    "psnr_above_20": "PSNR of at least 20 dB",
    "ssim_above_0.5": "SSIM of at least .5",
    "ssim_above_0.9": "SSIM of at least .9",
}
NULLS = {
    "nearest_other": "the nearest other image",
    "class_mean": "the mean of the class",
    "other_reconstruction": "another sample's reconstruction",
}
CONFOUNDERS = {
    "loss": "loss under the attacked models",
    "gradient_norm": "norm of the gradient that was seen",
    "curvature": "curvature (T0)",
    "contrast": "contrast of the image",
    "risk": "membership risk (LiRA)",
}


def sections(results: dict[str, Any], table: pd.DataFrame, folder: Path, *, show_samples: bool = True) -> list[Section]:
    """The section, where anything was inverted; with images where they were stored and may be shown."""
    found = results.get("inversion")
    if found is None or (found["features"] is None and found["matching"] is None):
        return []
    paragraphs = [_what_was_done(found), *_what_it_is_worth(found), *_groups_in_words(found)]
    paragraphs += [f"Warning: {warning}." for warning in found["warnings"]]
    paragraphs += [f"Note: {note}." for note in found["notes"]]
    figures, said = _first_figure(found, table, folder if show_samples else None)
    return [
        Section(
            "inversion",
            "What gradients give away",
            paragraphs + said,
            [_outcome_table(found), _relation_table(found)],
            figures + _group_figure(found),
        )
    ]


def headline(found: dict[str, Any]) -> str:
    """One sentence for page 1."""
    tier = found["matching"] or found["features"]
    share = tier["outcomes"]["recovered"]
    return (
        f"From its gradient alone {percent(share['rate'])} of randomly drawn samples were recovered "
        f"(95% {interval(share['ci'], percent)})."
    )


def _what_was_done(found: dict[str, Any]) -> str:
    at = "shadow models" if found["at"] == "trained" else "freshly initialised networks"
    said = [
        "Whoever sees the gradient of one sample (in federated learning, say) can look for the image that gives such a "
        f"gradient. That was tried on {at} in eval mode."
    ]
    if (features := found["features"]) is not None:
        how = (
            "in closed form from the first layer"
            if features["kind"] == "closed form"
            else "by matching the features that the last layer's gradient gives away exactly"
        )
        said.append(f"T1: {features['samples']:,} samples, {how}, on {features['models']} models.")
    if (matching := found["matching"]) is not None:
        attack = found["attack"]
        said.append(
            f"T2: {matching['samples']:,} samples by gradient matching (preset '{found['preset']}': {attack['cost']}, "
            f"{attack['optimiser']}, at most {attack['steps']:,} steps, {matching['restarts']} starts), on "
            f"{matching['models']} other models."
        )
        if matching["labels_right"] is not None:
            said.append(f"The label was read off the gradient: right in {percent(matching['labels_right'])}.")
        elif attack["joint_label"]:
            said.append("The label was sought together with the image.")
        else:
            said.append("The network's last layer does not give the label away: the attacker is taken to know it.")
    defence = []
    if found["gradient_clip"] is not None:
        defence.append(f"gradients were clipped to a norm of {found['gradient_clip']:g}")
    if found["gradient_noise"] > 0:
        defence.append(f"noise of deviation {found['gradient_noise']:g} was added to every coordinate")
    if defence:
        said.append(f"As a defence, {' and '.join(defence)}.")
    return " ".join(said)


def _what_it_is_worth(found: dict[str, Any]) -> list[str]:
    said = []
    for tier, name in (("features", "T1"), ("matching", "T2")):
        if (results := found[tier]) is None:
            continue
        parts = [f"two models rank the samples alike with a Spearman of {spearman(results['reliability']['models'])}"]
        if results["reliability"]["restarts"]["spearman"] is not None:
            parts.insert(0, f"two starts with {spearman(results['reliability']['restarts'])}")
        by_model = ", ".join(f"{value:.1f}" for value in results["psnr_by_model"])
        said.append(
            f"How far the ranking by PSNR can be trusted ({name}): {'; '.join(reversed(parts))}. Mean PSNR by model: "
            f"{by_model} dB."
        )
    said.append(
        "Shares, reliability and correlations are of randomly drawn samples alone. A success rate means something only "
        "beside what guesses achieve that owe nothing to the gradient; and an easy sample may merely have a large loss "
        "or little contrast."
    )
    return said


def _groups_in_words(found: dict[str, Any]) -> list[str]:
    groups = found["groups"]
    if groups is None:
        return []
    others = (
        f"measured by {found['risk_models']} shadow models of which none was inverted"
        if found["risk_of_others"]
        else "measured by all shadow models, as in the score table"
    )
    said = [
        f"MI-high are the {groups['size']} samples of the pool that were easiest by {groups['chosen_by']}; MI-low are "
        f"as many others at random. Membership risk had no say in it, and is {others}."
    ]
    for name, what in (("risk", "attack success rate"), ("entropy", "entropy of the target's answer")):
        one = groups["compared"][name]
        bounds = one["difference_ci"]
        verdict = (
            "shows no difference that chance does not explain"
            if one["p"] is None or one["p"] >= 0.05
            else f"tends to be {'higher' if one['superiority'] > 0.5 else 'lower'} among the easiest"
        )
        said.append(
            f"The {what} {verdict} (Mann and Whitney, p {p_value(one['p'])}): an easy sample exceeds a random one in "
            f"{percent(one['superiority'])} of pairs. Means {one['means'][0]:.3g} and {one['means'][1]:.3g}, "
            f"difference {one['difference']:+.3g} (95% {_signed(bounds)})."
        )
    return said


def _signed(bounds: list[float] | None) -> str:
    return "no interval" if bounds is None else f"{bounds[0]:+.3g} to {bounds[1]:+.3g}"


def _outcome_table(found: dict[str, Any]) -> Table:
    columns, shares = ["Criterion"], []
    for tier, title in (("features", "T1"), ("matching", "T2")):
        if found[tier] is not None:
            columns.append(f"{title}, random samples")
            shares.append(found[tier]["outcomes"])
    if found["groups"] is not None:
        columns.append("T2, MI-high")
        shares.append(found["groups"]["high"])
    for null, title in NULLS.items():
        if null in found["null"]:
            columns.append(f"Null: {title}")
            shares.append(found["null"][null])
    rows = [[title, *(_share(of[name]) for of in shares)] for name, title in CRITERIA.items()]
    return Table("What inversions achieve, and what guesses achieve that never saw a gradient", columns, rows)


def _share(found: dict[str, Any]) -> str:
    return "–" if found["rate"] is None else f"{percent(found['rate'])} ({interval(found['ci'], percent)})"


def _relation_table(found: dict[str, Any]) -> Table:
    tiers = [
        (title, found[tier]) for tier, title in (("features", "T1"), ("matching", "T2")) if found[tier] is not None
    ]
    rows = [[title, *(spearman(tier["confounders"][name]) for _, tier in tiers)] for name, title in CONFOUNDERS.items()]
    for name, title in (("models", "PSNR under another model"), ("restarts", "PSNR from another start")):
        rows.append([title, *(spearman(tier["reliability"][name]) for _, tier in tiers)])
    columns = ["", *(f"{title}: Spearman with PSNR" for title, _ in tiers)]
    return Table("What the ease of inversion goes with", columns, rows)


def _first_figure(found: dict[str, Any], table: pd.DataFrame, folder: Path | None) -> tuple[list[Figure], list[str]]:
    """Originals and reconstructions where they were asked for, else where the reconstructions lie."""
    if found["matching"] is None:
        return [], []
    if folder is not None and (folder / PICTURES).is_file():
        return [pictures_in(folder / PICTURES)], []
    data: dict[str, Any] = {"titles": TITLES, "groups": {}}
    for name, rows in table[table["inversion_group"].notna()].groupby("inversion_group"):
        finite = rows[np.isfinite(rows["nn_margin"])]
        data["groups"][str(name)] = {
            "psnr": [round(float(value), 3) for value in finite["psnr"]],
            "nn_margin": [round(float(value), 4) for value in finite["nn_margin"]],
        }
    figure = Figure(
        "inversion-placement",
        f"Right of 20 dB and above 0 (the {DASHED.word} lines) a sample counts as recovered. Above 0 the "
        "reconstruction is nearer to the true image than to any other.",
        "Scatter plot of inverted samples: mean PSNR against the margin to the nearest other image.",
        data,
    )
    return [figure], ["Reconstructions are personal data: privaudit score --show-samples shows some of them here."]


def pictures_in(path: Path) -> Figure:
    """The paper's Figure 1 from a file of originals and reconstructions."""
    files.demand_whole(path, "Run the same privaudit score again: it makes it anew.")
    with np.load(path, allow_pickle=False) as stored:
        groups, originals, images = stored["groups"], stored["originals"], stored["images"]
        recovered = stored["recovered"]
    blocks = []
    for name in dict.fromkeys(groups.tolist()):
        chosen = groups == name
        blocks.append(
            {
                "title": f"{TITLES[name]}: originals above reconstructions",
                "originals": originals[chosen].tolist(),
                "images": images[chosen].tolist(),
                "recovered": recovered[chosen].tolist(),
            }
        )
    return Figure(
        "inversion-pictures",
        "Originals and what was made of their gradients (T2, first model; of its starts the one that the attack itself "
        "prefers), drawn at random from either group. A red box: recovered.",
        f"Rows of small images: originals and reconstructions; {int(recovered.sum())} of {len(recovered)} are boxed.",
        {"blocks": blocks},
        table=Table(
            "What the pictures show",
            ["Group", "Shown", "Recovered"],
            [[block["title"], f"{len(block['recovered'])}", f"{sum(block['recovered'])}"] for block in blocks],
        ),
    )


def _group_figure(found: dict[str, Any]) -> list[Figure]:
    groups = found["groups"]
    if groups is None:
        return []
    panels = []
    titles = {"risk": "attack success rate", "entropy": "entropy (nats)"}
    for name, title in titles.items():
        compared = groups["compared"][name]
        panel: dict[str, Any] = {"title": title, "logarithmic": name == "entropy", "smallest": 1e-6}
        for side, group in enumerate(("high", "low")):
            panel[group] = {
                "values": groups["values"][name][group],
                "mean": compared["means"][side],
                "ci": compared["cis"][side],
            }
        panels.append(panel)
    means = "; ".join(
        f"{titles[name]} {number(groups['compared'][name]['means'][0])} and "
        f"{number(groups['compared'][name]['means'][1])}"
        for name in titles
    )
    return [
        Figure(
            "inversion-groups",
            "Samples that are easy to invert beside random ones: how often membership is told right, and how unsure "
            "the target is. Bars are means with their 95% intervals.",
            f"Two panels of dots, means of the easiest and of random samples: {means}.",
            {"panels": panels, "titles": ["MI-high", "MI-low"]},
        )
    ]
