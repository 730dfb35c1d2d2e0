"""A target that was trained elsewhere: weights from the user's file, held against the network, taken into the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from privaudit.errors import DataError, UsageError
from privaudit.estimators.fitted import FittedEstimator
from privaudit.results.audit.audit_description import GivenTargetDescription
from privaudit.results.audit.training_record import ModelRecord
from privaudit.results.base import write_result
from privaudit.runtime import files
from privaudit.runtime.registry import without_folder
from privaudit.shadow.external_weights import read_checkpoint
from privaudit.shadow.specification import ModelSpecification
from privaudit.shadow.trainer import AuditArrays, TrainingJob, as_kept, one_thread, save_model, write_signals
from privaudit.shadow.weight_names import (
    COUNT,
    NAMED,
    Fit,
    fits_of,
    in_words,
    missing_names,
    same,
    tied_names,
    unwrapped,
)
from privaudit.training.loop import Samples, logits_of

#: Endings of files that hold estimators.
OF_ESTIMATORS = (".skops", ".json", ".ubj")

#: How the first layer and the user's network are called in a whole model.
FIRST_LAYER, NETWORK = "standardise.", "network."

Weights = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class GivenTarget:
    """A target model that the user brought.

    Parameters
    ----------
    description
        As it stands in ``audit.json``: the file's name without its folder, its SHA-256, which is part of the audit's
        identity, and whether it brought ``standardise.mean`` and ``standardise.deviation`` of its own; else inputs are
        standardised as those of the audit's other models are.
    weights
        Of the whole model, fitted to the audit's network; None where the store has it already.
    notes
        What was guessed of the file, for people.
    estimator
        In place of weights, where the audit's models are estimators.
    """

    description: GivenTargetDescription
    weights: Weights | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()
    estimator: FittedEstimator | None = field(default=None, repr=False)

    @property
    def file(self) -> str:
        """Its name, without its folder."""
        return self.description.file

    @property
    def sha256(self) -> str:
        """Of the file as it was given."""
        return self.description.sha256


def read_given_target(path: Path, specification: ModelSpecification) -> GivenTarget:
    """Read a ``.safetensors`` file, a state dict or a checkpoint that holds one; only plain tensors are unpickled.

    Raises
    ------
    UsageError
        Where the file's name has another ending.
    DataError
        Where it can't be read, holds no state dict, does not fit the audit's network, or fits it in several ways.
    """
    if path.suffix.lower() in OF_ESTIMATORS:
        raise UsageError(
            f"--target {path} is an estimator, and its shadow models must be made as it was",
            hint="Name its kind: --estimator random-forest, or a function that makes it: --estimator own.py:make.",
        )
    found = read_checkpoint(path)
    fitted, scales_itself, notes = _fitted(found, path, specification)
    description = GivenTargetDescription(file=path.name, sha256=files.sha256_of(path), scales_itself=scales_itself)
    return GivenTarget(description, fitted, notes)


def take_in(job: TrainingJob, given: GivenTarget, arrays: AuditArrays) -> None:
    """Put the given target into the store, ask it as every other model is asked, and seal its files, the record last.

    Raises
    ------
    DataError
        Where what it says of a sample is not a number.
    """
    specification, store = job.specification, job.store
    with one_thread(specification.hardware):
        model = specification.build("load")
        if given.estimator is not None:
            model = as_kept(given.estimator, arrays)
        else:
            model.load_state_dict(dict(given.weights or {}))
        pool = Samples.from_arrays(arrays.pool_inputs, arrays.pool_labels, specification.hardware.device)
        test = Samples.from_arrays(arrays.test_inputs, arrays.test_labels, specification.hardware.device)
        for part, samples in (("training", pool), ("test", test)):
            _demand_numbers(logits_of(model, samples), part, given)
        save_model(model, store.model(job.key))
        test_accuracy = write_signals(job, model, pool, arrays)
    record = ModelRecord(
        given=given.description,
        seed_offset=0,
        diverged=[],
        # It was not trained here: how long that took is not known.
        seconds=None,
        members=len(job.members),
        epoch_losses=[],
        test_accuracy=test_accuracy,
        queries=list(job.queries),
        torch=str(torch.__version__),
    )
    write_result(store.record(job.key), record)


def _demand_numbers(logits: npt.NDArray[np.float32], part: str, given: GivenTarget) -> None:
    wrong = np.flatnonzero(~np.isfinite(logits).all(axis=1))
    if len(wrong):
        raise DataError(
            f"--target {given.file}: its logits of {part} row {wrong[0]} are not numbers ({len(wrong):,} such rows)",
            hint="Was it trained on inputs of another scale? docs/bring-your-own.md says how to bring its own.",
        )


def _fitted(
    found: Mapping[str, Weights], path: Path, specification: ModelSpecification
) -> tuple[dict[str, torch.Tensor], bool, tuple[str, ...]]:
    """The weights by the names of the whole model and in its types, whether they scale inputs themselves, and how."""
    whole = specification.build("load").state_dict()
    bare = {name.removeprefix(NETWORK): tensor for name, tensor in whole.items() if name.startswith(NETWORK)}
    for scales_itself, expected in ((True, whole), (False, bare)):
        ways = [
            (place, fit)
            for place, weights in found.items()
            # Names of a first layer are ours: with them it is a whole model, or none that is understood.
            if scales_itself or not any(FIRST_LAYER in f"{name}." for name in weights)
            for fit in fits_of(weights, expected)
        ]
        if ways:
            break
    else:
        raise _misfit(found, path, specification, whole)
    place, fit = ways[0]
    others = [_called(other, way.prefix) for other, way in ways[1:] if not same(way.weights, fit.weights)]
    if others:
        raise DataError(
            f"--target {path} holds the weights of network '{without_folder(specification.network)}' more than once, "
            f"and they differ: {_called(place, fit.prefix)}, {', '.join(others)}",
            hint="Save those that are meant alone: torch.save(checkpoint[…], 'target.pt').",
        )
    problems = _differences(fit.weights, expected)
    if problems:
        raise _unfit(path, specification, problems)
    prefix = "" if scales_itself else NETWORK
    fitted = {name: tensor.clone() for name, tensor in whole.items()}
    groups = tied_names(expected)
    for name, tensor in fit.weights.items():
        for tied in groups[name] if tensor.numel() else (name,):
            if tied != name and tied in fit.weights and not same({"": tensor}, {"": fit.weights[tied]}):
                raise DataError(f"--target {path}: {name} and {tied} are tied in the network, and differ in the file")
            own = whole[prefix + tied]
            fitted[prefix + tied] = tensor.detach().to(own.dtype).reshape(own.shape).clone().contiguous()
    broken = [name for name, tensor in fitted.items() if not bool(torch.isfinite(tensor).all())]
    if broken:
        raise DataError(f"--target {path}: {in_words(broken)} hold values that are not numbers")
    if not bool((fitted[f"{FIRST_LAYER}deviation"] > 0).all()):
        raise DataError(f"--target {path}: {FIRST_LAYER}deviation must be above 0, since inputs are divided by it")
    return fitted, scales_itself, _notes(path, place, fit, expected)


def _called(place: str, prefix: str) -> str:
    return (
        " ".join(part for part in (f"'{place}'" if place else "", f"'{prefix}…'" if prefix else "") if part)
        or "its top"
    )


def _notes(path: Path, place: str, fit: Fit, expected: Weights) -> tuple[str, ...]:
    """What was guessed of the file, or left out of it."""
    notes = []
    if place or fit.prefix:
        notes.append(
            f"the target's weights are {_called(place, fit.prefix)} of {path.name}: exactly the network's names"
        )
    if fit.left_out:
        notes.append(f"of {path.name} {in_words(fit.left_out)} are left out: they are none of the network's")
    if counts := [name for name in expected if name.endswith(COUNT) and name not in fit.weights]:
        notes.append(f"{path.name} lacks {in_words(counts)}, which no answer depends on")
    return tuple(notes)


def _misfit(found: Mapping[str, Weights], path: Path, specification: ModelSpecification, whole: Weights) -> DataError:
    """The error for a file none of whose state dicts fits: how the nearest differs."""

    def names_of(weights: Weights, prefix: str) -> dict[str, torch.Tensor]:
        plain = {unwrapped(name): tensor for name, tensor in weights.items()}
        return {name.removeprefix(prefix): tensor for name, tensor in plain.items() if name.startswith(prefix)}

    nearest: tuple[int, list[str]] | None = None
    for weights in found.values():
        scales_itself = any(name.startswith(FIRST_LAYER) for name in weights)
        start = "" if scales_itself else NETWORK
        expected = {unwrapped(n.removeprefix(start)): t for n, t in whole.items() if n.startswith(start)}
        firsts = {name[: name.index(".") + 1] for name in names_of(weights, "") if "." in name}
        for prefix in ("", *sorted(firsts)):
            given = names_of(weights, prefix)
            common = sum(name in expected for name in given)
            if nearest is None or common > nearest[0]:
                nearest = (common, _differences(given, expected))
    return _unfit(path, specification, nearest[1] if nearest else [])


def _unfit(path: Path, specification: ModelSpecification, problems: list[str]) -> DataError:
    return DataError(
        f"--target {path} does not fit network '{without_folder(specification.network)}' for inputs "
        f"{list(specification.input_shape)} and {specification.classes} classes: "
        f"{'; '.join(problems) or 'its names can not be told apart'}",
        hint="Name the network that it was trained as: --network NAME or --network FILE.py:function.",
    )


def _differences(weights: Weights, expected: Weights) -> list[str]:
    """In words, how the names, shapes and kinds of the weights differ from the network's."""
    problems = []
    if missing := missing_names(weights, expected):
        problems.append(f"it lacks {in_words(missing)}")
    if unexpected := [name for name in weights if name not in expected]:
        problems.append(f"the network has no {in_words(unexpected)}")
    for name in [name for name in expected if name in weights]:
        given, own = weights[name], expected[name]
        if given.layout != torch.strided or given.is_quantized or given.is_meta:
            problems.append(f"{name} is quantised, sparse or empty of data")
        elif name.endswith(COUNT) and given.numel() == 1 and not given.is_complex():
            continue  # A count may have been turned into a float with all the rest.
        elif given.is_floating_point() != own.is_floating_point() or given.is_complex():
            problems.append(f"{name} is {_kind(given)}, the network's {_kind(own)}")
        elif given.shape != own.shape and not (name.startswith(FIRST_LAYER) and given.numel() == own.numel()):
            problems.append(f"{name} has shape {list(given.shape)}, the network's {list(own.shape)}")
    return problems if len(problems) <= NAMED else [*problems[:NAMED], f"and {len(problems) - NAMED} more"]


def _kind(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
