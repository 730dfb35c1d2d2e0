"""The options of the commands that look at what is there: report, compare, gate, verify, list; of purge, and init."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from privaudit.config.audit_options import (
    AuditArgument,
    DataDirOption,
    DeclareOption,
    DryRunOption,
    OutOption,
    PlaceOptions,
    RedactOption,
    ShowSamplesOption,
    SizeOptions,
    SkipUnknownOption,
    StoreOption,
    TalkOptions,
)
from privaudit.config.image_options import ImageFileOptions, PretrainedOptions
from privaudit.config.object_options import EstimatorOption
from privaudit.config.options import AnyPath, Flag, Folder, Named, Options, Texts
from privaudit.config.table_options import TableColumnOptions

_ARGUMENT = Flag(is_argument=True)


class _AttestOption(Options):
    attest: bool = Field(False, description="Write attestation.json and model-card.md beside the report.")


class ReportOptions(
    TalkOptions, PlaceOptions, ShowSamplesOption, RedactOption, DeclareOption, _AttestOption, AuditArgument
):
    """Everything that ``privaudit report`` takes."""


class VerifyOptions(PlaceOptions, AuditArgument):
    """Everything that ``privaudit verify`` takes."""


class ListOptions(PlaceOptions):
    """Everything that ``privaudit list`` takes."""


class _ComparedAudits(Options):
    a: Annotated[AnyPath, _ARGUMENT] = Field(description="The first audit: its name, or its folder.")
    b: Annotated[AnyPath, _ARGUMENT] = Field(description="The second's.")


class CompareOptions(OutOption, RedactOption, _ComparedAudits):
    """Everything that ``privaudit compare`` takes."""


class _OwnGateOptions(AuditArgument):
    max_tpr: Annotated[Texts, Flag(metavar="TPR@FPR", is_repeated=True)] = Field(
        (), description="Most members found at a false positive rate."
    )
    max_auc: float | None = Field(None, ge=0, le=1, description="Highest AUC.")
    max_asr: float | None = Field(None, ge=0, le=1, description="Highest mean risk of the most exposed samples.")
    max_epsilon: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="Largest ε that canaries may not refute, at the claim's δ [1e-5]."
    )
    attack: str | None = Field(
        None, description="Whose figures count; chosen beforehand [lira; with a target of your own: the target's]."
    )
    target: bool = Field(False, description="Hold the target model to them, not the shadow models.")
    unlearned: Annotated[str | None, Flag(metavar="RUN|latest")] = Field(
        None, description="An unlearning run that has to be exact or close."
    )
    junit: AnyPath | None = Field(None, description="Write JUnit XML here.")


class GateOptions(PlaceOptions, _OwnGateOptions):
    """Everything that ``privaudit gate`` takes."""


class _OwnExportOptions(Options):
    model: Annotated[AnyPath, Flag(metavar="MODEL", is_argument=True, also="--audit")] = Field(
        description="An audit (its target model), an unlearning run, by name or folder, or latest: the last run of the "
        "latest audit."
    )
    network: Named | None = Field(None, description="Where a network of yours is now, if it moved.")
    weights: AnyPath | None = Field(None, description="Where pretrained weights below a head are now, if they moved.")
    out: Folder | None = Field(
        None,
        description="The folder to write; one with results in it, as --out elsewhere, gets exports/NAME [reports].",
    )


class ExportOptions(StoreOption, _OwnExportOptions):
    """Everything that ``privaudit export`` takes."""


class _OwnInitOptions(Options):
    folder: Annotated[AnyPath | None, _ARGUMENT] = Field(None, description="Where to write [here].")
    estimator: EstimatorOption | None = Field(None, description="Fit estimators of this kind instead of networks.")
    signals: AnyPath | None = Field(None, description="Models are trained elsewhere: their logits are in FILE.npz.")


class InitOptions(PretrainedOptions, ImageFileOptions, TableColumnOptions, DataDirOption, SizeOptions, _OwnInitOptions):
    """Everything that ``privaudit init`` takes: what is given stands in the file of settings, the rest as a comment."""

    helps: ClassVar[Mapping[str, str]] = {
        "dataset": "What is audited: a name, FILE.csv, FILE.npz, a folder of photos, as for score [digits]."
    }


class _OwnPurgeOptions(AuditArgument):
    forget: str = Field(description="Whose traces: ids:FILE, class:3,7, random:10%, … as for unlearn.")
    seed: int = Field(0, ge=0, description="Seed of a random forget set [{default}].")
    yes: bool = Field(False, description="Do not ask.")


class PurgeOptions(TalkOptions, PlaceOptions, DryRunOption, SkipUnknownOption, _OwnPurgeOptions):
    """Everything that ``privaudit purge`` takes."""

    helps: ClassVar[Mapping[str, str]] = {"dry_run": "Say what would go and what would stay; change nothing."}
