"""What an audit is: its identity, its data and what computed it, as ``audit.json`` and the results have it."""

from __future__ import annotations

from pydantic import ConfigDict

from privaudit.results.base import Result
from privaudit.results.table_options import TableOptions


class RecipeDescription(Result):
    """How models are trained; the fields of `privaudit.training.recipe.Recipe` that count for the identity."""

    model_config = ConfigDict(extra="allow")

    name: str
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    augment: str


class TrainingFunction(Result):
    """A user's training function, known by its source."""

    model_config = ConfigDict(extra="allow")


class TrainingIdentity(Result):
    """Everything that changes a trained weight."""

    model_config = ConfigDict(extra="allow")

    dataset: str
    fingerprint: str
    network: str
    network_source: str | None = None
    recipe: RecipeDescription | None
    seed: int
    training_function: TrainingFunction | None = None
    canaries: int = 0
    device: str
    precision: str


class DataDescription(Result):
    """The data of an audit; ``data_dir`` is the owner's business and stands in ``audit.json`` alone."""

    dataset: str
    data_dir: str | None = None
    samples: int
    available: int | None = None
    image_size: int | None = None
    source: str
    train: int
    test: int
    classes: list[str]
    input_shape: list[int]
    table: TableOptions | None = None


class GivenTarget(Result):
    """A target that the user brought; ``doubts``: why it may not be what it is taken for."""

    file: str
    sha256: str
    scales_itself: bool = False
    doubts: tuple[str, ...] = ()
