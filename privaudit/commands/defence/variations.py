"""Which variations of an audit are tried: a handful that suit the data and the network, or those of a file."""

from __future__ import annotations

import importlib.util
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from privaudit.audit.plan import AuditPlan
from privaudit.audit.privacy.canaries import MISLABELLED
from privaudit.commands.defence.estimator_variations import estimator_variations
from privaudit.config import AuditSettings, decoded, has_own_recipe
from privaudit.config.privacy_options import PrivateTrainingOptions
from privaudit.errors import UsageError
from privaudit.results.audit.audit_description import GRADIENT
from privaudit.training.recipe import RECIPES, Recipe

#: The audited configuration itself.
BASELINE = "baseline"

#: Whom the variation that leaves out the most exposed leaves out.
MOST_EXPOSED, SHARE_LEFT_OUT = "without-most-exposed", 0.05

#: The next smaller network of the same kind, and the same with dropout.
NARROWER = {
    "cnn": "cnn-narrow", "mlp": "mlp-narrow", "airbench-wide": "airbench", "airbench": "airbench-narrow",
    "resnet50": "resnet18", "resnext50": "resnet18",
}  # fmt: skip
WITH_DROPOUT = {"cnn": "cnn-dropout", "mlp": "mlp-dropout"}

#: Data that a mirror image makes another class of.
NOT_MIRRORED = ("digits", "mnist")

#: ε of the variations that are trained with differential privacy, where that can be done.
PRIVATE_EPSILONS = (8.0, 1.0)
PRIVATE_RECIPE, PRIVATE_LIBRARY = "dp-sgd", "opacus"

#: Share by which an ε may differ and be the same: that of a noise that was searched for is never met to the last digit.
ALIKE = 0.02

#: Options that say what is asked, of whom and where, and not how a model is trained.
NOT_VARIED = frozenset(
    {
        "dataset", "data_dir", "seed", "device", "shadows", "canaries", "queries", "statistic", "rmia_gamma",
        "metadata", "invert", "invert_at", "invert_preset", "invert_batch", "gradient_noise", "gradient_clip",
        "target", "store", "out", "workers", "engine", "address", "gpu_share", "redact", "declare", "show_samples",
        "canary_kind", "claim_epsilon", "claim_delta", "label", "id", "subject", "group", "test",
        "sensitive", "reconstruct_classes", "invert_settings",
    }
)  # fmt: skip

Value = str | int | float | bool


@dataclass(frozen=True)
class Variation:
    """A way to train that is held against the audited one.

    Parameters
    ----------
    name, title
        For results, and in words.
    changes
        Options of an audit; what is not named stays as it was audited.
    """

    name: str
    title: str
    changes: Mapping[str, Value]

    @property
    def sentence(self) -> str:
        """The title as a sentence begins."""
        return self.title[:1].upper() + self.title[1:]


def default_variations(plan: AuditPlan) -> tuple[list[Variation], list[str]]:
    """Return what suits an audit, and what does not, a sentence each."""
    found: list[Variation] = []
    skipped: list[str] = []
    if plan.specification.estimator is not None:
        gentler = estimator_variations(plan.specification.estimator)
        found += [Variation(name, title, {"estimator": text}) for name, title, text in gentler]
        skipped.append(
            "Epochs, weight decay, augmentation, label smoothing, DP-SGD and other networks: an estimator is audited, "
            "and they are for networks; --sweep FILE names other estimators."
        )
    elif plan.specification.training is None:
        _of_recipe(plan, plan.specification.recipe, found, skipped)
        _of_network(plan, found, skipped)
    else:
        skipped.append(
            "Epochs, weight decay, augmentation, label smoothing and other networks: a function of yours trains, and "
            "says itself how; --sweep FILE names other functions (training) and networks."
        )
    _of_data(plan, found, skipped)
    if plan.specification.by_recipe:
        _private(plan, found, skipped)
    return found, skipped


def _of_recipe(plan: AuditPlan, recipe: Recipe, found: list[Variation], skipped: list[str]) -> None:
    for name, title, part in (("half-epochs", "half of the epochs", 2), ("quarter-epochs", "a quarter", 4)):
        if recipe.epochs >= part:
            epochs = recipe.epochs // part
            found.append(Variation(name, f"{title} ({epochs} epochs)", {"epochs": epochs}))
    decay = round(10 * recipe.weight_decay, 12) or 5e-3
    found.append(Variation("weight-decay", f"ten times the weight decay ({decay:g})", {"weight_decay": decay}))
    if not plan.data.is_image:
        skipped.append("Augmentation: it is for images.")
    elif recipe.augment != "none":
        skipped.append(f"Augmentation: it is audited with '{recipe.augment}'.")
    else:
        kind = "shift" if plan.settings.dataset in NOT_MIRRORED else "shift-flip"
        found.append(Variation("augmentation", f"augmentation '{kind}'", {"augment": kind}))
    if recipe.label_smoothing == 0:
        found.append(Variation("label-smoothing", "labels smoothed by 0.1", {"label_smoothing": 0.1}))


def _of_network(plan: AuditPlan, found: list[Variation], skipped: list[str]) -> None:
    network = plan.specification.network
    for name, title, others in (
        ("smaller-network", "a smaller network", NARROWER),
        ("dropout", "dropout", WITH_DROPOUT),
    ):
        if network in others:
            found.append(Variation(name, f"{title} ({others[network]})", {"network": others[network]}))
        else:
            skipped.append(f"{title.capitalize()}: none is known for {plan.network_name}; --sweep FILE can name one.")


def _of_data(plan: AuditPlan, found: list[Variation], skipped: list[str]) -> None:
    data = plan.data
    if data.available >= 2 * data.drawn:
        found.append(Variation("more-data", f"twice the samples ({2 * data.drawn:,})", {"samples": 2 * data.drawn}))
    else:
        skipped.append(f"More data: {data.drawn:,} of {data.available:,} training samples are used already.")
    if plan.settings.without is None:
        share = f"the {100 * SHARE_LEFT_OUT:g}% most exposed left out"
        found.append(Variation(MOST_EXPOSED, share, {}))


def _private(plan: AuditPlan, found: list[Variation], skipped: list[str]) -> None:
    if plan.specification.pretrained is not None:
        skipped.append("Differentially private training: the recipe dp-sgd is not for pretrained networks.")
    elif PRIVATE_RECIPE not in RECIPES or "epsilon" not in AuditSettings.model_fields:
        skipped.append("Differentially private training: this version has no recipe for it.")
    elif importlib.util.find_spec(PRIVATE_LIBRARY) is None:
        skipped.append("Differentially private training: pip install 'privaudit[dp]' adds it.")
    else:
        # What is trained so already changes its ε alone.
        audited = plan.specification.recipe.privacy
        recipe: dict[str, Value] = {} if audited else {"recipe": PRIVATE_RECIPE}
        for epsilon in PRIVATE_EPSILONS:
            title = f"DP-SGD at ε = {epsilon:g}"
            if audited is not None and abs(audited.epsilon - epsilon) < ALIKE * epsilon:
                skipped.append(f"{title}: it is audited with ε {audited.epsilon:.4g}.")
            else:
                found.append(Variation(f"dp-epsilon-{epsilon:g}", title, recipe | {"epsilon": epsilon}))


def read_sweep(file: Path) -> list[Variation]:
    """Read variations from a TOML file, a table of options each; `UsageError` names what is wrong in which one."""
    try:
        written = tomllib.loads(decoded(file.read_bytes()))
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read --sweep {file}: {error}") from error
    if not written:
        raise UsageError(f"--sweep {file}: it names no variation", hint=EXAMPLE)
    return [_variation(file, name, options) for name, options in written.items()]


EXAMPLE = "Each is a table: [half-epochs], and below it epochs = 10."


def _variation(file: Path, name: str, options: object) -> Variation:
    if not isinstance(options, dict):
        raise UsageError(f"--sweep {file}: {name} = {options!r} stands outside of any variation", hint=EXAMPLE)
    if name == BASELINE:
        raise UsageError(f"--sweep {file}: [{name}] is what the audited configuration is called", hint="Rename it.")
    changes = {key.replace("-", "_"): value for key, value in options.items()}
    title = str(changes.pop("title", name))
    if not changes:
        raise UsageError(f"--sweep {file}: [{name}] changes nothing", hint=EXAMPLE)
    fixed = sorted(NOT_VARIED & changes.keys())
    if fixed:
        raise UsageError(
            f"--sweep {file}: [{name}] {fixed[0]}: it is the same for every variation, or they could not be compared",
            hint=f"Give --{fixed[0].replace('_', '-')} to privaudit defend itself.",
        )
    try:
        AuditSettings(**changes)
    except UsageError as error:
        raise UsageError(f"--sweep {file}: [{name}] {error.message}", hint=error.hint) from None
    return Variation(name, title, changes)


def varied_settings(plan: AuditPlan, variation: Variation) -> AuditSettings:
    """Return the settings of a variation: the audited configuration's, all of them said, with its changes."""
    settings, specification = plan.settings, plan.specification
    changes: dict[str, object] = dict(variation.changes)
    recipe = specification.recipe
    is_estimator = specification.estimator is not None or "estimator" in changes
    network = str(changes.get("network", specification.network))
    # Another recipe, or a network that has one of its own, brings its own rates and sizes.
    another = "recipe" in changes or has_own_recipe(network) != has_own_recipe(specification.network)
    own: dict[str, object] = dict.fromkeys(settings.recipe_changes())
    if is_estimator:
        own |= {"recipe": None}
    elif specification.training is None and "training" not in changes and not another:
        own = {name: getattr(recipe, name) for name in own if hasattr(recipe, name)} | {"recipe": recipe.name}
    elif "training" in changes or another:
        own |= {"recipe": None}
    if "training" in changes:
        changes |= {"recipe": None}
    own |= _promise(recipe, own | changes)
    same = {
        "network": None if is_estimator else specification.network,
        "samples": plan.data.drawn,
        "shadows": plan.shadows,
    }
    # Whatever was inverted, attacked by hand or shown is the audited model's own affair.
    beside: dict[str, object] = {"target": None, "invert": 0, "show_samples": False, "declare": None}
    beside |= {"invert_settings": "best-case", "reconstruct_classes": "no"}
    if settings.canary_kind == GRADIENT:
        beside |= {"canaries": 0, "canary_kind": MISLABELLED}
    return AuditSettings(**settings.model_dump() | same | own | beside | changes)


def _promise(recipe: Recipe, varied: Mapping[str, object]) -> dict[str, object]:
    """What dp-sgd was audited with, where it stays the recipe: its noise (unless ε is named), δ and norm."""
    promise: dict[str, object] = dict.fromkeys(PrivateTrainingOptions.model_fields)
    if recipe.privacy is not None and varied.get("recipe") == PRIVATE_RECIPE:
        promise |= {name: getattr(recipe.privacy, name) for name in ("delta", "max_grad_norm")}
        promise |= {"noise_multiplier": None if "epsilon" in varied else recipe.privacy.noise_multiplier}
    return promise
