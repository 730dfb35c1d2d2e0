"""What is said of a network that was trained before: what of it was audited, and what it may have seen."""

from __future__ import annotations

from privaudit.report.content.texts import texts
from privaudit.results.audit.audit_description import AuditIdentity, DataDescription, PretrainedIdentity
from privaudit.results.audit.score_results import ScoreResults


def found_in(results: ScoreResults) -> PretrainedIdentity | None:
    """Return what is on record of the pretrained network; None of every other audit."""
    identity = results.about.identity
    return None if identity is None else identity.pretrained


def headline(results: ScoreResults) -> str | None:
    """Say in a line what was audited, where that is not the whole model; None where it is."""
    found = found_in(results)
    if found is None or not found.is_head:
        return None
    network = "" if results.about.identity is None else f" of {results.about.identity.network}"
    return (
        f"only the head{network} was audited: what the frozen network below it remembers of images that it was trained "
        "on before is not in these figures"
    )


def network_of(identity: AuditIdentity) -> str:
    """Return the network's name, and of a pretrained one what it starts from and what of it is trained."""
    if (found := identity.pretrained) is None:
        return identity.network
    part = {"all": "all of it is trained", "head": "only its head is trained, the rest is frozen"}
    whence = "random weights" if found.weights == "random" else f"weights {found.weights[:16]}…"
    return (
        f"{identity.network}, {whence}: {part.get(found.train, f'{found.train} names what is trained')}; images of "
        f"{found.size}×{found.size}"
    )


def limits(results: ScoreResults) -> list[str]:
    """Return what an audit of a pretrained network does not say."""
    if (found := found_in(results)) is None or found.weights == "random":
        return []
    return texts("limits.head") if found.is_head else texts("limits.pretrained")


def flags(identity: AuditIdentity, data: DataDescription) -> dict[str, object]:
    """Return the flags of image sizes, of weights (not where they lie), and of what is trained."""
    fit = None if data.image_fit == "stretch" else data.image_fit
    sizes: dict[str, object] = {"image-size": data.image_size, "image-fit": fit}
    if (found := identity.pretrained) is None:
        return sizes
    return sizes | {"weights": "random" if found.weights == "random" else "PATH", "train": found.train}
