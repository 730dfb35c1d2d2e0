"""From ``--network timm:NAME``, ``--weights`` and ``--train`` to what is built; every doubt is told before that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from privaudit.audit.network_and_recipe import demand_no_recipe
from privaudit.audit.privacy.private_recipe import demand_canaries, demand_no_privacy
from privaudit.config import AuditSettings, Defaults
from privaudit.data import Dataset
from privaudit.errors import DataError, UsageError
from privaudit.networks.pretrained.build import build_pretrained, left_out, prepare, width_of_head
from privaudit.networks.pretrained.description import ALL, HEAD, RANDOM, Pretrained, library_of
from privaudit.networks.pretrained.weights import digest_of_weights, listed, weight_files
from privaudit.runtime.registry import absolute_reference, without_folder
from privaudit.training.recipe import PRIVATE, Recipe, resolve_recipe
from privaudit.training.views import ORIGINAL, parse_queries

#: What a pretrained network is trained with: few epochs at a low rate, so that what it knows is not lost at once.
FINE_TUNING = {"epochs": 10, "batch_size": 32, "learning_rate": 0.01}

#: A head is a linear layer on standardised embeddings: an epoch of it is a moment.
HEAD_TRAINING = {"epochs": 40, "batch_size": 128, "learning_rate": 0.05}

#: Heads are cheap: this many shadow models by default.
HEADS = 64

NO_WEIGHTS = (
    "Weights are read from this machine alone: --weights FILE.safetensors, or a folder with model.safetensors. "
    "--weights random says that it is to start from nothing."
)


def resolve_pretrained(settings: AuditSettings) -> Pretrained | None:
    """Return which pretrained network is asked for; None where the network is of another kind.

    Raises
    ------
    UsageError
        Where ``--weights`` or ``--train`` mean nothing, or the weights are not named.
    """
    network = settings.network or ""
    if (library := library_of(network)) is None:
        _demand_no_flags(settings)
        return None
    network = absolute_reference(network)
    train = absolute_reference(settings.train or ALL)
    if train not in (ALL, HEAD) and ":" not in train:
        raise UsageError(f"--train {train}: it is all, head or FILE.py:function, which says what is trained")
    weights = settings.weights
    if weights is None and library == "transformers":
        weights = Path(network.partition(":")[2])
        if weights.is_dir() and not any(weights.glob("*.safetensors")):
            raise UsageError(f"--network {settings.network}: its folder holds no weights", hint=NO_WEIGHTS)
    if weights is None:
        raise UsageError(f"--network {network} needs its weights: none are named", hint=NO_WEIGHTS)
    is_random = str(weights) == RANDOM
    if is_random and train == HEAD:
        raise UsageError(
            "--weights random with --train head: a head on a network that learned nothing",
            hint="Name weights with --weights FILE.safetensors, or train all of it: --train all.",
        )
    # A network that is not there is told before weights that belong to it.
    prepared = prepare(network, None if is_random else weights.absolute())
    found = None if is_random else weight_files(weights.absolute())
    if settings.image_size is not None and not prepared.is_fixed:
        prepared = replace(prepared, size=settings.image_size)
    return Pretrained(
        network=network,
        weights=None if is_random else weights.absolute(),
        sha256=None if found is None else digest_of_weights(found),
        preparation=prepared,
        train=train,
    )


def _demand_no_flags(settings: AuditSettings) -> None:
    for flag, value in (("weights", settings.weights), ("train", settings.train)):
        if value is not None:
            raise UsageError(
                f"--{flag} {value} is for pretrained networks, and --network {settings.network or '…'} is none",
                hint="Those are --network timm:NAME and --network transformers:FOLDER. The weights of a model that is "
                "to be audited are --target FILE."
                if flag == "weights"
                else "Those are --network timm:NAME and --network transformers:FOLDER.",
            )


def choose_pretrained(
    settings: AuditSettings, pretrained: Pretrained, data: Dataset
) -> tuple[str, Recipe, tuple[str, ...]]:
    """Return the network's name, its recipe, and what is to be known of it on these data; errors as its parts."""
    demand_canaries(settings)
    if settings.recipe == PRIVATE:
        raise UsageError(
            f"--recipe {PRIVATE} with --network {settings.network}: it trains networks from the start",
            hint="Use --network cnn, mlp or one with GroupNorm; or leave the recipe out.",
        )
    demand_no_privacy(settings)
    notes = check_pretrained(settings, pretrained, data)
    return pretrained.network, recipe_of_pretrained(settings, pretrained), notes


def recipe_of_pretrained(settings: AuditSettings, pretrained: Pretrained) -> Recipe:
    """Return the recipe: ``fast`` with few epochs at a low rate, or what suits a head; flags go before."""
    if settings.training is not None:
        demand_no_recipe(settings)
    asked = {name: value for name, value in settings.recipe_changes().items() if value is not None}
    usual: dict[str, object] = dict(HEAD_TRAINING if pretrained.is_frozen else FINE_TUNING)
    recipe = resolve_recipe(settings.recipe or "fast", (usual if settings.recipe in (None, "fast") else {}) | asked)
    if pretrained.is_frozen and recipe.augment != "none":
        raise UsageError(
            f"--augment {recipe.augment} with --train head: each image is embedded once, as it is",
            hint="Leave it out, or train more than the head.",
        )
    return recipe


def defaults_of_pretrained(pretrained: Pretrained | None, defaults: Defaults) -> Defaults:
    """Return the same defaults, with more shadow models where these are heads."""
    return replace(defaults, shadows=HEADS) if pretrained is not None and pretrained.is_frozen else defaults


def check_pretrained(settings: AuditSettings, pretrained: Pretrained, data: Dataset) -> tuple[str, ...]:
    """Return what is to be known of a pretrained network on these data.

    Raises
    ------
    UsageError
        Where the data are no images, or what is asked for needs more than a head.
    DataError
        Where its weights are not its own, or images are on another scale than it knows.
    """
    if not data.is_image or data.input_shape[2] not in (1, 3):
        raise UsageError(
            f"network '{without_folder(pretrained.network)}' takes grey or colour images, but an input has shape "
            f"{list(data.input_shape)}"
        )
    if data.x_train.dtype != np.uint8 and not (float(data.x_train.min()) >= 0 and float(data.x_train.max()) <= 1):
        low, high = float(data.x_train.min()), float(data.x_train.max())
        raise DataError(
            f"{data.name}: images are floats from {low:g} to {high:g}, and a pretrained network knows bytes, or floats "
            "from 0 to 1",
            hint="Bring them as uint8, or on the 0–1 scale.",
        )
    if pretrained.is_frozen:
        if parse_queries(settings.queries) != ORIGINAL:
            raise UsageError(f"--queries {settings.queries} with --train head: each image is embedded once, as it is")
        if settings.canary_kind != "mislabelled":
            raise UsageError(
                f"--canary-kind {settings.canary_kind} with --train head: what is no image is embedded by nobody",
                hint="Leave it out: mislabelled test images are canaries too.",
            )
        if settings.target is not None:
            raise UsageError(
                "--target with --train head: a head of your own can't be taken in yet",
                hint="Audit the whole network as it is: --train all --target FILE.",
            )
        width_of_head(pretrained, data.classes)
    ignored = left_out(pretrained, data.classes)
    if not pretrained.is_frozen:
        build_pretrained(pretrained, data.classes, 0)
    return _notes(pretrained, data, ignored)


def _notes(pretrained: Pretrained, data: Dataset, ignored: tuple[str, ...]) -> tuple[str, ...]:
    preparation, height, width = pretrained.preparation, *data.input_shape[:2]
    side = preparation.size
    given = f"{height}×{width}"
    notes = [said_of(pretrained), *preparation.notes]
    if (height, width) != (side, side):
        stretched = "" if height == width else ", stretched to a square"
        notes.append(
            f"the network gets images of {side}×{side} pixels, its own size: those of {given} are resized on the way"
            f"{stretched}"
        )
    mean, deviation = (", ".join(f"{one:.3g}" for one in two) for two in (preparation.mean, preparation.deviation))
    notes.append(f"images are normalised as the network was trained: mean {mean}, deviation {deviation}")
    if ignored:
        notes.append(f"of the weights {listed(list(ignored))} are left out: the network has no such parameter")
    return tuple(notes)


def said_of(pretrained: Pretrained) -> str:
    """Say what of the network was audited, and what it may have seen before."""
    name = pretrained.in_words()
    if pretrained.is_frozen:
        return (
            f"only the head is audited: {name} is frozen below it, the same in every model. What it remembers of "
            "images that it was trained on before, these perhaps among them, no figure here shows"
        )
    if pretrained.weights is None:
        return f"{name} starts from nothing, as --weights random asked: it is no pretrained network"
    part = "" if pretrained.train == ALL else f", of which {without_folder(pretrained.train)} names what is trained"
    return (
        f"every model starts from {name}{part}, and a head of its own. What these weights were trained on before, "
        "these images perhaps among it, every shadow model has seen, and no figure here shows that"
    )
