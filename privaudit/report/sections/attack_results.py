"""The sections that say what was found: attacks, the exposed, risk against difficulty, unlearning."""

from __future__ import annotations

from typing import Any

import pandas as pd

from privaudit.attacks.suite import ATTACKS
from privaudit.report.content import comparability, wording
from privaudit.report.content.elements import Figure, Section, Table
from privaudit.report.content.wording import number, percent
from privaudit.report.drawing import line_styles
from privaudit.results.score_results import DifferentKinds
from privaudit.scoring.reliability.outliers import LISTED, of_kinds

#: What may stand out, as it is called in results.
OUTSTANDING = ("models", "values", "samples", "accuracies", "strangers", "kinds")


def title_of(attack: str, results: dict[str, Any] | None = None) -> str:
    """An attack's name for people, of RMIA with γ where its results are given."""
    title = ATTACKS[attack].title if attack in ATTACKS else attack
    return title if attack != "rmia" or results is None else f"{title} (γ = {wording.gamma_of(results):g})"


def what_was_audited(results: dict[str, Any]) -> Section:
    """Data, network, training, attacker, and what stands out."""
    if "given" in results["about"]:
        return _what_was_given(results)
    about, identity, data = results["about"], results["about"]["identity"], results["about"]["data"]
    accuracy = results["accuracy"]
    shape = "×".join(map(str, data["input_shape"]))
    rows = [
        ["Data", f"{data['source']}: {data['train']:,} training and {data['test']:,} test samples"],
        ["Inputs and classes", f"{shape}, {len(data['classes'])} classes"],
        ["Network", identity["network"]],
        ["Training", _training(identity)],
        [
            "Target model",
            f"{_whence(results)}: right on {percent(accuracy['target_train'])} of its training samples and "
            f"{percent(accuracy['target_test'])} of the test samples",
        ],
        [
            "Shadow models",
            f"{results['shadows']}, each trained on half of the data: right on {percent(accuracy['shadow_members'])} "
            f"of the samples they saw and {percent(accuracy['shadow_others'])} of those they did not",
        ],
        [
            "Attacker",
            "knows the labels and sees the logits of one model; trains shadow models on the same data; queries with "
            f"{', '.join(results['queries'])} images",
        ],
    ]
    notes = [f"Note: {note}." for note in about["notes"]]
    if wording.given_target(results) is not None:
        notes = [wording.LIMITS_OF_GIVEN_TARGET[0], *notes]
    notes = [*wording.warnings(results), *notes]
    tables = [Table("The audited system", ["What", "Which"], rows), *_what_stands_out(results)]
    return Section("audited", "What was audited", notes, tables)


def _what_stands_out(results: dict[str, Any]) -> list[Table]:
    """Models, values and samples that are far from all others; the first of each."""
    found = results.get("outliers")
    if not found or not any(found.get(kind) for kind in OUTSTANDING):
        return []

    rows = [
        [f"model {one['model']}", "all", f"{one['times']:,.3g} times as far from the median as its siblings"]
        for one in found["models"]
    ]
    rows += [
        [f"model {one['model']}", str(one["sample_id"]), f"{one['spreads']:,.0f} spreads from the median of all models"]
        for one in found["values"][:LISTED]
    ]
    rows += [
        ["all", str(one["sample_id"]), f"models differ {one['times']:,.0f} times as much as usual"]
        for one in found["samples"][:LISTED]
    ]
    rows += [
        [f"model {one['model']}", "all", f"right on {percent(one['accuracy'])}, others on {percent(one['siblings'])}"]
        for one in found.get("accuracies", [])
    ]
    rows += [
        [f"model {one['model']}", "all", f"rank correlation {one['correlation']:.2f}, others {one['siblings']:.2f}"]
        for one in found.get("strangers", [])
    ]
    if (kinds := found.get("kinds")) is not None:
        rows.append(
            [f"models {kinds['model']}, {kinds['other']}", "all", of_kinds(DifferentKinds.model_validate(kinds))]
        )
    return [Table("What stands out", ["Model", "Sample", "How far"], rows)]


def _training(identity: dict[str, Any]) -> str:
    recipe = identity["recipe"]
    if recipe is None:
        return wording.training_function(identity["training_function"])
    return (
        f"recipe '{recipe['name']}': {recipe['epochs']} epochs, batch {recipe['batch_size']}, highest learning "
        f"rate {recipe['learning_rate']:g}, augmentation {recipe['augment']}, {identity['precision']}"
    )


def _whence(results: dict[str, Any]) -> str:
    """How the target came to be."""
    given = wording.given_target(results)
    if given is None:
        return "trained on everything"
    scale = "scales inputs by a mean and deviation of its own" if given["scales_itself"] else "inputs standardised here"
    return (
        f"given by the user as {wording.clip(given['file'])} (SHA-256 {given['sha256'][:16]}…; {scale}), taken to have "
        "been trained on everything"
    )


def _what_was_given(results: dict[str, Any]) -> Section:
    given, accuracy = results["about"]["given"], results["accuracy"]
    design = given.get("design")
    found = ("complementary pairs; " if given["paired"] else "") if design is None else f"{design['sentence']}; "
    rows = [
        ["File", f"{given['file']}: what {results['shadows']} models say of {results['samples']:,} samples"],
        ["SHA-256", given["sha256"]],
        ["Queries", f"{given['queries']} a sample and model"],
        [
            "Design",
            found
            + (
                "each sample was seen by half of the models"
                if given["paired"]
                else f"every sample was seen by at least {given['fewest_in']} models. With each target its complement "
                "is left out or, where it has none, a random model of the other side"
            ),
        ],
    ]
    if accuracy is not None:
        rows.append(
            [
                "Models",
                f"{given['classes']} classes: right on {percent(accuracy['shadow_members'])} of the samples they saw "
                f"and {percent(accuracy['shadow_others'])} of those they did not",
            ]
        )
    said = (
        "The models were trained elsewhere and only what they say was given. So nothing here vouches for their "
        "training: no negative control could be run, and who saw which sample is taken from the file."
    )
    notes = [*wording.warnings(results), *(f"Note: {note}." for note in results["about"]["notes"]), said]
    tables = [Table("What was given", ["What", "Which"], rows), *_what_stands_out(results)]
    return Section("audited", "What was audited", notes, tables)


def how_well_attacked(results: dict[str, Any]) -> Section:
    """Every attack with its intervals, and the ROC."""
    rows = []
    attacks = {
        title_of(name, results): (attack, results["agreement"].get(name)) for name, attack in results["attacks"].items()
    }
    if results["target"] is not None:
        doubted = comparability.doubts(results)
        attacks[wording.TARGET + (": see the warning" if doubted else "")] = (results["target"], None)
    for title, (attack, agreement) in attacks.items():
        tpr = [wording.found_at(attack, fpr) for fpr in ("0.01", "0.001")]
        agrees = "–" if agreement is None or agreement["spearman"] is None else f"{agreement['spearman']:+.2f}"
        rows.append([title, wording.area(attack), *tpr, wording.share(attack["balanced_accuracy"]), agrees])
    drawn = [name for name in ("lira", "rmia", "lira-logit-gap", "loss") if name in results["attacks"]]
    curves = {title_of(name, results): results["attacks"][name]["curve"] for name in drawn}
    areas = [f"{title_of(name, results)} {number(results['attacks'][name]['auc'])}" for name in drawn]
    return Section(
        "attacks",
        "How well membership can be told",
        [
            "Each shadow model in turn is attacked with all the others but its complement. The first number to look at "
            "is how many members an attacker names while raising hardly any false alarm.",
            "Intervals are 95%, over complementary pairs of models for the shadow models (none below 4 pairs), over "
            "samples for the one target model.",
            f"The first row was chosen beforehand and is the one to quote: of {len(results['attacks'])} attacks the "
            "best looks better than it is. Agreement is Spearman's correlation with it, over samples, of the mean "
            "score where a sample was seen less that where it was not.",
            *(f"Warning: {one}." for one in comparability.doubts(results)),
        ],
        [
            Table(
                "Attacks",
                ["Attack", "AUC (95%)", "Found at 1% false alarms", "At 0.1%", "Balanced accuracy", "Agreement"],
                rows,
            )
        ],
        [
            Figure(
                "roc",
                f"Share of members found against share of false alarms, both logarithmic. {line_styles.at('roc')}",
                f"ROC curves, with AUC: {'; '.join(areas)}.",
                {"curves": curves},
            )
        ],
    )


def risk_and_shift(table: pd.DataFrame, results: dict[str, Any]) -> Section:
    """Risk against intrinsic shift and against its proxy, the loss."""
    found = results["risk_vs_difficulty"]["intrinsic_shift"]
    proxy = results["risk_vs_difficulty"]["loss_as_proxy"]
    said = (
        "With fewer than 8 shadow models risk and shift can't be measured on separate halves, so no relation is given."
        if found is None
        else f"Risk, measured on one half of the shadow pairs, and intrinsic shift, measured on the other, "
        f"{wording.correlation(found)}."
    )
    figures = [_scatter(table, said)]
    return Section(
        "intrinsic",
        "Risk and how much a model owes to a sample",
        [
            "A sample's intrinsic shift is its mean margin in models that saw it minus that in models that did not: "
            "how far a model must move to forget it.",
            said,
            *(
                []
                if proxy is None
                else [
                    f"The target's loss as a stand-in for risk: they {wording.correlation(proxy)}."
                    + ("" if wording.is_good_proxy(proxy) else " Loss is a poor proxy here; rank by risk itself.")
                ]
            ),
        ],
        [],
        figures,
    )


def _scatter(table: pd.DataFrame, said: str) -> Figure:
    """Risk against shift, each from its own half of the models where the table holds that."""
    apart = "risk_of_half" in table and bool(table["risk_of_half"].notna().any())
    across, up = ("risk_of_half", "shift_of_half") if apart else ("risk", "shift")
    whence = (
        "risk from one half of the shadow pairs, shift from the other"
        if apart
        else "both from the same models, so that part of what they have in common is built in"
    )
    sketch = table.sample(min(len(table), 3000), random_state=0).sort_index()
    return Figure(
        "scatter",
        f"Risk against intrinsic shift, {whence}; a dot a sample (at most 3,000 drawn). {line_styles.at('scatter')}",
        f"Scatter of risk against intrinsic shift, {whence}. {said}",
        {
            "panels": [
                {
                    "title": "intrinsic shift (logits)",
                    "x": [round(float(v), 4) for v in sketch[across]],
                    "y": [round(float(v), 4) for v in sketch[up]],
                }
            ]
        },
    )
