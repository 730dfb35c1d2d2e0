"""`privaudit verify`: hold every file of an audit against its seal, and against whose it says it is; change nothing.

No torch. What is held against what: each file against its seal (content, name and place); a file that should be there
against what lies there; and names of audits within files against the folder that they lie in, for what was sealed by
an earlier version, whose seals know no place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from privaudit import artifacts
from privaudit.artifacts import METRICS, REMOVAL_RECORD, RUN_MODELS, RUN_RESULTS, Artifact
from privaudit.audit.result_files import model_file
from privaudit.commands.removal_chain import broken_links
from privaudit.config import AuditSettings
from privaudit.errors import StoreError
from privaudit.results.base import read_result
from privaudit.results.stored_audits import RemovalSummary, VerifyResults
from privaudit.results.unlearning.run import UnlearnRun
from privaudit.runtime import files, links, seals
from privaudit.runtime.files import Seal, inspect_seal, is_whole
from privaudit.runtime.progress import talk
from privaudit.shadow.store import AuditStore, open_audit

#: How many files a message names.
NAMED = 10


def run_verify(settings: AuditSettings, audit: str | None) -> VerifyResults:
    """Look at every file that there should be, and at every other of the tool's making.

    Returns
    -------
    VerifyResults
        What ``verify --json`` prints.

    Raises
    ------
    StoreError
        Where a file is damaged, missing, unfinished or another's; its ``results`` are the same.
    """
    opened = open_audit(settings.store, audit)
    out = settings.out / opened.audit
    folders: dict[Path, Sequence[Artifact]] = {opened.folder: artifacts.STORE, out: artifacts.OUTPUT}
    folders |= dict.fromkeys(artifacts.comparisons_with(opened.audit, settings.out), artifacts.COMPARISON)
    if (defences := settings.out / artifacts.DEFENCES / opened.audit).is_dir():
        folders[defences] = artifacts.DEFENCE_FILES
    reproductions = artifacts.reproductions_of(opened.audit, settings.out)
    folders |= dict.fromkeys(reproductions, artifacts.EXPERIMENTS)
    # These say which files there should be. Where one is damaged itself, the others are looked at all the same.
    expected = {opened.description, opened.design}
    if all(map(is_whole, expected)):
        expected |= set(opened.expected_files())
    for folder, manifest in folders.items():
        expected |= set(_kept(folder, manifest))
    if reproductions:
        # One report of them all: other audits' reproductions beside it are theirs.
        studies = settings.out / artifacts.REPRODUCTION
        expected |= {path for path in _kept(studies, [artifacts.REPORT]) if path.parent == studies}
    expected |= set(_promised(out, purged=opened.was_purged()))
    states = {path: inspect_seal(path) for path in sorted(expected)}
    missing = [str(path) for path, state in states.items() if state in (Seal.ABSENT, Seal.UNFINISHED)]
    damaged = [str(path) for path, state in states.items() if state is Seal.DAMAGED]
    misplaced = {str(path) for path, state in states.items() if state is Seal.MISPLACED}
    misplaced |= {str(path) for path in _of_others(opened, out) if states.get(path) is Seal.WHOLE}
    broken = broken_links(out, purged=opened.was_purged())
    unbound = sum(state is Seal.WHOLE and not files.is_bound(path) for path, state in states.items())
    results = VerifyResults(
        audit=opened.audit,
        files=len(states),
        damaged=damaged,
        missing=missing,
        misplaced=sorted(misplaced),
        unbound=unbound,
        broken_chains=[str(path) for path in broken],
    )
    _tell(unbound, [strange for folder in folders for strange in links.list_strange(folder)])
    kinds = (("damaged", damaged), ("missing or unfinished", missing), ("of another place or audit", sorted(misplaced)))
    wrong = [f"{len(paths)} {name}: {_shown(paths)}" for name, paths in kinds if paths]
    wrong += [f"{path} went on from run {run}, whose record is gone or another" for path, run in broken.items()]
    if wrong:
        hint = "Run the same privaudit score (or unlearn) again: it makes them anew."
        if misplaced:
            hint += " Was a folder renamed? Then give it its old name back instead."
        if broken:
            hint += " Of a chain, begin with the run that is named, then the one that went on from it."
        error = StoreError("; ".join(wrong), hint=hint)
        error.results = results.to_json()
        raise error
    return results


def _kept(folder: Path, manifest: Sequence[Artifact]) -> Iterator[Path]:
    """Every file of the tool's making that lies in a folder, or has a seal there."""
    for path in links.list_files(folder):
        found = artifacts.artifact_at(path.relative_to(folder).as_posix(), manifest)
        if path.name.endswith(seals.SUFFIX) or (found is not None and found.finished):
            yield seals.sealed_by(path)


def _promised(out: Path, *, purged: bool) -> Iterator[Path]:
    """Files of the output that others say are finished."""
    scored = [artifact.at(out) for artifact in artifacts.SCORED]
    yield from scored if any(path.exists() for path in scored) else []
    for metrics in [] if purged else METRICS.within(out):
        yield from (artifact.at(out, run=metrics.parent.name) for artifact in (*RUN_RESULTS, REMOVAL_RECORD))
        yield _model_of(metrics)


def _model_of(metrics: Path) -> Path:
    """The model of a run, by its results; where these can't be trusted, the one that lies there."""
    if is_whole(metrics):
        return metrics.with_name(model_file(read_result(metrics, UnlearnRun)))
    usual, rejected = (metrics.with_name(Path(artifact.path).name) for artifact in RUN_MODELS[:2])
    return rejected if rejected.exists() and not usual.exists() else usual


def _of_others(opened: AuditStore, out: Path) -> Iterator[Path]:
    """Whole files that say themselves that they are of another audit, table, run or model."""
    name, results, scores = opened.audit, artifacts.RESULTS.at(out), artifacts.SCORES.at(out)
    if is_whole(opened.description) and files.read_json(opened.description).get("audit", name) != name:
        yield opened.description
    if is_whole(results):
        found = files.read_json(results)
        if found.get("audit", name) != name:
            yield results
        elif is_whole(scores) and found.get("table_sha256") not in (None, files.sha256_of(scores)):
            yield scores
    for metrics in filter(is_whole, METRICS.within(out)):
        run = metrics.parent.name
        found = files.read_json(metrics)
        if (found.get("audit", name), found.get("run", run)) != (name, run):
            yield metrics
        record, model = REMOVAL_RECORD.at(out, run=run), _model_of(metrics)
        if is_whole(record) and is_whole(model):
            told = read_result(record, RemovalSummary)
            if (told.audit or name, told.run or run) != (name, run):
                yield record
            elif told.model.sha256 not in (None, files.sha256_of(model)):
                yield model


def _tell(unbound: int, strange: list[Path]) -> None:
    if unbound:
        talk(
            f"  {unbound} files were sealed by an earlier version, without their place: of these two that were swapped "
            "can't be told; the same privaudit score seals what is whole with its place"
        )
    if strange:
        talk(f"  not of privaudit's making, and left alone: {_shown([str(path) for path in strange])}")


def _shown(paths: list[str]) -> str:
    return ", ".join(paths[:NAMED]) + (f" and {len(paths) - NAMED} more" if len(paths) > NAMED else "")
