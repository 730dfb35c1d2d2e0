"""The brief's words for figures: no term that a reader would have to look up."""

from __future__ import annotations

from privaudit.report.content.wording import interval
from privaudit.results.audit.score_results import ScoreResults
from privaudit.results.gate_results import Check, Limit, Verdict
from privaudit.results.measures import Attack, Interval

#: What each verdict is called on page 1, and where no limit was declared.
VERDICTS: dict[Verdict, str] = {
    "holds": "holds",
    "breached": "exceeded",
    "too little evidence": "cannot be told",
}

AGAINST_GUESSING: dict[Verdict, str] = {
    "holds": "not seen to be better than guessing",
    "breached": "better than guessing",
    "too little evidence": "cannot be told",
}

#: How many people a picture shows.
SHOWN = 1_000


def percent(value: float) -> str:
    """``0.0459 -> 4.6%``, ``0.01 -> 1%``, ``0.00123 -> 0.12%``; nearly all is never all, nearly none never none."""
    scaled = 100 * value
    if 99.95 <= scaled < 100:
        return ">99.9%"
    return f"{scaled:.1f}".removesuffix(".0") + "%" if scaled >= 1 or scaled == 0 else f"{scaled:.2g}%"


def measured(check: Check) -> str:
    """What was measured of a limit."""
    if check.value is None:
        return "–"
    if check.quantity == "epsilon":
        return f"ε ≥ {check.value:.2f}" + ("" if check.delta is None else f" at δ {check.delta:g}")
    return percent(check.value)


def share_of(value: float) -> str:
    """``0.01 -> 1 in 100`` where that is a whole number, else a percentage."""
    times = 1 / value
    return f"1 in {times:,.0f}" if value < 0.5 and abs(times - round(times)) < 1e-6 * times else percent(value)


def span(bounds: Interval | None) -> str:
    """``(95% range 4.1–5.2%)``; empty where there is none."""
    return "" if bounds is None else f" (95% range {interval(bounds, percent)})"


def is_own_target(results: ScoreResults) -> bool:
    """Whether the user brought the model that is attacked."""
    return results.about.target is not None and results.target is not None


def subject(results: ScoreResults) -> Attack:
    """Whose figures come first: the user's own model's, else those of models trained like it."""
    if is_own_target(results) and results.target is not None:
        return results.target
    return results.attacks["lira"]


def of_whom(results: ScoreResults) -> str:
    """What the subject is, in words."""
    return "the model that was handed in" if is_own_target(results) else "models trained like this one"


def told_rate(attack: Attack, limits: list[Limit]) -> str | None:
    """Return the rate of wrong accusations that page 1 tells of: a declared one, else 1% or what there is."""
    wanted = [f"{limit.rate:g}" for limit in limits if limit.rate is not None]
    for rate in (*wanted, "0.01", *attack.tpr_at_fpr):
        if attack.tpr_at_fpr.get(rate) is not None:
            return rate
    return None


def limit_in_words(limit: Limit) -> str:
    """What a limit allows."""
    most = percent(limit.most)
    if limit.quantity == "tpr" and limit.rate is not None:
        return f"At most {most} rightly named, when {share_of(limit.rate)} others is named wrongly"
    if limit.quantity == "epsilon":
        return f"Differential privacy with an ε of at most {limit.most:g}"
    if limit.quantity == "auc":
        return f"Of two people, one trained on, the right one is picked at most {most} of the time"
    return f"The most exposed people are judged rightly at most {most} of the time"


def why_untold(check: Check, distrusted: str) -> str:
    """Why a limit can't be told."""
    if distrusted:
        return "a check of this measurement failed"
    if check.quantity == "epsilon":
        return "there are too few planted records to show so much, even if all were found"
    if check.value is None:
        return "there are too few comparison models to measure at this rate"
    if check.ci is None:
        return "there are too few comparison models to say how sure this is"
    if check.ci[0] <= check.most < check.ci[1]:
        return "the limit lies within what the measurement leaves open"
    if check.verdict != "too little evidence" or check.ci[1] > check.most:
        return "training and test data differ by themselves"
    return "training and test data are not apart as they must be, and that may hide what can be found"
