"""A target that is an estimator and was fitted elsewhere: read from the user's file, and asked as the audit's own."""

from __future__ import annotations

import math
from pathlib import Path

from privaudit.estimators.build import build_estimator
from privaudit.estimators.saved_models import read_estimator
from privaudit.results.audit.audit_description import GivenTargetDescription
from privaudit.runtime import files
from privaudit.shadow.external_target import GivenTarget
from privaudit.shadow.specification import ModelSpecification


def read_given_estimator(class_names: tuple[str, ...], path: Path, specification: ModelSpecification) -> GivenTarget:
    """Read the file of a fitted estimator; `UsageError` or `DataError` where it won't do."""
    own = build_estimator(specification.estimator or "")
    found = read_estimator(path, class_names, math.prod(specification.input_shape), own)
    description = GivenTargetDescription(file=path.name, sha256=files.sha256_of(path))
    return GivenTarget(description, estimator=found)
