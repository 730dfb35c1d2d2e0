"""`reproduce`: the function that asks questions of the paper."""

from __future__ import annotations

from collections.abc import Sequence

from privaudit.api.signature import Positional, with_first
from privaudit.config import ReproduceOptions, ReproduceSettings
from privaudit.errors import UsageError
from privaudit.results.reproduction_results import DecisionSummary, ReproductionSummary


@with_first(ReproduceOptions, Positional[str | Sequence[str]]())
def reproduce(options: ReproduceOptions) -> ReproductionSummary | DecisionSummary:
    """Run tables and figures of the paper, and say of each claim whether it holds: ``privaudit reproduce``.

    Returns
    -------
    ReproductionSummary or DecisionSummary
        What ``--json`` prints, by ``to_json()``: verdicts and the path of results by experiment, and the report.

    Raises
    ------
    UsageError
        For an unknown experiment or scale, or where there is nothing to decide.
    """
    settings = ReproduceSettings.of(options)
    if options.decide:
        if settings.names:
            raise UsageError(
                f"--decide with {' '.join(settings.names)}: it decides everything that is stored",
                hint="Leave the names out.",
            )
        from privaudit.reproduction.verdicts.decide import run_decide

        return run_decide(settings.base.out, show_samples=settings.show_samples)
    from privaudit.reproduction.reproduce import run_reproduce

    return run_reproduce(settings)
