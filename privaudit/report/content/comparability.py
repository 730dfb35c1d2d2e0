"""Whether training and test samples can be held against each other, in sentences: from stored results alone."""

from __future__ import annotations

from collections.abc import Sequence

from privaudit.report.content.elements import Table
from privaudit.report.content.texts import text
from privaudit.report.content.wording import clip, interval, number, p_value, percent, warned
from privaudit.results.audit.score_results import Accuracy, ScoreResults

#: What test samples that were trained on do.
TOO_LOW = ", so the target's figure is too low"

#: From this share of the test samples on they move the figure (its distance from ½, by that share) enough to matter.
MATERIAL = 0.05

POPULATION = text("controls.population")

#: Of a class with fewer samples on a side, how many they are tells more of who was trained on than the model does.
FEWEST_OF_CLASS = 5

#: So many small classes are named.
NAMED_CLASSES = 3


def failed(results: ScoreResults) -> list[str]:
    """Return why training and test samples are not alike, a clause for each control that failed."""
    blind, shift = results.controls.blind, results.controls.shift
    said = []
    if blind is not None and not blind.holds:
        mixed = blind.classes_p is not None and (blind.inputs_p is None or blind.classes_p < blind.inputs_p)
        said.append(
            "inputs and labels alone tell training from test samples, no model asked (blind baseline: "
            + (f"classes are mixed otherwise, p {p_value(blind.classes_p)}; " if mixed else "")
            + f"AUC {number(blind.auc)}, 95% {interval(blind.ci)})"
        )
    if shift is not None and not shift.holds:
        outside = "test samples" if results.target is not None else "the population"
        said.append(
            f"shadow models tell training samples that they never saw from {outside}, which they never saw either "
            f"(AUC {number(shift.of_models.lowest)} to {number(shift.of_models.highest)} by model, mean "
            f"{number(shift.auc)}; by the bare margin {number(shift.margin_auc)})"
        )
    return said


def unlike(results: ScoreResults) -> list[str]:
    """Return a warning where training and test samples differ by themselves; none where they do not."""
    if not (reasons := failed(results)):
        return []
    because = "; ".join(reasons)
    if results.target is None:
        return [f"{because}. {POPULATION}"]
    return [
        f"training and test samples differ by themselves: {because}. The target's AUC of "
        f"{number(results.target.auc)} may be that difference rather than membership; {text('controls.stands')}"
    ]


def repeated(results: ScoreResults) -> list[str]:
    """Return warnings of samples that are there twice, but for tables in which rows repeat by nature."""
    found = results.duplicates
    if found is None or found.ordinary:
        return []
    said = []
    if found.test_in_training:
        said.append(
            f"{found.test_in_training:,} of {found.test:,} test samples ({percent(found.test_in_training_share)}) are "
            f"training samples, {found.same_label:,} with the same label: they count as never trained on although they "
            f"were{TOO_LOW}"
        )
    if (near := found.near) is not None and near.test:
        said.append(
            f"{near.test:,} of {near.asked.test:,} test samples that were looked at have a near-duplicate in the "
            f"training set: what was learned of it is known of them{TOO_LOW}"
        )
    if found.within_training:
        said.append(
            f"{found.within_training:,} of {found.training:,} training samples are there more than once: where a model "
            "leaves one out it may have seen its twin, so both read safer than they are"
        )
    if near is not None and near.training:
        said.append(
            f"{near.training:,} of {near.asked.training:,} training samples that were looked at have a near-duplicate "
            "among the others: both read safer than they are"
        )
    return said


def small_classes(names: Sequence[str], training: Sequence[int], test: Sequence[int]) -> list[str]:
    """Return a warning of small classes that are hardly on one side; their size alone tells their members.

    A class counts that has fewer than `FEWEST_OF_CLASS` samples on a side, and there less than half or more than twice
    of what the two sides' sizes let expect.

    Parameters
    ----------
    names
        Of all classes.
    training, test
        How many samples of each there are.
    """
    whole = sum(training), sum(test)

    def tells(of: int, beside: int) -> bool:
        here, there = of * whole[1], beside * whole[0]
        return min(of, beside) < FEWEST_OF_CLASS and not here <= 2 * there <= 4 * here

    counts = list(zip(names, training, test, strict=True))
    small = sorted((one for one in counts if tells(*one[1:])), key=lambda one: sum(one[1:]))
    if not small or not all(whole):
        return []
    shown = ", ".join(f"'{clip(name)}' {of:,} and {beside:,}" for name, of, beside in small[:NAMED_CLASSES])
    more = f" and {len(small) - NAMED_CLASSES:,} more" if len(small) > NAMED_CLASSES else ""
    return [
        f"{len(small):,} of {len(counts):,} classes ha{'s' if len(small) == 1 else 've'} few samples and hardly any on "
        f"one side (training and test: {shown}{more}): there a class's size alone may tell who was trained on, which "
        "the blind baseline is too coarse to see, so figures that hold training against test samples need not be the "
        "model's doing"
    ]


def doubts(results: ScoreResults) -> list[str]:
    """Return every warning that the target's figure carries."""
    return [] if results.target is None else unlike(results) + _lowering(results)


def _lowering(results: ScoreResults) -> list[str]:
    return [one for one in repeated(results) if TOO_LOW in one]


def is_too_low(results: ScoreResults) -> bool:
    """Whether test samples that were trained on, or nearly so, pull the target's figure toward ½."""
    if (found := results.duplicates) is None:
        return False
    near = 0.0 if found.near is None else found.near.test / max(found.near.asked.test, 1)
    return found.test_in_training_share + near >= MATERIAL


def control_rows(results: ScoreResults) -> list[list[str]]:
    """Return the two controls as rows of the table of controls: experiment, must read, read, verdict."""
    blind, shift = results.controls.blind, results.controls.shift
    rows = []
    if blind is not None:
        rows.append(
            [
                f"Blind baseline: {blind.samples.training:,} training against {blind.samples.test:,} test samples by "
                "inputs and labels alone, no model asked",
                "AUC ½",
                f"{number(blind.auc)} ({interval(blind.ci)}); p {p_value(blind.p)}, of the classes' mix "
                f"{p_value(blind.classes_p)}",
                _verdict(holds=blind.holds),
            ]
        )
    if shift is not None:
        outside = "test samples" if results.target is not None else "samples of the population"
        rows.append(
            [
                f"{shift.samples.training:,} training samples against {shift.samples.test:,} {outside} under shadow "
                "models that saw neither, attacked as the target is",
                "AUC ½ in every model",
                f"{number(shift.auc)} ({interval(shift.ci)}) on average, single models "
                f"{number(shift.of_models.lowest)} to {number(shift.of_models.highest)}, the bare margin "
                f"{number(shift.margin_auc)}; p {p_value(shift.p)}",
                _verdict(holds=shift.holds),
            ]
        )
    return rows


def _verdict(*, holds: bool) -> str:
    return "holds" if holds else "FAILED: the target's figure is not of membership alone"


def on_page_one(results: ScoreResults) -> list[str]:
    """Return what page 1 says of these controls."""
    if said := unlike(results):
        return [f"WARNING: {said[0]}."]
    if (blind := results.controls.blind) is None:
        return []
    return [
        "Training and test samples are alike: without a model they are told apart with an AUC of "
        f"{number(blind.auc)} (95% {interval(blind.ci)}; a blind baseline, which must not read above ½)."
    ]


def of_unlearning(results: ScoreResults) -> list[str]:
    """Return a warning for figures that hold the forgotten against test samples: the re-audit and MIA efficacy."""
    reasons = [*(failed(results) if results.target is not None else []), *_lowering(results)]
    if not reasons:
        return []
    return [
        "the re-audit and MIA efficacy hold forgotten and retained samples against test samples, and these are "
        f"not what they must be: {'; '.join(reasons).replace(TOO_LOW, '')}. Compare with the retrained model's "
        "figures, which are off alike, not with ½"
    ]


def tables_of_duplicates(results: ScoreResults) -> list[Table]:
    """Return how many samples are there twice; counts alone."""
    if (found := results.duplicates) is None:
        return []

    def of(count: int, total: int) -> str:
        return f"{count:,} of {total:,} ({percent(count / total)})" if total else "none looked at"

    rows = [
        ["Test samples that equal a training sample", of(found.test_in_training, found.test)],
        ["Those with the same label", of(found.same_label, found.test)],
        ["Training samples that equal another one", of(found.within_training, found.training)],
    ]
    if (near := found.near) is not None:
        training = of(near.training, near.asked.training)
        rows += [
            ["Test samples with a near-duplicate in training", of(near.test, near.asked.test)],
            ["Training samples with a near-duplicate among the others", training],
        ]
    return [Table("Samples that are there twice", ["What", "How many"], rows)]


def said_of_duplicates(results: ScoreResults) -> list[str]:
    """Return what the counts mean, a sentence each."""
    if (found := results.duplicates) is None:
        return []
    if found.ordinary:
        return [text("duplicates.ordinary")]
    return warned(repeated(results)) or [text("duplicates.none")]


#: So far apart in right answers, comparison models are said to fit differently.
UNLIKE_FIT = 0.05


def fits_unlike(found: Accuracy) -> bool:
    """Whether the target fits otherwise than the shadow models: what they say of single people may not hold for it."""
    if found.target_train is None or found.target_test is None:
        return False
    apart = abs(found.target_train - found.shadow_members), abs(found.target_test - found.shadow_others)
    return max(apart) > UNLIKE_FIT
