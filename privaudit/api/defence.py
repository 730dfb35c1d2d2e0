"""`defend`: the function that looks for what lowers the risk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from privaudit.api.signature import either_way
from privaudit.config import AuditSettings, DefendOptions, read_settings
from privaudit.results.defence_results import DefenceAnswer, DefenceEstimate


class _Defend(DefendOptions):
    if TYPE_CHECKING:
        dry_run: Literal[False] = False


class _DryRun(DefendOptions):
    if TYPE_CHECKING:
        dry_run: Literal[True]


@either_way(_Defend, DefenceAnswer, _DryRun, DefenceEstimate)
def defend(options: DefendOptions) -> DefenceAnswer | DefenceEstimate:
    """Hold an audit against variations of it and measures at its output: ``privaudit defend``.

    Returns
    -------
    DefenceAnswer or DefenceEstimate
        What ``--json`` prints, by ``to_json()``: every variation's risk and accuracy, what is recommended, the report.

    Raises
    ------
    PrivauditError
        Where the command would say so and exit.
    """
    settings = read_settings(
        AuditSettings.of(options).given(), None if options.config is None else Path(options.config)
    )
    from privaudit.commands.defence.boundary import Walk
    from privaudit.commands.defence.defend import plan_defence, run_defence

    sweep = None if options.sweep is None else Path(options.sweep)
    given = set(settings.model_fields_set)
    walk = Walk(options.boundary, options.boundary_queries) if options.boundary else None
    if options.dry_run:
        return plan_defence(settings, given, options.audit, sweep, walk)
    return run_defence(
        settings, given, options.audit, sweep=sweep, max_accuracy_loss=options.max_accuracy_loss, walk=walk
    )
