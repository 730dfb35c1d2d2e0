"""The options of ``privaudit score``, and those that other commands share with it.

Help lists the options of a model's first base last, and its own after them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from privaudit.config.image_options import ImageFileOptions, PretrainedOptions
from privaudit.config.object_options import EstimatorOption, ScoreObjectOptions
from privaudit.config.options import NARROWED, AnyPath, Flag, Folder, Named, Options
from privaudit.config.privacy_options import ClaimOptions, InferenceOptions, PrivateTrainingOptions
from privaudit.config.table_options import TableColumnOptions

DEFAULT_STORE = Path("shadow_models")
DEFAULT_OUT = Path("reports")

#: Below this many training samples there is nothing to learn from, let alone to audit.
FEWEST_SAMPLES = 10


class StoreOption(Options):
    """Where models are."""

    store: Folder = Field(DEFAULT_STORE, description="Where models are kept [{default}].")


class OutOption(Options):
    """Where results are."""

    out: Folder = Field(DEFAULT_OUT, description="Where results go [{default}].")


class PlaceOptions(OutOption, StoreOption):
    """Where models and results are."""


class AuditArgument(Options):
    """Which audit a command is about."""

    audit: Annotated[AnyPath | None, Flag(is_argument=True, also="--audit")] = Field(
        None, description="The audit, by name or by its folder of models or results [the latest of the store]."
    )


class RedactOption(Options):
    """Whether sample ids are shown."""

    redact: Literal["ids", "none"] | None = Field(
        None,
        description="ids: show salted hashes in place of sample ids, now and later; none undoes it, salt and all "
        "[as it was].",
    )


class DeclareOption(Options):
    """What the owner declares."""

    declare: AnyPath | None = Field(
        None,
        description="What is declared, not measured: who, when, limits; TOML, as privaudit init writes it [as it was].",
    )


class ShowSamplesOption(Options):
    """Whether images are shown."""

    show_samples: bool = Field(False, description="Show images of the riskiest and the safest samples.")


class DryRunOption(Options):
    """Whether a command only says what it would do."""

    dry_run: bool = Field(False, description="Say what would be done and what it would cost; change nothing.")


class TalkOptions(Options):
    """Who hears of progress and notes."""

    quiet: bool = Field(False, description="Say nothing of progress and notes: results and errors alone.")
    log: AnyPath | None = Field(None, description="Add progress, notes and errors to this file, each with its time.")


class SkipUnknownOption(Options):
    """What becomes of requests that name nobody."""

    skip_unknown: bool = Field(False, description="Pass over ids of ids:FILE that the audit lacks.")


class EngineOptions(Options):
    """Which machines work."""

    workers: int | None = Field(
        None, ge=1, description="Jobs at a time, one thread each [one a core, or up to four a GPU]."
    )
    engine: Literal["local", "ray"] = Field(
        "local", description="local: processes on this machine; ray: a Ray cluster [{default}]."
    )
    address: str | None = Field(
        None, min_length=1, description="The Ray cluster's HOST:PORT [$RAY_ADDRESS, else a Ray of its own]."
    )
    gpu_share: float = Field(
        1.0, gt=0, le=1, description="With ray on GPUs: the part of one that a job takes [{default}]."
    )


class DataDirOption(Options):
    """Where data are."""

    data_dir: AnyPath | None = Field(None, description="Where datasets lie [$PRIVAUDIT_DATA, else data].")


class SizeOptions(Options):
    """What is audited, and at which size."""

    dataset: Named = Field("digits", description="What to audit [{default}]; see below.")
    network: Named | None = Field(None, description="Network to train [the dataset's].")
    samples: int | None = Field(
        None, ge=FEWEST_SAMPLES, description="Use a random class-stratified subset of this many training samples."
    )
    shadows: int | None = Field(None, ge=1, le=4096, description="Number of shadow models; they come in pairs.")
    epochs: int | None = Field(None, description="Epochs, instead of the recipe's.")
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|cuda(:\d{1,3})?)$",
        description="auto, cpu, cuda, or one card: cuda:1 [{default}].",
    )


class TrainingOptions(PretrainedOptions, ImageFileOptions):
    """Which model it is, and how it and its like are trained."""

    target: AnyPath | None = Field(
        None,
        description="Audit this trained model: weights in FILE.safetensors, a state dict in FILE.pt, or an estimator "
        "in FILE.skops, .json or .ubj.",
    )
    estimator: EstimatorOption | None = Field(
        None,
        description="Fit estimators of scikit-learn's kind instead: random-forest, logistic-regression, "
        "hist-gradient-boosting, xgboost, lightgbm, or a function of yours that makes one.",
    )
    recipe: str | None = Field(None, description="How to train: airbench, fast, paper or dp-sgd [the network's].")
    without: AnyPath | None = Field(
        None, description="Leave these training samples out: a file of ids, as unlearn takes them."
    )
    training: Named | None = Field(
        None, description="Train by a function of your own instead: FILE.py:function or module:function."
    )
    batch_size: int | None = Field(None, description="Batch size, instead of the recipe's.")
    learning_rate: float | None = Field(
        None, allow_inf_nan=False, description="Highest learning rate, instead of the recipe's."
    )
    weight_decay: float | None = Field(None, allow_inf_nan=False, description="Weight decay, instead of the recipe's.")
    augment: str | None = Field(None, description="none, flip, crop, crop-flip, shift or shift-flip.")
    label_smoothing: float | None = Field(
        None, allow_inf_nan=False, description="Share of each label that is spread over all classes [the recipe's]."
    )
    seed: int = Field(0, ge=0, description="Seed of everything random [{default}].")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="auto, fp32 or bf16 [auto: bf16 where the hardware has it]."
    )


class _OwnAuditOptions(TrainingOptions):
    canaries: int = Field(0, ge=0, description="Add this many planted samples as a positive control [{default}].")
    queries: str = Field(
        "original", description="Views to query, averaged: original, flip, shift or recipe, its own [{default}]."
    )
    statistic: Literal["margin", "logit-gap", "scaled-logit"] = Field(
        "margin", description="margin, logit-gap (the paper's) or scaled-logit (Carlini's) [{default}]."
    )
    rmia_gamma: float = Field(
        1.0,
        gt=0,
        allow_inf_nan=False,
        description="By how much RMIA asks a sample to outdo the population [{default}].",
    )
    metadata: AnyPath | None = Field(None, description="CSV with sample_id and columns to tell exposure by.")
    invert: int | str | None = Field(
        None, description="Whose gradients to invert: N, groups, all or ids:FILE; 0 for none [about a minute]."
    )
    invert_at: Literal["trained", "init"] = Field(
        "trained", description="trained (shadow models) or init (fresh networks) [{default}]."
    )
    invert_preset: str = Field(
        "default", description="default, from-noise, inverting-gradients, idlg or dlg [{default}]."
    )
    invert_batch: int | str = Field(
        "auto", description="Searches at once: auto (what fits into memory) or a number [{default}]."
    )
    invert_settings: Literal["best-case", "realistic"] = Field(
        "best-case",
        description="best-case: the gradient of one sample; realistic: batches, federated averaging, defences too "
        "[{default}].",
    )
    gradient_noise: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="Defence: noise of this deviation on every coordinate [{default}]."
    )
    gradient_clip: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="Defence: clip gradients to this norm [none]."
    )


class AuditOptions(
    PlaceOptions,
    ShowSamplesOption,
    RedactOption,
    DeclareOption,
    EngineOptions,
    ClaimOptions,
    PrivateTrainingOptions,
    InferenceOptions,
    _OwnAuditOptions,
    TableColumnOptions,
    DataDirOption,
    SizeOptions,
):
    """One request for an audit, as typed: what a file of settings may hold.

    None means "what suits the dataset and the machine".
    """


class AuditSettings(AuditOptions):
    """The same, as it was understood: functions by name, paths as paths."""

    if TYPE_CHECKING:
        dataset: str = NARROWED
        data_dir: Path | None = NARROWED
        network: str | None = NARROWED
        target: Path | None = NARROWED
        training: str | None = NARROWED
        estimator: str | None = NARROWED
        weights: Path | None = NARROWED
        train: str | None = NARROWED
        without: Path | None = NARROWED
        metadata: Path | None = NARROWED
        group: tuple[str, ...] = NARROWED
        leave_out: tuple[str, ...] = NARROWED
        category: tuple[str, ...] = NARROWED
        sensitive: tuple[str, ...] = NARROWED
        declare: Path | None = NARROWED
        store: Path = NARROWED
        out: Path = NARROWED

    def recipe_changes(self) -> dict[str, object]:
        """Recipe parameters that were asked for by name."""
        named = ("epochs", "batch_size", "learning_rate", "weight_decay", "augment", "label_smoothing")
        return {name: getattr(self, name) for name in named}


class ScoreOptions(TalkOptions, DryRunOption, ScoreObjectOptions, AuditOptions):
    """Everything that ``privaudit score`` takes, and its function besides."""

    signals: AnyPath | None = Field(None, description="Attack models trained elsewhere: their logits in FILE.npz.")
    config: AnyPath | None = Field(None, description="TOML file with any of the above; flags beat it.")
    csv: bool = Field(False, description="Write the score table as CSV too.")


class QuickOptions(
    TalkOptions,
    ScoreObjectOptions,
    StoreOption,
    EngineOptions,
    PrivateTrainingOptions,
    TrainingOptions,
    TableColumnOptions,
    DataDirOption,
    SizeOptions,
):
    """Everything that ``privaudit quick`` takes."""

    shadows: int = Field(
        0,
        ge=0,
        le=16,
        description="Shadow models to train, which come in pairs: none, or 2 or 4 for a far stronger attack "
        "[{default}].",
    )
    signals: AnyPath | None = Field(None, description="Attack a model by its logits alone, in FILE.npz.")

    def settings(self) -> AuditSettings:
        """Return the audit that this is a quick look at."""
        shared = self.model_validate({name: value for name, value in self.given().items() if name != "shadows"})
        return AuditSettings.of(shared).changed(shadows=self.shadows)
