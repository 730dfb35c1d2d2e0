"""The options of ``privaudit defend``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from privaudit.config.audit_options import AuditOptions, DryRunOption
from privaudit.config.options import AnyPath, Flag, Options


class _OwnDefendOptions(Options):
    audit: Annotated[str | None, Flag(is_argument=True, also="--audit")] = Field(
        None, description="The audit's name [the latest of the store]; without one the flags of score say what it is."
    )
    sweep: AnyPath | None = Field(
        None, description="TOML file with the variations to try, a table of options each [a handful that suit]."
    )
    max_accuracy_loss: float = Field(
        0.05,
        ge=0,
        le=1,
        description="The most accuracy that a recommended measure may cost, 0.01 for a point [{default}].",
    )
    boundary: int = Field(
        0,
        ge=0,
        description="Walk to the decision boundary from so many samples by labels alone: dear [{default}].",
    )
    boundary_queries: int = Field(
        500, ge=50, description="The most questions about a sample to each model on that walk [{default}]."
    )
    config: AnyPath | None = Field(None, description="TOML file with any flag of score; flags beat it.")


class DefendOptions(DryRunOption, AuditOptions, _OwnDefendOptions):
    """Everything that ``privaudit defend`` takes."""

    helps: ClassVar[Mapping[str, str]] = {
        "dry_run": "Say which variations would be tried and what they would cost; train nothing."
    }
