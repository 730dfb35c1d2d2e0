"""Whom to invert, how, and at what size: every default of the inversion stage, filled in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from privaudit.audit.plan import AuditPlan
from privaudit.errors import UsageError
from privaudit.inversion.calibration import calibrate
from privaudit.inversion.image_scale import PixelScale
from privaudit.inversion.network_structure import Structure, check_invertible, find_structure
from privaudit.inversion.presets import (
    FROM_NOISE,
    FeatureAttack,
    MatchingAttack,
    RefiningAttack,
    feature_attack,
    resolve_attack,
)
from privaudit.results.audit.inversion_results import EngineChoice
from privaudit.results.base import read_result, write_result
from privaudit.runtime import files
from privaudit.runtime.progress import talk
from privaudit.runtime.seeds import generator
from privaudit.shadow.specification import ModelSpecification
from privaudit.shadow.store import AuditStore, shadow_key
from privaudit.shadow.trainer import one_thread
from privaudit.unlearning.requests.forget_requests import read_requests
from privaudit.unlearning.requests.request_cells import KnownSamples

#: What ``--invert`` means where nothing is said: two groups that are compared.
DEFAULT = "groups"

#: The paper's groups: the most invertible of a random pool, and others at random.
POOL, GROUP = 2_000, 100
SMALLEST_GROUP = 10

#: In a small data set the most invertible are no more than this share of the pool.
GROUP_SHARE = 0.05

#: Images that reconstructions are held against, and samples whose curvature is measured.
REFERENCE, CURVED = 10_000, 10_000

#: Samples whose gradient norm is measured.
NORMED = 100_000

#: What the default sizes may cost, in seconds of one core. A sample-step of gradient matching is taken to last a
#: quarter of a millisecond a million multiplications and never less than a fifth: no stopwatch decides sizes.
AFFORDED = {"cpu": 1_000.0, "cuda": 40_000.0}
SECONDS_PER_MILLION, LEAST_SECONDS = 2.5e-4, 2e-4

#: A step of feature matching, and a sample's curvature, in sample-steps of gradient matching.
FEATURE_STEP, CURVATURE_STEPS = 0.2, 8

#: Which pair of shadow models feature matching attacks, and which gradient matching: whoever picks is not who judges.
FEATURE_PAIR, MATCHING_PAIR = 0, 1


@dataclass(frozen=True)
class InversionPlan:
    """One inversion stage, resolved.

    Parameters
    ----------
    pool
        Rows for feature matching, sorted.
    chosen
        Rows for gradient matching; None where they are yet to be picked: ``group`` of the pool's most invertible and as
        many others.
    group
        Size of either group; 0 leaves gradient matching out.
    curved, normed
        Rows whose curvature, and whose gradient norm, is measured.
    reference
        Rows that reconstructions are held against, sorted.
    attack, features
        What is run.
    structure, has_features
        Which layers give their input away, and whether T1 can read any.
    pixels
        The range of pixel values.
    notes
        What was chosen and why.
    """

    pool: npt.NDArray[np.int64]
    chosen: npt.NDArray[np.int64] | None
    group: int
    curved: npt.NDArray[np.int64]
    normed: npt.NDArray[np.int64]
    reference: npt.NDArray[np.int64]
    attack: MatchingAttack
    features: FeatureAttack
    structure: Structure
    has_features: bool
    pixels: PixelScale
    notes: tuple[str, ...]

    @property
    def feature_models(self) -> list[str]:
        """Keys of the models that feature matching attacks: a pair, so that every sample was seen by one of them."""
        return [shadow_key(2 * FEATURE_PAIR), shadow_key(2 * FEATURE_PAIR + 1)]

    @property
    def matching_models(self) -> list[str]:
        """The same for gradient matching."""
        return [shadow_key(2 * MATCHING_PAIR), shadow_key(2 * MATCHING_PAIR + 1)]

    @property
    def matched(self) -> int:
        """How many samples go through gradient matching."""
        return 2 * self.group if self.chosen is None else len(self.chosen)


def plan_inversion(plan: AuditPlan, preset: str | None = None) -> InversionPlan | None:
    """Resolve what ``--invert`` and its companions ask for; None where nothing is to be inverted.

    ``preset`` takes the place of ``--invert-preset``.
    """
    settings = plan.settings
    asked = settings.invert
    if _left_out(plan, asked):
        return None
    attack = resolve_attack(preset or settings.invert_preset, plan.data.input_shape)
    features = feature_attack(plan.data.input_shape)
    model = plan.specification.build("calibrate").eval()
    pixels = PixelScale.of(plan.data.x_train)
    example = example_of(plan, pixels)
    try:
        check_invertible(model, example)
    except UsageError as error:
        if asked is not None:
            raise
        talk(f"  no inversions: {error.message}")
        return None
    structure = find_structure(model, example)
    has_features = structure.first is not None or structure.has_features(model)
    if isinstance(attack, RefiningAttack) and not structure.determines(model, int(np.prod(plan.data.input_shape))):
        attack = resolve_attack(FROM_NOISE, plan.data.input_shape)
    elif isinstance(attack, RefiningAttack) and structure.first is not None:
        # Its input is read off its gradient: every start would be the same image.
        attack = attack.model_copy(update={"restarts": 1})
    step = max(LEAST_SECONDS, SECONDS_PER_MILLION * multiplications(model, example) / 1e6)
    notes: list[str] = []
    samples = len(plan.data)
    order = generator(settings.seed, "inversion-pool").permutation(samples)
    chosen = _asked_rows(plan, asked, order)
    if chosen is None:
        pool = np.sort(order[: _affordable_pool(plan, step, features)])
        group = _affordable_group(plan, len(pool), step, attack, notes)
    else:
        pool, group = chosen, 0
    curved_budget = int(0.25 * AFFORDED[plan.specification.hardware.device] / (CURVATURE_STEPS * step))
    curved = chosen if chosen is not None else np.sort(order[: min(samples, CURVED, max(len(pool), curved_budget))])
    if not has_features:
        notes.append("the network's last layer is not fully connected with a bias: no features can be read (no T1)")
        if chosen is None:
            notes.append("so the most invertible of the pool are those of the lowest curvature (T0)")
    return InversionPlan(
        pool=pool,
        chosen=chosen,
        group=group,
        curved=curved,
        normed=np.arange(samples) if samples <= NORMED else curved,
        reference=np.sort(order[:REFERENCE]),
        attack=attack,
        features=features,
        structure=structure,
        has_features=has_features,
        pixels=pixels,
        notes=tuple(notes),
    )


def _left_out(plan: AuditPlan, asked: int | str | None) -> bool:
    """Tell whether nothing is to be inverted; `UsageError` where what was asked for can't be."""
    if asked is not None and str(asked) == "0":
        return True
    if plan.specification.estimator is not None:
        if asked is None:
            return True
        raise UsageError(
            f"--invert {asked} with --estimator: inversion reads the gradients of a network, and {plan.network_name} "
            "has none",
            hint="Leave --invert out.",
        )
    if asked is None and plan.specification.pretrained is not None:
        return True  # What gradients of a network of any make and size give away is not measured unasked.
    if plan.specification.is_head:
        raise UsageError(
            f"--invert {asked} with --train head: the gradient of a head holds an embedding, not the image",
            hint="Leave it out.",
        )
    if not plan.data.is_image:
        if asked is None:
            return True
        raise UsageError(
            f"--invert {asked}: an input of {plan.data.name} has shape {list(plan.data.input_shape)}; only images are "
            "inverted",
            hint="Leave --invert out.",
        )
    return plan.shadows < 4


def _asked_rows(plan: AuditPlan, asked: int | str | None, order: npt.NDArray[np.int64]) -> npt.NDArray[np.int64] | None:
    """Rows that ``--invert`` names; None for the default."""
    samples = len(plan.data)
    text = DEFAULT if asked is None else str(asked)
    if text == DEFAULT:
        return None
    if text == "all":
        return np.arange(samples)
    if text.startswith("ids:"):
        return _rows_of_ids(plan, Path(text.removeprefix("ids:")))
    if not text.isdecimal():
        raise UsageError(
            f"--invert {text} is not understood", hint="Write a number, all, groups, ids:FILE, or 0 for none."
        )
    if int(text) > samples:
        raise UsageError(f"--invert {text}: there are only {samples:,} training samples", hint="Use --invert all.")
    return np.sort(order[: int(text)])


def _rows_of_ids(plan: AuditPlan, path: Path) -> npt.NDArray[np.int64]:
    asked = read_requests(path, KnownSamples(plan.data.sample_ids, plan.data.paths))
    talk(f"  to invert: {asked.said}")
    return np.sort(asked.rows)


def _affordable_pool(plan: AuditPlan, step: float, features: FeatureAttack) -> int:
    """As large a pool as a quarter of the budget pays for, up to 2,000."""
    cost = 2 * features.steps * FEATURE_STEP * step
    return min(POOL, len(plan.data), int(0.25 * AFFORDED[plan.specification.hardware.device] / cost))


def _affordable_group(plan: AuditPlan, pool: int, step: float, attack: MatchingAttack, notes: list[str]) -> int:
    """The paper's 100 a group, or fewer where the data is small or the network slow."""
    whole = min(GROUP, int(GROUP_SHARE * pool))
    per_sample = 2 * 2 * attack.restarts * attack.effort * step
    paid = int(AFFORDED[plan.specification.hardware.device] / per_sample)
    if whole < SMALLEST_GROUP:
        notes.append(f"{pool:,} samples are too few for groups of {SMALLEST_GROUP}: no gradient matching")
        return 0
    if paid < SMALLEST_GROUP:
        notes.append(
            "gradient matching (T2) is left out: on this network and device it would take too long for groups of "
            f"{SMALLEST_GROUP}; --invert N runs it on N samples"
        )
        return 0
    if paid < whole:
        notes.append(f"groups of {paid} instead of {whole}, which suits this machine; --invert N takes another number")
    return min(paid, whole)


def seconds_of_step(plan: AuditPlan) -> float:
    """Return what a sample-step of gradient matching is taken to last on this network."""
    model = plan.specification.build("calibrate").eval()
    example = example_of(plan, PixelScale.of(plan.data.x_train))
    return max(LEAST_SECONDS, SECONDS_PER_MILLION * multiplications(model, example) / 1e6)


def multiplications(model: nn.Module, example: torch.Tensor) -> float:
    """Multiplications of one sample's forward pass, in convolutions and fully connected layers."""
    counts: list[float] = []

    def count(module: nn.Module, _: Any, output: torch.Tensor) -> None:
        weight = module.get_parameter("weight")
        counts.append(output[:1].numel() * weight[:1].numel())

    hooks = [
        module.register_forward_hook(count)
        for module in model.modules()
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d)
    ]
    try:
        with torch.no_grad():
            model(example[:1])
    finally:
        for hook in hooks:
            hook.remove()
    return float(sum(counts))


def example_of(plan: AuditPlan, pixels: PixelScale) -> torch.Tensor:
    """Two different training images as network inputs."""
    images = torch.from_numpy(pixels.to_unit(plan.data.x_train[: min(8, len(plan.data))])).permute(0, 3, 1, 2)
    # Noise keeps them apart even where the data repeats itself.
    noise = torch.rand(images.shape, generator=torch.Generator().manual_seed(0))
    return pixels.to_input(0.5 * images + 0.5 * noise).to(plan.specification.hardware.torch_device)


def measured(plan: AuditPlan, inversion: InversionPlan, *, keep: bool) -> EngineChoice:
    """The calibration of this network and device: that of the store, or made now (and kept there)."""
    specification = plan.specification
    path = calibration_path(plan.store, specification)
    stored = read_result(path, EngineChoice) if files.is_whole(path) else None
    batch = _asked_batch(plan)
    if stored is not None and batch in (None, stored.batch):
        return stored
    with one_thread(specification.hardware):
        found = calibrate(specification, inversion.pixels, batch)
    if keep and batch is None:
        write_result(path, found)
    return found


def calibration_path(store: AuditStore, specification: ModelSpecification) -> Path:
    """Where the calibration of an audit's network is kept."""
    return store.folder / "inversion" / f"calibration-{specification.hardware.device}.json"


def _asked_batch(plan: AuditPlan) -> int | None:
    asked = str(plan.settings.invert_batch)
    if asked == "auto":
        return None
    if not asked.isdecimal() or int(asked) < 1:
        raise UsageError(f"--invert-batch {asked}: it is auto or a number of at least 1")
    return int(asked)


def with_chosen(inversion: InversionPlan, rows: npt.NDArray[np.int64]) -> InversionPlan:
    """The same plan with the rows for gradient matching picked."""
    return replace(inversion, chosen=np.sort(rows))
