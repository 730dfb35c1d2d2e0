"""``audit.json``: what an audit is, how to load its data again, and what computed it."""

from __future__ import annotations

from pathlib import PurePath
from typing import Literal

from pydantic import Field

from privaudit.results.base import Result, SparseResult

#: The kind of canaries that are no samples: gradients, read step by step.
GRADIENT = "gradient"


class PrivacyDescription(SparseResult):
    """What a training with differential privacy promises, and by which means."""

    noise_multiplier: float
    max_grad_norm: float
    sample_rate: float
    epsilon: float
    delta: float
    accountant: str


class RecipeDescription(SparseResult):
    """How models are trained: those parameters of `privaudit.training.recipe.Recipe` that count for the identity."""

    name: str
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    augment: str
    privacy: PrivacyDescription | None = None


class TrainingFunctionIdentity(SparseResult):
    """What tells one training function from another: its name, and the SHA-256 of its code."""

    name: str
    source: str | None = None


class EstimatorIdentity(SparseResult):
    """What tells one estimator from another.

    Parameters
    ----------
    name
        Of the estimator, without folders.
    builds
        Its class with every parameter that is not the library's default; None where a function of the user's makes it.
    source
        The SHA-256 of the user's file, or of the package that brings it.
    """

    name: str
    builds: str | None = None
    source: str | None = None


class PretrainedIdentity(SparseResult):
    """What tells one pretrained network from another of the same name.

    Parameters
    ----------
    weights
        The SHA-256 of those that every model starts from; ``random`` where each draws its own.
    train
        ``all``, ``head``, or the function that says which part is trained, without its folder.
    train_source
        The SHA-256 of that function's code.
    size, interpolation
        Pixels a side that images are resized to, and how.
    mean, deviation
        What they are normalised by.
    """

    weights: str
    train: str
    train_source: str | None = None
    size: int
    interpolation: str = "bilinear"
    mean: list[float]
    deviation: list[float]

    @property
    def is_head(self) -> bool:
        """Whether only the head was trained, and audited."""
        return self.train == "head"


class AuditIdentity(SparseResult):
    """All that decides a trained weight, and so the audit's name.

    Parameters
    ----------
    dataset, fingerprint
        The data's name, and the SHA-256 of its arrays.
    network, network_source
        Without the folder it lies in; the SHA-256 of the file of a network of the user's.
    training
        The training loop's format.
    recipe
        Its parameters; None where a function of the user's trains, or an estimator is fitted.
    estimator
        Which one; unset where networks are trained. Its name is the network's too.
    canary_kind
        What canaries are; unset where they are mislabelled test samples.
    fp32
        "ieee" on a GPU in fp32: until that was pinned, cuDNN's convolutions were TF32.
    target
        The SHA-256 of a target that was given; unset where it is trained.
    pretrained
        Of a network that was trained before: from which weights, and what of it is trained.
    """

    dataset: str
    fingerprint: str
    network: str
    network_source: str | None = None
    training: int | None = None
    recipe: RecipeDescription | None
    training_function: TrainingFunctionIdentity | None = None
    estimator: EstimatorIdentity | None = None
    seed: int
    canaries: int = 0
    canary_kind: str | None = None
    device: str
    precision: str
    fp32: str | None = None
    target: str | None = None
    pretrained: PretrainedIdentity | None = None

    @property
    def fields(self) -> set[str]:
        """The names of what is set, known to this version or not."""
        return self.model_fields_set | set(self.model_extra or {})


class TableOptions(Result):
    """Which column of a table is what; every other one is a feature.

    Parameters
    ----------
    label
        The column of classes.
    id
        What the outside world calls each row.
    subject
        Whose row it is; several rows may be of one.
    group
        Columns by which exposure is told. They are features too, unless they are left out.
    leave_out
        Columns that are no features.
    category
        Columns whose values are words, numbers though they may look like.
    test
        What to test with: a file, a column that says so, or a share such as ``20%``.
    """

    label: str | None = None
    id: str | None = None
    subject: str | None = None
    group: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    category: tuple[str, ...] = ()
    test: str | None = None

    def without_folders(self) -> TableOptions:
        """Return the same with a file to test with by its name alone: a folder is its owner's business."""
        return self if self.test is None else self.model_copy(update={"test": PurePath(self.test).name})

    def given(self) -> list[str]:
        """Return the flags that were given."""
        return ["--" + name.replace("_", "-") for name in type(self).model_fields if getattr(self, name)]


class DataDescription(SparseResult):
    """How to load the data again, and what it was: ``train`` and ``test`` are numbers of samples.

    ``image_size`` and ``image_fit`` say how images in files became images of one size.
    ``table`` is what the columns of a table in a file are for, ``without`` the file of ids that were left out of the
    ``samples`` that were drawn.
    """

    dataset: str
    data_dir: str | None = None
    samples: int
    available: int | None = None
    image_size: int | None = None
    image_fit: Literal["stretch", "crop", "pad"] = "stretch"
    source: str = ""
    train: int
    test: int | None = None
    dtype: str | None = None
    classes: list[str]
    input_shape: list[int] = Field(default_factory=list)
    table: TableOptions | None = None
    without: str | None = None


class CodeDescription(SparseResult):
    """Where a network, a function or an estimator of the user's, and pretrained weights, lie, to find them again."""

    network: str | None = None
    training: str | None = None
    estimator: str | None = None
    weights: str | None = None
    train: str | None = None


class GivenTargetDescription(SparseResult):
    """Which file a given target was: its name without its folder, its SHA-256, whether it scales inputs itself."""

    file: str
    sha256: str
    scales_itself: bool = False


class AuditDescription(SparseResult):
    """``audit.json``.

    Parameters
    ----------
    format
        Of the store.
    signals, queries
        The names of what is kept of every sample and model, in order.
    versions
        Of Python and of the libraries that compute.
    target
        Where one was given.
    """

    format: int | None = None
    audit: str | None = None
    identity: AuditIdentity
    signals: list[str] = Field(default_factory=list)
    queries: list[str] = Field(default_factory=list)
    data: DataDescription
    versions: dict[str, str] = Field(default_factory=dict)
    code: CodeDescription = CodeDescription()
    target: GivenTargetDescription | None = None


class StoreFormat(Result):
    """The one field of ``audit.json`` that every version has: another version's is told by it."""

    format: int | str | float | None = None
