"""Options that Python can give as objects: data and networks that are at hand, and estimators."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, PlainValidator

from privaudit.config.options import Flag, Named, Options, reference
from privaudit.objects.estimator_text import estimator_text, importable_name
from privaudit.objects.held import hold_data, is_held_data

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    import pandas as pd
    from torch.utils.data import Dataset

    class Items(Protocol):
        """What has a length and items: datasets of torch, of ``datasets`` and of others."""

        def __len__(self) -> int: ...
        def __getitem__(self, row: int, /) -> Any: ...

    Data = pd.DataFrame | Mapping[str, Any] | Sequence[Any] | Dataset[Any] | Items
else:
    Data = Any

#: What ``help`` shows of it; the types themselves would be imported by it.
DATA_TYPES = (
    "pandas.DataFrame | dict[str, pandas.DataFrame] | dict[str, Array] | tuple[X, y] | "
    "tuple[X_train, y_train, X_test, y_test] | torch.utils.data.Dataset | tuple[Dataset, Dataset] | datasets.Dataset"
)


def _as_data(value: object) -> str:
    """Hold data, and stand its name for it."""
    if isinstance(value, str) and is_held_data(value):
        return value  # It was held when these options were another command's.
    if isinstance(value, str | Path):
        raise ValueError(f"it is a name, and data= takes what is at hand: dataset={str(value)!r} reads it")
    if callable(value):
        raise ValueError("it is a function: give what it returns, or dataset='FILE.py:function'")
    if not (hasattr(value, "__len__") or hasattr(value, "__getitem__") or hasattr(value, "__iter__")):
        raise ValueError("it holds no samples")
    return hold_data(_title_of(value), value)


def _title_of(value: object) -> str:
    """What an object is called where nobody names it."""
    parts = list(value.values()) if isinstance(value, Mapping) else value if isinstance(value, tuple | list) else None
    if parts is None:
        return type(value).__name__.lower()
    return "dataframe" if parts and all(type(part).__name__ == "DataFrame" for part in parts) else "arrays"


DataObject = Annotated[Data, PlainValidator(_as_data), Flag(shown_as=DATA_TYPES)]
NetworkObject = Annotated[Named, Flag(shown_as="Callable[..., torch.nn.Module]")]


class ScoreObjectOptions(Options):
    """The data of an audit, at hand."""

    data: DataObject | None = Field(
        None,
        description="Data at hand in place of dataset, which then only names it: a DataFrame with label=, arrays, "
        "torch Datasets or a datasets.Dataset. It is not stored.",
    )


class UnlearnObjectOptions(Options):
    """Data and network of an audit that were given as objects, given again."""

    data: DataObject | None = Field(
        None, description="The data that score was given as data=, where it is not at hand any more."
    )
    network: NetworkObject | None = Field(
        None, description="The network that score was given, where it lives in no file and is not at hand any more."
    )


def _as_estimator(value: object) -> str:
    if isinstance(value, str | Path):
        return str(value)
    if callable(getattr(value, "get_params", None)) and not isinstance(value, type):
        return estimator_text(value)
    if isinstance(value, type) and callable(getattr(value, "get_params", None)):
        name = importable_name(value)
        return f"{name}()" if name is not None else reference(value, "estimator")
    if not callable(value):
        raise ValueError("it is no estimator, no name of one, and no function that makes one")
    return reference(value, "estimator")


#: A name, ``FILE.py:make``, a function without arguments, or an estimator, of which a text is kept.
EstimatorOption = Annotated[object, PlainValidator(_as_estimator), Flag(metavar="NAME|FILE.py:make")]
