"""Networks of timm and transformers, built without a look at the network: names and configurations lie here."""

from __future__ import annotations

import difflib
import importlib
import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from privaudit.errors import DataError, UsageError
from privaudit.networks.pretrained.description import Preparation
from privaudit.runtime.progress import talk
from privaudit.runtime.torch_globals import seeded_globals
from privaudit.runtime.user_code import user_code
from privaudit.runtime.version import version_of

CONFIG, PREPROCESSOR = "config.json", "preprocessor_config.json"

#: What images are normalised by where a folder of transformers does not say: its own default.
USUAL_MEAN = USUAL_DEVIATION = (0.5, 0.5, 0.5)
USUAL_SIZE = 224

#: Pillow's numbers of interpolations, by which preprocessors name them.
_BICUBIC = 3


def library(name: str, network: str) -> Any:
    """Import timm or transformers; `UsageError` says how to install it."""
    try:
        with user_code(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except ImportError as error:
        raise UsageError(
            f"--network {network} needs the package {name}, which is not installed here ({error})",
            hint=f"Install it: pip install 'privaudit[{name}]'.",
        ) from error


def warn_of_another_version(library: str, versions: Mapping[str, str]) -> None:
    """Say where an audit's network was built by another version of its library than is installed: that has its code.

    Parameters
    ----------
    library
        ``timm`` or ``transformers``.
    versions
        Those that the audit was begun with, by library.
    """
    then, now = versions.get(library), version_of(library)
    if then is not None and then != now:
        talk(
            f"  warning: this audit's network was built by {library} {then}, now it is {now}: its code is {library}'s, "
            f"and another version may build another network of that name; pip install {library}=={then} has what it was"
        )


# timm.


def prepare_timm(network: str, weights: Path | None) -> Preparation:
    """What a network of timm wants of its images, by its own configuration, or that beside its weights."""
    timm = library("timm", network)
    name = network.partition(":")[2]
    if not timm.is_model(name.partition(".")[0]):
        near = difflib.get_close_matches(name, timm.list_models(), n=3)
        meant = f"Did you mean {', '.join(near)}? " if near else ""
        raise UsageError(
            f"--network {network}: timm {timm.__version__} has no such model",
            hint=f"{meant}python -c 'import timm; print(timm.list_models())' lists them.",
        )
    found = timm.get_pretrained_cfg(name, allow_unregistered=True)
    own: dict[str, Any] = {} if found is None else {key: getattr(found, key, None) for key in vars(found)}
    beside = None if weights is None or not weights.is_dir() else _json_of(weights / CONFIG).get("pretrained_cfg")
    if isinstance(beside, Mapping):
        own |= {key: value for key, value in beside.items() if value is not None}
    return Preparation(
        size=int((own.get("input_size") or (3, USUAL_SIZE, USUAL_SIZE))[-1]),
        mean=tuple(map(float, own.get("mean") or USUAL_MEAN)),
        deviation=tuple(map(float, own.get("std") or USUAL_DEVIATION)),
        interpolation="bicubic" if own.get("interpolation") == "bicubic" else "bilinear",
        is_fixed=bool(own.get("fixed_input_size")),
    )


def build_timm(network: str, size: int, classes: int) -> tuple[nn.Module, Sequence[str]]:
    """A network of timm with a new head, and what it calls its head."""
    timm = library("timm", network)
    name = network.partition(":")[2]
    usual = timm.get_pretrained_cfg(name, allow_unregistered=True)
    other = usual is not None and usual.fixed_input_size and usual.input_size[-1] != size
    built = timm.create_model(
        name, pretrained=False, num_classes=classes, in_chans=3, **({"img_size": size} if other else {})
    )
    hinted = (built.pretrained_cfg or {}).get("classifier") or ()
    return built, (hinted,) if isinstance(hinted, str) else tuple(hinted)


# transformers.


def prepare_transformers(network: str) -> Preparation:
    """What a network of transformers wants of its images, by the files of its folder."""
    library("transformers", network)
    folder = Path(network.partition(":")[2])
    if not folder.is_dir():
        raise UsageError(
            f"--network {network}: there is no folder {folder}",
            hint="Name a folder that model.save_pretrained(FOLDER) wrote, or a downloaded snapshot of a model. "
            "Nothing is downloaded here.",
        )
    if not (folder / CONFIG).is_file():
        raise UsageError(f"--network {network}: {folder} holds no {CONFIG}", hint="model.save_pretrained writes it.")
    config, own = _json_of(folder / CONFIG), _json_of(folder / PREPROCESSOR)
    mean, deviation = own.get("image_mean"), own.get("image_std")
    fixed = _side(config.get("image_size"))
    size = fixed or _side(own.get("crop_size")) or _side(own.get("size")) or USUAL_SIZE
    notes: tuple[str, ...] = ()
    if not own:
        notes = (
            f"the folder of {folder.name} holds no {PREPROCESSOR}: images are normalised by mean and deviation 0.5, "
            "the library's default",
        )
    return Preparation(
        size=size,
        mean=tuple(map(float, mean)) if isinstance(mean, list) else USUAL_MEAN,
        deviation=tuple(map(float, deviation)) if isinstance(deviation, list) else USUAL_DEVIATION,
        interpolation="bicubic" if own.get("resample") == _BICUBIC else "bilinear",
        is_fixed=fixed is not None,
        notes=notes,
    )


def build_transformers(network: str, classes: int) -> tuple[nn.Module, Sequence[str]]:
    """A network of transformers with a new head, from the configuration in its folder, and what it calls its head."""
    transformers = library("transformers", network)
    folder = Path(network.partition(":")[2])
    config = _json_of(folder / CONFIG)
    kind = config.pop("model_type", None)
    if kind not in transformers.CONFIG_MAPPING:
        raise UsageError(
            f"--network {network}: transformers {transformers.__version__} knows no models of type '{kind}'",
            hint="Code in a model's folder is not run. Build it in a file of your own: --network FILE.py:function.",
        )
    # The type that weights were stored in, and the names of other classes, are of no use here.
    for key in ("dtype", "torch_dtype", "id2label", "label2id", "num_labels", "auto_map", "problem_type"):
        config.pop(key, None)
    described = transformers.CONFIG_MAPPING[kind].from_dict(config)
    described.num_labels = classes
    try:
        return transformers.AutoModelForImageClassification.from_config(described).float(), ("classifier",)
    except ValueError as error:
        raise UsageError(f"--network {network}: models of type '{kind}' do not classify images") from error


def names_of_transformers(network: nn.Module, tensors: Mapping[str, torch.Tensor]) -> Mapping[str, torch.Tensor]:
    """Return weights by the names that this version of transformers has for them; saved files keep older ones.

    What it knows no name for stays called as it was; what it would draw at random is left out.
    """
    made: Any = type(network)
    verbosity: Any = importlib.import_module("transformers.utils.logging")
    before = verbosity.get_verbosity()
    verbosity.set_verbosity_error()
    try:
        with user_code(), warnings.catch_warnings(), seeded_globals(0):
            warnings.simplefilter("ignore")
            named, told = made.from_pretrained(
                None,
                config=network.config,
                state_dict=dict(tensors),
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
    finally:
        verbosity.set_verbosity(before)
    unlike = {one if isinstance(one, str) else one[0] for one in told["mismatched_keys"]}
    absent = unlike | set(told["missing_keys"])
    unknown = {name: tensors[name] for name in told["unexpected_keys"] if name in tensors}
    return unknown | {name: tensor for name, tensor in named.state_dict().items() if name not in absent}


def _json_of(path: Path) -> dict[str, object]:
    """The content of a JSON file; empty where there is none."""
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise DataError(f"{path} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise DataError(f"{path} holds no JSON object")
    return found


def _side(size: Any) -> int | None:
    """Pixels a side, as configurations write them; None where they don't."""
    if isinstance(size, Mapping):
        size = size.get("shortest_edge") or size.get("height")
    if isinstance(size, list | tuple) and size:
        size = size[-1]
    return int(size) if isinstance(size, int | float) and size else None
