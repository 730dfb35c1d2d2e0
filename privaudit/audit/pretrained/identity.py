"""What tells one pretrained network from another."""

from __future__ import annotations

from privaudit.networks.pretrained.description import ALL, HEAD, RANDOM, Pretrained
from privaudit.results.audit.audit_description import PretrainedIdentity
from privaudit.runtime.registry import import_reference, source_digest, without_folder


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
