"""An estimator as a file that scikit-learn can use: fitted again, held against what the store says of it, and written.

The store keeps what an estimator said, and not the estimator. Fitted again to the same rows with the same seed it is
the same, to the bit, and what it says must be what the store has.
"""

from __future__ import annotations

import hashlib
import runpy
import textwrap
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from privaudit import __version__
from privaudit.artifacts import EXPORTED, RETRAINED
from privaudit.audit.plan import AuditPlan
from privaudit.audit.reopening import reopen_plan
from privaudit.config import AuditSettings
from privaudit.deployment.describe_model import describe_model
from privaudit.deployment.export_folder import result_of, with_sums, write_folder
from privaudit.deployment.find_model import StoredModel, record_of_run
from privaudit.deployment.model_description import ExportedModel, ExportResult, ModelDescription
from privaudit.deployment.row_encoding import (
    RowEncoding,
    code_of_rows,
    columns_in_words,
    read_row_encoding,
    templates,
)
from privaudit.errors import PrivauditError, StoreError, UsageError
from privaudit.estimators.fitted import FittedEstimator
from privaudit.estimators.saved_models import strange_types, write_skops
from privaudit.estimators.stored_answers import says_the_same
from privaudit.results.audit.training_record import RetrainedRecord
from privaudit.results.base import read_result
from privaudit.runtime import files
from privaudit.runtime.identity import digest_of
from privaudit.runtime.scratch import scratch_folder
from privaudit.runtime.user_code import user_code
from privaudit.shadow.store import TARGET
from privaudit.shadow.trainer import as_kept, load_model, one_thread, train_with_new_seeds
from privaudit.training.loop import Samples
from privaudit.unlearning.application.retrained_models import RetrainJob

MODEL, LOADER, README = "model.skops", "load.py", "README.txt"
NEEDS = ("scikit-learn", "skops")

#: Rows that are made up to hold an export's features against the audit's, and how far these may lie apart.
CHECKED, ALIKE = 8, 1e-5


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
    encoding = read_row_encoding(model.store)
    content = _content(fitted, about, encoding)
    write_folder(folder, content, partial(_hold_rows_against, folder, encoding))
    return result_of(about, folder, content)


def _hold_rows_against(folder: Path, encoding: RowEncoding | None) -> None:
    """Turn made-up rows of a table into features as the export's user will, and compare them with the audit's."""
    if encoding is None:
        return
    rows = encoding.examples(CHECKED)
    with user_code():
        found = runpy.run_path(str(folder / LOADER))["features"](rows)
    if not np.allclose(found, encoding.apply(rows), rtol=ALIKE, atol=ALIKE):
        raise PrivauditError("the export turns rows into other features than the audit: it was not kept")


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
    if not says_the_same(said, known):
        raise StoreError(
            f"{model.store.audit}: fitted again, the estimator answers otherwise than the store says",
            hint="Was it made by another version of scikit-learn? audit.json says which; install that one.",
        )
    return fitted


def _content(fitted: FittedEstimator, about: ModelDescription, encoding: RowEncoding | None) -> dict[str, bytes]:
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
        encoding=None if encoding is None else encoding.to_json(),
        weights_sha256=hashlib.sha256(written).hexdigest(),
        needs=needs,
    )
    imports, rows = ((), "") if encoding is None else code_of_rows(encoding)
    given = {
        "needs": needs,
        "imports": sorted({*imports, *(["json"] if rows else [])}),
        "rows": rows,
        "features": int(np.prod(about.input_shape)),
        "trusted": repr(trusted),
        "classes": repr([about.classes[column] for column in fitted.columns.tolist()]),
        "model": MODEL,
    }
    content = {
        MODEL: written,
        EXPORTED: (exported.model_dump_json(indent=2) + "\n").encode(),
        LOADER: templates().get_template("load_estimator.py.jinja").render(given).encode(),
        README: _readme(about, encoding, needs).encode(),
    }
    return with_sums(content)


def _readme(about: ModelDescription, encoding: RowEncoding | None, needs: tuple[str, ...]) -> str:
    features = ""
    if encoding is not None:
        features = "; load.py turns rows into them: features(rows), of a DataFrame or a list of dicts by column"
    elif len(about.input_shape) == 3:
        features = ", bytes on the 0-1 scale, images flattened"
    asked = "x" if encoding is None else "features(rows)"
    paragraphs = [
        f"{about.run or about.audit}: an estimator exported by privaudit",
        *about.sentences(),
        f"from load import load; load().predict_proba({asked}). It needs {', '.join(needs)}, of the versions that "
        "fitted it.",
        f"Features are those of the audit: float32, a row each{features}.",
    ]
    said = "\n\n".join(textwrap.fill(one, 100) for one in paragraphs)
    if encoding is not None:
        said += "\n\nRows have these columns, in any order; others are passed over:\n\n" + "\n".join(
            textwrap.fill(line, 100, initial_indent="- ", subsequent_indent="  ") for line in columns_in_words(encoding)
        )
    last = "It is no proof of privacy: what attacks tell of estimators fitted like this one is in the audit's report."
    return f"{said}\n\n{textwrap.fill(last, 100)}\n"
