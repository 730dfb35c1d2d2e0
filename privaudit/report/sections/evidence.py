"""The sections that say how far to trust it: controls, limits, and how to do it again."""

from __future__ import annotations

from typing import Any

from privaudit.report.content import comparability, unlearning_wording, wording
from privaudit.report.content.elements import Section, Table
from privaudit.report.content.wording import interval, percent
from privaudit.results.unlearning.run import UnlearnResults

COLUMNS = ["Experiment", "Must read", "Read", "Verdict"]


def controls(results: dict[str, Any]) -> Section:
    """The experiments with a known answer, and what they read."""
    if not wording.negative_controls(results):
        if not (rows := comparability.control_rows(results)):
            said = "The models were trained elsewhere: no experiment with a known answer could be run on them."
            return Section("controls", "Controls", [said])
        said = "The models were trained elsewhere: only the population could be checked."
        warned = [f"Warning: {one}." for one in comparability.unlike(results)]
        return Section("controls", "Controls", [said, *warned], [Table("Controls", COLUMNS, rows)])
    rows = []
    for key, what in (
        ("negative", "Samples that no model saw, with made-up membership (200 redraws)"),
        ("untrained", "Models that were never trained, with the real membership"),
    ):
        control = results["controls"][key]
        rows.append(
            [
                what,
                "AUC ½",
                f"{control['auc']:.4f} ({interval(control['ci'], lambda value: f'{value:.4f}')})",
                "holds" if control["holds"] else "FAILED",
            ]
        )
    positive = results["controls"]["positive"]
    if positive is not None:
        rows.append(
            [
                f"{positive['count']} mislabelled samples in the shadow pool",
                "risk near 100%",
                f"{percent(positive['mean_asr'])}, others {percent(positive['others_mean_asr'])}",
                "see value",
            ]
        )
    return Section(
        "controls",
        "Controls",
        [
            "An audit is believed only where experiments with a known answer read as they must.",
            *_of_sides(results),
            *comparability.said_of_duplicates(results),
        ],
        [
            Table("Controls", COLUMNS, rows + comparability.control_rows(results)),
            *comparability.tables_of_duplicates(results),
        ],
    )


def _of_sides(results: dict[str, Any]) -> list[str]:
    """What the controls of training against test samples mean; nothing in results that lack them."""
    if not comparability.control_rows(results):
        return []
    warned = [f"Warning: {one}." for one in comparability.unlike(results)]
    meaning = (
        "The last two hold for what compares training with test samples: the target's row, and after unlearning the "
        "re-audit and MIA efficacy. The other figures are of shadow models, attacked on training samples alone."
    )
    return [meaning, *warned, *([f"{comparability.POPULATION}."] if warned else [])]


def epsilon(results: dict[str, Any]) -> list[Section]:
    """Lower bounds on ε, where canaries were trained on."""
    bounds = results["epsilon"]
    if bounds is None:
        return []
    trials, one = bounds["trials"], bounds["one_run"]
    rows = [
        [
            "Many trainings, one canary",
            wording.bound_from_trials(bounds),
            "–"
            if trials is None
            else f"{trials['hits']} of {trials['trials']} trainings with it were named, {trials['alarms']} of "
            f"{trials['trials']} without it",
        ]
    ]
    rows.append(
        [
            "One training, many canaries",
            f"ε ≥ {one['epsilon']:.2f}",
            f"{one['correct']} of {one['canaries']} inclusion coins were guessed right",
        ]
    )
    said = [
        f"No training like this one is (ε, δ)-differentially private with a smaller ε: each bound holds with "
        f"{100 * one['confidence']:g}% confidence, for δ = {one['delta']:g}. What is not found is not proved: the true "
        "ε may be far larger, and is infinite for training without noise.",
        "Many trainings: the canary and its threshold were chosen on one half of the shadow pairs and counted on the "
        "other (Clopper and Pearson); datasets differ in one sample replaced. One training: a model of its own, in "
        "which an independent coin decided for every canary (Steinke et al. 2023).",
    ]
    return [Section("epsilon", "Lower bounds on ε", said, [Table("Bounds", ["From", "Bound", "Evidence"], rows)])]


def limits(results: dict[str, Any], unlearned: bool) -> Section:
    """What this audit does not say."""
    paragraphs = list(wording.LIMITS)
    if results["shadows"] < 8:
        paragraphs.insert(0, "There are fewer than 8 shadow models, so no interval over models is given.")
    if wording.given_target(results) is not None:
        paragraphs += wording.LIMITS_OF_GIVEN_TARGET
    if unlearned:
        paragraphs += unlearning_wording.LIMITS
    return Section("limits", "Limits", paragraphs)


def how_to_reproduce(results: dict[str, Any], runs: list[UnlearnResults], hashes: list[list[str]]) -> Section:
    """Commands, fingerprints and versions, and the SHA-256 of what the report was made from."""
    made_from = Table("The report was made from", ["File", "SHA-256"], hashes)
    if "given" in results["about"]:
        rows = [["Command", wording.command(results)], ["SHA-256 of the file", results["about"]["given"]["sha256"]]]
        return Section(
            "reproduce", "How to reproduce this", [], [Table("Reproduction", ["What", "Which"], rows), made_from]
        )
    about, identity = results["about"], results["about"]["identity"]
    rows = [
        ["Command", wording.command(results)],
        *[["Command", unlearning_wording.command(run)] for run in runs],
        ["Check", f"privaudit verify {about['audit']}"],
        ["Data fingerprint", identity["fingerprint"]],
        ["Seed", str(identity["seed"])],
        ["Device and precision", f"{identity['device']}, {identity['precision']}"],
        ["Versions", ", ".join(f"{name} {value}" for name, value in about["versions"].items())],
        ["Training time", wording.training_time(results["training"])],
    ]
    if (given := wording.given_target(results)) is not None:
        rows.append([f"SHA-256 of {wording.clip(given['file'])}", given["sha256"]])
    said = ["Where the data does not lie in the folder data, say where with --data-dir DIR."]
    if any("ids:FILE" in row[1] for row in rows if row[0] == "Command"):
        said.append("FILE is the list that was given; the report repeats neither its name nor whom it names.")
    return Section(
        "reproduce", "How to reproduce this", said, [Table("Reproduction", ["What", "Which"], rows), made_from]
    )
