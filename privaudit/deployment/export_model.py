"""`privaudit export`: a model as a folder that serves it without privaudit."""

from __future__ import annotations

import hashlib
import runpy
import textwrap
from functools import partial
from pathlib import Path

import pandas as pd
import safetensors.torch
import torch

from privaudit import __version__
from privaudit.artifacts import EXPORTED
from privaudit.deployment.describe_model import demand_deployable, describe_model
from privaudit.deployment.export_estimator import export_estimator, is_of_estimators
from privaudit.deployment.export_folder import demand_own_folder, result_of, with_sums, write_folder
from privaudit.deployment.find_model import StoredModel
from privaudit.deployment.loaded_model import LoadedModel, code_of, load_stored
from privaudit.deployment.model_description import ExportedModel, ExportResult
from privaudit.deployment.plain_code import LOADER, NetworkCode, network_code, place_of_logits
from privaudit.deployment.row_encoding import code_of_rows, columns_in_words, templates
from privaudit.errors import PrivauditError, UsageError
from privaudit.networks import untied
from privaudit.runtime.registry import absolute_reference
from privaudit.runtime.user_code import user_code
from privaudit.unlearning.application.removal_record import LIMITS as LIMITS_OF_REMOVAL

WEIGHTS, README = "model.safetensors", "README.txt"

#: What every loader imports.
NEEDS = ("torch", "safetensors")

#: Samples that the exported model is held against the stored one with, and the largest difference of their logits.
CHECKED, ALIKE = 8, 1e-3

LIMITS = (
    "No proof of privacy: weights may give away what they were trained on. What an attack finds in models trained like "
    "this one is in the audit's report.",
    "No fitness for any use: inputs of classes that it does not know, and inputs unlike its training data, get an "
    "answer all the same.",
)


def export_model(
    model: StoredModel, folder: Path, network: str | None = None, weights: Path | None = None
) -> ExportResult:
    """Write a model, a loader that needs no privaudit, and what is to be known of it; then load it again and compare.

    Parameters
    ----------
    model
        An audit's target, or the model of an unlearning run.
    folder
        Where to; absent, empty, or an earlier export.
    network
        Where the network's code is now, if it is not where it was.
    weights
        Where the weights below a head are now, likewise.

    Raises
    ------
    UnlearningRejected
        Where the model was rejected.
    UsageError
        Where it is a model that only measures, where the folder holds something else, or where the network's code is
        not what it was.
    StoreError
        Where anything it rests on is not whole.
    """
    about = describe_model(model)
    demand_deployable(about, "privaudit unlearn --method retrain with the same --forget is exact, and can be exported.")
    if not about.deployable:
        raise UsageError(
            f"{model.path} is not to be deployed: {about.why}",
            hint="privaudit export AUDIT writes the target model, privaudit export RUN an unlearned one.",
        )
    demand_own_folder(folder)
    if is_of_estimators(model):
        return export_estimator(model, folder)
    loaded = load_stored(model, network, weights)
    code = network_code(
        absolute_reference(network or code_of(model, about)),
        about.input_shape,
        len(about.classes),
        loaded.pretrained,
    )
    content = _content(loaded, code)
    write_folder(folder, content, partial(_hold_against, folder, loaded))
    return result_of(about, folder, content)


def _content(loaded: LoadedModel, code: NetworkCode) -> dict[str, bytes]:
    """Return every file of the export by its name."""
    about = loaded.about
    network, scale = (loaded.classifier.get_submodule(name) for name in ("network", "standardise"))
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    weights = safetensors.torch.save(untied(tensors))
    needs = (*NEEDS, *code.needs)
    exported = ExportedModel(
        **about.to_json(),
        format=1,
        made_by=f"privaudit {__version__}",
        mean=[float(value) for value in scale.get_buffer("mean").flatten()],
        deviation=[float(value) for value in scale.get_buffer("deviation").flatten()],
        encoding=None if loaded.encoding is None else loaded.encoding.to_json(),
        weights_sha256=hashlib.sha256(weights).hexdigest(),
        needs=needs,
    )
    environment = templates()
    environment.filters["fill"] = _filled
    row_imports, rows = ((), "") if loaded.encoding is None else code_of_rows(loaded.encoding)
    given = {
        "about": exported,
        "needs": needs,
        "imports": sorted({*code.imports, *row_imports}),
        "build": code.build,
        "logits": place_of_logits(loaded.classifier, about.input_shape),
        "is_image": len(about.input_shape) == 3,
        "rows": rows,
        "columns": [] if loaded.encoding is None else columns_in_words(loaded.encoding),
        "example": _example(exported),
        "code": {name: what for name, (_, what) in (code.files or {}).items()},
        "title": f"{about.run or about.audit}: a model exported by privaudit",
        "shape": "×".join(map(str, about.input_shape)),
        "classes": ", ".join(about.classes[:20]) + (", …" if len(about.classes) > 20 else ""),
        "limits": (*(LIMITS_OF_REMOVAL if about.run else ()), *LIMITS),
    }
    content = {
        WEIGHTS: weights,
        EXPORTED: (exported.model_dump_json(indent=2) + "\n").encode(),
        **{name: source for name, (source, _) in (code.files or {}).items()},
        LOADER: environment.get_template("load.py.jinja").render(given).encode(),
        README: environment.get_template("README.txt.jinja").render(given).encode(),
    }
    return with_sums(content)


def _filled(text: str, first: str = "") -> str:
    return textwrap.fill(text, 100, initial_indent=first, subsequent_indent=" " * len(first), break_on_hyphens=False)


def _example(about: ExportedModel) -> str:
    """What the loaded module is called with, in words."""
    shape = ", ".join(map(str, about.input_shape))
    if about.encoding is not None:
        return "a table, or a list of dicts by column"
    if len(about.input_shape) == 1:
        return f"features [N, {shape}]"
    return f"{'uint8 ' if about.input_type == 'uint8' else ''}images [N, {shape}]"


def _hold_against(folder: Path, loaded: LoadedModel) -> None:
    """Load the export as its user will, and compare its answers with the stored model's."""
    inputs: torch.Tensor | pd.DataFrame
    if loaded.encoding is not None:
        inputs = loaded.encoding.examples(CHECKED)
    else:
        generator = torch.Generator().manual_seed(0)
        inputs = torch.rand(CHECKED, *loaded.about.input_shape, generator=generator)
        inputs = (inputs * 255).to(torch.uint8) if loaded.about.input_type == "uint8" else inputs
    with torch.inference_mode(), user_code():
        exported = runpy.run_path(str(folder / LOADER))["load"]()(inputs)
        expected = loaded(inputs)
    if not torch.allclose(exported.float(), expected, rtol=ALIKE, atol=ALIKE):
        raise PrivauditError(
            f"the exported model answers otherwise than {loaded.about.file}: it was not kept",
            hint="Does its network draw at random, or read a file of its own? Export it from where that lies.",
        )
