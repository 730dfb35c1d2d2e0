"""From what was asked to what will be done: every default filled in, everything that changes a weight named."""

from __future__ import annotations

import platform
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.audit.estimators.estimator_plan import estimator_hardware
from privaudit.audit.inputs.load_data import load_data
from privaudit.audit.inputs.trained_code import code_of, source_of_network, versions_of
from privaudit.audit.metadata import group_samples, read_subjects
from privaudit.audit.network_and_recipe import choose_training, full_run
from privaudit.audit.pretrained.embeddings import Embedded, embeddings_of, of_heads, stand_in
from privaudit.audit.pretrained.identity import identity_of
from privaudit.audit.pretrained.resolve import choose_pretrained, defaults_of_pretrained, resolve_pretrained
from privaudit.audit.privacy.canaries import Canaries, choose_canaries, own_ids
from privaudit.audit.privacy.private_recipe import demand_fit, demand_steps, statistics_for
from privaudit.config import FEWEST_SAMPLES, AuditSettings, defaults_for
from privaudit.data import Dataset, Limits, default_folder
from privaudit.data.formats.load import lasting_name
from privaudit.data.tables.table_roles import table_options
from privaudit.engines.base import Engine
from privaudit.engines.choice import choose_engine
from privaudit.errors import DataError, StoreError, UsageError
from privaudit.estimators.build import estimator_identity, lasting_estimator
from privaudit.results.audit.audit_description import AuditDescription, AuditIdentity, DataDescription
from privaudit.results.statement.subject_risk import SubjectSource
from privaudit.runtime import files
from privaudit.runtime.identity import Identity, slug
from privaudit.runtime.registry import absolute_reference, without_folder
from privaudit.runtime.seeds import generator
from privaudit.runtime.version import version_of
from privaudit.scoring.score_table import SampleFacts
from privaudit.shadow.design import paired_design
from privaudit.shadow.external_estimator import read_given_estimator
from privaudit.shadow.external_target import GivenTarget, read_given_target
from privaudit.shadow.specification import ModelSpecification
from privaudit.shadow.store import COIN, GRADIENTS, TARGET, AuditStore, shadow_key
from privaudit.shadow.trainer import AuditArrays, TrainingJob
from privaudit.signals import SIGNALS
from privaudit.training.custom_training import load_training, takes_what_it_is_given, training_identity
from privaudit.training.hardware import Hardware, resolve_hardware
from privaudit.training.loop import TRAINING_FORMAT
from privaudit.training.views import ORIGINAL, parse_queries

#: The most rows of the pool that untrained models are asked about.
CONTROL_ROWS = 2_000

#: The fewest shadow models of an audit.
FEWEST_SHADOWS = 4


@dataclass(frozen=True)
class AuditPlan:
    """One audit, resolved. Everything that changes a trained weight is in `identity`."""

    settings: AuditSettings
    data: Dataset
    canaries: Canaries
    specification: ModelSpecification
    shadows: int
    workers: int
    notes: tuple[str, ...]
    properties: dict[str, npt.NDArray[np.str_]] = field(default_factory=dict)
    given: GivenTarget | None = None
    embedded: Embedded | None = field(default=None, repr=False)

    @cached_property
    def identity(self) -> AuditIdentity:
        """What decides every weight."""
        specification, hardware = self.specification, self.specification.hardware
        parts: dict[str, object] = {
            "dataset": self.data.name,
            "fingerprint": self.data.fingerprint,
            "network": self.network_name,
            "network_source": source_of_network(specification),
            "training": TRAINING_FORMAT,
            "recipe": specification.recipe.identity() if specification.by_recipe else None,
            "seed": specification.seed,
            **self.canaries.identity(),
            "device": hardware.device,
            "precision": hardware.precision,
        }
        # A recipe decides nothing beside a function of the user's.
        if specification.training is not None:
            parts["training_function"] = training_identity(specification.training)
        if specification.estimator is not None:
            parts["estimator"] = estimator_identity(specification.estimator)
        # Until fp32 was pinned, cuDNN's convolutions in it were TF32: other weights.
        if hardware == Hardware("cuda", "fp32"):
            parts["fp32"] = "ieee"
        # Nothing but the target changes with it: shadow models come out the same whichever target is given.
        if self.given is not None:
            parts["target"] = self.given.sha256
        if specification.pretrained is not None:
            parts["pretrained"] = identity_of(specification.pretrained)
        return AuditIdentity.model_validate(parts)

    @cached_property
    def name(self) -> str:
        """``<dataset>-<network>-<8 digits of the identity's hash>``."""
        return Identity(self.identity.to_json()).named(slug(self.data.name, 40), slug(self.network_name, 40))

    @property
    def network_name(self) -> str:
        """The network's name, where it is a function of a file without the file's folder."""
        return without_folder(self.specification.network)

    @property
    def store(self) -> AuditStore:
        """Where this audit's models are kept."""
        return AuditStore(self.settings.store, self.name)

    @property
    def test_rows(self) -> npt.NDArray[np.int64]:
        """Rows of the data's test part that are never trained on: those that are no canaries."""
        return np.setdiff1d(np.arange(len(self.data.y_test)), self.canaries.rows)

    @cached_property
    def arrays(self) -> AuditArrays:
        """The pool (training samples, then canaries) and the never-trained samples."""
        data, canaries = self.data, self.canaries
        kept = self.test_rows
        x_train, x_test = self.embedded.parts if self.embedded else (data.x_train, data.x_test)
        planted = x_test[canaries.rows] if self.embedded else canaries.inputs
        size = len(data) + len(canaries)
        return AuditArrays(
            pool_inputs=np.concatenate([x_train, planted]) if len(canaries) else x_train,
            pool_labels=np.concatenate([data.y_train, canaries.labels]) if len(canaries) else data.y_train,
            test_inputs=x_test[kept],
            test_labels=data.y_test[kept],
            control_rows=np.sort(generator(self.settings.seed, "control-rows").permutation(size)[:CONTROL_ROWS]),
        )

    @cached_property
    def facts(self) -> SampleFacts:
        """Ids, labels and flags of the pool; canaries have the ids −1, −2, …, or among texts ``canary 1``, …"""
        data, canaries = self.data, self.canaries
        own = own_ids(data.sample_ids, len(canaries))
        subjects = read_subjects(self.settings.metadata, data.sample_ids)
        source: SubjectSource = "--subject" if subjects is None else "subject_id"
        if data.table is not None and data.table.subjects is not None:
            subjects, source = data.table.subjects, "--subject"
        if subjects is not None:
            subjects = np.append(subjects, [None] * len(canaries))
        paths = None if data.paths is None else data.paths + ("",) * len(canaries)
        return SampleFacts(
            sample_ids=np.concatenate([data.sample_ids, own]),
            labels=self.arrays.pool_labels,
            class_names=data.class_names,
            canary=np.arange(len(data) + len(canaries)) >= len(data),
            paths=paths,
            properties=self.properties,
            subjects=subjects,
            subjects_from=source,
        )

    @cached_property
    def coins(self) -> npt.NDArray[np.bool_]:
        """An independent fair coin for each canary: whether the coin model sees it."""
        return generator(self.settings.seed, "coins").random(len(self.canaries) or self.canaries.gradients) < 0.5

    @cached_property
    def engine(self) -> Engine:
        """What runs its jobs."""
        return engine_of(self.settings, self.specification.hardware)

    def design(self, models: int) -> npt.NDArray[np.bool_]:
        """Who sees what, for this many shadow models."""
        return paired_design(len(self.data) + len(self.canaries), models, self.settings.seed)

    @cached_property
    def queries(self) -> tuple[str, ...]:
        """The queries that scores are averaged over."""
        return parse_queries(self.settings.queries, self.specification.augment)

    @cached_property
    def stored_queries(self) -> tuple[str, ...]:
        """The queries that the store keeps signals of: those that are wanted and those that it has already."""
        store = self.store
        had = store.read_description().queries if files.is_whole(store.description) else []
        return parse_queries(",".join([*self.queries, *had]))

    def jobs(self, keep: npt.NDArray[np.bool_]) -> list[TrainingJob]:
        """The target (longest, so first), with canaries the coin model, and every shadow model of the design."""
        everyone = np.arange(len(self.data))
        common = (self.specification, self.store, self.stored_queries)
        jobs = [TrainingJob(TARGET, everyone, *common)]
        if len(self.canaries):
            members = np.concatenate([everyone, len(everyone) + np.flatnonzero(self.coins)])
            jobs.append(TrainingJob(COIN, members, *common))
        if self.canaries.gradients:
            jobs.append(TrainingJob(GRADIENTS, everyone, *common, planted=self.coins))
        for index, row in enumerate(keep):
            jobs.append(TrainingJob(shadow_key(index), np.flatnonzero(row), *common))
        return jobs

    def is_given(self, key: str) -> bool:
        """Whether this model was brought by the user, so that it is not trained here."""
        return key == TARGET and self.given is not None

    def with_embeddings(self, *, embed: bool) -> AuditPlan:
        """Return the same plan with every image embedded once: its models are heads."""
        specification, path = self.specification, self.store.embeddings
        made = embeddings_of(specification, self.data, path) if embed else stand_in(specification, self.data)
        return replace(self, specification=of_heads(specification, made), embedded=made)

    def describe(self) -> AuditDescription:
        """``audit.json``: identity, how to load the data again, versions."""
        data, settings = self.data, self.settings
        dataset, data_dir = lasting_name(settings.dataset, settings.data_dir)
        description = AuditDescription(
            audit=self.name,
            identity=self.identity,
            signals=list(SIGNALS),
            queries=list(self.stored_queries),
            data=DataDescription(
                **({} if data.table is None else {"table": table_options(settings)}),
                dataset=dataset,
                data_dir=str((data_dir or default_folder()).absolute()),
                samples=data.drawn,
                **({} if settings.without is None else {"without": str(settings.without.absolute())}),
                available=data.available,
                image_size=settings.image_size,
                **({} if settings.image_fit == "stretch" else {"image_fit": settings.image_fit}),
                source=data.source,
                train=len(data),
                test=len(data.y_test),
                dtype=str(data.x_train.dtype),
                classes=list(data.class_names),
                input_shape=list(data.input_shape),
            ),
            versions=library_versions() | versions_of(self.specification),
            code=code_of(self.specification),
        )
        return description if self.given is None else description.model_copy(update={"target": self.given.description})


def library_versions() -> dict[str, str]:
    """Versions of what computes."""
    names = ("privaudit", "torch", "torchvision", "numpy", "scipy", "scikit-learn", "pandas")
    return {"python": platform.python_version()} | {name: version_of(name) for name in names}


def plan_audit(settings: AuditSettings, *, embed: bool = True, fewest: int = FEWEST_SHADOWS) -> AuditPlan:
    """Load the data and resolve every default; `UsageError` or `DataError` where something can't be.

    Where only a head is trained, images are embedded here, unless ``embed`` says that a stand-in will do. With fewer
    shadow models than ``fewest`` there is no plan.
    """
    of = resolve_hardware if settings.estimator is None else partial(estimator_hardware, settings)
    hardware = of(settings.device, settings.precision)
    shadows = settings.shadows
    if shadows is not None and shadows < fewest:
        raise UsageError(
            f"--shadows {shadows}: LiRA drops the target and its complement from each fit, so it needs at least 4",
            hint="Use --shadows 4 or more; 16 and more give intervals worth having. privaudit quick needs none.",
        )
    of_images, of_features = (defaults_for(settings.dataset, hardware.device, is_image) for is_image in (True, False))
    pretrained = resolve_pretrained(settings)
    mixed = None if pretrained is None else pretrained.preparation.size
    data = load_data(settings, Limits(of_images.samples, of_features.samples), mixed)
    if len(data) < FEWEST_SAMPLES:
        raise DataError(
            f"{data.name}: {len(data)} training samples are too few for an audit: it needs at least {FEWEST_SAMPLES}"
        )
    notes = [*data.notes]
    defaults = defaults_of_pretrained(pretrained, of_images if data.is_image else of_features)
    if settings.samples is None and data.drawn < data.available:
        notes.append(
            f"{data.drawn:,} of {data.available:,} training samples were drawn at random, a size that suits this "
            "machine; --samples N takes another number"
        )
    if hardware.device == "cpu" and (full := full_run(settings, defaults, data)):
        notes.append(f"with a GPU the defaults are larger; for that run: {full}")
    if shadows is None:
        shadows = defaults.shadows
    elif shadows % 2:
        notes.append(f"--shadows {shadows} is rounded up to {shadows + 1}: shadow models come in complementary pairs")
        shadows += 1
    if pretrained is None:
        network, recipe = choose_training(settings, defaults, data)
    else:
        network, recipe, said = choose_pretrained(settings, pretrained, data)
        notes += said
    workers = engine_of(settings, hardware).width
    specification = ModelSpecification(
        network=absolute_reference(network),
        input_shape=data.input_shape,
        classes=data.classes,
        statistics=statistics_for(recipe, data),
        recipe=recipe,
        seed=settings.seed,
        hardware=hardware,
        training=None if settings.training is None else absolute_reference(settings.training),
        estimator=None if settings.estimator is None else lasting_estimator(settings.estimator),
        pretrained=pretrained,
    )
    _demand_fit(settings, specification, data)
    demand_steps(settings, specification)
    canaries = choose_canaries(data, settings.canaries, settings.seed, settings.canary_kind)
    properties = group_samples(settings.metadata, data.groups, data.sample_ids, len(canaries))
    read = read_given_target if specification.estimator is None else partial(read_given_estimator, data.class_names)
    given = None if settings.target is None else read(settings.target, specification)
    notes += [] if given is None else given.notes
    plan = AuditPlan(settings, data, canaries, specification, shadows, workers, tuple(notes), properties, given)
    return plan.with_embeddings(embed=embed) if specification.is_head else plan


def _demand_fit(settings: AuditSettings, specification: ModelSpecification, data: Dataset) -> None:
    """Raise `UsageError` for a training function, a network or views that don't fit, before anything is trained."""
    if specification.training is not None and (unfit := takes_what_it_is_given(load_training(specification.training))):
        raise UsageError(f"training function {without_folder(specification.training)} {unfit}")
    if parse_queries(settings.queries, specification.augment) != ORIGINAL and not data.is_image:
        raise UsageError(
            f"--queries {settings.queries}: views are for images, an input has shape {list(data.input_shape)}"
        )
    if specification.estimator is None and not specification.is_head:
        demand_fit(specification)


def engine_of(settings: AuditSettings, hardware: Hardware) -> Engine:
    """The engine that was asked for."""
    if settings.engine == "local" and settings.address is not None:
        raise UsageError(f"--address {settings.address} is that of a cluster", hint="Add --engine ray.")
    return choose_engine(
        settings.engine,
        device=hardware.device,
        workers=settings.workers,
        address=settings.address,
        gpu_share=settings.gpu_share,
        folders=(settings.store, settings.out),
        card=hardware.card,
    )


def replace_settings(settings: AuditSettings, **changes: Any) -> AuditSettings:
    """A copy of the settings with some entries changed, validated."""
    try:
        return AuditSettings(**settings.model_dump() | changes)
    except UsageError as error:
        raise StoreError(
            f"the stored audit says {error.message}",
            hint="It was made by another version of privaudit: score again into another store.",
        ) from error
