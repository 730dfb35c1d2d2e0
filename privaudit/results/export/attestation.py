"""``attestation.json``: an in-toto statement (v1) on an audit's files, with its key figures."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from privaudit.results.base import Result
from privaudit.results.measures import AttackUnion, CalibratedRate, Interval
from privaudit.results.score_results import Accuracy

STATEMENT: Final = "https://in-toto.io/Statement/v1"

#: What the predicate is: ours, and its version. Others' readers know it by this name.
PREDICATE = "urn:privaudit:audit:v1"


class Subject(Result):
    """A file by its name and SHA-256."""

    name: str
    digest: dict[Literal["sha256"], str]


class AttackFigures(Result):
    """An attack's figures without its curve."""

    auc: float
    auc_ci: Interval | None
    tpr_at_fpr: dict[str, float | None]
    tpr_ci: dict[str, Interval | None]
    smallest_fpr: float


class ControlsHeld(Result):
    """Which controls held; None where one could not be run."""

    negative: bool | None
    untrained: bool | None
    blind: bool | None
    shift: bool | None


class AuditPredicate(Result):
    """What was audited and what was found: no sample, nobody's name, no date."""

    audit: str
    made_by: str
    samples: int
    shadows: int
    statistic: str
    network: str | None
    fingerprint: str | None
    attacks: dict[str, AttackFigures]
    target: AttackFigures | None
    calibrated: dict[str, CalibratedRate] | None
    union: AttackUnion | None
    mean_risk: float
    accuracy: Accuracy | None
    epsilon_at_least: float | None
    controls: ControlsHeld
    warnings: int


class Attestation(Result):
    """The statement. It is not signed: who signs it vouches for it."""

    type_: Literal["https://in-toto.io/Statement/v1"] = Field(STATEMENT, alias="_type")
    subject: list[Subject]
    predicate_type: str = Field(PREDICATE, alias="predicateType")
    predicate: AuditPredicate
