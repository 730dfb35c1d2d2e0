"""The claims of a study that are corrected together, and the verdicts that follow from one ``results.json`` alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from privaudit.errors import UsageError
from privaudit.reproduction.verdicts.verdict import CLAIMED, decide, family_of
from privaudit.results.reproduction_results import (
    AuditAnswer,
    Decision,
    ExperimentResults,
    Family,
    PairedContrast,
    read_experiment,
)

Contrasts = Mapping[str, PairedContrast | AuditAnswer | None]


def alone(name: str, contrasts: Contrasts) -> Family:
    """The families of an experiment's protocols as if no other claim had been run."""
    return {
        protocol: family_of(protocol, {name: contrast if isinstance(contrast, PairedContrast) else None})
        for protocol, contrast in contrasts.items()
        if name in CLAIMED.get(protocol, ())
    }


def together(experiments: Sequence[ExperimentResults]) -> Family:
    """The families of a study: by protocol the p of every claim that was run."""
    return {
        protocol: family_of(
            protocol,
            {
                one.name: contrast
                for one in experiments
                if isinstance(contrast := one.contrasts.get(protocol), PairedContrast)
            },
        )
        for protocol in CLAIMED
    }


def decisions(name: str, contrasts: Contrasts, family: Family) -> dict[str, Decision]:
    """Every verdict of an experiment, by protocol."""
    found = {}
    for protocol, contrast in contrasts.items():
        if isinstance(contrast, AuditAnswer):
            found[protocol] = Decision(p_corrected=None, verdict=contrast.verdict)
        elif protocol in family:
            found[protocol] = decide(contrast, name, family[protocol])
        else:
            found[protocol] = Decision(p_corrected=None, verdict="not run")
    return found


def with_family(results: ExperimentResults, family: Family) -> ExperimentResults:
    """The same results judged among the claims of its study."""
    own = {protocol: family[protocol] for protocol in results.contrasts if results.name in family.get(protocol, {})}
    verdicts = decisions(results.name, results.contrasts, own)
    return results.model_copy(update={"family": own, "verdicts": verdicts})


def verdicts_from(path: Path) -> tuple[str, dict[str, Decision]]:
    """Judge an experiment anew from its ``results.json``, which holds everything that its verdicts rest on.

    Returns
    -------
    tuple
        Its name, and its verdicts by protocol.

    Raises
    ------
    UsageError
        Where the file is none, or of an earlier version that holds no family of p-values.
    """
    found = read_experiment(path) if path.is_file() else None
    if found is None or found.family is None:
        raise UsageError(
            f"{path}: " + ("no results of an experiment" if found is None else "decided by an earlier rule"),
            hint="privaudit reproduce --decide decides what is stored below --out again.",
        )
    return found.name, decisions(found.name, found.contrasts, found.family)
