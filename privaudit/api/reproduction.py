"""`reproduce`: the function that asks questions of the paper."""

from __future__ import annotations

from collections.abc import Sequence

from privaudit.api.signature import Positional, with_first
from privaudit.config import ReproduceOptions, ReproduceSettings
from privaudit.errors import UsageError
from privaudit.results.reproduction_results import (
    RESULTS,
    DecisionSummary,
    ReproductionEstimate,
    ReproductionSummary,
)


@with_first(ReproduceOptions, Positional[str | Sequence[str]]())
def reproduce(options: ReproduceOptions) -> ReproductionSummary | DecisionSummary | ReproductionEstimate:
    """Run tables and figures of the paper, and say of each claim whether it holds: ``privaudit reproduce``.

    Returns
    -------
    ReproductionSummary, DecisionSummary or ReproductionEstimate
        What ``--json`` prints, by ``to_json()``: verdicts and the path of results by experiment, and the report.

    Raises
    ------
    UsageError
        For an unknown experiment or scale, or where there is nothing to decide.
    """
    settings = ReproduceSettings.of(options)
    if options.decide:
        from privaudit.reproduction.verdicts.decide import run_decide, run_decide_files

        if options.dry_run:
            raise UsageError("--decide with --dry-run: it runs nothing as it is", hint="Leave one of them out.")
        if settings.names and all(name.endswith(RESULTS) for name in settings.names):
            return run_decide_files(settings.names)
        if settings.names:
            raise UsageError(
                f"--decide with {' '.join(settings.names)}: it decides everything that is stored",
                hint=f"Leave the names out, or name files called {RESULTS}.",
            )
        return run_decide(settings.base.out, show_samples=settings.show_samples)
    from privaudit.reproduction.reproduce import estimate_reproduce, run_reproduce

    return estimate_reproduce(settings) if options.dry_run else run_reproduce(settings)
