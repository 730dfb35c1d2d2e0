"""Where a report was written."""

from __future__ import annotations

from privaudit.results.base import Result


class ReportPaths(Result):
    """Where the report is; None where it could not be made, or there is nothing to report."""

    html: str | None
    pdf: str | None

    @property
    def made(self) -> list[str]:
        """The paths of what could be made."""
        return [path for path in (self.html, self.pdf) if path is not None]


class AttestedPaths(ReportPaths):
    """Where the report is, and what was written for other tools."""

    attestation: str
    model_card: str

    @property
    def made(self) -> list[str]:
        """The paths of what could be made."""
        return [*super().made, self.attestation, self.model_card]
