"""What ``privaudit init`` wrote."""

from __future__ import annotations

from privaudit.results.base import Result


class StartingFiles(Result):
    """Where the file of settings is, and the declaration to fill in; ``command`` is the audit that they are for."""

    settings: str
    declaration: str
    command: str
