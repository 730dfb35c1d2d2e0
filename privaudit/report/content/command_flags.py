"""The flags of the command that a report repeats, from what is stored."""

from __future__ import annotations

from privaudit.results.audit.audit_description import AuditIdentity
from privaudit.results.audit.inversion_results import InversionResults
from privaudit.results.audit.promise import Promise
from privaudit.results.audit.score_results import Inferred


def training_flags(identity: AuditIdentity) -> dict[str, object]:
    """How models were trained: by a recipe, or by a function of the user's."""
    if identity.estimator is not None:
        return {"estimator": identity.estimator.name}
    if (recipe := identity.recipe) is None:
        return {"training": None if identity.training_function is None else identity.training_function.name}
    changed = recipe.model_dump(
        include={"epochs", "batch_size", "learning_rate", "weight_decay", "augment", "label_smoothing"}
    )
    if recipe.privacy is not None:
        # The recipe takes samples and labels as they are.
        changed = {name: value for name, value in changed.items() if name not in ("augment", "label_smoothing")}
        changed |= recipe.privacy.model_dump(include={"noise_multiplier", "max_grad_norm", "delta"})
    return {"recipe": recipe.name} | {name.replace("_", "-"): value for name, value in changed.items()}


def claim_flags(promise: Promise | None) -> dict[str, object]:
    """The claim, where flags made it."""
    if promise is None or promise.claim is None or promise.claim.claimant != "flags":
        return {}
    return {"claim-epsilon": promise.claim.epsilon, "claim-delta": promise.claim.delta}


def inversion_flags(found: InversionResults | None) -> dict[str, object]:
    """Whose gradients were inverted, and how."""
    if found is None:
        return {"invert": 0}
    return {
        # Where a list of ids lies, and what it is called, is its owner's business.
        "invert": "ids:FILE" if str(found.asked).startswith("ids:") else found.asked,
        "invert-at": found.at if found.at != "trained" else None,
        "invert-preset": _preset(found),
        "gradient-noise": found.gradient_noise or None,
        "gradient-clip": found.gradient_clip,
    }


def _preset(found: InversionResults) -> str | None:
    """The attack by name, where the default is, or once was, another."""
    if found.preset != "default":
        return found.preset
    return None if found.attack.refines else "from-noise"


def inferred_flags(found: Inferred, inversion: InversionResults | None) -> dict[str, object]:
    """What else was inferred, where that is not what comes of the other flags."""
    columns = () if found.attributes is None else tuple(one.column for one in found.attributes.columns)
    asked = "yes" if found.classes is not None and inversion is None else None
    return {"sensitive": columns or None, "reconstruct-classes": asked}
