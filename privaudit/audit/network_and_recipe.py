"""Which network is trained by which recipe, where the settings leave it open."""

from __future__ import annotations

from privaudit.audit.estimators.estimator_plan import estimator_name
from privaudit.audit.privacy.private_recipe import demand_canaries, demand_no_privacy, private_network, private_recipe
from privaudit.config import CUDA_DEFAULTS, OWN_RECIPE, AuditSettings, Defaults, has_own_recipe
from privaudit.data import Dataset
from privaudit.errors import UsageError
from privaudit.networks.airbench import SMALLEST_SIDE
from privaudit.training.recipe import PRIVATE, Recipe, resolve_recipe

#: Steps that a shadow model takes by default at least, and in an epoch: few samples get smaller batches, and very few
#: more epochs.
FEWEST_STEPS, STEPS_AN_EPOCH = 240, 20

#: Batches are never smaller by default: BatchNorm needs a few samples to know a mean by.
SMALLEST_BATCH = 32


def choose_training(settings: AuditSettings, defaults: Defaults, data: Dataset) -> tuple[str, Recipe]:
    """Return the network's name and its recipe; `UsageError` where they don't fit the data or each other.

    A network trains by its own recipe where it has one, else by ``fast``. What the settings name goes before the
    defaults of the dataset, and those before the recipe's.
    """
    demand_canaries(settings)
    if settings.estimator is not None:
        demand_no_privacy(settings)
        return estimator_name(settings), resolve_recipe("fast", {"epochs": 1})
    if settings.recipe == PRIVATE and settings.training is None:
        usual = private_network(default_network(defaults, data), data)
        return settings.network or usual, private_recipe(settings, data)
    demand_no_privacy(settings)
    network = settings.network or default_network(defaults, data)
    changes = settings.recipe_changes()
    if settings.training is not None:
        demand_no_recipe(settings)
        return network, resolve_recipe("fast", changes)
    name = settings.recipe or (OWN_RECIPE if has_own_recipe(network) else "fast")
    if name in ("fast", OWN_RECIPE):
        changes = _suggested(name, defaults, data, changes) | {
            key: value for key, value in changes.items() if value is not None
        }
    recipe = resolve_recipe(name, changes)
    if recipe.augment != "none" and not data.is_image:
        raise UsageError(f"augment '{recipe.augment}' is for images, but an input has shape {list(data.input_shape)}")
    return network, recipe


def default_network(defaults: Defaults, data: Dataset) -> str:
    """Return the default network; for images that are too small for it the cnn."""
    too_small = data.is_image and min(data.input_shape[:2]) < SMALLEST_SIDE
    return "cnn" if too_small and has_own_recipe(defaults.network) else defaults.network


def full_run(settings: AuditSettings, defaults: Defaults, data: Dataset) -> str | None:
    """The flags of the audit that a GPU would run by default; None where that is the same, or a size was chosen."""
    full = CUDA_DEFAULTS.get(settings.dataset)
    chosen = ("network", "samples", "shadows", "epochs", "training", "estimator")
    sized = any(getattr(settings, name) is not None for name in chosen)
    if full is None or sized or settings.recipe is not None:
        return None
    whole = {
        "network": full.network,
        "samples": data.available if full.samples is None else full.samples,
        "shadows": full.shadows,
        "epochs": full.epochs_of(full.network),
        "augment": full.augment_of(full.network),
    }
    usual = {
        "network": defaults.network,
        "samples": len(data),
        "shadows": defaults.shadows,
        "epochs": defaults.epochs_of(defaults.network),
        "augment": defaults.augment_of(defaults.network),
    }
    flags = [f"--{name} {value}" for name, value in whole.items() if value != usual[name]]
    return " ".join(flags) or None


def _suggested(name: str, defaults: Defaults, data: Dataset, changes: dict[str, object]) -> dict[str, object]:
    """What suits this dataset, by the recipe's parameters."""
    if name == "fast":
        return {"epochs": defaults.epochs, "augment": defaults.augment if data.is_image else "none"}
    usual, members = resolve_recipe(name, {}), len(data) // 2
    batch = int(str(changes["batch_size"] or _batch_size(members, usual.batch_size)))
    epochs = max(defaults.own_epochs, -(-FEWEST_STEPS // -(-members // batch)))
    # The gradient is a mean over the batch: in proportion, each sample moves the weights by as much in any batch.
    rate = usual.learning_rate * batch / usual.batch_size
    suggested: dict[str, object] = {"epochs": epochs, "batch_size": batch, "learning_rate": rate}
    return suggested if data.is_image else suggested | {"augment": "none"}


def _batch_size(members: int, largest: int) -> int:
    """Return a power of two that gives an epoch about as many steps as it has with many samples."""
    size = largest
    while size > SMALLEST_BATCH and members < STEPS_AN_EPOCH * size * 0.75:
        size //= 2
    return size


def demand_no_recipe(settings: AuditSettings) -> None:
    """With ``--training`` a flag of the recipe is a mistake: nothing would come of it."""
    senseless = [name for name, value in settings.recipe_changes().items() if value is not None]
    if settings.recipe is not None:
        senseless.append("recipe")
    if senseless:
        raise UsageError(
            f"--{senseless[0].replace('_', '-')} means nothing with --training: the function says how to train",
            hint="Put it into the function.",
        )
