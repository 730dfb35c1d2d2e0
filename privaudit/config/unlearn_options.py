"""The options of ``privaudit unlearn``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, PlainValidator

from privaudit.config.audit_options import (
    AuditArgument,
    AuditSettings,
    DataDirOption,
    DryRunOption,
    EngineOptions,
    PlaceOptions,
    RedactOption,
    ShowSamplesOption,
    SkipUnknownOption,
    TalkOptions,
)
from privaudit.config.object_options import UnlearnObjectOptions
from privaudit.config.options import NARROWED, Flag, Options


def _listed(given: object) -> tuple[str, ...]:
    """``{"alpha": 2} -> ("alpha=2",)``."""
    if isinstance(given, str):
        return (given,)
    if isinstance(given, Mapping):
        return tuple(f"{name}={value}" for name, value in given.items())
    if not isinstance(given, Sequence) or not all(isinstance(entry, str) for entry in given):
        raise ValueError('write {"name": value}, or "name=value"')
    return tuple(given)


Parameters = Annotated[
    Mapping[str, Any] | Sequence[str], PlainValidator(_listed), Flag(metavar="NAME=VALUE", is_repeated=True)
]


class Sequencing(Options):
    """How the forget set is handed over: the paper's SeqUnlearn module, and what it leaves open.

    docs/unlearning.md says how each choice fills the gaps of Algorithm 1. Results, and what names a run, keep the names
    that fields had in earlier versions.
    """

    order: str = Field("risk", description="What to rank by: risk, loss, …, random or none [{default}]; see below.")
    descending: bool = Field(False, description="Reverse the order.")
    rank_by: Literal["sample", "class"] = Field(
        "sample",
        serialization_alias="unit",
        description="Rank by sample, or whole classes: sample or class [{default}].",
    )
    groups: int = Field(5, ge=1, description="How many groups [{default}].")
    grouping: Literal["cumulative", "disjoint"] = Field(
        "cumulative",
        serialization_alias="kind",
        description="cumulative (the paper's nested groups) or disjoint [{default}].",
    )
    pace: Literal["linear", "geometric", "quantile", "self-paced"] = Field(
        "linear", description="linear, geometric, quantile, or self-paced: Algorithm 1's λ [{default}]."
    )
    rerank: Literal["static", "dynamic"] = Field(
        "static", description="static: ranked once; dynamic: again at every stage [{default}]."
    )
    stage_retain: Literal["fixed", "complement"] = Field(
        "fixed",
        serialization_alias="retain",
        description="Retain set at each stage: fixed, or complement of the stage's group [{default}].",
    )
    optimizer_state: Literal["carry", "reset"] = Field(
        "carry", serialization_alias="state", description="Between stages: carry or reset [{default}]."
    )
    budget: Literal["matched", "per-stage"] = Field(
        "matched", description="matched (as the one-shot run) or per-stage (the method's passes each) [{default}]."
    )

    def to_json(self) -> dict[str, object]:
        """Return it as it stands in results, and in what names a run."""
        return self.model_dump(by_alias=True)


class _OwnUnlearnOptions(AuditArgument):
    method: str = Field("auto", description="auto, retrain, shadow-teacher, ga, rl, ft, … [{default}]; see below.")
    retrain_below: Annotated[float | None, Flag(metavar="MINUTES")] = Field(
        None, ge=0, allow_inf_nan=False, description="auto retrains if that takes less [10; 0: never]."
    )
    forget: str = Field("random:10%", description="What to forget [{default}]; see below.")
    from_: Annotated[str | None, Flag(metavar="RUN|latest")] = Field(
        None, description="Go on from the model of an earlier run: what it forgot stays forgotten."
    )
    reference: Literal["auto", "retrain", "shadow"] = Field(
        "auto", description="What to compare with: auto, retrain or shadow [auto: retrain if under 10 minutes]."
    )
    guard: Literal["on", "off"] = Field(
        "on", description="on: take back steps that cost the retained; off: as the method would have it [{default}]."
    )
    passes: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="Budget: passes over the forget set [the method's]."
    )
    learning_rate: float | None = Field(None, ge=0, allow_inf_nan=False, description="Learning rate [the method's].")
    batch_size: int | None = Field(None, ge=1, description="Batch size [128].")
    parameter: Parameters = Field((), description="A parameter that only this method has.")
    tune: bool = Field(False, description="First try a few parameters on a held-out forget set; take the best.")
    u_lira: int | None = Field(
        None, description="Also run the unlearner on this many shadow models and attack with them."
    )
    seed: int = Field(0, ge=0, description="Seed of the forget set and the method [{default}].")


class _UnlearnOptions(
    PlaceOptions,
    ShowSamplesOption,
    RedactOption,
    EngineOptions,
    DataDirOption,
    SkipUnknownOption,
    Sequencing,
    _OwnUnlearnOptions,
    UnlearnObjectOptions,
):
    helps: ClassVar[Mapping[str, str]] = {"data_dir": "Where the dataset lies, if it moved."}


class UnlearnSettings(_UnlearnOptions):
    """One request to unlearn, as it was understood; None means the method's own default."""

    if TYPE_CHECKING:
        parameter: tuple[str, ...] = NARROWED
        data: str | None = NARROWED
        network: str | None = NARROWED

    @property
    def base(self) -> AuditSettings:
        """How to open the audit: places, machines, privacy, and objects that were given again."""
        again = {"dataset": self.data, "network": self.network}
        return AuditSettings.of(self).changed(**{name: held for name, held in again.items() if held is not None})


class UnlearnOptions(TalkOptions, DryRunOption, _UnlearnOptions):
    """Everything that ``privaudit unlearn`` takes."""

    compare_orders: bool = Field(False, description="Run every order at one budget, over --seeds, and compare.")
    seeds: int | None = Field(None, ge=2, description="With --compare-orders: how many seeds [3; 9 for a verdict].")
