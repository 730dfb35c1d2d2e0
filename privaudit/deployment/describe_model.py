"""What a stored model is, from the records beside it: nothing of it is loaded or run for that."""

from __future__ import annotations

from typing import Any

from privaudit.deployment.find_model import StoredModel, record_of
from privaudit.errors import UnlearningRejected
from privaudit.report.content.outcome_wording import UNDECIDED, is_rejected, name_of_run, sentence_of_run
from privaudit.results.model_description import ModelDescription
from privaudit.runtime import files

#: Datasets whose images are bytes always: an earlier version did not note the type of inputs.
_OF_BYTES = ("digits", "mnist", "cifar10", "cifar100", "tiny-imagenet", "image-folder")

#: Why a model that is no result may not be deployed, or why an audit's target may.
_WHY = {
    "target": "it is the model that was audited: trained on all samples, and nothing was forgotten",
    "shadow": "a shadow model, trained on a random half of the samples to measure by",
    "coin": "it was trained on mislabelled canaries, to bound ε by",
    "retrained": "a reference that unlearning was held against; the model of --method retrain is in its run's folder, "
    "with a record of removal",
}

#: The same of the model of an unlearning run.
_OF_OUTCOME = {
    "exact": "it was retrained without the samples that were to be forgotten",
    "close": "it is as near to a model that was retrained without them as another retrained one",
    "partial": "it is nearer to a retrained model than before, and not so near as another retrained one: its samples "
    "are forgotten in part",
    "unclear": "nothing shows whether anything was forgotten: doing nothing is as near to a retrained model",
    "unchanged": "nothing was forgotten",
    "ruined": "it lost what it was to keep",
}


def describe_model(model: StoredModel) -> ModelDescription:
    """Read what a model is, of its audit, its run and its own record, all of them whole.

    Raises
    ------
    StoreError
        Where any of them is absent, unfinished, damaged, of another place or another version, or purged.
    """
    description = model.store.read_description()
    record = record_of(model)
    identity, data = description["identity"], description["data"]
    unlearned = model.run is not None
    outcome = name_of_run(record) or ("exact" if unlearned and record["method"].get("exact") else None)
    return ModelDescription(
        audit=model.store.audit,
        run=None if model.run is None else model.run.name,
        kind=model.kind,
        file=model.path.name,
        sha256=files.sha256_of(model.path),
        dataset=identity["dataset"],
        fingerprint=identity["fingerprint"],
        members=None if unlearned else record["members"],
        network=identity["network"],
        network_source=identity.get("network_source"),
        trained_by=_trained_by(model, description, record),
        classes=tuple(data["classes"]),
        input_shape=tuple(data["input_shape"]),
        input_type=data.get("dtype") or _type_of_earlier(data),
        outcome=outcome,
        outcome_sentence=(sentence_of_run(record) or f"{UNDECIDED}.") if unlearned else None,
        record_sha256=None if model.run is None else files.sha256_of(model.run / "record.json"),
        forgotten=len(record["removed"] or record.get("attempted", ())) if unlearned else None,
        deployable=not is_rejected(record) if unlearned else model.kind == "target",
        why=_OF_OUTCOME.get(outcome or "", "an earlier version decided no outcome") if unlearned else _WHY[model.kind],
    )


def demand_deployable(about: ModelDescription, hint: str) -> None:
    """Raise `UnlearningRejected` for a model that unlearning left and that is no result of it."""
    if about.run is not None and not about.deployable:
        raise UnlearningRejected(
            f"{about.file} of run {about.run} was rejected, its outcome is {about.outcome}: {about.outcome_sentence}",
            hint=hint,
        )


def _type_of_earlier(data: dict[str, Any]) -> str | None:
    """The type of inputs where it is not on record: bytes of our own image datasets, floats of features."""
    if len(data["input_shape"]) == 1:
        return "float32"
    return "uint8" if data["dataset"] in _OF_BYTES else None


def _trained_by(model: StoredModel, description: dict[str, Any], record: dict[str, Any]) -> str:
    """Recipe or training function, then what unlearned."""
    identity, how = description["identity"], ""
    if model.run is not None:
        method, count = record["method"], len(record["removed"] or record.get("attempted", ()))
        if not method["exact"]:
            how = f", then {method['method']} to forget {count:,} samples"
        else:
            how = f", on all samples but {count:,}"
    if "target" in description and (model.kind == "target" or (model.run is not None and how.startswith(", then"))):
        given = description["target"]
        return f"its owner, and given as {given['file']} (SHA-256 {given['sha256'][:12]}){how}"
    if identity["recipe"] is None:
        return f"training function {identity['training_function']['name']}, seed {identity['seed']}{how}"
    recipe = identity["recipe"]
    return f"recipe '{recipe['name']}', {recipe['epochs']} epochs, seed {identity['seed']}{how}"
