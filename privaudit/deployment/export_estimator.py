"""An estimator as a file that scikit-learn can use: fitted again, held against what the store says of it, and written.

The store keeps what an estimator said, and not the estimator. Fitted again to the same rows with the same seed it is
the same, to the bit, and what it says must be what the store has.
"""

from __future__ import annotations

import hashlib
import textwrap
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from privaudit import __version__
from privaudit.artifacts import EXPORTED, RETRAINED
from privaudit.audit.plan import AuditPlan
from privaudit.audit.reopening import reopen_plan
from privaudit.config import AuditSettings
from privaudit.deployment.describe_model import describe_model
from privaudit.deployment.export_folder import result_of, with_sums, write_folder
from privaudit.deployment.find_model import StoredModel, record_of_run
from privaudit.deployment.model_description import ExportedModel, ExportResult, ModelDescription
from privaudit.errors import StoreError, UsageError
from privaudit.estimators.fitted import FittedEstimator
from privaudit.estimators.saved_models import strange_types, write_skops
from privaudit.estimators.stored_answers import StoredAnswers
from privaudit.results.audit.training_record import RetrainedRecord
from privaudit.results.base import read_result
from privaudit.runtime import files
from privaudit.runtime.identity import digest_of
from privaudit.runtime.scratch import scratch_folder
from privaudit.shadow.store import TARGET
from privaudit.shadow.trainer import as_kept, load_model, one_thread, train_with_new_seeds
from privaudit.training.loop import Samples
from privaudit.unlearning.application.retrained_models import RetrainJob

MODEL, LOADER, README = "model.skops", "load.py", "README.txt"
NEEDS = ("scikit-learn", "skops")

_LOADER = '''"""Load this estimator without privaudit: it takes features float32 [N, {features}]."""

from pathlib import Path

import skops.io

#: The types in the file beside scikit-learn's own, as they were when it was written.
TRUSTED = {trusted}

#: By the estimator's own numbers, 0 and up.
CLASSES = {classes}


def load(path=Path(__file__).with_name("{model}")):
    return skops.io.load(path, trusted=TRUSTED)
'''


def is_of_estimators(model: StoredModel) -> bool:
    """Tell whether a model's audit is of estimators."""
    return model.store.read_description().identity.estimator is not None


def export_estimator(model: StoredModel, folder: Path) -> ExportResult:
    """Fit an estimator again, hold it against the store, and write it as ``model.skops``.

    Raises
    ------
    UsageError
        Where it was given by the user, skops is not installed, or can't write it.
    StoreError
        Where what was fitted again says something else: another library's version fits otherwise.
    """
    about = describe_model(model)
    plan = reopen_plan(model.store, AuditSettings(store=model.store.root))
    if model.run is None and plan.is_given(TARGET):
        raise UsageError(
            f"the target of {about.audit} was given as {plan.given.file if plan.given else 'a file'}: it is there that "
            "it is to be had"
        )
    job = _of_target(plan, model) if model.run is None else _of_run(plan, model, model.run)
    fitted = _fit_again(plan, job, model)
    content = _content(fitted, about, _encoding_of(model))
    write_folder(folder, content)
    return result_of(about, folder, content)


def _of_target(plan: AuditPlan, model: StoredModel) -> RetrainJob:
    return RetrainJob(model.path, np.arange(len(plan.data)), plan.specification, (TARGET,))


def _of_run(plan: AuditPlan, model: StoredModel, run: Path) -> RetrainJob:
    """The training that a run's model came from: the store's retrained model whose file is the same."""
    record = record_of_run(model, run)
    gone = {one.sample_id for one in record.removed}
    kept = [row for row, one in enumerate(plan.data.sample_ids.tolist()) if one not in gone]
    members: npt.NDArray[np.int64] = np.array(kept, np.int64)
    own = files.sha256_of(model.path)
    for path in RETRAINED.within(model.store.folder):
        if files.is_whole(path) and files.is_whole(path.with_suffix(".json")) and files.sha256_of(path) == own:
            told = read_result(path.with_suffix(".json"), RetrainedRecord)
            digest, seed, number = path.stem.rsplit("-", 2)
            if told.members_sha256 == digest_of(members):
                return RetrainJob(path, members, plan.specification, ("retrain", digest, int(seed), int(number)))
    raise StoreError(
        f"the fit that {model.path} comes from is not in {model.store.folder} any more",
        hint="Run the same privaudit unlearn again: it makes anew what is missing.",
    )


def _fit_again(plan: AuditPlan, job: RetrainJob, model: StoredModel) -> FittedEstimator:
    arrays = plan.arrays
    with one_thread(job.specification.hardware):
        samples = Samples.from_arrays(arrays.pool_inputs, arrays.pool_labels, "cpu")
        fitted, _, _ = train_with_new_seeds(job.specification, samples, job.members, job.purpose)
        said, known = as_kept(fitted, arrays), load_model(plan.specification, model.path)
    assert isinstance(fitted, FittedEstimator)  # noqa: S101 - the audit is of estimators
    same = isinstance(said, StoredAnswers) and isinstance(known, StoredAnswers)
    if not (same and torch.equal(said.get_buffer("rows"), known.get_buffer("rows"))) or not torch.allclose(
        said.get_buffer("answers"), known.get_buffer("answers"), atol=1e-5
    ):
        raise StoreError(
            f"{model.store.audit}: fitted again, the estimator answers otherwise than the store says",
            hint="Was it made by another version of scikit-learn? audit.json says which; install that one.",
        )
    return fitted


def _encoding_of(model: StoredModel) -> bytes | None:
    """How the cells of a table become the features, where the audit is of one."""
    found = [path for path in (model.store.encoding, model.store.columns) if path.exists()]
    return found[0].read_bytes() if found else None


def _content(fitted: FittedEstimator, about: ModelDescription, encoding: bytes | None) -> dict[str, bytes]:
    """Every file of the export by its name."""
    if fitted.estimator is None:
        raise UsageError("the estimator saw a single class and was never fitted: there is nothing to write")
    with scratch_folder() as place:
        write_skops(fitted.estimator, place / MODEL)
        written, trusted = (place / MODEL).read_bytes(), strange_types(place / MODEL)
    needs = (*NEEDS, *sorted({one.partition(".")[0] for one in trusted} & {"xgboost", "lightgbm"}))
    exported = ExportedModel(
        **about.to_json(),
        format=1,
        made_by=f"privaudit {__version__}",
        mean=[],
        deviation=[],
        weights_sha256=hashlib.sha256(written).hexdigest(),
        needs=needs,
    )
    names = [about.classes[column] for column in fitted.columns.tolist()]
    loader = _LOADER.format(
        features=int(np.prod(about.input_shape)), trusted=repr(trusted), classes=repr(names), model=MODEL
    )
    content = {
        MODEL: written,
        EXPORTED: (exported.model_dump_json(indent=2) + "\n").encode(),
        LOADER: loader.encode(),
        README: _readme(about, encoding is not None).encode(),
    }
    if encoding is not None:
        content["encoding.json"] = encoding
    return with_sums(content)


def _readme(about: ModelDescription, is_table: bool) -> str:
    features = ""
    if is_table:
        features = "; encoding.json says how the columns of the table became them (privaudit, docs/your-table.md)"
    elif len(about.input_shape) == 3:
        features = ", bytes on the 0-1 scale, images flattened"
    paragraphs = [
        f"{about.run or about.audit}: an estimator exported by privaudit",
        *about.sentences(),
        f"from load import load; load().predict_proba(features). It needs {', '.join(NEEDS)}, of the versions that "
        "fitted it.",
        f"Features are those of the audit: float32, a row each{features}.",
        "It is no proof of privacy: what attacks tell of estimators fitted like this one is in the audit's report.",
    ]
    return "\n\n".join(textwrap.fill(one, 100) for one in paragraphs) + "\n"
