"""From which run another went on: the link of a chain of records."""

from __future__ import annotations

from privaudit.results.base import Result


class Predecessor(Result):
    """The run whose model another went on from.

    Parameters
    ----------
    run, record_sha256
        Its name, and the SHA-256 of its ``record.json``.
    forgotten, asked
        How many samples it had forgotten, and how many more the request that followed asked for.
    since_exact
        Approximate runs that went into the weights since a model that never saw whom it forgot (a retraining, or the
        target), the one that followed included; 0 where that retrained.
    began_as
        The run whose weights the one that followed began with; None: the target's, or fresh ones where it retrained.
    """

    run: str
    record_sha256: str
    forgotten: int
    asked: int
    since_exact: int
    began_as: str | None = None
