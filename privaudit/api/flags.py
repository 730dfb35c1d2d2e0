"""The flags of the commands that take many, as keyword arguments; ``privaudit score --help`` says what each means."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, get_type_hints

from pydantic import ConfigDict, ValidationError, create_model

from privaudit.errors import UsageError
from privaudit.runtime.registry import defining_file

#: A name, ``module:function``, ``FILE.py:function``, or the function itself, if it lives in a file of its own.
Named = str | Callable[..., Any]


class PlaceFlags(TypedDict, total=False):
    """Where models are kept and results go."""

    store: str | Path | None
    out: str | Path | None


class ScoreFlags(PlaceFlags, total=False):
    """What `score` takes, every one of them optional."""

    dataset: Named | Path | None
    data_dir: str | Path | None
    image_size: int | None
    network: Named | None
    target: str | Path | None
    samples: int | None
    shadows: int | None
    recipe: str | None
    training: Named | None
    epochs: int | None
    batch_size: int | None
    learning_rate: float | None
    weight_decay: float | None
    augment: str | None
    seed: int | None
    device: str | None
    precision: str | None
    workers: int | None
    engine: str | None
    address: str | None
    gpu_share: float | None
    canaries: int | None
    queries: str | None
    statistic: str | None
    rmia_gamma: float | None
    metadata: str | Path | None
    label: str | None
    id: str | None
    subject: str | None
    group: str | Sequence[str] | None
    leave_out: str | Sequence[str] | None
    category: str | Sequence[str] | None
    test: str | None
    invert: int | str | None
    invert_at: str | None
    invert_preset: str | None
    invert_batch: int | str | None
    gradient_noise: float | None
    gradient_clip: float | None
    redact: str | None
    show_samples: bool | None


class UnlearnFlags(PlaceFlags, total=False):
    """What `unlearn` takes, every one of them optional."""

    audit: str | None
    method: str | None
    retrain_below: float | None
    order: str | None
    descending: bool | None
    forget: str | None
    skip_unknown: bool | None
    groups: int | None
    rank_by: str | None
    grouping: str | None
    pace: str | None
    rerank: str | None
    stage_retain: str | None
    optimizer_state: str | None
    budget: str | None
    reference: str | None
    guard: str | None
    passes: float | None
    learning_rate: float | None
    batch_size: int | None
    parameter: Mapping[str, Any] | Sequence[str] | None
    tune: bool | None
    u_lira: int | None
    seed: int | None
    data_dir: str | Path | None
    workers: int | None
    engine: str | None
    address: str | None
    gpu_share: float | None
    redact: str | None
    show_samples: bool | None


_FIELDS: dict[str, Any] = {name: (kind, None) for name, kind in get_type_hints(UnlearnFlags).items()}
_UNLEARN = create_model("UnlearnFlags", __config__=ConfigDict(extra="forbid"), **_FIELDS)


def check_types(flags: Mapping[str, Any]) -> None:
    """Raise `UsageError` for a keyword of `unlearn` that there is none of, or a value of another type."""
    try:
        _UNLEARN.model_validate(dict(flags))
    except ValidationError as error:
        problem = error.errors()[0]
        raise UsageError(
            f"{problem['loc'][0]} = {problem.get('input')!r}: {problem['msg']}",
            hint=f"Arguments: {', '.join(sorted(UnlearnFlags.__annotations__))}.",
        ) from error


def reference(value: Named | Path | None, what: str) -> str | None:
    """What workers and later commands find a function by; names and paths stay as they are.

    Raises
    ------
    UsageError
        For a function that can't be found again: one that is nameless, local, or of the script that runs.
    """
    if value is None or not callable(value):
        return None if value is None else str(value)
    name = getattr(value, "__qualname__", "")
    module = inspect.getmodule(value)
    if not name.isidentifier() or module is None or module.__name__ == "__main__" or not hasattr(module, name):
        raise UsageError(
            f"{what} {name or value!r} can't be found again by workers and later commands: it must be a function at "
            "the top of a file of its own, not of the script that runs",
            hint="Put it into a file, say own.py, and give that one: 'own.py:function', or import it from there.",
        )
    file = defining_file(value)
    return (
        f"{module.__name__}:{name}" if file is None or not file.endswith(".py") else f"{Path(file).absolute()}:{name}"
    )


def listed(parameter: Mapping[str, Any] | Sequence[str] | None) -> tuple[str, ...] | None:
    """``{"alpha": 2} -> ("alpha=2",)``, as ``--parameter`` takes it."""
    if parameter is None:
        return None
    if isinstance(parameter, str):
        return (parameter,)
    return tuple(f"{k}={v}" for k, v in parameter.items()) if isinstance(parameter, Mapping) else tuple(parameter)
