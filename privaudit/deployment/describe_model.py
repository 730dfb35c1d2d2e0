"""What a stored model is, from the records beside it: nothing of it is loaded or run for that."""

from __future__ import annotations

from pathlib import Path

from privaudit.deployment.find_model import StoredModel, demand_whole, record_of_run
from privaudit.deployment.model_description import ModelDescription, ModelKind
from privaudit.errors import UnlearningRejected
from privaudit.report.content.outcome_wording import UNDECIDED
from privaudit.results.audit.audit_description import AuditDescription, AuditIdentity, DataDescription
from privaudit.results.audit.training_record import TrainedModel
from privaudit.results.base import read_result
from privaudit.results.unlearning.outcome import REJECTED, OutcomeName
from privaudit.runtime import files
from privaudit.unlearning.application.removal_record import RECORD

#: Datasets whose images are bytes always: an earlier version did not note the type of inputs.
_OF_BYTES = ("digits", "mnist", "cifar10", "cifar100", "tiny-imagenet", "image-folder")

#: Why a model that is no result may not be deployed, or why an audit's target may.
_WHY: dict[ModelKind, str] = {
    "target": "it is the model that was audited: trained on all samples, and nothing was forgotten",
    "shadow": "a shadow model, trained on a random half of the samples to measure by",
    "coin": "it was trained on canaries, to bound ε by",
    "retrained": "a reference that unlearning was held against; the model of --method retrain is in its run's folder, "
    "with a record of removal",
}

#: The same of the model of an unlearning run.
_OF_OUTCOME: dict[OutcomeName, str] = {
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
    audit = model.store.read_description()
    demand_whole(model)
    described = ModelDescription(
        audit=model.store.audit,
        kind=model.kind,
        file=model.path.name,
        sha256=files.sha256_of(model.path),
        dataset=audit.identity.dataset,
        fingerprint=audit.identity.fingerprint,
        network=audit.identity.network,
        network_source=audit.identity.network_source,
        trained_by=_trained_by(audit, is_given=model.kind == "target"),
        classes=tuple(audit.data.classes),
        input_shape=tuple(audit.data.input_shape),
        input_type=audit.data.dtype or _type_of_earlier(audit.data),
        deployable=model.kind == "target",
        why=_WHY.get(model.kind, ""),
    )
    if model.run is None:
        members = read_result(model.path.with_suffix(".json"), TrainedModel).members
        return described.model_copy(update={"members": members})
    return _of_run(described, model, model.run, audit)


def _of_run(described: ModelDescription, model: StoredModel, run: Path, audit: AuditDescription) -> ModelDescription:
    """Say what an unlearning run did, and what came of it."""
    record = record_of_run(model, run)
    count = len(record.removed or record.attempted)
    outcome = record.outcome or ("exact" if record.method.exact else None)
    said = f"{UNDECIDED}." if record.outcome_evidence is None else record.outcome_evidence.sentence
    whom = f"{count:,} sample{'s'[: count - 1]}"
    how = f"on all samples but {count:,}" if record.method.exact else f"then {record.method.method} to forget {whom}"
    return described.model_copy(
        update={
            "run": run.name,
            "trained_by": f"{_trained_by(audit, is_given=not record.method.exact)}, {how}",
            "outcome": outcome,
            "outcome_sentence": said,
            "record_sha256": files.sha256_of(run / RECORD),
            "forgotten": count,
            "deployable": outcome not in REJECTED,
            "why": "an earlier version decided no outcome" if outcome is None else _OF_OUTCOME[outcome],
        }
    )


def demand_deployable(about: ModelDescription, hint: str) -> None:
    """Raise `UnlearningRejected` for a model that unlearning left and that is no result of it."""
    if about.run is not None and not about.deployable:
        raise UnlearningRejected(
            f"{about.file} of run {about.run} was rejected, its outcome is {about.outcome}: {about.outcome_sentence}",
            hint=hint,
        )


def _type_of_earlier(data: DataDescription) -> str | None:
    """The type of inputs where it is not on record: bytes of our own image datasets, floats of features."""
    if len(data.input_shape) == 1:
        return "float32"
    return "uint8" if data.dataset in _OF_BYTES else None


def _trained_by(audit: AuditDescription, *, is_given: bool) -> str:
    """Recipe or training function; of a given target, and what began as one, that it was given."""
    identity = audit.identity
    if audit.target is not None and is_given:
        return f"its owner, and given as {audit.target.file} (SHA-256 {audit.target.sha256[:12]})"
    if identity.estimator is not None:
        return f"fitting {identity.estimator.builds or identity.estimator.name}, seed {identity.seed}"
    whole = _by(identity)
    if identity.pretrained is None:
        return whole
    part = {"head": "only its head, ", "all": ""}.get(identity.pretrained.train, "in part, ")
    return f"{part}{whole}, from weights {identity.pretrained.weights[:12]}"


def _by(identity: AuditIdentity) -> str:
    if identity.training_function is not None:
        return f"training function {identity.training_function.name}, seed {identity.seed}"
    if identity.recipe is None:
        return f"what is not on record, seed {identity.seed}"
    return f"recipe '{identity.recipe.name}', {identity.recipe.epochs} epochs, seed {identity.seed}"
