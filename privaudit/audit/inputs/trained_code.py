"""What code and weights are trained that are not ours: what tells them apart, where they lie, of which library."""

from __future__ import annotations

from pathlib import Path

from privaudit.estimators.build import library_versions_of
from privaudit.networks import network_source
from privaudit.networks.pretrained.description import RANDOM
from privaudit.networks.pretrained.libraries import CONFIG
from privaudit.results.audit.audit_description import CodeDescription
from privaudit.runtime import files
from privaudit.runtime.version import version_of
from privaudit.shadow.specification import ModelSpecification


def source_of_network(specification: ModelSpecification) -> str | None:
    """SHA-256 of the code of a network that is not ours; of one in a folder of transformers that of its configuration.

    None of ours, and of timm's: what it is called says what it is. None of estimators, which have their own.
    """
    if specification.estimator is not None:
        return None
    if (pretrained := specification.pretrained) is None:
        return network_source(specification.network)
    config = Path(pretrained.name) / CONFIG
    return files.sha256_of(config) if pretrained.library == "transformers" and config.is_file() else None


def code_of(specification: ModelSpecification) -> CodeDescription:
    """Return where the user's functions and weights lie, to find them again from another folder."""
    code = CodeDescription(network=specification.network, training=specification.training)
    if specification.estimator is not None:
        return code.model_copy(update={"estimator": specification.estimator})
    if (pretrained := specification.pretrained) is None:
        return code
    return code.model_copy(update={"weights": str(pretrained.weights or RANDOM), "train": pretrained.train})


def versions_of(specification: ModelSpecification) -> dict[str, str]:
    """Return the version of the library that an estimator or a pretrained network is of; of others none."""
    if specification.estimator is not None:
        return library_versions_of(specification.estimator)
    pretrained = specification.pretrained
    return {} if pretrained is None else {pretrained.library: version_of(pretrained.library)}
