"""`privaudit gate`: hold an audit against limits, so that a pipeline can stop a model that leaks too much."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from privaudit.audit.result_files import RESULTS, SCORES, are_scored
from privaudit.commands.gate_outcome import check_run
from privaudit.config import AuditSettings
from privaudit.errors import EvidenceError, GateBreached, PrivauditError, UsageError
from privaudit.report.brief.declared import declared_in
from privaudit.report.brief.limit_checks import hold, limits_of
from privaudit.report.write import results_folder
from privaudit.results.audit.score_results import ScoreResults
from privaudit.results.base import read_result
from privaudit.results.gate_results import Check, GateAnswer, Limit
from privaudit.results.statement.declaration import Declaration
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


def check_audit(
    folder: Path,
    limits: list[Limit],
    attack: str | None,
    declared: Declaration | None = None,
    *,
    of_target: bool = False,
) -> list[Check]:
    """Hold the stored results below ``<out>/<audit>/`` against limits.

    Parameters
    ----------
    folder
        The audit's results.
    limits
        At least one.
    attack
        Whose figures count; None: the target's own where the user brought it, else LiRA's.
    declared
        What was declared: an ε is held at the δ of the claim that counts.
    of_target
        Hold the target model against them instead of the shadow models.
    """
    if not limits:
        raise UsageError(
            "there is no limit to hold the audit against",
            hint="For example: --max-tpr 0.01@0.001, or declare limits: privaudit report --declare FILE.toml",
        )
    if not are_scored(folder):
        for name in (RESULTS, SCORES):
            if (folder / name).exists():
                files.demand_whole(folder / name, "Run the same privaudit score again: it makes it anew.")
        if (folder / RESULTS).exists() and (folder / SCORES).exists():
            demand_own(folder, read_result(folder / RESULTS, ScoreResults))
        raise UsageError(
            f"{folder} holds no whole results of an audit", hint="Run privaudit score first, with the same --out."
        )
    return hold(read_result(folder / RESULTS, ScoreResults), limits, attack, declared, of_target=of_target)


def run_gate(
    settings: AuditSettings,
    audit: str | None,
    limits: list[Limit],
    attack: str | None,
    *,
    of_target: bool = False,
    junit_file: Path | None = None,
    unlearned: str | None = None,
) -> GateAnswer:
    """Hold an audit [the latest] against limits; return what ``gate --json`` prints.

    Without limits those count that were declared. ``unlearned`` names an unlearning run (or ``latest``) that is to be
    exact or close, besides or instead of limits.

    Raises
    ------
    GateBreached
        Where a limit is breached.
    EvidenceError
        Where one can't be told. The ``results`` of either are the same.
    """
    folder = results_folder(settings, audit)
    run = None if unlearned is None else check_run(folder, unlearned)
    declared = declared_in(folder)
    if not limits and declared is not None:
        limits = limits_of(declared.limits)
    skipped = run is not None and not limits
    checks = [] if skipped else check_audit(folder, limits, attack, declared, of_target=of_target)
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
