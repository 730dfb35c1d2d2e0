"""Whether training and test samples can be held against each other, in sentences: from stored results alone."""

from __future__ import annotations

from typing import Any

from privaudit.report.content import wording
from privaudit.report.content.elements import Table
from privaudit.report.content.wording import interval, number, percent

STANDS = (
    "figures of the shadow models never hold training against test samples, and stand: they hold a sample in models "
    "that saw it against the same sample in models that did not"
)

#: What test samples that were trained on do.
TOO_LOW = ", so the target's figure is too low"

#: From this share of the test samples on they move the figure (its distance from ½, by that share) enough to matter.
MATERIAL = 0.05

POPULATION = (
    "RMIA and the population attack take their population from the test set. Where it differs from the training "
    "samples they still read ½ on models that leak nothing, but may find less than with samples like those of training"
)


def failed(results: dict[str, Any]) -> list[str]:
    """Return why training and test samples are not alike, a clause for each control that failed."""
    controls = results.get("controls") or {}
    said = []
    if (blind := controls.get("blind")) is not None and not blind["holds"]:
        mixed = blind["classes_p"] < blind["inputs_p"]
        said.append(
            "inputs and labels alone tell training from test samples, no model asked (blind baseline: "
            + (f"classes are mixed otherwise, p {wording.p_value(blind['classes_p'])}; " if mixed else "")
            + f"AUC {number(blind['auc'])}, 95% {interval(blind['ci'])})"
        )
    if (shift := controls.get("shift")) is not None and not shift["holds"]:
        found = shift["of_models"]
        outside = "test samples" if results.get("target") is not None else "the population"
        said.append(
            f"shadow models tell training samples that they never saw from {outside}, which they never saw either "
            f"(AUC {number(found['lowest'])} to {number(found['highest'])} by model, mean {number(shift['auc'])}; by "
            f"the bare margin {number(shift['margin_auc'])})"
        )
    return said


def unlike(results: dict[str, Any]) -> list[str]:
    """Return a warning where training and test samples differ by themselves; none where they do not."""
    reasons = failed(results)
    if not reasons:
        return []
    because = "; ".join(reasons)
    if results.get("target") is None:
        return [f"{because}. {POPULATION}"]
    return [
        f"training and test samples differ by themselves: {because}. The target's AUC of "
        f"{number(results['target']['auc'])} may be that difference rather than membership; {STANDS}"
    ]


def repeated(results: dict[str, Any]) -> list[str]:
    """Return warnings of samples that are there twice, but for tables in which rows repeat by nature."""
    found = results.get("duplicates")
    if not found or found["ordinary"]:
        return []
    said, near = [], found["near"] or {"test": 0, "training": 0, "asked": {"test": 0, "training": 0}}
    if found["test_in_training"]:
        said.append(
            f"{found['test_in_training']:,} of {found['test']:,} test samples "
            f"({percent(found['test_in_training_share'])}) are training samples, {found['same_label']:,} with the same "
            f"label: they count as never trained on although they were{TOO_LOW}"
        )
    if near["test"]:
        said.append(
            f"{near['test']:,} of {near['asked']['test']:,} test samples that were looked at have a near-duplicate in "
            f"the training set: what was learned of it is known of them{TOO_LOW}"
        )
    if found["within_training"]:
        said.append(
            f"{found['within_training']:,} of {found['training']:,} training samples are there more than once: where a "
            "model leaves one out it may have seen its twin, so both read safer than they are"
        )
    if near["training"]:
        said.append(
            f"{near['training']:,} of {near['asked']['training']:,} training samples that were looked at have a "
            "near-duplicate among the others: both read safer than they are"
        )
    return said


def doubts(results: dict[str, Any]) -> list[str]:
    """Return every warning that the target's figure carries."""
    if results.get("target") is None:
        return []
    return unlike(results) + [one for one in repeated(results) if TOO_LOW in one]


def is_too_low(results: dict[str, Any]) -> bool:
    """Whether test samples that were trained on, or nearly so, pull the target's figure toward ½."""
    found = results.get("duplicates")
    if not found:
        return False
    near = found["near"]
    share = found["test_in_training_share"] + (0.0 if near is None else near["test"] / max(near["asked"]["test"], 1))
    return bool(share >= MATERIAL)


def control_rows(results: dict[str, Any]) -> list[list[str]]:
    """Return the two controls as rows of the table of controls: experiment, must read, read, verdict."""
    controls, rows = results.get("controls") or {}, []
    if (blind := controls.get("blind")) is not None:
        count = blind["samples"]
        rows.append(
            [
                f"Blind baseline: {count['training']:,} training against {count['test']:,} test samples by inputs and "
                "labels alone, no model asked",
                "AUC ½",
                f"{number(blind['auc'])} ({interval(blind['ci'])}); p {wording.p_value(blind['p'])}, of the classes' "
                f"mix {wording.p_value(blind['classes_p'])}",
                _verdict(blind),
            ]
        )
    if (shift := controls.get("shift")) is not None:
        count, found = shift["samples"], shift["of_models"]
        outside = "test samples" if results.get("target") is not None else "samples of the population"
        rows.append(
            [
                f"{count['training']:,} training samples against {count['test']:,} {outside} under shadow models that "
                "saw neither, attacked as the target is",
                "AUC ½ in every model",
                f"{number(shift['auc'])} ({interval(shift['ci'])}) on average, single models {number(found['lowest'])} "
                f"to {number(found['highest'])}, the bare margin {number(shift['margin_auc'])}; p "
                f"{wording.p_value(shift['p'])}",
                _verdict(shift),
            ]
        )
    return rows


def _verdict(control: dict[str, Any]) -> str:
    return "holds" if control["holds"] else "FAILED: the target's figure is not of membership alone"


def on_page_one(results: dict[str, Any]) -> list[str]:
    """Return what page 1 says of these controls."""
    if said := unlike(results):
        return [f"WARNING: {said[0]}."]
    controls = results.get("controls") or {}
    if (blind := controls.get("blind")) is not None:
        return [
            "Training and test samples are alike: without a model they are told apart with an AUC of "
            f"{number(blind['auc'])} (95% {interval(blind['ci'])}; a blind baseline, which must not read above ½)."
        ]
    return []


def of_unlearning(results: dict[str, Any]) -> list[str]:
    """Return a warning for figures that hold the forgotten against test samples: the re-audit and MIA efficacy."""
    reasons = failed(results) if results.get("target") is not None else []
    reasons += [one for one in repeated(results) if TOO_LOW in one]
    if not reasons:
        return []
    return [
        "the re-audit and MIA efficacy hold forgotten and retained samples against test samples, and these are "
        f"not what they must be: {'; '.join(reasons).replace(TOO_LOW, '')}. Compare with the retrained model's "
        "figures, which are off alike, not with ½"
    ]


def tables_of_duplicates(results: dict[str, Any]) -> list[Table]:
    """Return how many samples are there twice; counts alone."""
    found = results.get("duplicates")
    if not found:
        return []

    def of(count: int, total: int) -> str:
        return f"{count:,} of {total:,} ({percent(count / total)})" if total else "none looked at"

    rows = [
        ["Test samples that equal a training sample", of(found["test_in_training"], found["test"])],
        ["Those with the same label", of(found["same_label"], found["test"])],
        ["Training samples that equal another one", of(found["within_training"], found["training"])],
    ]
    if (near := found["near"]) is not None:
        rows += [
            ["Test samples with a near-duplicate in training", of(near["test"], near["asked"]["test"])],
            [
                "Training samples with a near-duplicate among the others",
                of(near["training"], near["asked"]["training"]),
            ],
        ]
    return [Table("Samples that are there twice", ["What", "How many"], rows)]


def said_of_duplicates(results: dict[str, Any]) -> list[str]:
    """Return what the counts mean, a sentence each."""
    found = results.get("duplicates")
    if not found:
        return []
    if found["ordinary"]:
        return [
            "Inputs repeat by nature here: they take so few different values that chance makes some equal. No attack "
            "can tell equal ones apart, so one whose equal was trained on looks trained on."
        ]
    said = [f"Warning: {one}." for one in repeated(results)]
    return said or ["No input is there twice, as far as was looked: equal ones everywhere, near ones around a part."]
