"""From a stored audit back to its plan: data, recipe and code must be what they were."""

from __future__ import annotations

from dataclasses import replace

from privaudit.audit.plan import AuditPlan, plan_audit, replace_settings
from privaudit.audit.privacy.canaries import MISLABELLED, choose_canaries
from privaudit.audit.privacy.private_recipe import statistics_for
from privaudit.config import AuditSettings
from privaudit.errors import StoreError, UsageError
from privaudit.networks.pretrained.libraries import warn_of_another_version
from privaudit.objects.held import held_code, held_data, hold_code, hold_data, is_held_name, title_of
from privaudit.results.audit.audit_description import GRADIENT, AuditDescription, AuditIdentity, DataDescription
from privaudit.runtime.registry import without_folder
from privaudit.shadow.external_target import GivenTarget
from privaudit.shadow.store import AuditStore
from privaudit.training.recipe import PRIVATE, Recipe


def reopen_plan(store: AuditStore, settings: AuditSettings) -> AuditPlan:
    """The plan of a stored audit, its data loaded again and held against its fingerprint."""
    description = store.read_description()
    known = settings_of(description, replace_settings(settings, store=store.root))
    plan = plan_audit(known)
    # The stored recipe is the whole truth: parameters that no flag can name are in it too.
    stored = description.identity.recipe
    recipe = plan.specification.recipe if stored is None else Recipe.model_validate(stored.to_json())
    # A given target is in the store: its file may be gone.
    given = None if description.target is None else GivenTarget(description.target)
    specification = replace(plan.specification, recipe=recipe)
    if recipe.privacy is not None:
        specification = replace(specification, statistics=statistics_for(recipe, plan.data))
    plan = replace(plan, specification=specification, given=given)
    if (of := description.identity).canary_kind == GRADIENT:
        # By the stored recipe too, which the settings do not name.
        plan = replace(plan, canaries=choose_canaries(plan.data, of.canaries, of.seed, GRADIENT))
    if plan.data.fingerprint != description.identity.fingerprint:
        is_object = is_held_name(known.dataset)
        raise UsageError(
            f"{'the data at hand is not that' if is_object else 'the data'} of audit {store.audit}"
            f"{'' if is_object else ' has changed'}: its fingerprint was "
            f"{description['identity']['fingerprint'][:12]}, now it is {plan.data.fingerprint[:12]}",
            hint="Give it as it was: data=…, or audit what there is now: privaudit.score(data=…)."
            if is_object
            else "Restore the data, or audit the new data: privaudit score …",
        )
    _check_code(description.identity, plan)
    if plan.specification.pretrained is not None:
        warn_of_another_version(plan.specification.pretrained.library, description.versions)
    _check_version(store, description.identity, plan)
    if plan.name != store.audit:
        raise StoreError(
            f"{store.folder} can't be opened as what it says it is (that would be {plan.name})",
            hint="Was the folder renamed? Give it its old name back.",
        )
    return plan


def _check_version(store: AuditStore, identity: AuditIdentity, plan: AuditPlan) -> None:
    """Raise `StoreError` where another version of privaudit trained its models in another way, or named them so."""
    if identity.training != plan.identity.training:
        raise StoreError(
            f"the models of {store.audit} were trained by another version of privaudit (training {identity.training}"
            f", this version's is {plan.identity.training}): what is trained now would not be comparable",
            hint="Use that version, or audit with this one: privaudit score … makes a new audit beside it.",
        )
    if strange := sorted(identity.fields ^ plan.identity.fields):
        raise StoreError(
            f"{store.description} was written by another version of privaudit: its identity differs in "
            f"{', '.join(strange)}",
            hint="Use that version, or audit with this one: privaudit score … makes a new audit beside it.",
        )


def _check_code(identity: AuditIdentity, plan: AuditPlan) -> None:
    """Raise `UsageError` where the file of a user's function is not what it was: other code makes other weights."""
    functions = {
        "network": (identity.network_source, plan.identity.network_source, plan.network_name),
        "training function": (
            identity.training_function and identity.training_function.source,
            plan.identity.training_function and plan.identity.training_function.source,
            without_folder(plan.specification.training or ""),
        ),
        "estimator": (
            identity.estimator and identity.estimator.source,
            plan.identity.estimator and plan.identity.estimator.source,
            plan.network_name,
        ),
    }
    before, pretrained = identity.pretrained, plan.identity.pretrained
    if before is not None and pretrained is not None:
        where = plan.specification.pretrained
        functions["weights"] = (before.weights, pretrained.weights, "" if where is None else str(where.weights))
        functions["function of --train"] = (before.train_source, pretrained.train_source, before.train)
    for what, (then, now, name) in functions.items():
        if then == now:
            continue
        if then is None and ":" not in name:
            raise UsageError(
                f"the {what} {name} is another package's, and which code of it {identity.dataset} was audited with "
                "is not on record: an earlier version of privaudit did not note it",
                hint="Audit again: privaudit score … makes a new audit beside it.",
            )
        if is_held_name(name):
            raise UsageError(
                f"the {what} {name} that is at hand is not the one that {identity.dataset} was audited with: its "
                "source, or something that it refers to, has changed",
                hint="Define it as it was, or audit with the new one: privaudit.score(…) makes a new audit beside it.",
            )
        raise UsageError(
            f"the file of the {what} {name} has changed since {identity.dataset} was audited with it",
            hint="Restore the file, or audit with the new one: privaudit score …",
        )


def settings_of(description: AuditDescription, settings: AuditSettings) -> AuditSettings:
    """The settings that lead back to a stored audit, from its description."""
    identity, data, code = description.identity, description.data, description.code
    return replace_settings(
        settings,
        dataset=_dataset_of(data, settings),
        data_dir=data.data_dir if settings.data_dir is None else settings.data_dir,
        samples=data.samples,
        image_size=data.image_size,
        image_fit=data.image_fit,
        **({} if data.without is None else {"without": data.without}),
        **({} if data.table is None else dict(data.table)),
        network=None if identity.estimator is not None else _network_of(code.network or identity.network, settings),
        estimator=code.estimator,
        training=code.training,
        weights=code.weights,
        train=code.train,
        # A promise is in the stored recipe already: it takes no accountant to open an audit again.
        recipe=None if identity.recipe is None or identity.recipe.name == PRIVATE else identity.recipe.name,
        seed=identity.seed,
        device=identity.device,
        precision=identity.precision,
        canaries=0 if identity.canary_kind == GRADIENT else identity.canaries,
        canary_kind=MISLABELLED if identity.canary_kind in (None, GRADIENT) else identity.canary_kind,
    )


def _dataset_of(data: DataDescription, settings: AuditSettings) -> str:
    """What leads to the data: what is on record, or an object that was given again, called as it was."""
    if not is_held_name(settings.dataset):
        return data.dataset
    if not is_held_name(data.dataset):
        raise UsageError(
            f"the data of this audit is read again from {data.dataset}: data= is for what was given to score as data=",
            hint="Leave data= out; where it moved, data_dir= says where it lies.",
        )
    return hold_data(title_of(data.dataset), held_data(settings.dataset))


def _network_of(name: str, settings: AuditSettings) -> str:
    """What leads to the network: what is on record, or a function that was given again, called as it was."""
    if settings.network is None:
        return name
    if not (is_held_name(name) and is_held_name(settings.network)):
        raise UsageError(
            f"the network of this audit is {without_folder(name)}, and found by that: network= is for one that was "
            "defined in Python, in no file",
            hint="Leave network= out." if not is_held_name(name) else "Define it as it was, where it was.",
        )
    return hold_code(title_of(name), held_code(settings.network))
