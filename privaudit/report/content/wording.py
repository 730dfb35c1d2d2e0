"""How the report says things: numbers, intervals, and sentences that claim no more than the data does."""

from __future__ import annotations

import math
import shlex
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

from privaudit.runtime.progress import readable_time
from privaudit.scoring.canary_epsilon import FEWEST_MODELS, FEWEST_TRIALS

TARGET = "The target model itself (offline LiRA)"

DIFFICULTIES = {
    "forgettability": ("Forgettability", "original − unlearned margin: how far the sample moved"),
    "fidelity": ("Fidelity", "|unlearned − reference| margin: how far it is from where it should be"),
    "shift": ("Intrinsic shift", "original − reference margin: how far it should move"),
}

IN_BRIEF = (
    "This holds for the attacks that were run and for models trained as these were. A stronger attack may find more; "
    "that nothing is found does not prove that nothing is there; and no measurement is a legal determination."
)

LIMITS = (
    "The evidence is against the attacks that were run. A stronger attack may find more; that nothing was found does "
    "not prove that nothing is there.",
    "Risk is measured on shadow models trained on half of the data. A model trained on all of it may leak more or "
    "less; the row of the target model attacks that one itself.",
    "False alarm rates are pooled over samples. They are no guarantee for one particular person.",
    "This is a measurement, no determination of anonymity or of legal compliance. EDPB Opinion 28/2024 asks that the "
    "likelihood of identification be insignificant for each data subject, which is why the most exposed are named.",
)

#: What holds where the target was trained by the user.
LIMITS_OF_GIVEN_TARGET = (
    "The target model was given by the user; shadow models were trained by the recipe here, which may differ from how "
    "the target was trained. Risk, attacks and controls are read from shadow models, so they describe models trained "
    "by this recipe: where the target was trained longer, on more or otherwise, its own samples may be exposed more or "
    "less. The row of the target attacks that model itself, calibrated by models that may be unlike it: an attacker "
    "who can imitate its training may find more.",
    "The target is taken to have been trained on every training sample that is listed here and on no test sample. "
    "Nothing in a file of weights proves that. A sample that it never saw counts as a member nonetheless, which makes "
    "the attack on it look weaker than it is. Models that are retrained without the forgotten follow the recipe here "
    "too, so their distance from the target is partly one of recipes.",
)


def given_target(results: dict[str, Any]) -> dict[str, Any] | None:
    """What is on record of a target that the user brought; None where it was trained here."""
    found: dict[str, Any] | None = results["about"].get("target")
    return found


def inert(value: Any) -> Any:
    """Every text in ``value`` with signs that show nothing, or reorder what does, written out as ``[U+202E]``.

    Names are the user's. A right-to-left override in one of them would turn around the sentence that it stands in.
    """
    if isinstance(value, dict):
        return {inert(key): inert(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [inert(item) for item in value]
    if isinstance(value, str) and not value.isascii():
        return "".join(f"[U+{ord(sign):04X}]" if _is_hidden(sign) else sign for sign in value)
    if isinstance(value, str) and not value.isprintable():
        return "".join(sign if sign.isprintable() else f"[U+{ord(sign):04X}]" for sign in value)
    return value


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
    return "no interval" if bounds is None else f"{say(bounds[0])}–{say(bounds[1])}"


def risk(value: float, low: float, high: float) -> str:
    """A risk with its interval, where it has one."""
    return percent(value) + ("" if math.isnan(low) else f" ({percent(low)}–{percent(high)})")


def clip(text: str, length: int = 60) -> str:
    """Names are the user's: a very long one is cut."""
    return text if len(text) <= length else text[: length - 1] + "…"


def area(attack: dict[str, Any] | None) -> str:
    """An AUC with its interval, or why there is none."""
    if attack is None:
        return "not applicable"
    return f"{number(attack['auc'])} ({interval(attack['auc_ci'])})"


def found_at(attack: dict[str, Any] | None, fpr: str) -> str:
    """TPR at one FPR with its interval, or why there is none."""
    if attack is None:
        return "not applicable"
    if attack["tpr_at_fpr"][fpr] is None:
        return "too little evidence"
    bounds = attack["tpr_ci"][fpr]
    return percent(attack["tpr_at_fpr"][fpr]) + ("" if bounds is None else f" ({interval(bounds, percent)})")


def share(value: float | None) -> str:
    """A percentage, or a dash."""
    return "–" if value is None else percent(value)


def most_exposed(found: dict[str, Any] | None) -> list[str]:
    """How exposed the most exposed are, judged by models that did not pick them."""
    if found is None:
        return []
    return [
        f"The {found['count']} most exposed samples have a mean risk of {percent(found['by_others'])} "
        f"({interval(found['ci'], percent)}) where one half of the shadow models picks them and the other judges; the "
        f"models that picked them say {percent(found['by_pickers'])}, which is too much: who leads, leads partly by "
        "luck."
    ]


def spearman(found: dict[str, Any]) -> str:
    """A correlation with its interval."""
    if found["spearman"] is None:
        return "not applicable"
    bounds = found["ci"]
    span = "too few samples for an interval" if bounds is None else f"{bounds[0]:+.2f} to {bounds[1]:+.2f}"
    return f"{found['spearman']:+.2f} ({span})"


def correlation(found: dict[str, Any]) -> str:
    """What a correlation lets one say."""
    if found["spearman"] is None or found["ci"] is None:
        return "can't be related (one of them does not vary, or there are too few samples)"
    low, high = found["ci"]
    direction = "rise together" if low > 0 else "move in opposite directions" if high < 0 else "show no clear relation"
    return f"{direction} (Spearman {spearman(found)}, {found['n']:,} samples)"


def is_good_proxy(found: dict[str, Any]) -> bool:
    """Whether loss ranks samples nearly as risk does: the interval lies above .5."""
    return found["ci"] is not None and found["ci"][0] > 0.5


UNLIKE = "the models are unlike each other: this audit must not be relied on"


def are_unlike(results: dict[str, Any]) -> bool:
    """Whether so many models stand out that they could not be left out, or it can't be told which are the odd ones."""
    outliers = results.get("outliers") or {}
    odd = outliers.get("models") or outliers.get("strangers")
    return bool(outliers.get("kinds") or (odd and not outliers["left_out"]))


def finding(results: dict[str, Any], of_unlearning: list[str]) -> list[str]:
    """The finding in a sentence or two, with its limits, and what is said of the latest unlearning."""
    lira = results["attacks"]["lira"]
    if any(not control["holds"] for control in negative_controls(results)):
        return ["A negative control failed: this audit must not be relied on. See Controls."]
    if are_unlike(results):
        return [f"{UNLIKE[0].upper()}{UNLIKE[1:]}. See what stands out."]
    bounds = lira["auc_ci"]
    if bounds is None:
        said = (
            f"With {results['shadows']} shadow models membership is told with an AUC of {number(lira['auc'])}; "
            "there are too few models for an interval."
        )
    elif bounds[0] > 0.5:
        finest = next((r for r in ("0.001", "0.01") if lira["tpr_at_fpr"].get(r) is not None), None)
        share = (
            ""
            if finest is None
            else (
                f": with false alarms on {rate(finest)} of the others, an attacker names "
                f"{percent(lira['tpr_at_fpr'][finest])} of the training samples"
            )
        )
        said = (
            f"Models trained like this one leak who they were trained on{share} "
            f"(AUC {number(lira['auc'])}, 95% {interval(bounds)})."
        )
    else:
        said = (
            f"The attacks that were run did not tell members from others "
            f"(AUC {number(lira['auc'])}, 95% {interval(bounds)})."
        )
    sentences = [said]
    if results["target"] is not None:
        sentences.append(f"The target model itself reads an AUC of {area(results['target'])} under offline LiRA.")
        if results["target"].get("warnings"):
            sentences.append("Warning: training and test samples are not what that figure needs: see Controls.")
    return sentences + of_unlearning


def negative_controls(results: dict[str, Any]) -> list[dict[str, Any]]:
    """The negative controls that were run: none where the models were trained elsewhere."""
    return [control for name in ("negative", "untrained") if (control := results["controls"][name]) is not None]


def stability(found: dict[str, Any] | None, models: int) -> str:
    """How far the ranking of samples can be trusted."""
    if found is None:
        return "With fewer than 8 shadow models in pairs, the stability of the ranking can't be told."
    half = f"Two random halves of the shadow models rank the samples alike with a Spearman of {found['split_half']:.2f}"
    if "split_half_ci" not in found:
        return f"{half}. What that makes for all {models} was foretold too high by an earlier version; score again."
    half += f" ({found['split_half_ci'][0]:.2f}–{found['split_half_ci'][1]:.2f})"
    if found["reliability"] is None:
        return f"{half}: no ranking that can be told from chance. Do not pick single samples by it."
    whole = (
        f"another audit of {models} models would agree with this one by about {found['reliability']:.2f} "
        f"({interval(found['ci'], lambda value: f'{value:.2f}')})"
    )
    if found["reliability"] >= 0.9:
        return f"{half}; {whole}."
    if found["models_needed"] is None:
        return (
            f"{half}; {whole}. For .9 even {found['most_models']:,} shadow models would not do: samples that leak next "
            "to nothing have no order."
        )
    return f"{half}; {whole}. An agreement of .9 would take about {found['models_needed']:,} shadow models."


def bound_from_trials(bounds: dict[str, Any]) -> str:
    """The bound on ε from trainings with and without one canary, or from how many models there is one."""
    found = bounds["trials"]
    if found is None or found["trials"] < FEWEST_TRIALS:
        return f"none below {FEWEST_MODELS} shadow models: with fewer even a perfect attack bounds ε by 0"
    return f"ε ≥ {found['epsilon']:.2f}"


def p_value(value: float | None) -> str:
    """A p-value, or that there is none."""
    return "–" if value is None else "< .001" if value < 0.001 else f"{value:.3f}"


def uneven(name: str, found: dict[str, Any]) -> str:
    """Whether groups are equally exposed."""
    what = clip(name)
    if found["p"] is None:
        return (
            f"By {what}: there are too few samples a group or too few models, or risk does not vary, so exposure can't "
            "be compared."
        )
    verdict = "is uneven" if found["p"] < 0.05 else "shows no difference that chance does not explain"
    if "unit" not in found:
        return (
            f"By {what}, exposure {verdict} (Kruskal and Wallis over samples, p {p_value(found['p'])}: too small where "
            "the leak varies between models; scoring again tests over models)."
        )
    tested = f"each group against the rest over {found['unit']}, Holm"
    return f"By {what}, exposure {verdict} ({tested}, p {p_value(found['p'])})."


def warnings(results: dict[str, Any]) -> list[str]:
    """Every warning of the audit as a sentence; earlier results have those of a given target alone."""
    given = given_target(results)
    return [f"Warning: {said}." for said in results.get("warnings", [] if given is None else given["doubts"])]


def gamma_of(results: dict[str, Any]) -> float:
    """γ of the RMIA that was run; results that do not name it are of a time when it was 2."""
    return float(results.get("rmia_gamma") or 2.0)


def command(results: dict[str, Any]) -> str:
    """The command that repeats the audit: everything that changes a result, whether it was typed or a default."""
    if given := results["about"].get("given"):
        flags = {"signals": given["file"], "seed": given["seed"]}
        if given["classes"] is not None:
            flags["statistic"] = results["statistic"]
        flags["rmia-gamma"] = None if "rmia" not in results["attacks"] else f"{gamma_of(results):g}"
        return shlex.join(["privaudit", "score", *flags_of(flags)])
    about = results["about"]
    identity, data = about["identity"], about["data"]
    flags = {
        "dataset": data["dataset"],
        **{name.replace("_", "-"): value or None for name, value in (data.get("table") or {}).items()},
        "image-size": data["image_size"],
        "samples": data["samples"],
        "network": identity["network"],
        "target": about["target"]["file"] if "target" in about else None,
        "shadows": results["shadows"],
        **_training_flags(identity),
        "canaries": identity["canaries"] or None,
        "statistic": results["statistic"],
        "rmia-gamma": None if "rmia" not in results["attacks"] else f"{gamma_of(results):g}",
        **_inversion_flags(results.get("inversion")),
        "queries": ",".join(results["queries"]) if len(results["queries"]) > 1 else None,
        "seed": identity["seed"],
        "device": identity["device"],
        "precision": identity["precision"],
    }
    return shlex.join(["privaudit", "score", *flags_of(flags)])


def _training_flags(identity: dict[str, Any]) -> dict[str, Any]:
    recipe = identity["recipe"]
    if recipe is None:
        return {"training": identity["training_function"]["name"]}
    named = ("epochs", "batch_size", "learning_rate", "weight_decay", "augment")
    return {"recipe": recipe["name"]} | {name.replace("_", "-"): recipe[name] for name in named}


def training_function(found: dict[str, Any]) -> str:
    """A training function of the user's, by its name and its file's checksum."""
    source = "" if found["source"] is None else f", whose file's SHA-256 begins {found['source'][:16]}"
    return f"by the user's function {clip(found['name'])}{source}"


def _inversion_flags(found: dict[str, Any] | None) -> dict[str, Any]:
    if found is None:
        return {"invert": 0}
    return {
        # Where a list of ids lies, and what it is called, is its owner's business.
        "invert": "ids:FILE" if str(found["asked"]).startswith("ids:") else found["asked"],
        "invert-at": found["at"] if found["at"] != "trained" else None,
        "invert-preset": found["preset"] if found["preset"] != "default" else None,
        "gradient-noise": found["gradient_noise"] or None,
        "gradient-clip": found["gradient_clip"],
    }


def flags_of(values: dict[str, Any]) -> list[str]:
    """``{"seed": 0} -> ["--seed", "0"]``; what is None is left out, and of a list each is given."""
    each = [(name, one) for name, value in values.items() for one in (value if isinstance(value, list) else [value])]
    return [word for name, value in each if value is not None for word in (f"--{name}", str(value))]


def training_time(training: dict[str, Any]) -> str:
    """Processor time, and how much divergence there was."""
    said = f"{readable_time(training['seconds'])} of training on {training['workers']} workers"
    again = training["retrained_after_divergence"]
    return said + (f"; {again} models diverged and were trained again" if again else "")
