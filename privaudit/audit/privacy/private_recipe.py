"""The recipe dp-sgd, resolved for the data: sampling rate, noise, and what they promise."""

from __future__ import annotations

from privaudit.config import AuditSettings
from privaudit.data import Dataset
from privaudit.errors import UsageError
from privaudit.networks import check_network
from privaudit.results.audit.audit_description import GRADIENT
from privaudit.shadow.planted_training import trained_numbers
from privaudit.shadow.specification import ModelSpecification
from privaudit.training.private.accountant import ACCOUNTANT, epsilon_of, noise_for
from privaudit.training.private.fitness import demand_own_gradients
from privaudit.training.private.mechanism import PrivateTraining, steps_of
from privaudit.training.recipe import PRIVATE, Recipe, resolve_recipe

#: What is promised where nothing is said.
EPSILON, DELTA, MAX_GRAD_NORM = 8.0, 1e-5, 1.0

#: By default a batch has at most this share of the samples: sampling is what makes little noise do.
MOST_OF_SAMPLES = 1 / 8

#: Canaries that are gradients cost no more than one training, but what is read of each step is kept.
MOST_GRADIENTS = 20_000

#: Mean and deviation that images are standardised by: their own would be read without noise.
PUBLIC_STATISTICS = (0.5, 0.25)


def private_recipe(settings: AuditSettings, data: Dataset) -> Recipe:
    """Resolve ``--recipe dp-sgd``.

    Raises
    ------
    UsageError
        Where flags contradict each other, a δ is no promise, or Opacus is not installed.
    """
    asked = settings.private_training()
    if "epsilon" in asked and "noise_multiplier" in asked:
        raise UsageError(
            f"--epsilon {asked['epsilon']:g} and --noise-multiplier {asked['noise_multiplier']:g}: the one follows "
            "from the other",
            hint="Give one of them.",
        )
    delta = asked.get("delta", DELTA)
    if delta * len(data) >= 1:
        raise UsageError(
            f"--delta {delta:g} with {len(data):,} training samples: with a δ of 1/{len(data):,} a training that "
            "publishes a sample as it is would keep the promise",
            hint=f"Use a smaller one, {0.1 / len(data):.1g} say.",
        )
    changes = settings.recipe_changes()
    if changes["augment"] not in (None, "none"):
        raise UsageError(f"--augment {changes['augment']}: the recipe dp-sgd takes each sample as it is")
    usual = resolve_recipe(PRIVATE, {})
    batch = changes["batch_size"] or min(usual.batch_size, max(1, int(len(data) * MOST_OF_SAMPLES)))
    recipe = resolve_recipe(PRIVATE, changes | {"batch_size": batch})
    if recipe.batch_size > len(data):
        raise UsageError(f"--batch-size {recipe.batch_size}: there are {len(data):,} training samples")
    rate = recipe.batch_size / len(data)
    steps = steps_of(recipe.epochs, rate)
    noise = asked.get("noise_multiplier") or noise_for(asked.get("epsilon", EPSILON), rate, steps, delta)
    privacy = PrivateTraining(
        noise_multiplier=noise,
        max_grad_norm=asked.get("max_grad_norm", MAX_GRAD_NORM),
        sample_rate=rate,
        epsilon=epsilon_of(noise, rate, steps, delta),
        delta=delta,
        accountant=ACCOUNTANT,
    )
    return recipe.model_copy(update={"privacy": privacy})


def private_network(usual: str, data: Dataset) -> str:
    """Return the network that stands in for the default one, where that has BatchNorm."""
    return usual if usual in ("cnn", "mlp") else "cnn" if data.is_image else "mlp"


def demand_canaries(settings: AuditSettings) -> None:
    """Raise `UsageError` for a claim that there is nothing to hold against, and for a δ of no claim."""
    if settings.claim_epsilon is None and settings.claim_delta is not None:
        raise UsageError(f"--claim-delta {settings.claim_delta:g} is that of a claim", hint="Add --claim-epsilon E.")
    if settings.claim_epsilon is not None and settings.target is not None:
        raise UsageError(
            f"--claim-epsilon {settings.claim_epsilon:g} with --target: canaries are trained on here, and say "
            "nothing of a training elsewhere",
            hint="Hold a claim against the training itself: --training FILE.py:function --canaries 200.",
        )
    if settings.claim_epsilon is not None and not settings.canaries:
        raise UsageError(
            f"--claim-epsilon {settings.claim_epsilon:g}: a claim is held against canaries, and there are none",
            hint="Add --canaries 200: the more there are, the larger an ε can be refuted.",
        )


def demand_no_privacy(settings: AuditSettings) -> None:
    """Raise `UsageError` where a flag of dp-sgd is given with another training."""
    if given := settings.private_training():
        name = next(iter(given)).replace("_", "-")
        raise UsageError(
            f"--{name} is of the recipe dp-sgd: another training keeps no such promise",
            hint="Add --recipe dp-sgd; a promise of your own training is held against canaries by --claim-epsilon.",
        )


def demand_steps(settings: AuditSettings, specification: ModelSpecification) -> None:
    """Raise `UsageError` for canaries that are gradients where no step can be read, or where there is no room."""
    if settings.canary_kind != GRADIENT or not settings.canaries:
        return
    if specification.recipe.privacy is None or specification.training is not None:
        how = f"the recipe '{specification.recipe.name}'" if specification.by_recipe else "this training"
        raise UsageError(
            f"--canary-kind gradient: it is read what each step of DP-SGD does to them, and {how} takes no such steps",
            hint="Add --recipe dp-sgd, or plant samples: --canary-kind mislabelled.",
        )
    most = min(trained_numbers(specification), MOST_GRADIENTS)
    if settings.canaries > most:
        raise UsageError(
            f"--canaries {settings.canaries}: each gradient has a number of the network to itself, and of "
            f"{specification.network} at most {most:,} are taken",
            hint=f"Use --canaries {most} or fewer.",
        )


def statistics_for(recipe: Recipe, data: Dataset) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation that inputs are standardised by: the data's, and of images under dp-sgd fixed ones."""
    if recipe.privacy is None or not data.is_image:
        return data.channel_statistics()
    channels = data.input_shape[-1]
    mean, deviation = PUBLIC_STATISTICS
    return (mean,) * channels, (deviation,) * channels


def demand_fit(specification: ModelSpecification) -> None:
    """Raise `UsageError` where the network does not fit the data, or the recipe can't train it."""
    model, recipe = specification.build("check"), specification.recipe
    if recipe.privacy is not None and specification.training is None:
        demand_own_gradients(model, specification.network)
    check_network(model, specification.input_shape, specification.classes, recipe.batch_size)


def spoken(recipe: Recipe) -> list[str]:
    """What the recipe promises, in sentences; none for one that promises nothing."""
    if (privacy := recipe.privacy) is None:
        return []
    return [
        f"differential privacy: ε {privacy.epsilon:g} at δ {privacy.delta:g} by {privacy.accountant}, for one record "
        f"added or removed; noise multiplier {privacy.noise_multiplier:g}, gradients clipped to "
        f"{privacy.max_grad_norm:g}, each sample drawn with a chance of {privacy.sample_rate:.4g}, "
        f"{privacy.steps(recipe.epochs):,} steps",
        "its noise follows from the seed: these models are for an audit, not for deployment",
    ]
