"""`privaudit gate`: hold an audit against limits, so that a pipeline can stop a model that leaks too much.

A limit holds where the whole 95% interval lies at or below it, and is breached where the whole interval lies above. In
between the audit can't tell, and says so: more shadow models would.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from privaudit.audit.result_files import RESULTS, SCORES
from privaudit.commands.gate_outcome import check_run
from privaudit.commands.score_stored import are_scored
from privaudit.config import AuditSettings
from privaudit.errors import EvidenceError, GateBreached, PrivauditError, UsageError
from privaudit.report.content import comparability, wording
from privaudit.report.write import results_folder
from privaudit.results.base import read_result
from privaudit.results.gate_results import Check, GateAnswer, Limit, Verdict
from privaudit.results.measures import Attack, Interval
from privaudit.results.score_results import ScoreResults
from privaudit.runtime import files
from privaudit.scoring.score_table import demand_own


def parse_rate_limit(text: str) -> Limit:
    """``0.01@0.001``: at most 1% of the members may be found at a false positive rate of 0.1%."""
    most, _, rate = text.partition("@")
    try:
        limit = Limit(quantity="tpr", most=float(most), rate=float(rate))
    except ValueError:
        raise UsageError(f"--max-tpr {text}: write TPR@FPR, for example 0.01@0.001") from None
    if not (0 <= limit.most <= 1 and limit.rate is not None and 0 < limit.rate < 1):
        raise UsageError(f"--max-tpr {text}: both are shares between 0 and 1")
    return limit


def check_audit(folder: Path, limits: list[Limit], attack: str, *, of_target: bool = False) -> list[Check]:
    """Hold the stored results below ``<out>/<audit>/`` against limits.

    Parameters
    ----------
    folder
        The audit's results.
    limits
        At least one.
    attack
        Which attack's figures count.
    of_target
        Hold the target model against them instead of the shadow models.
    """
    if not limits:
        raise UsageError("there is no limit to hold the audit against", hint="For example: --max-tpr 0.01@0.001")
    if not are_scored(folder):
        for name in (RESULTS, SCORES):
            if (folder / name).exists():
                files.demand_whole(folder / name, "Run the same privaudit score again: it makes it anew.")
        if (folder / RESULTS).exists() and (folder / SCORES).exists():
            demand_own(folder, read_result(folder / RESULTS, ScoreResults))
        raise UsageError(
            f"{folder} holds no whole results of an audit", hint="Run privaudit score first, with the same --out."
        )
    results = read_result(folder / RESULTS, ScoreResults)
    if attack not in results.attacks:
        raise UsageError(f"no attack '{attack}' in {folder.name}", hint=f"There are: {', '.join(results.attacks)}.")
    measured = results.target if of_target else results.attacks[attack]
    if measured is None:
        raise UsageError(f"{folder.name} has no target model", hint="Leave --target out.")
    distrust, checks = _distrust(results), []
    for limit in limits:
        value, bounds, why = _measured(limit, measured, results, of_target)
        verdict, reason = _within(limit, bounds, why, distrust)
        if not distrust:
            verdict, reason = _of_sides(verdict, reason, results, attack, of_target)
        said = sentence(limit, value, bounds, verdict, reason)
        checks.append(Check(**dict(limit), value=value, ci=bounds, verdict=verdict, reason=reason, sentence=said))
    return checks


def _distrust(results: ScoreResults) -> str:
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


def run_gate(
    settings: AuditSettings,
    audit: str | None,
    limits: list[Limit],
    attack: str,
    *,
    of_target: bool = False,
    junit_file: Path | None = None,
    unlearned: str | None = None,
) -> GateAnswer:
    """Hold an audit [the latest] against limits; return what ``gate --json`` prints.

    ``unlearned`` names an unlearning run (or ``latest``) that is to be exact or close, besides or instead of limits.

    Raises
    ------
    GateBreached
        Where a limit is breached.
    EvidenceError
        Where one can't be told. The ``results`` of either are the same.
    """
    folder = results_folder(settings, audit)
    run = None if unlearned is None else check_run(folder, unlearned)
    checks = [] if run is not None and not limits else check_audit(folder, limits, attack, of_target=of_target)
    told = [(check.name, str(check.verdict), check.sentence) for check in checks]
    told += [] if run is None else [("outcome of unlearning", str(run.verdict), run.sentence)]
    if junit_file is not None:
        if junit_file.is_dir():
            raise UsageError(f"--junit {junit_file} is a folder", hint="Name a file.")
        files.write_bytes(junit_file, junit(folder.name, told))
    results = GateAnswer(audit=folder.name, checks=checks, unlearned=run)
    verdicts = [verdict for _, verdict, _ in told]
    error: PrivauditError | None = None
    if "breached" in verdicts:
        error = GateBreached(f"{verdicts.count('breached')} of {len(verdicts)} limits are breached")
    elif "too little evidence" in verdicts:
        error = EvidenceError(f"{verdicts.count('too little evidence')} of {len(verdicts)} limits can't be told")
    if error is not None:
        error.results = results
        raise error
    return results


def _of_sides(
    verdict: Verdict, reason: str, results: ScoreResults, attack: str, of_target: bool
) -> tuple[Verdict, str]:
    """The verdict where training and test samples may not be alike.

    The target's figures hold the one against the other: they can't be told. Test samples that were trained on pull them
    toward ½: what is breached nonetheless is breached, what holds may hold by them alone. Figures of shadow models
    stand; those with a population from the test set say what it may cost them.
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


def junit(audit: str, told: list[tuple[str, str, str]]) -> bytes:
    """Checks by name, verdict and sentence as JUnit XML: a breach is a failure, too little evidence an error."""
    kinds = {"breached": "failure", "too little evidence": "error"}
    suite = ElementTree.Element("testsuite", name=f"privaudit gate {audit}", tests=str(len(told)))
    for verdict, kind in kinds.items():
        suite.set(f"{kind}s", str(sum(found == verdict for _, found, _ in told)))
    for name, verdict, said in told:
        case = ElementTree.SubElement(suite, "testcase", classname="privaudit.gate", name=name)
        if verdict in kinds:
            ElementTree.SubElement(case, kinds[verdict], message=said)
    text: bytes = ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)
    return text


def sentence(limit: Limit, value: float | None, bounds: Interval | None, verdict: Verdict, reason: str) -> str:
    """Return one line for people."""
    said = "unknown" if value is None else f"{value:.4g}"
    interval = "" if bounds is None else f" (95% {bounds[0]:.4g}–{bounds[1]:.4g})"
    why = f": {reason}" if reason else ""
    return f"{limit.name} is {said}{interval}, at most {limit.most:g} allowed: {verdict}{why}"
