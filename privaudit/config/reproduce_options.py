"""The options of ``privaudit reproduce``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from privaudit.config.audit_options import (
    AuditSettings,
    DataDirOption,
    DryRunOption,
    EngineOptions,
    PlaceOptions,
    ShowSamplesOption,
    SizeOptions,
    TalkOptions,
)
from privaudit.config.options import NARROWED, Flag, Options, Texts


class _OwnReproduceOptions(Options):
    names: Annotated[Texts, Flag(is_argument=True, is_repeated=True)] = Field(
        (), description="One or more of table1 … figure7, methods or all."
    )
    scale: str = Field("small", description="smoke, small or paper [{default}].")
    seeds: int | None = Field(None, ge=1, description="Original models, each with its own forget sets [9].")


class _ReproduceOptions(
    PlaceOptions, ShowSamplesOption, EngineOptions, DataDirOption, SizeOptions, _OwnReproduceOptions
):
    helps: ClassVar[Mapping[str, str]] = {
        "dataset": "As privaudit score takes it [{default}].",
        "data_dir": "Where the dataset lies.",
        "network": "As privaudit score takes it [the scale's].",
        "samples": "Training samples [the scale's].",
        "shadows": "Shadow models [the scale's].",
        "epochs": "Epochs of every model [the scale's].",
    }


class ReproduceSettings(_ReproduceOptions):
    """What is to be reproduced, as it was understood; None for seeds means the scale's own."""

    if TYPE_CHECKING:
        names: tuple[str, ...] = NARROWED

    @property
    def base(self) -> AuditSettings:
        """The audit that the experiments share."""
        return AuditSettings.of(self)


class ReproduceOptions(TalkOptions, DryRunOption, _ReproduceOptions):
    """Everything that ``privaudit reproduce`` takes."""

    helps: ClassVar[Mapping[str, str]] = {
        **_ReproduceOptions.helps,
        "dry_run": "Say how many models and trials it takes, and about how long; run nothing.",
    }

    decide: bool = Field(
        False, description="Decide again what is stored below --out, or what a results.json holds; nothing is run."
    )
