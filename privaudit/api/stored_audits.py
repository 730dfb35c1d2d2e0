"""The functions that look at what is there: `write_report`, `compare`, `verify`, `gate`, `audits`, `init`; `purge`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from privaudit.api.signature import Positional, with_first, with_options
from privaudit.artifacts import WHOLE_MODEL
from privaudit.config import (
    DEFAULT_OUT,
    AuditSettings,
    CompareOptions,
    GateOptions,
    InitOptions,
    ListOptions,
    PurgeOptions,
    ReportOptions,
    VerifyOptions,
)
from privaudit.errors import UsageError
from privaudit.results.comparison_results import ComparisonAnswer
from privaudit.results.gate_results import GateAnswer, Limit
from privaudit.results.report_paths import ReportPaths
from privaudit.results.statement.starting_files import StartingFiles
from privaudit.results.stored_audits import AuditEntry, PurgeResults, VerifyResults


@with_first(ReportOptions, Positional[str | None]())
def write_report(options: ReportOptions) -> ReportPaths:
    """Write the report of an audit anew from its stored results: ``privaudit report``.

    Returns
    -------
    ReportPaths
        The HTML, and the PDF or None where none can be made; with ``attest`` also ``attestation`` and ``model_card``.

    Raises
    ------
    UsageError
        Where there are no results of that audit.
    """
    from privaudit.audit.declaration import keep_declaration, read_declaration
    from privaudit.report.redaction import privacy_of
    from privaudit.report.write import render_attested, render_report, results_folder
    from privaudit.shadow.locate_audit import locate_audit

    settings, audit = locate_audit(AuditSettings.of(options), options.audit)
    declared = None if options.declare is None else read_declaration(Path(options.declare))
    folder = results_folder(settings, audit)
    keep_declaration(declared, folder)
    if options.attest:
        target = WHOLE_MODEL.at(settings.store / folder.name, key="target")
        return render_attested(folder, target, privacy_of(settings))
    return render_report(folder, privacy_of(settings))


def compare(
    a: str | Path, b: str | Path, *, redact: Literal["ids", "none"] | None = None, out: str | Path = DEFAULT_OUT
) -> ComparisonAnswer:
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
    ComparisonAnswer
        What ``--json`` prints, by ``to_json()``: what changed, with intervals, the report's paths and the folder.

    Raises
    ------
    UsageError
        Where either is not there, or they have no sample in common.
    """
    from privaudit.commands.compare import run_compare

    options = CompareOptions(a=a, b=b, redact=redact, out=out)
    return run_compare(AuditSettings.of(options), str(options.a), str(options.b))


@with_first(VerifyOptions, Positional[str | None]())
def verify(options: VerifyOptions) -> VerifyResults:
    """Hold every file of an audit against its checksum: ``privaudit verify``.

    Returns
    -------
    VerifyResults
        How many files are whole.

    Raises
    ------
    StoreError
        Where a file is damaged, missing or of another audit; its ``results`` are what would have been returned.
    """
    from privaudit.commands.verify import run_verify
    from privaudit.shadow.locate_audit import locate_audit

    return run_verify(*locate_audit(AuditSettings.of(options), options.audit))


@with_first(GateOptions, Positional[str | None]())
def gate(options: GateOptions) -> GateAnswer:
    """Hold an audit against limits: ``privaudit gate``.

    Returns
    -------
    GateAnswer
        Every limit, what the audit says of it, and why.

    Raises
    ------
    GateBreached
        Where a limit is breached.
    EvidenceError
        Where one can't be told. The ``results`` of either are what would have been returned.
    """
    from privaudit.commands.gate import parse_rate_limit, run_gate
    from privaudit.shadow.locate_audit import locate_audit

    limits = [parse_rate_limit(text) for text in options.max_tpr]
    of_name: dict[Literal["auc", "asr", "epsilon"], float | None] = {
        "auc": options.max_auc,
        "asr": options.max_asr,
        "epsilon": options.max_epsilon,
    }
    limits += [Limit(quantity=name, most=most) for name, most in of_name.items() if most is not None]
    return run_gate(
        *locate_audit(AuditSettings.of(options), options.audit),
        limits,
        options.attack,
        of_target=options.target,
        junit_file=None if options.junit is None else Path(options.junit),
        unlearned=options.unlearned,
    )


@with_first(InitOptions, Positional[str | Path | None]())
def init(options: InitOptions) -> StartingFiles:
    """Write files to fill in, of settings and of what is declared: ``privaudit init``. Nobody is asked.

    Returns
    -------
    StartingFiles
        Where they are, and the command that they are for.

    Raises
    ------
    UsageError
        Where one is there already.
    """
    from privaudit.audit.starting_files import write_starting_files

    given = {name: value for name, value in options.given().items() if name != "folder"}
    return write_starting_files(Path("." if options.folder is None else options.folder), given)


@with_options(PurgeOptions)
def purge(options: PurgeOptions) -> PurgeResults:
    """Remove what an audit itself still holds of forgotten samples: ``privaudit purge``.

    Nobody is asked: say ``dry_run=True`` to see what would go, ``yes=True`` to let it go.

    Returns
    -------
    PurgeResults
        What goes, or went.

    Raises
    ------
    UsageError
        Where nothing was agreed to, or the forget set is not understood.
    """
    from privaudit.purging.purge import run_purge
    from privaudit.purging.purge_plan import plan_purge
    from privaudit.shadow.locate_audit import locate_audit

    asked = (*locate_audit(options, options.audit), options.forget, options.seed)
    if options.dry_run:
        return plan_purge(*asked, skip_unknown=options.skip_unknown).result()
    if not options.yes:
        raise UsageError("nothing was purged: it can't be undone", hint="dry_run=True shows it, yes=True does it.")
    return run_purge(*asked, skip_unknown=options.skip_unknown).result()


@with_options(ListOptions)
def audits(options: ListOptions) -> list[AuditEntry]:
    """The audits of a store: ``privaudit list``.

    Returns
    -------
    list of AuditEntry
        One for each, with what it has done so far.
    """
    from privaudit.commands.list_audits import list_audits

    settings = AuditSettings.of(options)
    return list_audits(settings.store, settings.out)
