"""What tells one pretrained network from another, and where it lies."""

from __future__ import annotations

from pathlib import Path

from privaudit.networks import network_source
from privaudit.networks.pretrained.description import ALL, HEAD, RANDOM, Pretrained
from privaudit.networks.pretrained.libraries import CONFIG
from privaudit.results.audit.audit_description import CodeDescription, PretrainedIdentity
from privaudit.runtime import files
from privaudit.runtime.registry import import_reference, source_digest, without_folder
from privaudit.runtime.version import version_of
from privaudit.shadow.trainer import ModelSpecification


def identity_of(pretrained: Pretrained) -> PretrainedIdentity:
    """Return what tells it from another of the same name: weights by their content, functions by their code."""
    preparation, name = pretrained.preparation, pretrained.train
    found = None if name in (ALL, HEAD) else source_digest(import_reference(name, "function of --train"))
    parts = {} if found is None else {"train_source": found}
    return PretrainedIdentity(
        weights=pretrained.sha256 or RANDOM,
        train=without_folder(name),
        size=preparation.size,
        interpolation=preparation.interpolation,
        mean=list(preparation.mean),
        deviation=list(preparation.deviation),
        **parts,
    )


def source_of_network(specification: ModelSpecification) -> str | None:
    """SHA-256 of the code of a network that is not ours; of one in a folder of transformers that of its configuration.

    None of ours, and of timm's: what it is called says what it is.
    """
    if (pretrained := specification.pretrained) is None:
        return network_source(specification.network)
    config = Path(pretrained.name) / CONFIG
    return files.sha256_of(config) if pretrained.library == "transformers" and config.is_file() else None


def code_of(specification: ModelSpecification) -> CodeDescription:
    """Return where the user's functions and weights lie, to find them again from another folder."""
    code = CodeDescription(network=specification.network, training=specification.training)
    if (pretrained := specification.pretrained) is None:
        return code
    return code.model_copy(update={"weights": str(pretrained.weights or RANDOM), "train": pretrained.train})


def versions_of(specification: ModelSpecification) -> dict[str, str]:
    """Return the version of the library that a pretrained network is of; of others none."""
    pretrained = specification.pretrained
    return {} if pretrained is None else {pretrained.library: version_of(pretrained.library)}
