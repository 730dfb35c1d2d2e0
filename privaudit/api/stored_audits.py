"""The functions that look at what is there: `write_report`, `compare`, `verify`, `gate`, `audits`; and `purge`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from privaudit.api.results import AuditEntry, GateResults, PurgeResults, ReportPaths, VerifyResults
from privaudit.config import AuditSettings, read_settings
from privaudit.errors import UsageError

Place = str | Path | None


def _settings(**flags: Any) -> AuditSettings:
    return read_settings(flags, None)


def write_report(
    audit: str | None = None,
    *,
    redact: str | None = None,
    show_samples: bool | None = None,
    store: Place = None,
    out: Place = None,
) -> ReportPaths:
    """Write the report of an audit [the latest] anew from its stored results: ``privaudit report``.

    Parameters
    ----------
    audit
        Its name.
    redact
        ``"ids"`` hashes sample ids, ``"none"`` shows them; None leaves it as it was.
    show_samples
        Whether the audit's own images may be shown.
    store, out
        Where models are kept and results go.

    Returns
    -------
    ReportPaths
        The HTML, and the PDF or None where none can be made.

    Raises
    ------
    UsageError
        Where there are no results of that audit.
    """
    settings = _settings(store=store, out=out, redact=redact, show_samples=show_samples)
    from privaudit.report.redaction import privacy_of
    from privaudit.report.write import render_report, results_folder

    return cast(ReportPaths, render_report(results_folder(settings, audit), privacy_of(settings)))


def compare(a: str | Path, b: str | Path, *, redact: str | None = None, out: Place = None) -> dict[str, Any]:
    """Say what changed from audit ``a`` to audit ``b`` of the same samples: ``privaudit compare``.

    Parameters
    ----------
    a, b
        Names of audits, or their folders of results.
    redact
        As in `write_report`.
    out
        Where results are.

    Returns
    -------
    dict
        What ``--json`` prints: what changed, with intervals, the report's paths and the folder.

    Raises
    ------
    UsageError
        Where either is not there, or they have no sample in common.
    """
    settings = _settings(out=out, redact=redact)
    from privaudit.commands.compare import run_compare

    return run_compare(settings, str(a), str(b))


def verify(audit: str | None = None, *, store: Place = None, out: Place = None) -> VerifyResults:
    """Hold every file of an audit [the latest] against its checksum: ``privaudit verify``.

    Parameters
    ----------
    audit
        Its name.
    store, out
        Where models are kept and results go.

    Returns
    -------
    VerifyResults
        How many files are whole.

    Raises
    ------
    StoreError
        Where a file is damaged, missing or of another audit; its ``results`` are what would have been returned.
    """
    settings = _settings(store=store, out=out)
    from privaudit.commands.verify import run_verify

    return cast(VerifyResults, run_verify(settings, audit).to_json())


def gate(
    audit: str | None = None,
    *,
    max_tpr: str | Sequence[str] = (),
    max_auc: float | None = None,
    max_asr: float | None = None,
    attack: str = "lira",
    target: bool = False,
    unlearned: str | None = None,
    junit: Place = None,
    store: Place = None,
    out: Place = None,
) -> GateResults:
    """Hold an audit [the latest] against limits: ``privaudit gate``.

    Parameters
    ----------
    audit
        Its name.
    max_tpr
        ``"TPR@FPR"``, or several of them: the most members that may be found at a false positive rate.
    max_auc, max_asr
        The highest AUC, and the highest mean risk of the most exposed, 0 … 1.
    attack
        Whose figures count; chosen beforehand.
    target
        Hold the target model to the limits, not the shadow models.
    unlearned
        An unlearning run (or ``"latest"``) that has to be exact or close.
    junit
        Write JUnit XML here.
    store, out
        Where models are kept and results go.

    Returns
    -------
    GateResults
        Every limit, what the audit says of it, and why.

    Raises
    ------
    GateBreached
        Where a limit is breached.
    EvidenceError
        Where one can't be told. The ``results`` of either are what would have been returned.
    """
    settings = _settings(store=store, out=out)
    from privaudit.commands.gate import Limit, parse_rate_limit, run_gate

    limits = [parse_rate_limit(text) for text in ([max_tpr] if isinstance(max_tpr, str) else max_tpr)]
    for name, most in (("auc", max_auc), ("asr", max_asr)):
        if most is not None and not 0 <= most <= 1:
            raise UsageError(f"--max-{name} {most}: it is a share between 0 and 1")
        limits += [] if most is None else [Limit(name, most)]
    to = None if junit is None else Path(junit)
    return cast(
        GateResults, run_gate(settings, audit, limits, attack, of_target=target, junit_file=to, unlearned=unlearned)
    )


def purge(
    *,
    forget: str,
    audit: str | None = None,
    skip_unknown: bool = False,
    seed: int = 0,
    dry_run: bool = False,
    yes: bool = False,
    store: Place = None,
    out: Place = None,
) -> PurgeResults:
    """Remove what an audit itself still holds of forgotten samples: ``privaudit purge``.

    Nobody is asked: say ``dry_run=True`` to see what would go, ``yes=True`` to let it go.

    Parameters
    ----------
    forget
        Whose traces go, as ``--forget`` takes it: ``ids:FILE``, ``class:3``, ``random:1%``, …
    audit
        Its name [the latest].
    skip_unknown
        Pass over ids of a file that the audit does not know; else they are an error.
    seed
        Of a random forget set.
    dry_run, yes
        See above; one of them is needed.
    store, out
        Where models are kept and results go.

    Returns
    -------
    PurgeResults
        What goes, or went.

    Raises
    ------
    UsageError
        Where nothing was agreed to, or the forget set is not understood.
    """
    settings = _settings(store=store, out=out)
    from privaudit.purging.purge import run_purge
    from privaudit.purging.purge_plan import plan_purge

    if dry_run:
        return cast(
            PurgeResults, plan_purge(settings, audit, forget, seed, skip_unknown=skip_unknown).result().to_json()
        )
    if not yes:
        raise UsageError("nothing was purged: it can't be undone", hint="dry_run=True shows it, yes=True does it.")
    done = run_purge(settings, audit, forget, seed, skip_unknown=skip_unknown)
    return cast(PurgeResults, done.result().to_json())


def audits(*, store: Place = None, out: Place = None) -> list[AuditEntry]:
    """The audits of a store: ``privaudit list``.

    Parameters
    ----------
    store
        The folder that holds them.
    out
        Where results are: unlearning runs and what became of them.

    Returns
    -------
    list of AuditEntry
        One for each, with what it has done so far.
    """
    from privaudit.commands.list_audits import list_audits

    settings = _settings(store=store, out=out)
    return cast(list[AuditEntry], [entry.to_json() for entry in list_audits(settings.store, settings.out)])
