"""`privaudit verify`: hold every file of an audit against its seal, and against whose it says it is; change nothing.

No torch. What is held against what: each file against its seal (content, name and place); a file that should be there
against what lies there; and names of audits within files against the folder that they lie in, for what was sealed by
an earlier version, whose seals know no place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from privaudit.audit.result_files import COMPARISONS, MODELS, REPRODUCTION, RESULTS, SCORES, model_file
from privaudit.config import AuditSettings
from privaudit.errors import StoreError
from privaudit.results.base import read_result
from privaudit.results.unlearning.run import UnlearnRun
from privaudit.runtime import files, links
from privaudit.runtime.files import SEAL_SUFFIX, Seal, inspect_seal, is_whole
from privaudit.runtime.progress import talk
from privaudit.shadow.store import AuditStore, open_audit

#: How many files a message names.
NAMED = 10

#: What a run that ended is made of.
RUN_FILES = ("metrics.json", "record.json", "forgetting.parquet", "exposure.parquet")

#: Files of the tool's making, below the folder of an audit, a comparison or a reproduction; what a run works with
#: before it ends may be unsealed at any time.
_OWN = re.compile(
    r"score\.json|scores\.(parquet|csv)|report\.(json|html|pdf)|redaction\.salt|(reconstructions|thumbnails)\.npz"
    rf"|inversion-pictures\.npz|unlearn/[^/]+/({'|'.join(map(re.escape, RUN_FILES + MODELS))})"
    r"|compare-orders/[^/]+/(results\.json|runs\.csv)|trials/[^/]+/[^/]+\.json|comparison\.json|samples\.parquet"
    r"|verdicts\.json|[^/]+/results\.(json|csv)"
    r"|(models|retrained)/[^/]+\.(safetensors|json)|(signals|controls)/[^/]+\.npy|inversion/.+\.(npz|json)"
)


def run_verify(settings: AuditSettings, audit: str | None) -> dict[str, Any]:
    """Look at every file that there should be, and at every other of the tool's making.

    Returns
    -------
    dict
        What ``verify --json`` prints.

    Raises
    ------
    StoreError
        Where a file is damaged, missing, unfinished or another's; its ``results`` are the same.
    """
    opened = open_audit(settings.store, audit)
    out = settings.out / opened.audit
    folders = [opened.folder, out, *_comparisons(settings.out, opened.audit)]
    reproductions = sorted((settings.out / REPRODUCTION).glob(f"{opened.audit}-*"))
    folders += reproductions
    # These say which files there should be. Where one is damaged itself, the others are looked at all the same.
    expected = {opened.description, opened.design}
    if all(map(is_whole, expected)):
        expected |= set(opened.expected_files())
    for folder in folders:
        expected |= set(_kept(folder))
    if reproductions:
        # One report of them all: other audits' reproductions beside it are theirs.
        expected |= {path for path in _kept(settings.out / REPRODUCTION) if path.parent.name == REPRODUCTION}
    expected |= set(_promised(out, purged=_was_purged(opened)))
    states = {path: inspect_seal(path) for path in sorted(expected)}
    missing = [str(path) for path, state in states.items() if state in (Seal.ABSENT, Seal.UNFINISHED)]
    damaged = [str(path) for path, state in states.items() if state is Seal.DAMAGED]
    misplaced = {str(path) for path, state in states.items() if state is Seal.MISPLACED}
    misplaced |= {str(path) for path in _of_others(opened, out) if states.get(path) is Seal.WHOLE}
    unbound = sum(state is Seal.WHOLE and not files.is_bound(path) for path, state in states.items())
    results = {
        "audit": opened.audit,
        "files": len(states),
        "damaged": damaged,
        "missing": missing,
        "misplaced": sorted(misplaced),
        "unbound": unbound,
    }
    _tell(unbound, [strange for folder in folders for strange in links.list_strange(folder)])
    kinds = (("damaged", damaged), ("missing or unfinished", missing), ("of another place or audit", sorted(misplaced)))
    wrong = [f"{len(paths)} {name}: {_shown(paths)}" for name, paths in kinds if paths]
    if wrong:
        hint = "Run the same privaudit score (or unlearn) again: it makes them anew."
        if misplaced:
            hint += " Was a folder renamed? Then give it its old name back instead."
        error = StoreError("; ".join(wrong), hint=hint)
        error.results = results
        raise error
    return results


def _comparisons(out: Path, audit: str) -> list[Path]:
    """The folders of comparisons with the audit."""
    return [folder for folder in sorted((out / COMPARISONS).glob("*--*")) if audit in folder.name.split("--")]


def _kept(folder: Path) -> Iterator[Path]:
    """Every file of the tool's making that lies in a folder, or has a seal there."""
    for path in links.list_files(folder):
        inner = path.relative_to(folder).as_posix()
        if path.name.endswith(SEAL_SUFFIX):
            yield path.with_name(path.name.removesuffix(SEAL_SUFFIX))
        elif _OWN.fullmatch(inner):
            yield path


def _promised(out: Path, *, purged: bool) -> Iterator[Path]:
    """Files of the output that others say are finished."""
    if (out / RESULTS).exists() or (out / SCORES).exists():
        yield from (out / RESULTS, out / SCORES)
    for metrics in out.glob(f"unlearn/*/{RUN_FILES[0]}"):
        if not purged:
            yield from (metrics.with_name(name) for name in RUN_FILES)
            yield _model_of(metrics.parent)


def _model_of(run: Path) -> Path:
    """The model of a run, by its results; where these can't be trusted, the one that lies there."""
    if is_whole(run / RUN_FILES[0]):
        return run / model_file(read_result(run / RUN_FILES[0], UnlearnRun))
    found = [run / name for name in MODELS if (run / name).exists()]
    return found[0] if found else run / MODELS[0]


def _was_purged(opened: AuditStore) -> bool:
    try:
        return bool(opened.read_purges())
    except StoreError:
        return True


def _of_others(opened: AuditStore, out: Path) -> Iterator[Path]:
    """Whole files that say themselves that they are of another audit, table, run or model."""
    name = opened.audit
    if is_whole(opened.description) and files.read_json(opened.description).get("audit", name) != name:
        yield opened.description
    if is_whole(out / RESULTS):
        results = files.read_json(out / RESULTS)
        if results.get("audit", name) != name:
            yield out / RESULTS
        elif is_whole(out / SCORES) and results.get("table_sha256") not in (None, files.sha256_of(out / SCORES)):
            yield out / SCORES
    for metrics in filter(is_whole, out.glob(f"unlearn/*/{RUN_FILES[0]}")):
        run = metrics.parent
        found = files.read_json(metrics)
        if (found.get("audit", name), found.get("run", run.name)) != (name, run.name):
            yield metrics
        record, model = run / "record.json", _model_of(run)
        if is_whole(record) and is_whole(model):
            found = files.read_json(record)
            if (found.get("audit", name), found.get("run", run.name)) != (name, run.name):
                yield record
            elif found.get("model", {}).get("sha256") not in (None, files.sha256_of(model)):
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
