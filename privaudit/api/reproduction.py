"""`reproduce`: the function that asks questions of the paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from privaudit.api.signature import Positional, with_first
from privaudit.config import ReproduceOptions
from privaudit.errors import UsageError


@with_first(ReproduceOptions, Positional[str | Sequence[str]]())
def reproduce(options: ReproduceOptions) -> dict[str, Any]:
    """Run tables and figures of the paper, and say of each claim whether it holds: ``privaudit reproduce``.

    Returns
    -------
    dict
        What ``--json`` prints: verdicts and the path of results by experiment, and the report.

    Raises
    ------
    UsageError
        For an unknown experiment or scale, or where there is nothing to decide.
    """
    if options.decide:
        if options.names:
            raise UsageError(
                f"--decide with {' '.join(options.names)}: it decides everything that is stored",
                hint="Leave the names out.",
            )
        from privaudit.reproduction.verdicts.decide import run_decide

        return run_decide(options.base.out, show_samples=options.show_samples)
    from privaudit.reproduction.reproduce import run_reproduce

    return run_reproduce(options)
