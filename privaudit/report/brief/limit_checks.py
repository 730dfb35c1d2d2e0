"""An audit held against limits: what holds, what is breached, and what can't be told, each with its reason.

A limit holds where the whole 95% interval lies at or below it, and is breached where the whole interval lies above. In
between the audit can't tell, and says so: more shadow models would.
"""

from __future__ import annotations

from collections.abc import Sequence

from privaudit.errors import UsageError
from privaudit.report.content import comparability, wording
from privaudit.report.content.claim_wording import delta_of
from privaudit.results.audit.score_results import ScoreResults
from privaudit.results.gate_results import Check, Limit, Verdict
from privaudit.results.measures import Attack, Interval
from privaudit.results.statement.declaration import Declaration, DeclaredLimits
from privaudit.scoring.promise.judgement import judge_claim


def limits_of(declared: DeclaredLimits) -> list[Limit]:
    """Return the limits that were declared, those on members found first, by falling rate."""
    rates = sorted((declared.tpr or {}).items(), key=lambda entry: -float(entry[0]))
    limits = [Limit(quantity="tpr", rate=float(rate), most=most) for rate, most in rates]
    if declared.auc is not None:
        limits.append(Limit(quantity="auc", most=declared.auc))
    if declared.asr is not None:
        limits.append(Limit(quantity="asr", most=declared.asr))
    if declared.epsilon is not None:
        limits.append(Limit(quantity="epsilon", most=declared.epsilon))
    return limits


def hold(
    results: ScoreResults,
    limits: Sequence[Limit],
    attack: str | None,
    declared: Declaration | None = None,
    *,
    of_target: bool,
) -> list[Check]:
    """Hold an audit against limits.

    Parameters
    ----------
    results, limits
        The audit's, and at least one.
    attack
        Whose figures count; None: the target's own where the user brought it (what is known of shadow models alone
        stays theirs), else LiRA's.
    declared
        What was declared: an ε is held at the δ of the claim that counts.
    of_target
        Hold the target model against them, whoever trained it.
    """
    own = attack is None and results.about.target is not None and results.target is not None
    delta = delta_of(results, declared)
    return [
        _of_epsilon(results, limit, delta)
        if limit.quantity == "epsilon"
        else check_limit(results, limit, attack or "lira", of_target=of_target or (own and limit.quantity != "asr"))
        for limit in limits
    ]


def check_limit(results: ScoreResults, limit: Limit, attack: str, *, of_target: bool) -> Check:
    """Hold the figures of an attack, or of the target, against one limit."""
    if attack not in results.attacks:
        raise UsageError(f"no attack '{attack}' in {results.audit}", hint=f"There are: {', '.join(results.attacks)}.")
    measured = results.target if of_target else results.attacks[attack]
    if measured is None:
        raise UsageError(f"{results.audit} has no target model", hint="Leave --target out.")
    value, bounds, why = _measured(limit, measured, results, of_target)
    verdict, reason = _within(limit, bounds, why, distrust(results))
    if not distrust(results):
        verdict, reason = _withdrawn(verdict, reason, results, attack, of_target)
    said = sentence(limit, value, bounds, verdict, reason)
    return Check(**dict(limit), value=value, ci=bounds, verdict=verdict, reason=reason, sentence=said)


#: What a limit on ε that holds is worth.
NOT_REFUTED = "not refuted, which is all that an audit can find: it bounds ε from below alone"


def _of_epsilon(results: ScoreResults, limit: Limit, delta: float) -> Check:
    """Hold what canaries show of ε at a δ against a limit: it holds where they could have refuted it, and do not."""
    if results.promise is None or results.about.target is not None:
        reason = (
            "there are no canaries that would bound ε: score with --canaries 200"
            if results.promise is None
            else "canaries were trained on here, and say nothing of the training of the model that was handed in"
        )
        said = sentence(limit, None, None, "too little evidence", reason)
        return Check(**dict(limit), value=None, ci=None, verdict="too little evidence", reason=reason, sentence=said)
    found = judge_claim(results.promise, limit.most, delta, "flags")
    verdict: Verdict = "holds"
    reason = NOT_REFUTED
    if doubt := distrust(results):
        verdict, reason = "too little evidence", doubt
    elif found.verdict == "refuted":
        verdict, reason = "breached", ""
    elif found.verdict == "too little evidence":
        verdict = found.verdict
        reason = f"a perfect attack on these canaries shows ε ≥ {found.refutable:.2f}: more --canaries reach further"
    head = f"ε is at least {found.bound:.3g} at δ {found.delta:g} ({100 * found.confidence:g}% confidence)"
    said = f"{head}, at most {limit.most:g} allowed: {verdict}" + (f": {reason}" if reason else "")
    shown = {"value": found.bound, "ci": None, "delta": delta}
    return Check(**dict(limit), **shown, verdict=verdict, reason=reason, sentence=said)


def distrust(results: ScoreResults) -> str:
    """Why nothing that the audit says can be told; empty where all is well."""
    controls = {"negative": results.controls.negative, "untrained": results.controls.untrained}
    if failed := [name for name, control in controls.items() if control is not None and not control.holds]:
        return f"the {' and the '.join(failed)} control failed: nothing this audit says can be trusted"
    return wording.UNLIKE if wording.are_unlike(results) else ""


def _within(limit: Limit, bounds: Interval | None, reason: str, distrust: str) -> tuple[Verdict, str]:
    if distrust or bounds is None:
        return "too little evidence", distrust or reason or "there are too few shadow models for an interval"
    if bounds[0] > limit.most:
        return "breached", reason
    if bounds[1] <= limit.most:
        return "holds", reason
    return "too little evidence", "the limit lies within the interval: more --shadows narrow it"


def _withdrawn(
    verdict: Verdict, reason: str, results: ScoreResults, attack: str, of_target: bool
) -> tuple[Verdict, str]:
    """Withdraw a verdict that rests on training and test samples being alike, where they are not.

    The target's figures compare training with test samples. Where these differ by themselves, such a figure can't be
    told. Where test samples were trained on, it is too low: a limit that is breached all the same stays breached, and
    one that holds may hold for that reason alone, so it can't be told either. Figures of shadow models compare models
    with models and stand; an attack with a population from the test set says what that may cost it.
    """
    if not of_target:
        weaker = attack in ("rmia", "population") and comparability.failed(results)
        return verdict, "; ".join(filter(None, [reason, comparability.POPULATION if weaker else ""]))
    if unlike := comparability.unlike(results):
        return "too little evidence", unlike[0]
    said = "; ".join(filter(None, [reason, *comparability.doubts(results)]))
    if verdict == "holds" and comparability.is_too_low(results):
        return "too little evidence", said
    return verdict, said


def _measured(
    limit: Limit, attack: Attack, results: ScoreResults, of_target: bool
) -> tuple[float | None, Interval | None, str]:
    """Value, interval and, where there is none, why."""
    if limit.quantity == "auc":
        return attack.auc, attack.auc_ci, ""
    if limit.quantity == "asr":
        exposed = results.most_exposed
        if exposed is None or of_target:
            return None, None, "risk is known of shadow models alone, and needs at least 16 of them"
        return exposed.by_others, exposed.ci, "" if exposed.ci else "its interval needs --shadows 16"
    rate = f"{limit.rate:g}"
    if rate not in attack.tpr_at_fpr:
        raise UsageError(f"no TPR is stored at a rate of {rate}", hint=f"Rates: {', '.join(attack.tpr_at_fpr)}.")
    reason = f"this run resolves rates of {attack.smallest_fpr:.2g} and above"
    return attack.tpr_at_fpr[rate], attack.tpr_ci[rate], reason if attack.tpr_ci[rate] is None else ""


def sentence(limit: Limit, value: float | None, bounds: Interval | None, verdict: Verdict, reason: str) -> str:
    """Return one line for people."""
    said = "unknown" if value is None else f"{value:.4g}"
    interval = "" if bounds is None else f" (95% {bounds[0]:.4g}–{bounds[1]:.4g})"
    why = f": {reason}" if reason else ""
    return f"{limit.name} is {said}{interval}, at most {limit.most:g} allowed: {verdict}{why}"
