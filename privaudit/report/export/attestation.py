"""An in-toto statement on an audit: which model and report it is about, by checksum, and the key figures.

The statement (https://github.com/in-toto/attestation, version 1) names its subjects by SHA-256 and holds a predicate of
a type of our own. Written from stored results alone, the same results give the same bytes. It is not signed.
"""

from __future__ import annotations

from pathlib import Path

from privaudit import __version__
from privaudit.results.base import read_result, write_result
from privaudit.results.export.attestation import (
    AttackFigures,
    Attestation,
    AuditPredicate,
    ControlsHeld,
    Subject,
)
from privaudit.results.measures import Attack
from privaudit.results.score_results import ScoreResults
from privaudit.runtime import files

#: Of the audit's output, what the statement is about beside the model.
REPORTS = ("report.json", "report.html", "report.pdf")

ATTESTATION = "attestation.json"


def attest(folder: Path, target: Path) -> Path:
    """Write ``attestation.json`` beside the report and return its path.

    Parameters
    ----------
    folder
        ``<out>/<audit>``, with a report.
    target
        The stored target model; where it is none or not whole, a target that was given is named by the SHA-256 on
        record, and the statement of an audit without a target is about its report alone.
    """
    results = read_result(folder / "score.json", ScoreResults)
    subjects = [_subject(path) for name in REPORTS if (path := folder / name).is_file()]
    statement = Attestation(subject=[*_of_model(results, target), *subjects], predicate=_predicate(results))
    write_result(folder / ATTESTATION, statement)
    return folder / ATTESTATION


def _subject(path: Path) -> Subject:
    return Subject(name=path.name, digest={"sha256": files.sha256_of(path)})


def _of_model(results: ScoreResults, target: Path) -> list[Subject]:
    """The model that was given, as it was given, and the target as the store has it."""
    given = results.about.target
    found = [] if given is None else [Subject(name=given.file, digest={"sha256": given.sha256})]
    return [*found, *([_subject(target)] if files.is_whole(target) else [])]


def _predicate(results: ScoreResults) -> AuditPredicate:
    identity, controls = results.about.identity, results.controls
    bounds = [] if results.epsilon is None else [results.epsilon.one_run, results.epsilon.trials]
    held = {
        name: None if (one := getattr(controls, name)) is None else bool(one.holds)
        for name in ControlsHeld.model_fields
    }
    return AuditPredicate(
        audit=results.audit,
        made_by=f"privaudit {__version__}",
        samples=results.samples,
        shadows=results.shadows,
        statistic=results.statistic,
        network=None if identity is None else identity.network,
        fingerprint=None if identity is None else identity.fingerprint,
        attacks={name: _figures(attack) for name, attack in results.attacks.items()},
        target=None if results.target is None else _figures(results.target),
        calibrated=results.calibrated,
        union=results.union,
        mean_risk=results.mean_risk,
        accuracy=results.accuracy,
        epsilon_at_least=max((one.epsilon for one in bounds if one is not None), default=None),
        controls=ControlsHeld.model_validate(held),
        warnings=len(results.warnings or ()),
    )


def _figures(attack: Attack) -> AttackFigures:
    return AttackFigures(**{name: getattr(attack, name) for name in AttackFigures.model_fields})
