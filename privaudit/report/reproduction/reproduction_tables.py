"""Tables of the reproduction report, in the paper's layout, beside what the paper prints."""

from __future__ import annotations

from typing import Any

from privaudit.report.content import wording
from privaudit.report.content.elements import Table
from privaudit.report.content.unlearning_wording import signed

PROTOCOLS = {"as_in_paper": "as in the paper", "controlled": "controlled"}

#: What each of the paper's tables and figures says, in its order, as short as page 1 wants it.
CLAIMS = {
    "figure1": "some samples are inverted, others not",
    "table1": "invertible samples are forgotten more readily",
    "table2": "samples of high ASR are forgotten more readily",
    "figure2": "invertible samples have a higher ASR",
    "table3": "invertible samples lie in the tail of confidence",
    "figure3": "invertible samples take longer to relearn",
    "figure4": "samples of high ASR take longer to relearn",
    "figure5": "loss can stand in for risk",
    "table5": "RSU's order raises ToW, whole classes",
    "table6": "RSU's order raises ToW, a random tenth",
    "figure7": "RSU's order raises ToW, classes, gradient ascent",
}

METHOD = {
    "": "–",
    "ga": "GA",
    "rl": "RL",
    "ft": "FT",
    "retrain": "Retrain",
    "bad-teacher": "Bad-T",
    "l1-sparse": "L1-sparse",
    "neggrad-plus": "NegGrad+",
    "scrub": "SCRUB",
    "salun": "SalUn",
    "ssd": "SSD",
    "shadow-teacher": "shadow-teacher",
}


def tables_of(answer: dict[str, Any]) -> list[Table]:
    """The tables of one experiment on one dataset."""
    name = answer["name"]
    if name in ("table1", "table2"):
        return [_forgetting(answer)]
    if name in ("figure3", "figure4"):
        return [_relearning(answer)]
    if name in ("table5", "table6", "figure7"):
        return [_sequences(answer), _parameters_of_arms(answer)]
    if name == "table3":
        return [_classes(answer)]
    if name == "figure1":
        return [_inversions(answer)]
    if name == "methods":
        return [*_methods(answer), _parameters(answer)]
    return []


def verdicts(studies: list[tuple[str, list[dict[str, Any]], dict[str, Any]]]) -> Table | None:
    """Every claim beside its verdict and effect on every data set, for page 1; None where nothing is claimed.

    Parameters
    ----------
    studies
        Title, experiments' results and verdicts of each.
    """
    asked = [study for study in studies if study[2]]
    rows = []
    for name, claim in CLAIMS.items():
        answers = [next((answer for answer in found if answer["name"] == name), None) for _, found, _ in asked]
        title = next((answer["title"] for answer in answers if answer is not None), None)
        if title is not None:
            cells = [
                "not run" if answer is None else _decided(answer["contrasts"][protocol], decided[name][protocol])
                for answer, (_, _, decided) in zip(answers, asked, strict=True)
                for protocol in PROTOCOLS
            ]
            rows.append([f"{title}: {claim}", *cells])
    if not rows:
        return None
    columns = [f"{title}, {protocol}" for title, _, _ in asked for protocol in PROTOCOLS.values()]
    return Table(
        "Verdicts, each with the difference that decides it and its 95% interval, positive where it has the claim's "
        "sign. ASR: how often an attack tells rightly whether a sample was trained on. RSU: the paper's unlearning in "
        "stages, safest samples first. ToW: closeness to a model retrained without the forgotten, 1 is best. "
        "Controlled: other explanations are taken away.",
        ["Claim", *columns],
        rows,
    )


def change_of(answer: dict[str, Any]) -> dict[str, Any] | None:
    """The contrast of what was closed of a group's distance to retraining, against doing nothing; None without it."""
    return next((one for one in answer["secondary"] if one["measure"] == "gap_change"), None)


def change_in_words(answer: dict[str, Any]) -> str:
    """The same for a sentence, with the share of the way that was closed; empty without it."""
    change = change_of(answer)
    if change is None:
        return ""
    closed = next((one for one in answer["secondary"] if one["measure"] == "gap_closed"), None)
    # Where a group has hardly any way to go on some seeds, the others alone say little.
    told = closed is not None and closed["seeds"] == change["seeds"]
    share = f", {wording.percent(closed['mean'])} of their way" if closed is not None and told else ""
    return f" (against doing nothing, closer by {change['mean']:+.3f} more for the {change['first']}{share})"


def _decided(contrast: dict[str, Any], decided: dict[str, Any]) -> str:
    return f"{decided['verdict']}: {contrast['mean']:+.3f} ({signed(contrast['ci'])})"


def shown(row: dict[str, Any], measure: str, say: Any = wording.percent) -> str:
    """Mean ± standard deviation over seeds."""
    found = row.get(measure)
    if found is None:
        return "–"
    spread = "" if found["sd"] is None else f" ± {say(found['sd'])}"
    return f"{say(found['mean'])}{spread}"


def _of(answer: dict[str, Any]) -> str:
    about = answer["about"]
    classes = {row["classes"] for row in answer["table"] if "classes" in row}
    of_classes = f", {max(classes)} classes where whole ones are forgotten" if classes else ""
    return f"{about['dataset']} ({about['network']}), {about['seeds']} seeds{of_classes}"


def _printed(answer: dict[str, Any], row: dict[str, Any], measure: str, say: Any) -> str:
    for entry in answer["paper"]:
        if all(entry[key] == row[key] for key in ("set", "method", "arm")) and entry["measure"] == measure:
            return str(say(entry["value"]))
    return "–"


def _forgetting(answer: dict[str, Any]) -> Table:
    rows = []
    for row in answer["table"]:
        method = "do nothing" if row["arm"] == "do-nothing" else METHOD.get(row["method"], row["method"])
        rows.append(
            [
                method,
                row["set"],
                *(shown(row, measure) for measure in ("retain", "test", "forget")),
                shown(row, "retrained_forget"),
                shown(row, "mia_gap_to_original", wording.number),
                shown(row, "tow", wording.number),
                _printed(answer, row, "forget", wording.percent),
                _printed(answer, row, "mia_gap_to_original", wording.number),
            ]
        )
    return Table(
        f"{_of(answer)}: means ± standard deviations over seeds. Retrained: the reference's accuracy on the same D_u",
        ["Method", "Group", "On D_r", "On test", "On D_u", "Retrained", "MIA gap", "ToW", "Paper: D_u",
         "Paper: MIA gap"],
        rows,
    )  # fmt: skip


def _relearning(answer: dict[str, Any]) -> Table:
    rows = [
        [
            "do nothing" if row["arm"] == "do-nothing" else METHOD.get(row["method"], row["method"]),
            row["set"],
            shown(row, "relearn", lambda value: f"{value:.0f}"),
            shown(row, "log_relearn_ratio", lambda value: f"{value:.2f}"),
        ]
        for row in answer["table"]
    ]
    return Table(
        f"{_of(answer)}: steps until the loss on D_u was back (at most 400), and the logarithm of their ratio to a "
        "retrained model's",
        ["Method", "Group", "Steps", "Logarithm of the ratio"],
        rows,
    )


def _sequences(answer: dict[str, Any]) -> Table:
    rows = []
    for row in answer["table"]:
        rows.append(
            [
                METHOD.get(row["method"], row["method"]),
                row["arm"] if row["method"] != "retrain" else "noise floor",
                *(shown(row, measure) for measure in ("retain", "test", "forget")),
                shown(row, "tow", wording.number),
                shown(row, "mia_gap", wording.number),
                shown(row, "forget_steps_run", lambda value: f"{value:,.0f}"),
                f"{row['stopped']}",
                _printed(answer, row, "tow", wording.number),
            ]
        )
    return Table(
        f"{_of(answer)}: means ± standard deviations over seeds. Stopped: on how many seeds the method stopped itself",
        ["Method", "Arm", "On D_r", "On test", "On D_u", "ToW", "MIA gap to retrained", "Gradients on D_u", "Stopped",
         "Paper: ToW"],
        rows,
    )  # fmt: skip


def _classes(answer: dict[str, Any]) -> Table:
    def confidence(value: float | None) -> str:
        return "–" if value is None else f"{value:.4f}"

    of_classes = answer["figures"]["classes"]
    groups = list(of_classes[0]["groups"])
    rows = [
        [
            entry["class"],
            f"{entry['highest']:.4f}–{entry['edge']:.4f}",
            f"{entry['edge']:.4f}–{entry['lowest']:.4f}",
            *(confidence(entry["groups"][name]) for name in groups),
        ]
        for entry in of_classes
    ]
    return Table(
        f"{_of(answer)}, seed 0: true-label confidence by class, and the mean of each group",
        ["Class", "Top 80%", "Bottom 20%", *groups],
        rows,
    )


def _inversions(answer: dict[str, Any]) -> Table:
    matching = answer["figures"]["matching"]
    titles = {
        "recovered": "Recovered (PSNR ≥ 20 dB and nearest to the true image)",
        "identified": "Nearest to the true image",
        "psnr_above_20": "PSNR ≥ 20 dB",
        "ssim_above_0.5": "SSIM ≥ 0.5",
        "ssim_above_0.9": "SSIM ≥ 0.9",
    }
    rows = [
        [titles.get(name, name), wording.percent(found["rate"]), wording.interval(found["ci"], wording.percent)]
        for name, found in matching["outcomes"].items()
    ]
    return Table(
        f"{_of(answer)}: {matching['random']} random samples under {matching['models']} models, "
        f"{matching['restarts']} starts each",
        ["Outcome", "Share", "95% interval"],
        rows,
    )


def _methods(answer: dict[str, Any]) -> list[Table]:
    found = []
    for name in dict.fromkeys(row["set"] for row in answer["table"]):
        rows = [row for row in answer["table"] if row["set"] == name]
        found.append(
            Table(
                f"{_of(answer)}, forgetting {name} ({rows[0]['n']:,} samples on seed 0): means ± standard deviations "
                "over seeds. Called known: share of D_u that LiRA says the model was trained on",
                ["Method", "Order", "On D_u", "On D_r", "On test", "ToW", "MIA-efficacy", "JS to retrained",
                 "Called known", "Relearn steps", "Gradients on D_u, on D_r", "CPU seconds"],
                [_method_row(row) for row in rows],
            )
        )  # fmt: skip
        found.append(
            Table(
                f"{_of(answer)}, forgetting {name}: Spearman's ρ of risk with three difficulties, means ± standard "
                "deviations over seeds. Forgettability: how far the margin moved; fidelity: how far it is from the "
                "retrained model's; shift: how far retraining moved it",
                ["Method", "Order", "Forgettability", "Fidelity", "Shift"],
                [
                    [
                        *_named(row),
                        *(
                            shown(row, f"risk_and_{difficulty}", lambda value: f"{value:.2f}")
                            for difficulty in ("forgettability", "fidelity", "shift")
                        ),
                    ]
                    for row in rows
                    if row["arm"] != "do-nothing"
                ],
            )
        )
    return found


def _parameters(answer: dict[str, Any]) -> Table:
    """What each method was run with; its four orders share it."""
    shown_once = {(cell["set"], cell["method"]): cell["values"] for cell in answer["parameters"]}
    return Table(
        f"{_of(answer)}: parameters, tuned on a seed of their own",
        ["Forget set", "Method", "Parameters"],
        [[name, METHOD[method], values] for (name, method), values in shown_once.items()],
    )


def _parameters_of_arms(answer: dict[str, Any]) -> Table:
    """What each arm was run with: arms differ in this besides their order."""
    return Table(
        f"{_of(answer)}: parameters of each arm",
        ["Method", "Arm", "Parameters"],
        [[METHOD[cell["method"]], cell["arm"], cell["values"]] for cell in answer["parameters"]],
    )


def _named(row: dict[str, Any]) -> list[str]:
    if row["arm"] == "do-nothing":
        return ["do nothing", "–"]
    if row["method"] == "retrain":
        return ["a second retraining", "–"]
    return [METHOD.get(row["method"], row["method"]), row["arm"]]


def _method_row(row: dict[str, Any]) -> list[str]:
    count = "–"
    if row["forget_steps_run"]["mean"] or row["retain_steps_run"]["mean"]:
        count = f"{row['forget_steps_run']['mean']:,.0f}, {row['retain_steps_run']['mean']:,.0f}"
    return [
        *_named(row),
        *(shown(row, measure) for measure in ("forget", "retain", "test")),
        *(shown(row, measure, wording.number) for measure in ("tow", "mia_efficacy", "jensen_shannon")),
        shown(row, "called_members"),
        shown(row, "relearn", lambda value: f"{value:.0f}"),
        count,
        shown(row, "processor_seconds", lambda value: f"{value:.1f}"),
    ]
