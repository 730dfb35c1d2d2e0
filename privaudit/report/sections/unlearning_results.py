"""The section on one unlearning run: beside doing nothing and retraining, its ledger, what is left, who is exposed."""

from __future__ import annotations

from typing import Any

import pandas as pd

from privaudit.report.content import comparability, wording
from privaudit.report.content.elements import Figure, Section, Table
from privaudit.report.content.figure_data import Scatter
from privaudit.report.content.outcome_wording import sentence_of_run
from privaudit.report.content.unlearning_wording import is_exact, order, summary
from privaudit.report.content.wording import number, percent
from privaudit.report.drawing import line_styles

NAMES = {"original": "Do nothing (original)", "retrained": "Retrained", "second_retrained": "Retrained again"}


def section_of_run(results: dict[str, Any], run: dict[str, Any], forgetting: pd.DataFrame, index: int) -> Section:
    """One unlearning run."""
    said, outcome = summary(run), sentence_of_run(run)
    # An outcome leads the section, and is not said twice.
    said = said if outcome is None else said[:-1]
    if (run["shadows"], run["statistic"]) != (results["shadows"], results["statistic"]):
        said.insert(
            0,
            f"This run was ranked and audited with {run['shadows']} shadow models and the statistic "
            f"{run['statistic']}, the audit above with {results['shadows']} and {results['statistic']}: run it again "
            "to compare them.",
        )
    place = len(said) - (outcome is None)
    said[place:place] = [f"Warning: {one}." for one in comparability.of_unlearning(results)]
    tables = [
        _accuracy(run),
        *([] if "mia" not in run else [_what_is_left(run)]),
        *_ledger(run),
        *_most_exposed(run),
        Table(
            "Risk against each difficulty",
            ["Difficulty", "Meaning", "Spearman with risk (95%)"],
            [
                [*wording.DIFFICULTIES[name], wording.spearman(run["risk_vs_difficulty"][name])]
                for name in wording.DIFFICULTIES
            ],
        ),
    ]
    return Section(
        f"unlearning-{index}",
        f"Unlearning: {run['method']}"
        + ("" if run["groups"] is None and run["order"] != "none" else f", {order(run)}"),
        said,
        tables,
        _difficulties(run, forgetting),
        lead=outcome or "",
    )


def _accuracy(run: dict[str, Any]) -> Table:
    names = NAMES | {"unlearned": f"Unlearned ({run['method']})"}
    tows = {"original": run["tow_do_nothing"], "unlearned": run["tow"], "second_retrained": run.get("noise_floor")}
    if is_exact(run):
        names |= {"unlearned": "Retrained (the method: exact)", "retrained": "Retrained again (to compare with)"}
    accuracies = {**run["accuracy"], "second_retrained": run.get("second_retrained")}
    rows = []
    for name, parts in accuracies.items():
        if parts is None:
            continue
        again = run["reaudit"].get(name)
        areas = ["–", "–"] if again is None else [wording.area(again.get(part)) for part in ("forget", "retain")]
        tow = "reference" if name == "retrained" else number(tows[name])
        if name == "unlearned" and is_exact(run) and tows[name] is not None:
            tow += " (the noise floor)"
        rows.append([names[name], *(percent(parts[part]) for part in ("forget", "retain", "test")), tow, *areas])
    columns = ["Model", "On the forgotten", "On the retained", "On test", "ToW"]
    return Table("Accuracy and re-audit", [*columns, "LiRA AUC, forgotten", "LiRA AUC, retained"], rows)


def _what_is_left(run: dict[str, Any]) -> Table:
    """What attacks still tell of the forgotten, a column a model."""
    shown = [
        name for name in ("original", "unlearned", "retrained", "second_retrained") if name in run["mia"]["efficacy"]
    ]
    names = NAMES | {"unlearned": "Unlearned"}
    if is_exact(run):
        names |= {"unlearned": "Retrained (exact)", "retrained": "Retrained again"}
    relearn, divergence = run["relearn"], run["jensen_shannon"]
    called = run["exposure"]["called_members"]

    def steps(name: str) -> str:
        found = relearn["steps"].get(name)
        return f"over {relearn['limit']}" if found is None else str(found)

    def called_member(name: str) -> str:
        found = called.get(name, {}).get("forget")
        return "–" if found is None else percent(found)

    def distance(part: str, name: str) -> str:
        return "–" if divergence is None or name not in divergence[part] else number(divergence[part][name])

    rows = [
        ["Called never-seen by an SVM (MIA-efficacy)", *(percent(run["mia"]["efficacy"][name]) for name in shown)],
        ["Called trained-on by LiRA", *(called_member(name) for name in shown)],
        [f"Steps to relearn (loss ≤ {relearn['target_loss']:.3g})", *(steps(name) for name in shown)],
        ["Jensen-Shannon distance to retrained, forgotten", *(distance("forget", name) for name in shown)],
        ["The same on test samples", *(distance("test", name) for name in shown)],
    ]
    if (from_shadow := run["jensen_shannon_from_shadow_models"]) is not None:
        rows.append(
            ["The same to shadow models that never saw them", *(number(from_shadow.get(name)) for name in shown)]
        )
    mia, nothing = run["mia"], [""] * (len(shown) - 2)
    at_retrained = "no retrained model" if mia["gap_to_retrained"] is None else number(mia["gap_to_retrained"])
    rows += [
        ["MIA gap to the original model", "–", number(mia["gap_to_original"]), *nothing],
        ["MIA gap to the retrained model", "–", at_retrained, *nothing],
        ["Relearn time over the retrained model's", "–", ratio(relearn["ratio"]), *nothing],
    ]
    if (attacked := run.get("u_lira")) is not None:
        rows.append(
            [f"U-LiRA, AUC over {attacked['models']} shadow models", "–", wording.area(attacked["attack"]), *nothing]
        )
    return Table("What is left of the forgotten", ["Measure", *(names[name] for name in shown)], rows)


def ratio(found: dict[str, Any] | None) -> str:
    """A relearn ratio, shown as a bound where it is one."""
    if found is None:
        return "no retrained model"
    if found["bound"] == "unknown":
        return "can't be told"
    return ("" if found["bound"] is None else f"{found['bound']} ") + number(found["value"])


def _ledger(run: dict[str, Any]) -> list[Table]:
    stages = run.get("stages") or []
    if not stages:
        return []
    rows = [
        [
            str(index),
            f"{stage['samples']:,}" + ("" if stage["samples"] == stage["planned"] else f" of {stage['planned']:,}"),
            f"{stage['allowed']:,}",
            f"{stage['forget_steps']:,}",
            f"{stage['retain_steps']:,}",
            f"{stage['seconds']:.2f} s",
        ]
        for index, stage in enumerate(stages, start=1)
    ]
    columns = ["Stage", "Samples", "Allowed", "Forget-sample gradients", "Retain-sample gradients", "Time"]
    return [Table("The ledger: what every stage spent", columns, rows)]


def _most_exposed(run: dict[str, Any]) -> list[Table]:
    named = run.get("exposure", {}).get("most_exposed", [])
    if not named:
        return []
    shown = [name for name in ("original", "unlearned", "retrained") if name in named[0]]
    rows = [
        [str(row["sample_id"]), wording.clip(row["class_name"]), *(f"{row[name]:+.2f}" for name in shown)]
        for row in named
    ]
    titles = {"original": "Before", "unlearned": "After", "retrained": "After retraining"}
    if is_exact(run):
        titles["retrained"] = "After another retraining"
    return [
        Table(
            "Retained samples that became most exposed (LiRA's ratio; above 0 is called trained-on)",
            ["Sample", "Class", *(titles[name] for name in shown)],
            rows,
        )
    ]


def _difficulties(run: dict[str, Any], forgetting: pd.DataFrame) -> list[Figure]:
    sketch = forgetting.sample(min(len(forgetting), 2000), random_state=0).sort_index()
    panels = [
        {
            "title": title,
            "x": [round(float(v), 4) for v in sketch["risk"]],
            "y": [round(float(v), 4) for v in sketch[name]],
        }
        for name, (title, _) in wording.DIFFICULTIES.items()
        if sketch[name].notna().any()
    ]
    figure = Figure(
        "scatter",
        f"Risk of each forgotten sample against each difficulty (margins, in logits). {line_styles.at('scatter')}",
        "; ".join(
            f"{wording.DIFFICULTIES[name][0]}: {wording.spearman(run['risk_vs_difficulty'][name])}"
            for name in wording.DIFFICULTIES
        ),
        Scatter.model_validate({"panels": panels}),
    )
    # Nothing is left to draw where the samples were purged.
    return [figure] if panels else []
