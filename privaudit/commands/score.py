"""`privaudit score`: train what is missing, attack, control, write the table and the report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from privaudit.audit.attributes.attribute_run import run_attributes
from privaudit.audit.attributes.sensitive_columns import SensitiveColumn, sensitive_columns
from privaudit.audit.code_examination import examine_code, examine_training_code
from privaudit.audit.cost.audit_estimate import Estimate, estimate
from privaudit.audit.declaration import keep_declaration, read_declaration
from privaudit.audit.inputs.load_data import demand_same_again
from privaudit.audit.inputs.trained_code import versions_of
from privaudit.audit.inversion.classes.class_plan import ClassPlan, choose_classes
from privaudit.audit.inversion.classes.class_run import run_classes
from privaudit.audit.inversion.inversion_plan import InversionPlan
from privaudit.audit.inversion.inversion_scope import choose_inversion
from privaudit.audit.inversion.realistic_run import realistic_stage, run_realistic, say_plan
from privaudit.audit.plan import AuditPlan, plan_audit
from privaudit.audit.privacy.private_recipe import spoken
from privaudit.audit.result_files import SCORES
from privaudit.audit.thumbnails import check_images, write_thumbnails
from privaudit.commands.score_stored import score_stored
from privaudit.config import AuditSettings
from privaudit.estimators.build import ESTIMATOR_LIBRARIES
from privaudit.report.redaction import privacy_of
from privaudit.report.sections.threat_models.stored_settings import realistic_in
from privaudit.report.write import render_report
from privaudit.results.audit.score_results import Inferred, ScoreAnswer, ScoreEstimate
from privaudit.results.base import write_result
from privaudit.runtime import files, links
from privaudit.runtime.progress import readable_time, talk
from privaudit.runtime.registry import without_folder
from privaudit.shadow.external_target import take_in
from privaudit.shadow.trainer import find_asked_otherwise, find_missing, query_all, train_all


@dataclass(frozen=True)
class Inferences:
    """What is inferred besides membership: sensitive columns, and what classes look like."""

    columns: list[SensitiveColumn]
    classes: ClassPlan | None

    def announce(self, plan: AuditPlan) -> None:
        """Say what will be done."""
        for column in self.columns:
            talk(f"  to guess: '{column.name}' of {len(column.rows):,} records, among {', '.join(column.values)}")
        if self.columns and plan.specification.estimator is not None:
            talk(f"  each of the {plan.shadows} shadow models is fitted once more for that, unless it was asked before")
        if self.classes is not None:
            talk(
                f"  classes: reconstructed from {self.classes.models} shadow models and the target, about "
                f"{readable_time(self.classes.seconds)} of a core; --reconstruct-classes no leaves them out"
            )

    def run(self, plan: AuditPlan, folder: Path) -> Inferred:
        """Do it, and write each result into its file."""
        return Inferred(
            attributes=run_attributes(plan, self.columns, folder), classes=run_classes(plan, self.classes, folder)
        )


def dry_run(settings: AuditSettings) -> ScoreEstimate:
    """Return what `run_score` would do and cost."""
    plan = examine_code(plan_audit(settings, embed=False))
    jobs = plan.jobs(plan.design(plan.shadows))
    missing = [job for job in jobs if not (plan.is_given(job.key) or plan.store.is_finished(job.key))]
    if missing:
        plan = examine_training_code(plan)
    inversion, realistic = choose_inversion(plan), realistic_stage(plan)
    inferences = Inferences(sensitive_columns(plan), choose_classes(plan, is_inverted=inversion is not None))
    cost = estimate(plan, missing, inversion, keep=False)
    if realistic is not None:
        cost = cost.with_searches(len(realistic.unfinished()), say_plan(realistic))
    _announce(plan, cost, inversion)
    inferences.announce(plan)
    return cost.result(plan)


def run_score(settings: AuditSettings, *, csv: bool = False) -> ScoreAnswer:
    """Run a whole audit; return what ``score --json`` prints."""
    declared = None if settings.declare is None else read_declaration(settings.declare)
    plan = examine_code(plan_audit(settings))
    inversion, realistic = choose_inversion(plan), realistic_stage(plan)
    inferences = Inferences(sensitive_columns(plan), choose_classes(plan, is_inverted=inversion is not None))
    folder = settings.out / plan.name
    if settings.show_samples:
        check_images(plan)
    files.claim(folder)
    files.demand_writable(folder)
    keep_declaration(declared, folder)
    if not files.is_whole(plan.store.description):
        demand_same_again(plan)
    with plan.store.locked():
        if realistic is not None:
            say_plan(realistic)
        trained = train_missing(plan, inversion)
        inferences.announce(plan)
        plan.store.mark_latest()
        # What an earlier version sealed is bound to its place from now on.
        for path in (*links.list_files(plan.store.folder), *links.list_files(folder)):
            files.bind(path)
        results = score_stored(plan, folder, trained=trained, csv=csv, inversion=inversion)
        results = results.model_copy(update={"inferred": inferences.run(plan, folder)})
        if settings.show_samples:
            write_thumbnails(plan, folder)
        if realistic is not None:
            run_realistic(realistic, folder)
        report = render_report(folder, privacy_of(settings))
        return ScoreAnswer.of(results, folder / SCORES, report, realistic_in(folder))


def train_missing(plan: AuditPlan, inversion: InversionPlan | None, *, announce: bool = True) -> int:
    """Say what it will cost, then train or take in every model that the store lacks; return how many were trained.

    Whoever has said already what it costs lets nothing be announced.
    """
    store = plan.store
    store.demand_not_purged()
    jobs = plan.jobs(store.write_design(plan.design(plan.shadows))[: plan.shadows])
    if plan.data.encoding is not None:
        write_result(store.columns, plan.data.encoding)
    store.write_description(plan.describe())
    if plan.data.table is not None:
        write_result(store.encoding, plan.data.table.encoding)
    if plan.embedded is not None and not files.is_whole(store.embeddings):
        plan.embedded.write(store.embeddings)
    absent = find_missing(jobs)
    missing = [job for job in absent if not plan.is_given(job.key)]
    if missing:
        plan = examine_training_code(plan)
    if announce:
        _announce(plan, estimate(plan, missing, inversion, keep=True), inversion)
    if missing:
        _warn_of_other_versions(plan)
    for job in absent:
        if plan.given is not None and plan.is_given(job.key):
            # First of all: a target that can't be asked is told before anything is trained.
            take_in(job, plan.given, plan.arrays)
    train_all(missing, plan.arrays, plan.engine)
    query_all(find_asked_otherwise(jobs), plan.arrays, plan.engine)
    return len(missing)


def _warn_of_other_versions(plan: AuditPlan) -> None:
    """Say where another version of what trains began the audit."""
    then, now = plan.store.read_description().versions, plan.describe().versions
    of_network = ("torch", *versions_of(plan.specification))
    for library in of_network if plan.specification.estimator is None else ESTIMATOR_LIBRARIES:
        before, by_now = then.get(library), now.get(library)
        if before != by_now:
            talk(
                f"  warning: this audit was begun with {library} {before}, now it is {by_now}: what is trained now "
                "differs in its last bits from what would have been trained then"
            )


def _announce(plan: AuditPlan, cost: Estimate, inversion: InversionPlan | None) -> None:
    """Say what will be done and what it will cost."""
    recipe, hardware = plan.specification.recipe, plan.specification.hardware
    training = plan.specification.training
    of_head = "the head alone of " if plan.specification.is_head else ""
    how = f"recipe '{recipe.name}' ({recipe.epochs} epochs)" if training is None else f"by {without_folder(training)}"
    if plan.specification.estimator is not None:
        how = "each fitted to its members alone"
    target = "a target" if plan.given is None else "the given target"
    talk(f"audit {plan.name}")
    talk(
        f"  {plan.data.source}: {len(plan.data):,} training and {len(plan.data.y_test):,} test samples, "
        f"{plan.data.classes} classes"
    )
    talk(
        f"  {of_head}{plan.network_name}, {how}, {plan.shadows} shadow models and "
        f"{target}, {plan.workers} workers, {hardware.device} {hardware.precision}"
    )
    if plan.given is not None:
        talk(
            f"  the target was given: {plan.given.file} (SHA-256 {plan.given.sha256[:16]}…), taken to have been "
            f"trained on all {len(plan.data):,} samples"
        )
    for note in (*spoken(recipe), *plan.notes):
        talk(f"  {note}")
    if not cost.models:
        talk("  every model is there already: nothing to train")
    for sentence in cost.sentences():
        talk(f"  {sentence}")
    if inversion is None:
        return
    talk(
        f"  inversions: {len(inversion.pool):,} samples by features, {inversion.matched:,} by gradient matching "
        f"({inversion.attack.restarts} starts × {len(inversion.matching_models)} models, at most "
        f"{inversion.attack.steps:,} steps); "
        + ("--invert 0 leaves them out" if cost.searches else "every one is finished already")
    )
    for note in inversion.notes:
        talk(f"  {note}")
