"""A stored model as a module that takes what its users have: images, features or rows of a table, as they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import safetensors
import safetensors.torch
import torch
from torch import nn

from privaudit.deployment.describe_model import describe_model
from privaudit.deployment.find_model import StoredModel
from privaudit.deployment.model_description import ModelDescription
from privaudit.deployment.pretrained_model import build_whole, pretrained_of
from privaudit.deployment.row_encoding import RowEncoding, read_row_encoding
from privaudit.errors import DataError, UsageError
from privaudit.networks import build_network, network_source
from privaudit.networks.build import load_factory
from privaudit.networks.classifier import Classifier
from privaudit.networks.pretrained.description import Pretrained
from privaudit.objects.code_identity import identify_code
from privaudit.objects.held import is_held_name
from privaudit.runtime.registry import without_folder
from privaudit.training.loop import as_network_input

#: Samples that `LoadedModel.predict` asks about at once.
BATCH = 64


class LoadedModel(nn.Module):
    """A model in eval mode that takes raw inputs and returns logits.

    Parameters
    ----------
    classifier
        The network with its scaling.
    about
        What it is.
    encoding
        How rows of a table become features, where the audit is of a table.
    pretrained
        Which network of timm or transformers it is, where it is one.
    """

    def __init__(
        self,
        classifier: Classifier,
        about: ModelDescription,
        encoding: RowEncoding | None = None,
        pretrained: Pretrained | None = None,
    ) -> None:
        super().__init__()
        self.classifier = classifier
        self.about = about
        self.encoding = encoding
        self.pretrained = pretrained
        self.eval()

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of logits."""
        return self.about.classes

    def describe(self) -> str:
        """Say what the model is, what it was trained by and on, and whether it may be deployed."""
        return "\n".join(self.about.sentences())

    def forward(self, inputs: Any) -> torch.Tensor:
        """Return logits float32 ``[N, C]`` of raw inputs (see `encode`)."""
        logits: torch.Tensor = self.classifier(self.encode(inputs)).float()
        return logits

    @torch.inference_mode()
    def predict(self, inputs: Any) -> list[str]:
        """Return the name of the likeliest class of each input, asked in batches and in eval mode."""
        mode = self.training
        self.eval()
        try:
            batches = self.encode(inputs).split(BATCH)
            labels = [label for batch in batches for label in self.classifier(batch).argmax(1).tolist()]
        finally:
            self.train(mode)
        return [self.classes[label] for label in labels]

    def encode(self, inputs: Any) -> torch.Tensor:
        """Return inputs as the network takes them, on its device.

        Parameters
        ----------
        inputs
            A batch in the shape of the data, an array, tensor or nested list: images ``[N, H, W, C]`` (or
            ``[N, H, W]`` of one channel, or ``[N, C, H, W]``), bytes or floats on the scale of the training data, which
            of bytes is 0–1; features ``[N, D]``; or rows of the audited table, a DataFrame of its raw columns.

        Returns
        -------
        torch.Tensor
            float32 ``[N, C, H, W]`` or ``[N, D]``, bytes on the 0–1 scale.

        Raises
        ------
        DataError
            Where the inputs have another shape, type or scale than the data that the model was trained on.
        """
        given = torch.from_numpy(self._features(inputs)) if isinstance(inputs, pd.DataFrame) else _as_tensor(inputs)
        shaped = _in_shape(given, self.about.input_shape)
        _demand_scale(shaped, self.about)
        device = next(self.parameters(), torch.empty(0)).device
        return as_network_input(shaped.to(device))

    def _features(self, rows: pd.DataFrame) -> npt.NDArray[np.float32]:
        if self.encoding is None:
            raise DataError(
                "inputs are a table, and how its columns become features is not on record: the audit is of no table, "
                "or an earlier version made it",
                hint="Run the same privaudit score again, which notes it and trains nothing; or give features "
                f"[N, {self.about.input_shape[0]}].",
            )
        return self.encoding.apply(rows)


def _as_tensor(inputs: Any) -> torch.Tensor:
    if isinstance(inputs, torch.Tensor):
        return inputs
    array: npt.NDArray[Any] = np.asarray(inputs)
    if array.dtype.kind not in "biuf":
        raise DataError(
            f"inputs are {array.dtype} {list(array.shape)}, where a network takes numbers of one shape a sample",
            hint="Give an array, a tensor or a nested list.",
        )
    return torch.from_numpy(np.array(array, order="C") if not array.flags.writeable else np.ascontiguousarray(array))


def _in_shape(inputs: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Inputs ``[N, *shape]``; of images the channels may be left out where there is one, or stand first."""
    given = tuple(inputs.shape[1:])
    if given == shape:
        return inputs
    if len(shape) == 3:
        if shape[2] == 1 and given == shape[:2]:
            return inputs.unsqueeze(-1)
        if given == (shape[2], *shape[:2]):
            return inputs.permute(0, 2, 3, 1)
    single = tuple(inputs.shape) == shape or (len(shape) == 3 and shape[2] == 1 and tuple(inputs.shape) == shape[:2])
    raise DataError(
        f"inputs have shape {list(inputs.shape)}: this model takes a batch [N, {', '.join(map(str, shape))}]",
        hint="One sample alone is a batch of one: inputs[None]." if single else None,
    )


def _demand_scale(inputs: torch.Tensor, about: ModelDescription) -> None:
    """Refuse numbers on another scale than the training data's: the answer would be worth nothing."""
    if not inputs.numel():
        return
    is_image = len(about.input_shape) == 3
    if inputs.dtype == torch.uint8 and is_image and about.input_type != "uint8":
        if about.input_type is None:
            raise DataError(
                "inputs are bytes, and an earlier version did not note whether this model was trained on such",
                hint="Run the same privaudit score again: it notes it, and trains nothing. Or give floats on the scale "
                "that the network was trained on.",
            )
        raise DataError(
            "inputs are bytes, and this model was trained on float images",
            hint="Give floats on the scale of those.",
        )
    if not inputs.is_floating_point():
        if is_image and inputs.dtype not in (torch.uint8, torch.bool):
            raise DataError(
                f"inputs are {str(inputs.dtype).removeprefix('torch.')}: images are uint8 or floats",
                hint="Whole numbers 0 to 255 are bytes: images.astype('uint8').",
            )
        return
    low, high = float(inputs.detach().min()), float(inputs.detach().max())
    if not (np.isfinite(low) and np.isfinite(high)):
        rows = torch.nonzero(~inputs.detach().isfinite().flatten(1).all(1)).flatten()
        raise DataError(f"input {int(rows[0])} holds numbers that are NaN or infinite ({len(rows):,} such inputs)")
    if about.input_type == "uint8" and (low < 0 or high > 1):
        raise DataError(
            f"inputs are floats from {low:g} to {high:g}, and this model was trained on bytes",
            hint="Give uint8 images, or floats on the 0–1 scale.",
        )


def build_classifier(about: ModelDescription, network: str) -> Classifier:
    """Build a model's network from the code that is on record, freshly initialised, on the CPU.

    Parameters
    ----------
    about
        The model.
    network
        The name, ``module:factory`` or ``FILE.py:factory`` that leads to the code now.

    Raises
    ------
    UsageError
        Where that code can't be found, or is not the code that the model was trained as.
    """
    where = without_folder(network)
    try:
        source = network_source(network)
    except UsageError as error:
        if is_held_name(network):
            raise
        raise UsageError(
            f"the code of network {about.network} can't be found: {error.message}",
            hint="Put it back where it was, or say where it is now: load_model(…, network='FILE.py:function'), "
            "privaudit export … --network FILE.py:function.",
        ) from error
    if source != about.network_source and not _is_the_same_in_a_file(network, about):
        raise UsageError(
            f"the code of network {where} is not that which the model was trained as: its SHA-256 is "
            f"{str(source)[:12]}, on record is {str(about.network_source)[:12]}",
            hint="Restore the file, or name the right one with network='FILE.py:function' (of the command: --network).",
        )
    channels = about.input_shape[-1]
    # The scaling is among the weights: what stands here is replaced by it.
    scale = ([0.0] * channels, [1.0] * channels)
    return build_network(network, about.input_shape, len(about.classes), scale, seed=0)


def _is_the_same_in_a_file(network: str, about: ModelDescription) -> bool:
    """Whether the model's network lived in no file when it was trained, and this is its source, in one."""
    if not is_held_name(about.network) or is_held_name(network):
        return False
    return identify_code(load_factory(network, about.input_shape)).digest == about.network_source


def code_of(model: StoredModel, about: ModelDescription) -> str:
    """Return the name, ``module:factory`` or ``FILE.py:factory`` that the network's code is on record by."""
    return model.store.read_description().code.network or about.network


def load_stored(model: StoredModel, network: str | None = None, weights: Path | None = None) -> LoadedModel:
    """Build the network of a stored model, give it its weights, and wrap it for raw inputs.

    Parameters
    ----------
    model
        What `find_model` found.
    network
        Where its code is now, if it is not where it was.
    weights
        Where the weights below a head are now, likewise.

    Raises
    ------
    StoreError
        Where a record or the weights are not whole, or were purged.
    UsageError
        Where the network's code is not what it was.
    DataError
        Where the weights are not those of that network.
    """
    about = describe_model(model)
    description = model.store.read_description()
    if description.identity.estimator is not None:
        raise UsageError(
            f"{model.path} is what an estimator said, and not the estimator: that is no network to load",
            hint=f"privaudit export {about.run or about.audit} fits it again, and writes it for scikit-learn.",
        )
    if (identity := description.identity.pretrained) is None:
        pretrained, classifier = None, build_classifier(about, network or code_of(model, about))
    else:
        pretrained = pretrained_of(description, identity, network, weights)
    try:
        stored: Mapping[str, torch.Tensor] = safetensors.torch.load(model.path.read_bytes())
        if pretrained is not None:
            classifier, stored = build_whole(pretrained, len(about.classes), stored)
        classifier.load_state_dict(stored)
    except (OSError, RuntimeError, safetensors.SafetensorError) as error:
        raise DataError(
            f"cannot load {model.path} into network {about.network}: {str(error)[:300]}",
            hint="Was it made by another version of privaudit, whose network was another? Load it with that one, or "
            "audit again.",
        ) from error
    return LoadedModel(classifier, about, read_row_encoding(model.store), pretrained)
