"""What a user may ask for, and what each dataset gets when nothing is said. Flags beat the file."""

from __future__ import annotations

import codecs
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from privaudit.errors import UsageError

DEFAULT_STORE = Path("shadow_models")
DEFAULT_OUT = Path("reports")

#: Below this many training samples there is nothing to learn from, let alone to audit.
FEWEST_SAMPLES = 10


class AuditSettings(BaseModel):
    """One request for an audit, as typed; None means "what suits the dataset and the machine"."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str = "digits"
    data_dir: Path | None = None
    image_size: int | None = Field(None, ge=4, le=1024)
    network: str | None = None
    target: Path | None = None
    samples: int | None = Field(None, ge=FEWEST_SAMPLES)
    shadows: int | None = Field(None, ge=1, le=4096)
    recipe: str | None = None
    training: str | None = None
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = Field(None, allow_inf_nan=False)
    weight_decay: float | None = Field(None, allow_inf_nan=False)
    augment: str | None = None
    seed: int = Field(0, ge=0)
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d{1,3})?)$")
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    workers: int | None = Field(None, ge=1)
    engine: Literal["local", "ray"] = "local"
    address: str | None = Field(None, min_length=1)
    gpu_share: float = Field(1.0, gt=0, le=1)
    canaries: int = Field(0, ge=0)
    queries: str = "original"
    metadata: Path | None = None
    label: str | None = None
    id: str | None = None
    subject: str | None = None
    group: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    category: tuple[str, ...] = ()
    test: str | None = None
    statistic: Literal["margin", "logit-gap", "scaled-logit"] = "margin"
    rmia_gamma: float = Field(1.0, gt=0, allow_inf_nan=False)
    invert: int | str | None = None
    invert_at: Literal["trained", "init"] = "trained"
    invert_preset: str = "default"
    invert_batch: int | str = "auto"
    gradient_noise: float = Field(0.0, ge=0, allow_inf_nan=False)
    gradient_clip: float | None = Field(None, gt=0, allow_inf_nan=False)
    redact: Literal["ids", "none"] | None = None
    show_samples: bool = False
    store: Path = DEFAULT_STORE
    out: Path = DEFAULT_OUT

    @field_validator("group", "leave_out", "category", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("*")
    @classmethod
    def _readable(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, str | Path) and "\0" in str(value):
            raise ValueError("it holds the character NUL, which no name of a file has")
        if isinstance(value, Path) and info.field_name in ("store", "out"):
            try:
                str(value).encode("utf-8")
            except UnicodeEncodeError:
                raise ValueError("it is not UTF-8, which the tables' library wants of paths") from None
        return value

    def recipe_changes(self) -> dict[str, object]:
        """Recipe parameters that were asked for by name."""
        named = ("epochs", "batch_size", "learning_rate", "weight_decay", "augment")
        return {name: getattr(self, name) for name in named}


#: The networks of this name, narrow or wide, are trained by the recipe of this name.
OWN_RECIPE = "airbench"


def has_own_recipe(network: str) -> bool:
    """Whether the network is one of ours that has a recipe of its own; a user's file may be called like it."""
    return ":" not in network and network.split("-")[0] == OWN_RECIPE


@dataclass(frozen=True)
class Defaults:
    """The size of an audit that nobody specified.

    Parameters
    ----------
    network
        The default one.
    samples
        None means all of them.
    shadows
        Shadow models.
    epochs, augment
        For networks that train by the recipe ``fast``.
    own_epochs
        For networks with a recipe of their own.
    """

    network: str
    samples: int | None
    shadows: int
    epochs: int
    augment: str = "none"
    own_epochs: int = 12

    def epochs_of(self, network: str) -> int:
        """Return the epochs of that network."""
        return self.own_epochs if has_own_recipe(network) else self.epochs

    def augment_of(self, network: str) -> str:
        """Return how that network's images are augmented."""
        return "shift-flip" if has_own_recipe(network) else self.augment


#: On CPUs: sizes that two cores finish within the hour.
CPU_DEFAULTS = {
    "digits": Defaults("cnn", None, 32, 40),
    "mnist": Defaults("cnn", None, 16, 10),
    "cifar10": Defaults("airbench-narrow", 10_000, 16, 20),
    "cifar100": Defaults("airbench-narrow", 10_000, 16, 20),
    "tiny-imagenet": Defaults("airbench-narrow", 10_000, 16, 15),
}
#: On a GPU: whole datasets; where nothing faster was measured, by the paper's networks.
CUDA_DEFAULTS = {
    "digits": Defaults("cnn", None, 32, 40),
    "mnist": Defaults("cnn", None, 64, 10),
    "cifar10": Defaults("airbench", None, 64, 50, "crop-flip", own_epochs=24),
    "cifar100": Defaults("resnext50", None, 16, 50, "crop-flip"),
    "tiny-imagenet": Defaults("resnet50", None, 16, 50, "crop-flip"),
}
OTHER_IMAGES = Defaults("airbench-narrow", 10_000, 16, 20)
OTHER_FEATURES = Defaults("mlp", 20_000, 32, 20)


def defaults_for(dataset: str, device: str, is_image: bool) -> Defaults:
    """The default size of an audit of ``dataset`` on this kind of device."""
    known = CUDA_DEFAULTS if device == "cuda" else CPU_DEFAULTS
    return known.get(dataset, OTHER_IMAGES if is_image else OTHER_FEATURES)


def read_settings(flags: dict[str, Any], file: Path | None) -> AuditSettings:
    """Merge the flags that were given (not None) over a TOML file; `UsageError` names a wrong entry."""
    written: dict[str, Any] = {}
    if file is not None:
        try:
            written = tomllib.loads(decoded(file.read_bytes()))
        except (OSError, ValueError) as error:  # a path with a NUL too
            raise UsageError(f"cannot read --config {file}: {error}") from error
    given = {key: value for key, value in flags.items() if value is not None}
    written = {key.replace("-", "_"): value for key, value in written.items()}
    try:
        settings = AuditSettings.model_validate(written | given)
    except ValidationError as error:
        problem = error.errors()[0]
        name = ".".join(map(str, problem["loc"]))
        raise UsageError(
            f"{name} = {problem.get('input')!r}: {problem['msg'].removeprefix('Value error, ')}",
            hint=f"Settings: {', '.join(sorted(AuditSettings.model_fields))}.",
        ) from error
    _demand_kinds(settings, {name: value for name, value in written.items() if name not in given}, file)
    return settings


#: Byte-order marks that editors write, and the encodings that they announce. UTF-32's begins like UTF-16's.
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decoded(content: bytes) -> str:
    """Return the text of a file by its byte-order mark, as UTF-8 without one, its lines ended by line feeds."""
    encoding = next((name for mark, name in MARKS if content.startswith(mark)), "utf-8")
    return content.decode(encoding).replace("\r\n", "\n")


def _demand_kinds(settings: AuditSettings, written: dict[str, Any], file: Path | None) -> None:
    """A number in quotes, or a truth value for a number, is a slip that should not pass: TOML has kinds."""
    for name, value in written.items():
        taken = getattr(settings, name)
        in_quotes = isinstance(value, str) and isinstance(taken, int | float)
        if in_quotes or isinstance(value, bool) != isinstance(taken, bool):
            raise UsageError(
                f"--config {file}: {name} = {value!r} is a {type(value).__name__}, not a {type(taken).__name__}",
                hint=f"Write {name} = {str(taken).lower()}.",
            )


def available_cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
