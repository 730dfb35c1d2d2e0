"""`load_model` and `export`: stored models put to use."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from privaudit.config import DEFAULT_OUT, DEFAULT_STORE, ExportOptions
from privaudit.config.audit_options import PlaceOptions
from privaudit.config.options import reference
from privaudit.deployment.model_description import ExportResult

if TYPE_CHECKING:
    from privaudit.deployment.loaded_model import LoadedModel


def load_model(
    path: str | Path,
    *,
    rejected: bool = False,
    network: str | Path | Callable[..., Any] | None = None,
    weights: str | Path | None = None,
    store: str | Path = DEFAULT_STORE,
    out: str | Path = DEFAULT_OUT,
) -> LoadedModel:
    """Load a stored model as a module that takes raw inputs.

    Parameters
    ----------
    path
        A model's file (``target.safetensors``, ``models/0003.safetensors``, ``model.safetensors`` of a run), the folder
        of a run or of an audit, the name of either, or ``"latest"``: the last run of the latest audit.
    rejected
        Load ``rejected.safetensors`` too, with a warning: it is no result of unlearning.
    network
        Where the code of a network of yours is now, if it is not where it was: ``"FILE.py:function"``, or the function.
    weights
        Where the pretrained weights below a head are now, if they are not where they were.
    store, out
        Where models are kept and results are.

    Returns
    -------
    LoadedModel
        A ``torch.nn.Module`` in eval mode, on the CPU. It takes images, features or rows of a table as they are, and
        returns logits ``[N, C]``; ``predict`` returns names of classes. ``classes``, ``about`` and ``describe()`` say
        what it is.

    Raises
    ------
    UnlearningRejected
        Where the model was rejected, and ``rejected`` is not said.
    PrivauditError
        Where there is no such model, or it is damaged, unfinished, purged, another's, or its code is not what it was.
    """
    places = PlaceOptions(store=store, out=out)
    from privaudit.deployment.describe_model import demand_deployable
    from privaudit.deployment.find_model import find_model
    from privaudit.deployment.loaded_model import load_stored

    found = find_model(path, places)
    code = None if network is None else reference(network, "network")
    model = load_stored(found, code, None if weights is None else Path(weights))
    if not rejected:
        demand_deployable(model.about, "load_model(…, rejected=True) loads it all the same, to study it.")
    elif model.about.run is not None and not model.about.deployable:
        warnings.warn(
            f"{found.path} was rejected: {model.about.why}; it is not to be deployed",
            stacklevel=2,
        )
    return model


def export(
    model: str | Path,
    *,
    network: str | Path | Callable[..., Any] | None = None,
    weights: str | Path | None = None,
    out: str | Path | None = None,
    store: str | Path = DEFAULT_STORE,
) -> ExportResult:
    """Write a model as a folder that serves it without privaudit: ``privaudit export``.

    Parameters
    ----------
    model
        As `load_model` takes it: of an audit its target, of a run what it left. Shadow models are refused.
    network, weights
        As in `load_model`.
    out
        The folder to write. Where it holds results of audits (as ``out`` of the other functions), they are looked for
        there, and the export goes to ``exports/NAME`` in it, as it does in ``reports`` where none is named.
    store
        Where models are kept.

    Returns
    -------
    ExportResult
        Where it is, its files and checksums.

    Raises
    ------
    UnlearningRejected
        Where the model was rejected.
    UsageError
        Where it is a shadow model, or the folder holds something else.
    PrivauditError
        As in `load_model`.
    """
    options = ExportOptions(model=model, network=network, weights=weights, out=out, store=store)
    from privaudit.artifacts import EXPORTS
    from privaudit.deployment.export_model import export_model
    from privaudit.deployment.find_model import find_model

    folder = DEFAULT_OUT if options.out is None else Path(options.out)
    holds_results = options.out is None or any(folder.glob("*/score.json"))
    found = find_model(options.model, PlaceOptions(store=options.store, out=folder if holds_results else DEFAULT_OUT))
    name = found.store.audit if found.run is None else found.run.name
    code = None if options.network is None else str(options.network)
    below = None if options.weights is None else Path(options.weights)
    return export_model(found, folder / EXPORTS / name if holds_results else folder, code, below)
