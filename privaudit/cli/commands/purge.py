"""``privaudit purge``."""

from __future__ import annotations

from typing import Any

import click

from privaudit.api.signature import heard
from privaudit.cli.options import json_option, options_of
from privaudit.cli.output import answer, answer_json, answer_reports
from privaudit.config import PurgeOptions
from privaudit.config.audit_options import PlaceOptions
from privaudit.errors import UsageError
from privaudit.results.stored_audits import PurgeResults
from privaudit.runtime.progress import talk

EPILOG = """\b
Examples:
  privaudit purge --forget ids:requests.csv --dry-run
  privaudit purge --forget ids:requests.csv --audit mnist-cnn-1a2b3c4d
  privaudit purge --forget class:3 --yes

\b
What goes: the samples' rows of the score table, of every signal and of every
run's tables, reconstructions, comparisons, and every model but those that were
trained without them. Half of the shadow models saw any one sample, so for more
than a few samples all go. What stays is named, and so is what privaudit did not
write. The audit can be verified and shown then, and trains nothing any more.
"""


@click.command("purge", epilog=EPILOG)
@options_of(PurgeOptions)
@json_option
def command(as_json: bool, **given: Any) -> None:
    """Remove what an audit itself still holds of forgotten samples."""
    from privaudit.purging.purge import run_purge
    from privaudit.purging.purge_plan import plan_purge
    from privaudit.shadow.locate_audit import locate_audit

    options = PurgeOptions(**given)
    places = PlaceOptions.of(options)
    # What would go is told all the same where it is what was asked for, or before a question.
    with heard(options if options.yes and not options.dry_run else options.changed(quiet=False)):
        asked = (*locate_audit(places, options.audit), options.forget, options.seed)
        plan = plan_purge(*asked, skip_unknown=options.skip_unknown)
        results = plan.result()
        if not (as_json and options.dry_run):
            tell(results, plan.chosen.said, in_full=options.dry_run)
        if not options.dry_run:
            if not options.yes:
                _ask(results)
            results = run_purge(*asked, skip_unknown=options.skip_unknown).result()
        if as_json:
            answer_json(results)
        elif not options.dry_run:
            answer(f"purged {results.samples:,} samples of {results.audit}")
            if results.report is not None:
                answer_reports(results.report)


def tell(planned: PurgeResults, said: str, *, in_full: bool) -> None:
    """Say what goes by kind, and in full every file of it."""
    if said:
        talk(f"to purge: {said}")
    talk(
        f"{planned.audit}: {planned.samples:,} samples; {planned.models_removed:,} models go "
        f"({planned.files_removed:,} files), rows go from {planned.arrays_cut:,} arrays and "
        f"{planned.tables_cut:,} tables"
    )
    # A model is several files: what is counted is said.
    kinds = {f"go: {kind}: {_files(len(paths))}": paths for kind, paths in planned.removed.items()}
    kinds[f"lose their rows: {len(planned.cut):,} arrays, tables and results"] = planned.cut
    kinds[f"are made anew: {len(planned.made_anew):,} files of reports"] = planned.made_anew
    for title, paths in kinds.items():
        talk(f"  {title}")
        for path in paths if in_full else []:
            talk(f"    {path}")
    for gone in planned.unlearned_removed:
        talk(f"  goes: {gone.file} ({gone.why})")
    for kept in (*planned.models_kept, *planned.results_kept):
        talk(f"  stays: {kept.file} ({kept.why})")
    for left in planned.unknown:
        talk(f"  left alone, look at it yourself: {left.file} ({left.why})")
    for other in planned.other_audits:
        talk(f"  audit {other.audit} is not purged by this; what it holds: {other.holds}")
        talk(f"    {other.command}")
    for note in planned.notes:
        talk(f"  {note}")


def _files(count: int) -> str:
    return f"{count:,} file{'s' * (count != 1)}"


def _ask(planned: PurgeResults) -> None:
    """Ask for the audit's name: what goes can't be brought back."""
    try:
        typed = click.prompt("This can't be undone. Type the audit's name to go on", err=True)
    except click.exceptions.Abort:
        raise UsageError("nothing was purged: nobody confirmed it", hint="--yes goes on without asking.") from None
    if typed.strip() != planned.audit:
        raise UsageError(f"nothing was purged: '{typed}' is not {planned.audit}")
