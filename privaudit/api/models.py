"""`load_model` and `export`: stored models put to use."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from privaudit.api.flags import Named, reference
from privaudit.config import DEFAULT_OUT, read_settings
from privaudit.results.model_description import ExportResult

if TYPE_CHECKING:
    from privaudit.deployment.loaded_model import LoadedModel


def load_model(
    path: str | Path,
    *,
    rejected: bool = False,
    network: Named | None = None,
    store: str | Path | None = None,
    out: str | Path | None = None,
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
    store, out
        Where models are kept and results are.

    Returns
    -------
    LoadedModel
        A ``torch.nn.Module`` in eval mode, on the CPU. It takes images or features as they are, and returns logits
        ``[N, C]``; ``predict`` returns names of classes. ``classes``, ``about`` and ``describe()`` say what it is.

    Raises
    ------
    UnlearningRejected
        Where the model was rejected, and ``rejected`` is not said.
    PrivauditError
        Where there is no such model, or it is damaged, unfinished, purged, another's, or its code is not what it was.
    """
    settings = read_settings({"store": store, "out": out}, None)
    from privaudit.deployment.describe_model import demand_deployable
    from privaudit.deployment.find_model import find_model
    from privaudit.deployment.loaded_model import load_stored

    found = find_model(path, settings)
    model = load_stored(found, reference(network, "network"))
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
    network: Named | None = None,
    store: str | Path | None = None,
    out: str | Path | None = None,
) -> ExportResult:
    """Write a model as a folder that serves it without privaudit: ``privaudit export``.

    Parameters
    ----------
    model
        As `load_model` takes it; an audit's is its target. Shadow models and rejected ones are refused.
    network
        As in `load_model`.
    store
        Where models are kept.
    out
        The folder to write. Where it holds results of audits (as ``out`` of the other functions), they are looked for
        there, and the export goes to ``exports/NAME`` in it, as it does in ``reports`` where none is named.

    Returns
    -------
    ExportResult
        Where it is, its files and checksums.

    Raises
    ------
    UnlearningRejected
        Where the model was rejected.
    PrivauditError
        As in `load_model`; and where the folder holds something else.
    """
    folder = DEFAULT_OUT if out is None else Path(out)
    holds_results = out is None or any(folder.glob("*/score.json"))
    settings = read_settings({"store": store, "out": folder if holds_results else None}, None)
    from privaudit.audit.result_files import EXPORTS
    from privaudit.deployment.export_model import export_model
    from privaudit.deployment.find_model import find_model

    found = find_model(model, settings)
    name = found.store.audit if found.run is None else found.run.name
    return export_model(found, folder / EXPORTS / name if holds_results else folder, reference(network, "network"))
