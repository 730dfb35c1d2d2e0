"""Class reconstruction of `privaudit score`: climb what is missing, judge it, write figures and pictures."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt

from privaudit import artifacts
from privaudit.audit.inversion.classes.class_jobs import class_job, predicted
from privaudit.audit.inversion.classes.class_plan import ClassPlan
from privaudit.audit.plan import AuditPlan
from privaudit.engines.base import run_jobs
from privaudit.engines.kept_results import is_done, read_kept
from privaudit.errors import DataError
from privaudit.inversion.classes import class_ascent
from privaudit.results.audit.class_results import ClassCloseness, ClassResults
from privaudit.results.base import write_result
from privaudit.runtime import files
from privaudit.runtime.progress import progress
from privaudit.scoring.classes.closeness import ClassSamples, Nearness, closeness, nearness, outcome
from privaudit.shadow.store import shadow_key

Floats = npt.NDArray[np.float32]


def run_classes(plan: AuditPlan, chosen: ClassPlan | None, folder: Path) -> ClassResults | None:
    """Reconstruct and judge; without a plan, what an earlier scoring wrote goes."""
    path, pictures = artifacts.CLASSES.at(folder), artifacts.CLASS_PICTURES.at(folder)
    if chosen is None:
        for one in (path, pictures):
            files.remove(one)
        return None
    missing = [job for job in chosen.jobs if not is_done(job.path)]
    if missing:
        with progress("reconstructing classes", len(missing)) as bar:
            run_jobs(class_job, missing, chosen.setting, plan.engine, bar)
    target, *shadows = (read_kept(job.path) for job in chosen.jobs)
    results = _judge(plan, chosen, np.stack(shadows))
    _write_pictures(plan, chosen, target, pictures)
    write_result(path, results)
    return results


def _judge(plan: AuditPlan, chosen: ClassPlan, found: Floats) -> ClassResults:
    """Hold reconstructions ``[S, C, D]``, and guesses that see no model, against members and others."""
    data, scale, models = plan.data, chosen.setting.scale, chosen.models
    samples = ClassSamples(scale.flat(data.x_train), data.y_train, plan.store.read_design()[:models, : len(data)])
    means = [
        np.stack([samples.mean_of(label, members=members) for label in range(data.classes)], axis=1)
        for members in (False, True)
    ]
    seen = [_recognised(chosen, images) for images in (found, *means)]
    near = [[nearness(samples, label, images[:, label]) for label in range(data.classes)] for images in (found, *means)]
    told = [label for label in range(data.classes) if near[0][label] is not None]
    if not told:
        raise DataError(
            f"{data.name}: of every class some shadow model saw all samples or none: there is nothing to compare",
            hint="Leave it out: --reconstruct-classes no.",
        )
    judged: list[ClassCloseness] = [
        closeness(_known([of[label] for label in told]), hits[:, told]) for of, hits in zip(near, seen, strict=True)
    ]
    by_class = [
        outcome(data.class_names[label], one, seen[0][:, label])
        for label, one in zip(told, _known([near[0][label] for label in told]), strict=True)
    ]
    notes = []
    if models < plan.shadows:
        notes.append(f"{models} of {plan.shadows} shadow models were taken")
    if len(told) < data.classes:
        notes.append(f"{data.classes - len(told)} classes are so rare that some models saw none of their samples")
    return ClassResults(
        audit=plan.name,
        models=models,
        classes=len(told),
        of="pixels" if data.is_image else "features",
        held_out=chosen.setting.prior.samples,
        components=len(chosen.setting.prior.axes),
        steps=class_ascent.STEPS,
        weight=class_ascent.WEIGHT,
        found=judged[0],
        null={"class_mean_of_others": judged[1], "class_mean_of_members": judged[2]},
        by_class=sorted(by_class, key=lambda one: -one.auc),
        pictures=artifacts.CLASS_PICTURES.path,
        notes=tuple(notes),
    )


def _known(found: list[Nearness | None]) -> list[Nearness]:
    return [one for one in found if one is not None]


def _recognised(chosen: ClassPlan, images: Floats) -> npt.NDArray[np.bool_]:
    """Which of ``images [S, C, D]`` the first model of the next pair takes for their class: bool ``[S, C]``."""
    models, classes = images.shape[:2]
    right = np.zeros((models, classes), np.bool_)
    for pair in range(models // 2):
        judge = shadow_key((2 * pair + 2) % models)
        said = predicted(chosen.setting, judge, images[2 * pair : 2 * pair + 2].reshape(2 * classes, -1))
        right[2 * pair : 2 * pair + 2] = said.reshape(2, classes) == np.arange(classes)
    return right


def _write_pictures(plan: AuditPlan, chosen: ClassPlan, target: Floats, path: Path) -> None:
    """What the target takes for each class, beside the mean of never-trained samples of it, as the data has them."""
    data, scale = plan.data, chosen.setting.scale
    held_out, labels = scale.flat(data.x_test[plan.test_rows]), data.y_test[plan.test_rows]
    means = np.stack(
        [
            held_out[labels == label].mean(axis=0) if (labels == label).any() else np.zeros(held_out.shape[1])
            for label in range(data.classes)
        ]
    ).astype(np.float32)
    content = io.BytesIO()
    np.savez(
        content,
        allow_pickle=False,
        reconstructions=target.reshape(-1, *scale.shape),
        class_means=means.reshape(-1, *scale.shape),
        class_names=np.array(data.class_names, np.str_),
    )
    files.write_bytes(path, content.getvalue())
    files.seal(path)
