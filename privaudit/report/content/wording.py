"""How the report says things: numbers, intervals, and sentences that claim no more than the data does."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from privaudit.errors import StoreError
from privaudit.report.content import pretrained_wording
from privaudit.report.content.command_flags import claim_flags, inferred_flags, inversion_flags, training_flags
from privaudit.report.content.python_call import repeated
from privaudit.report.content.texts import terms, text
from privaudit.results.audit.audit_description import EstimatorIdentity, TrainingFunctionIdentity
from privaudit.results.audit.controls import Epsilon, NegativeControl
from privaudit.results.audit.score_results import Exposure, MostExposed, ScoreResults, Stability, Training
from privaudit.results.base import Result
from privaudit.results.measures import Attack, Correlation, Interval, Share
from privaudit.runtime.progress import readable_time
from privaudit.scoring.canary_epsilon import FEWEST_MODELS, FEWEST_TRIALS

T = TypeVar("T")

TARGET = "The target model itself (offline LiRA)"
IN_BRIEF = text("in-brief")
UNLIKE = "the models are unlike each other: this audit must not be relied on"

#: By name in results: title and meaning.
DIFFICULTIES = {
    name: (title, meaning) for term, meaning in terms("difficulties").items() for name, title in [term.split(" | ")]
}


def known(found: T | None, name: str) -> T:
    """Return what every audit of models that were trained here has on record."""
    if found is None:
        raise StoreError(
            f"the results of this audit lack '{name}': they were written by another version of privaudit",
            hint="Run the same privaudit score again: it trains nothing.",
        )
    return found


def each_text(value: Any, change: Callable[[str], str]) -> Any:
    """Return a JSON value with every text in it changed; results become JSON."""
    if isinstance(value, Result):
        value = value.model_dump(exclude_unset=True)
    if isinstance(value, dict):
        return {each_text(key, change): each_text(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [each_text(item, change) for item in value]
    return change(value) if isinstance(value, str) else value


def written_out(text: str, is_shown: Callable[[str], bool]) -> str:
    """Return a text with ``[U+202E]`` for every sign that is not to be shown as such."""
    return "".join(sign if is_shown(sign) else f"[U+{ord(sign):04X}]" for sign in text)


def inert(text: str) -> str:
    """Return a text with signs that show nothing, or reorder what does, written out.

    Names are the user's. A right-to-left override in one of them would turn around the sentence that it stands in.
    """
    if text.isascii():
        return text if text.isprintable() else written_out(text, str.isprintable)
    return written_out(text, lambda sign: not _is_hidden(sign))


def _is_hidden(sign: str) -> bool:
    # Controls, formats (the bidirectional ones among them), surrogates, private code points and line separators. The
    # joiners U+200C and U+200D are part of how some scripts and emoji are written.
    return unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") and sign not in "\u200c\u200d"


def percent(value: float) -> str:
    """``0.0123 -> 1.23%``, with the digits that matter."""
    scaled = 100 * value
    if scaled == 0 or scaled >= 99.95:
        return f"{scaled:.0f}%"
    return f"{scaled:.1f}%" if scaled >= 9.95 else f"{scaled:.2f}%" if scaled >= 0.1 else f"{scaled:.2g}%"


def rate(value: str | float) -> str:
    """A false positive rate as people say it: ``0.001 -> 0.1%``."""
    return f"{100 * float(value):g}%"


def number(value: float | None) -> str:
    """Three decimals, or a dash."""
    return "–" if value is None else f"{value:.3f}"


def interval(bounds: Sequence[float] | None, say: Callable[[float], str] = number) -> str:
    """``low–high``, or that there is none."""
    return "no interval" if bounds is None else f"{say(bounds[0]).removesuffix('%')}–{say(bounds[1])}"


def risk(value: float, low: float, high: float) -> str:
    """A risk with its interval, where it has one."""
    return percent(value) + ("" if math.isnan(low) else f" ({interval((low, high), percent)})")


def clip(text: str, length: int = 60) -> str:
    """Names are the user's: a very long one is cut."""
    return text if len(text) <= length else text[: length - 1] + "…"


def share(value: float | None) -> str:
    """A percentage, or a dash."""
    return "–" if value is None else percent(value)


def share_within(found: Share) -> str:
    """A share of samples with its interval, or a dash."""
    return "–" if found.rate is None else percent_within(found.rate, found.ci)


def percent_within(value: float, bounds: Interval | None) -> str:
    """A percentage, with its interval where it has one."""
    return percent(value) + ("" if bounds is None else f" ({interval(bounds, percent)})")


def p_value(value: float | None) -> str:
    """A p-value, or that there is none."""
    return "–" if value is None else "< .001" if value < 0.001 else f"{value:.3f}"


def area(attack: Attack | None) -> str:
    """An AUC with its interval, or why there is none."""
    return "not applicable" if attack is None else f"{number(attack.auc)} ({interval(attack.auc_ci)})"


def found_at(attack: Attack | None, fpr: str) -> str:
    """TPR at one FPR with its interval, or why there is none."""
    if attack is None:
        return "not applicable"
    if (tpr := attack.tpr_at_fpr[fpr]) is None:
        return "too little evidence"
    return percent_within(tpr, attack.tpr_ci[fpr])


def spearman(found: Correlation) -> str:
    """A correlation with its interval."""
    if found.spearman is None:
        return "not applicable"
    bounds = found.ci
    span = "too few samples for an interval" if bounds is None else f"{bounds[0]:+.2f} to {bounds[1]:+.2f}"
    return f"{found.spearman:+.2f} ({span})"


def correlation(found: Correlation) -> str:
    """What a correlation lets one say."""
    if found.spearman is None or found.ci is None:
        return "can't be related (one of them does not vary, or there are too few samples)"
    low, high = found.ci
    direction = "rise together" if low > 0 else "move in opposite directions" if high < 0 else "show no clear relation"
    return f"{direction} (Spearman {spearman(found)}, {found.n:,} samples)"


def is_good_proxy(found: Correlation) -> bool:
    """Whether loss ranks samples nearly as risk does: the interval lies above .5."""
    return found.ci is not None and found.ci[0] > 0.5


def most_exposed(found: MostExposed | None) -> list[str]:
    """How exposed the most exposed are, judged by models that did not pick them."""
    if found is None:
        return []
    return [
        f"The {found.count} most exposed samples have a mean risk of {percent(found.by_others)} "
        f"({interval(found.ci, percent)}) where one half of the shadow models picks them and the other judges; the "
        f"models that picked them say {percent(found.by_pickers)}, which is too much: who leads, leads partly by "
        "luck."
    ]


def are_unlike(results: ScoreResults) -> bool:
    """Whether so many models stand out that they could not be left out, or it can't be told which are the odd ones."""
    found = results.outliers
    return found is not None and bool(found.kinds or ((found.models or found.strangers) and not found.left_out))


def negative_controls(results: ScoreResults) -> list[NegativeControl]:
    """The negative controls that were run: none where the models were trained elsewhere."""
    return [one for one in (results.controls.negative, results.controls.untrained) if one is not None]


def finding(results: ScoreResults, of_unlearning: Sequence[str]) -> list[str]:
    """The finding in a sentence or two, with its limits, and what is said of the latest unlearning."""
    if any(not control.holds for control in negative_controls(results)):
        return ["A negative control failed: this audit must not be relied on. See Controls."]
    if are_unlike(results):
        return [f"{UNLIKE[0].upper()}{UNLIKE[1:]}. See what stands out."]
    of_target = []
    if results.target is not None:
        of_target.append(f"The target model itself reads an AUC of {area(results.target)} under offline LiRA.")
        if results.target.warnings:
            of_target.append("Warning: training and test samples are not what that figure needs: see Controls.")
    of_shadows = [_of_membership(results)]
    first, second = (of_shadows, of_target) if results.about.target is None else (of_target, of_shadows)
    return [*first, *second, *of_unlearning]


def _of_membership(results: ScoreResults) -> str:
    lira = results.attacks["lira"]
    if lira.auc_ci is None:
        return (
            f"With {results.shadows} shadow models membership is told with an AUC of {number(lira.auc)}; "
            "there are too few models for an interval."
        )
    measured = f"(AUC {number(lira.auc)}, 95% {interval(lira.auc_ci)})"
    if lira.auc_ci[0] <= 0.5:
        return f"The attacks that were run did not tell members from others {measured}."
    named = ""
    for fpr in ("0.01", "0.001"):
        if (tpr := lira.tpr_at_fpr.get(fpr)) is not None:
            named = (
                f": with false alarms on {rate(fpr)} of the others, an attacker names {percent(tpr)} of the training "
                "samples"
            )
    return f"Models trained like this one leak who they were trained on{named} {measured}."


def stability(found: Stability | None, models: int) -> str:
    """How far the ranking of samples can be trusted."""
    if found is None:
        return text("stability.too-few-models")
    half = f"Two random halves of the shadow models rank the samples alike with a Spearman of {found.split_half:.2f}"
    if found.split_half_ci is None:
        return f"{half}. What that makes for all {models} was foretold too high by an earlier version; score again."
    half += f" ({found.split_half_ci[0]:.2f}–{found.split_half_ci[1]:.2f})"
    if found.reliability is None:
        return f"{half}: no ranking that can be told from chance. Do not pick single samples by it."
    said = (
        f"{half}; another audit of {models} models would agree with this one by about {found.reliability:.2f} "
        f"({interval(found.ci, lambda value: f'{value:.2f}')})."
    )
    if found.reliability >= 0.9:
        return said
    if found.models_needed is None:
        return (
            f"{said} For .9 even {found.most_models:,} shadow models would not do: samples that leak next to nothing "
            "have no order."
        )
    return f"{said} An agreement of .9 would take about {found.models_needed:,} shadow models."


def bound_from_trials(bounds: Epsilon) -> str:
    """The bound on ε from trainings with and without one canary, or from how many models there is one."""
    if bounds.trials is None or bounds.trials.trials < FEWEST_TRIALS:
        return f"none below {FEWEST_MODELS} shadow models: with fewer even a perfect attack bounds ε by 0"
    return f"ε ≥ {bounds.trials.epsilon:.2f}"


def uneven(name: str, found: Exposure) -> str:
    """Whether groups are equally exposed."""
    what = clip(name)
    if found.p is None:
        return (
            f"By {what}: there are too few samples a group or too few models, or risk does not vary, so exposure can't "
            "be compared."
        )
    verdict = "is uneven" if found.p < 0.05 else "shows no difference that chance does not explain"
    if found.unit is None:
        tested = f"Kruskal and Wallis over samples, p {p_value(found.p)}"
        return (
            f"By {what}, exposure {verdict} ({tested}: too small where the leak varies between models; scoring again "
            "tests over models)."
        )
    return f"By {what}, exposure {verdict} (each group against the rest over {found.unit}, Holm, p {p_value(found.p)})."


def warned(sentences: Sequence[str]) -> list[str]:
    """Each as a sentence that warns."""
    return [f"Warning: {said}." for said in sentences]


def warnings(results: ScoreResults) -> list[str]:
    """Every warning of the audit as a sentence; earlier results have those of a given target alone."""
    of_target = given.doubts if (given := results.about.target) is not None else ()
    return warned(of_target if results.warnings is None else results.warnings)


def gamma_of(results: ScoreResults) -> float:
    """γ of the RMIA that was run; results that do not name it are of a time when it was 2."""
    return results.rmia_gamma or 2.0


def command(results: ScoreResults) -> str:
    """The command that repeats the audit: everything that changes a result, whether it was typed or a default."""
    about = results.about
    gamma = None if "rmia" not in results.attacks else f"{gamma_of(results):g}"
    flags: dict[str, object]
    if (given := about.given) is not None:
        statistic = None if given.classes is None else results.statistic
        flags = {"signals": given.file, "seed": given.seed, "statistic": statistic, "rmia-gamma": gamma}
        return repeated(["privaudit", "score", *flags_of(flags)], about)
    identity, data = known(about.identity, "identity"), known(about.data, "data")
    flags = {
        "dataset": data.dataset,
        **({} if data.table is None else {name.replace("_", "-"): value or None for name, value in data.table}),
        **pretrained_wording.flags(identity, data),
        "samples": data.samples,
        "without": data.without,
        "network": identity.network if identity.estimator is None else None,
        "target": None if about.target is None else about.target.file,
        "shadows": results.shadows,
        **training_flags(identity),
        "canaries": identity.canaries or None,
        "canary-kind": identity.canary_kind,
        **claim_flags(results.promise),
        "statistic": results.statistic,
        "rmia-gamma": gamma,
        **inversion_flags(results.inversion),
        **inferred_flags(results.inferred, results.inversion),
        "queries": ",".join(results.queries) if len(results.queries) > 1 else None,
        "seed": identity.seed,
        "device": identity.device,
        "precision": identity.precision,
    }
    return repeated(["privaudit", "score", *flags_of(flags)], about)


def training_function(found: TrainingFunctionIdentity) -> str:
    """A training function of the user's, by its name and its file's checksum."""
    source = "" if found.source is None else f", whose file's SHA-256 begins {found.source[:16]}"
    return f"by the user's function {clip(found.name)}{source}"


def estimator(found: EstimatorIdentity) -> str:
    """How an estimator was made: by a file of the user's, or by its class and what is not as its library has it."""
    source = "" if found.source is None else f", made by a file whose SHA-256 begins {found.source[:16]}"
    return f"fitted to its members alone: {clip(found.builds or found.name)}{source}"


def flags_of(values: Mapping[str, object]) -> list[str]:
    """``{"seed": 0} -> ["--seed", "0"]``; what is None is left out, and of several each is given."""
    each = [(name, one) for name, value in values.items() for one in (value if isinstance(value, tuple) else [value])]
    return [word for name, value in each if value is not None for word in (f"--{name}", str(value))]


def training_time(training: Training) -> str:
    """Processor time, and how much divergence there was."""
    again = training.retrained_after_divergence
    return f"{readable_time(training.seconds)} of training on {training.workers} workers" + (
        f"; {again} models diverged and were trained again" if again else ""
    )
