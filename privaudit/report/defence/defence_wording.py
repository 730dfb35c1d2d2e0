"""What measures against leakage come to, in sentences that claim no more than the figures do."""

from __future__ import annotations

from privaudit.report.content.texts import text
from privaudit.report.content.wording import interval, number, percent, rate
from privaudit.results.defence_results import CONTROL_FAILED, DefenceResults, Halving, OutputMeasure, Variant
from privaudit.results.measures import Difference, Interval


def points(found: Difference | None) -> str:
    """A change of a share in percent points, with its interval."""
    if found is None:
        return "too little evidence"
    reach = "no interval" if found.ci is None else f"{_signed(found.ci[0])} to {_signed(found.ci[1])}"
    return f"{_signed(found.difference)} points ({reach})"


def _signed(share: float) -> str:
    return f"{100 * share:+.2f}" if abs(share) < 0.0995 else f"{100 * share:+.1f}"


def with_interval(value: float | None, bounds: Interval | None, *, as_share: bool = True) -> str:
    """A figure and its interval, or that there is too little evidence."""
    if value is None:
        return "too little evidence"
    say = percent if as_share else number
    return f"{say(value)} ({interval(bounds, say)})"


def halves(found: Halving | None) -> str:
    """Whether a measure halves the members found, with the corrected p-value."""
    if found is None:
        return "–"
    p = "" if found.p_corrected is None else f" (p {_p(found.p_corrected)})"
    return found.halves + (p if found.halves in ("yes", "not shown") else "")


def _p(value: float) -> str:
    return "< .001" if value < 0.001 else f"{value:.3f}".lstrip("0") if value < 1 else "1"


def found_at(row: Variant, fpr: float) -> float | None:
    """Members found at a false alarm rate."""
    return row.tpr_at_fpr.get(f"{fpr:g}")


def sentence(results: DefenceResults) -> str:
    """What is recommended and what it costs, or why nothing is."""
    baseline, alarms = results.variants[0], rate(results.fpr)
    before = found_at(baseline, results.fpr)
    match results.verdict:
        case "too little evidence" if CONTROL_FAILED in baseline.warnings:
            return text("defence.control-failed")
        case "too little evidence":
            return text("defence.too-little") if before is not None else text("defence.not-resolved")
        case "nothing to halve":
            told = with_interval(before, baseline.tpr_ci.get(f"{results.fpr:g}"))
            return f"At {alarms} false alarms {told} of the members are found. {text('defence.nothing-to-halve')}"
        case "nothing helped":
            return _nothing(results, alarms)
        case "recommended":
            return _recommended(results, alarms)


def _recommended(results: DefenceResults, alarms: str) -> str:
    row = next((one for one in results.variants if one.name == results.recommended), None)
    key = f"{results.fpr:g}"
    if row is not None:
        change = row.accuracy_change
        costs = "" if change is None else f" Right answers on new data change by {points(change)}."
        return (
            f"Recommended: {row.title}. At {alarms} false alarms {with_interval(row.tpr_at_fpr[key], row.tpr_ci[key])} "
            f"of the members are found, where it was {percent(results.variants[0].tpr_at_fpr[key] or 0.0)}.{costs} "
            f"{_tested(results)}"
        )
    measure = next(one for one in _measures(results) if one.name == results.recommended)
    found = measure.adaptive
    return (
        f"No variation of the training is shown to halve the members found{_limit(results)}.{_untrusted(results)} "
        f"Showing {measure.title} is: at {alarms} false alarms "
        f"{with_interval(found.tpr_at_fpr[key], found.tpr_ci[key])} of them are found by an attacker who knows of it. "
        f"{text('defence.output-caution')} {_tested(results)}"
    )


def _nothing(results: DefenceResults, alarms: str) -> str:
    trusted = [one for one in results.variants[1:] if CONTROL_FAILED not in one.warnings]
    rows = [one for one in trusted if found_at(one, results.fpr) is not None]
    nearest = min(rows, key=lambda one: found_at(one, results.fpr) or 0.0, default=None)
    key = f"{results.fpr:g}"
    said = f"Nothing that was tried is shown to halve the members found at {alarms} false alarms{_limit(results)}"
    if nearest is None:
        return f"{said}.{_untrusted(results)} {_tested(results)}"
    return (
        f"{said}, {percent(found_at(results.variants[0], results.fpr) or 0.0)} as it was audited. The fewest are found "
        f"with {nearest.title}: {with_interval(nearest.tpr_at_fpr[key], nearest.tpr_ci[key])}, at "
        f"{points(nearest.accuracy_change)} of accuracy.{_untrusted(results)} {_tested(results)}"
    )


def _limit(results: DefenceResults) -> str:
    most = results.max_accuracy_loss
    return "" if most is None else f" for at most {100 * most:g} points of accuracy"


def _untrusted(results: DefenceResults) -> str:
    """Name what halves by figures that are not to be trusted."""
    named = [
        one.title
        for one in results.variants[1:]
        if CONTROL_FAILED in one.warnings and one.halving is not None and one.halving.halves == "yes"
    ]
    return f" Not counted, as a negative control failed: {'; '.join(named)}." if named else ""


def _measures(results: DefenceResults) -> list[OutputMeasure]:
    return [] if results.outputs is None else results.outputs.measures


def _tested(results: DefenceResults) -> str:
    return f"Tested over pairs of models, corrected for {results.tests} measures."
