"""`privaudit gate`: hold an audit against limits, so that a pipeline can stop a model that leaks too much.

A limit holds where the whole 95% interval lies at or below it, and is breached where the whole interval lies above. In
between the audit can't tell, and says so: more shadow models would.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from privaudit.audit.result_files import RESULTS, SCORES
from privaudit.commands.gate_outcome import check_run
from privaudit.commands.score import are_scored
from privaudit.config import AuditSettings
from privaudit.errors import EvidenceError, GateBreached, PrivauditError, UsageError
from privaudit.report.content import comparability, wording
from privaudit.report.write import results_folder
from privaudit.results.score_results import ScoreResults
from privaudit.runtime import files
from privaudit.scoring.score_table import demand_own
from privaudit.statistics.intervals import Interval

Verdict = Literal["holds", "breached", "too little evidence"]

#: What can be limited, and what its limit means.
QUANTITIES = {
    "tpr": "members found at a false positive rate (TPR@FPR)",
    "auc": "AUC",
    "asr": "mean risk of the most exposed, judged by models that did not pick them",
}


@dataclass(frozen=True)
class Limit:
    """The most that a quantity may be: 0 … 1.

    Parameters
    ----------
    quantity
        A key of `QUANTITIES`.
    most
        The limit.
    rate
        For ``tpr``, the false positive rate.
    """

    quantity: str
    most: float
    rate: float | None = None

    @property
    def name(self) -> str:
        """As people say it."""
        return self.quantity.upper() + ("" if self.rate is None else f" at {100 * self.rate:g}% false alarms")


@dataclass(frozen=True)
class Check:
    """One limit, what the audit says of it, and why."""

    limit: Limit
    value: float | None
    interval: Interval | None
    verdict: Verdict
    reason: str

    def to_json(self) -> dict[str, Any]:
        """As it stands in JSON results."""
        return {
            "quantity": self.limit.quantity,
            "rate": self.limit.rate,
            "most": self.limit.most,
            "value": self.value,
            "ci": None if self.interval is None else list(self.interval),
            "verdict": self.verdict,
            "reason": self.reason,
        }


def parse_rate_limit(text: str) -> Limit:
    """``0.01@0.001``: at most 1% of the members may be found at a false positive rate of 0.1%."""
    most, _, rate = text.partition("@")
    try:
        limit = Limit("tpr", float(most), float(rate))
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
            demand_own(folder, files.read_json(folder / RESULTS))
        raise UsageError(
            f"{folder} holds no whole results of an audit", hint="Run privaudit score first, with the same --out."
        )
    results = files.read_json(folder / RESULTS)
    typed = ScoreResults.model_validate(results)
    if attack not in results["attacks"]:
        raise UsageError(f"no attack '{attack}' in {folder.name}", hint=f"There are: {', '.join(results['attacks'])}.")
    if of_target and results["target"] is None:
        raise UsageError(f"{folder.name} has no target model", hint="Leave --target out.")
    found = results["target"] if of_target else results["attacks"][attack]
    failed = [name for name in ("negative", "untrained") if not _control_holds(results, name)]
    checks = []
    for limit in limits:
        value, bounds, reason = _measured(limit, found, results, of_target)
        if failed:
            verdict: Verdict = "too little evidence"
            reason = f"the {' and the '.join(failed)} control failed: nothing this audit says can be trusted"
        elif wording.are_unlike(typed):
            verdict, reason = "too little evidence", wording.UNLIKE
        elif bounds is None:
            verdict, reason = "too little evidence", reason or "there are too few shadow models for an interval"
        elif bounds[0] > limit.most:
            verdict = "breached"
        elif bounds[1] <= limit.most:
            verdict = "holds"
        else:
            verdict, reason = "too little evidence", "the limit lies within the interval: more --shadows narrow it"
        if not failed and not wording.are_unlike(typed):
            verdict, reason = _of_sides(verdict, reason, typed, attack, of_target)
        checks.append(Check(limit, value, bounds, verdict, reason))
    return checks


def run_gate(
    settings: AuditSettings,
    audit: str | None,
    limits: list[Limit],
    attack: str,
    *,
    of_target: bool = False,
    junit_file: Path | None = None,
    unlearned: str | None = None,
) -> dict[str, Any]:
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
    told = [(check.limit.name, str(check.verdict), sentence(check)) for check in checks]
    told += [] if run is None else [("outcome of unlearning", run["verdict"], run["sentence"])]
    if junit_file is not None:
        if junit_file.is_dir():
            raise UsageError(f"--junit {junit_file} is a folder", hint="Name a file.")
        files.write_bytes(junit_file, junit(folder.name, told))
    results = {
        "audit": folder.name,
        "checks": [check.to_json() | {"sentence": sentence(check)} for check in checks],
        "unlearned": run,
    }
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
        weaker = comparability.failed(results) and attack in ("rmia", "population")
        return verdict, "; ".join(filter(None, [reason, comparability.POPULATION if weaker else ""]))
    if unlike := comparability.unlike(results):
        return "too little evidence", unlike[0]
    said = "; ".join(filter(None, [reason, *comparability.doubts(results)]))
    if verdict == "holds" and comparability.is_too_low(results):
        return "too little evidence", said
    return verdict, said


def _control_holds(results: dict[str, Any], name: str) -> bool:
    control = results["controls"].get(name)
    return control is None or bool(control["holds"])


def _measured(
    limit: Limit, found: dict[str, Any], results: dict[str, Any], of_target: bool
) -> tuple[float | None, Interval | None, str]:
    """Value, interval and, where there is none, why."""
    if limit.quantity == "auc":
        return found["auc"], _pair(found["auc_ci"]), ""
    if limit.quantity == "asr":
        picked = results["most_exposed"]
        if picked is None or of_target:
            return None, None, "risk is known of shadow models alone, and needs at least 16 of them"
        return picked["by_others"], _pair(picked["ci"]), "" if picked["ci"] else "its interval needs --shadows 16"
    rate = f"{limit.rate:g}"
    if rate not in found["tpr_at_fpr"]:
        raise UsageError(f"no TPR is stored at a rate of {rate}", hint=f"Rates: {', '.join(found['tpr_at_fpr'])}.")
    reason = f"this run resolves rates of {found['smallest_fpr']:.2g} and above"
    return found["tpr_at_fpr"][rate], _pair(found["tpr_ci"][rate]), reason if found["tpr_ci"][rate] is None else ""


def _pair(bounds: list[float] | None) -> Interval | None:
    return None if bounds is None else (bounds[0], bounds[1])


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


def sentence(check: Check) -> str:
    """One line for people."""
    value = "unknown" if check.value is None else f"{check.value:.4g}"
    bounds = "" if check.interval is None else f" (95% {check.interval[0]:.4g}–{check.interval[1]:.4g})"
    why = f": {check.reason}" if check.reason else ""
    return f"{check.limit.name} is {value}{bounds}, at most {check.limit.most:g} allowed: {check.verdict}{why}"
