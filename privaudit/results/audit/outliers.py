"""What stands out among the models of an audit: a part of ``score.json``."""

from __future__ import annotations

from privaudit.results.base import Result


class OutlyingModel(Result):
    """A model that differs: by so many ``times`` the usual, or from its ``siblings`` in accuracy or correlation."""

    model: int
    times: float | None = None
    accuracy: float | None = None
    correlation: float | None = None
    siblings: float | None = None


class OutlyingSample(Result):
    """A sample on which the models differ ``times`` as much as usual, or one model's answer by ``spreads``."""

    sample_id: int | str
    model: int | None = None
    times: float | None = None
    spreads: float | None = None


class DifferentKinds(Result):
    """Two models that are no siblings: one is so many times ``wider``, or so much ``higher``."""

    model: int
    other: int
    wider: float | None
    higher: float | None


class Outliers(Result):
    """What stands out among the models, and which of them are left out."""

    models: tuple[OutlyingModel, ...] = ()
    values: tuple[OutlyingSample, ...] = ()
    samples: tuple[OutlyingSample, ...] = ()
    accuracies: tuple[OutlyingModel, ...] = ()
    strangers: tuple[OutlyingModel, ...] = ()
    kinds: DifferentKinds | None = None
    left_out: tuple[int, ...] = ()
