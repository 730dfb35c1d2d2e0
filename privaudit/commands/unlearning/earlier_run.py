"""`privaudit unlearn --from`: the run that is gone on from, and when going on should end in a retraining."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from privaudit.artifacts import METRICS
from privaudit.audit.result_files import model_file, read_table
from privaudit.commands.unlearning.run_files import EXPOSURE, METRICS_FILE, is_there
from privaudit.commands.unlearning.unlearn_inputs import OpenedAudit
from privaudit.config import UnlearnSettings
from privaudit.errors import StoreError, UsageError
from privaudit.results.base import read_result
from privaudit.results.unlearning.outcome import REJECTED, OutcomeName
from privaudit.results.unlearning.predecessor import Predecessor
from privaudit.results.unlearning.removal_record import RemovalRecord
from privaudit.results.unlearning.run import Chosen, UnlearnRun
from privaudit.runtime import files
from privaudit.runtime.progress import talk
from privaudit.unlearning.application.removal_record import RECORD
from privaudit.unlearning.base import RETRAIN, UNLEARNERS
from privaudit.unlearning.requests.forget_requests import RemovalRequest
from privaudit.unlearning.requests.forget_set import ForgetSet, check_left, with_earlier

Rows = npt.NDArray[np.int64]

LATEST = "latest"

NOBODY: Rows = np.zeros(0, np.int64)

#: After so many approximate requests in a row ``--method auto`` retrains: docs/unlearning-results.md, "A stream".
MOST_IN_A_ROW = 2

#: Of these a model is as near to a retrained one as can be told: another request may go on from it.
SOUND: tuple[OutcomeName, ...] = ("exact", "close", "unclear")


@dataclass(frozen=True)
class EarlierRun:
    """A run to go on from.

    Parameters
    ----------
    name, model
        Of the run, and its model's file.
    record_sha256
        Of its record.
    rows
        Everybody whom it and those before it forgot.
    requests
        Whose requests these were, as far as lists named them.
    outcome
        What became of it.
    since_exact
        Approximate runs that went into its weights, since a model that never saw whom it forgot.
    exact
        The last run of its chain that retrained, and whom that left out; None where none did.
    """

    name: str
    model: Path
    record_sha256: str
    rows: Rows
    requests: tuple[RemovalRequest, ...]
    outcome: OutcomeName
    since_exact: int
    exact: tuple[Path, Rows] | None = None


@dataclass(frozen=True)
class Beginning:
    """What a method begins with.

    Parameters
    ----------
    model
        None: the target.
    forget
        Whom it is handed.
    run
        Whose model it is; None: the target.
    """

    model: Path | None
    forget: ForgetSet
    run: str | None


def beginning(earlier: EarlierRun | None, everybody: ForgetSet, asked: ForgetSet, method: str) -> Beginning:
    """Say with which model a request begins.

    A method that goes on training as the model was trained costs as much for five people as for a hundred, and every
    time it is gone on with the retained are learned better than any retraining would. So it begins with the last model
    that never saw whom it forgot (a retraining of the chain, or the target), and is handed everybody since.
    """
    if earlier is None or method == RETRAIN:
        return Beginning(None, asked if earlier is None else everybody, None)
    if not UNLEARNERS.load(method).cools_down:
        return Beginning(earlier.model, asked, earlier.name)
    model, gone = (None, NOBODY) if earlier.exact is None else earlier.exact
    since = replace(everybody, rows=np.setdiff1d(everybody.rows, gone))
    return Beginning(model, since, None if model is None else model.parent.name)


def link_to(earlier: EarlierRun, asked: int, method: str, began: Beginning) -> Predecessor:
    """Return the link from a run to the one that it went on from, given how many samples it was asked for."""
    goes_on = began.run == earlier.name and earlier.since_exact > 0
    return Predecessor(
        run=earlier.name,
        record_sha256=earlier.record_sha256,
        forgotten=len(earlier.rows),
        asked=asked,
        since_exact=0 if method == RETRAIN else earlier.since_exact + 1 if goes_on else 1,
        began_as=began.run,
    )


def check_going_on(settings: UnlearnSettings) -> None:
    """Raise `UsageError` for what ``--from`` can't be asked together with."""
    if settings.from_ is None:
        return
    if settings.u_lira is not None:
        raise UsageError(
            "--u-lira with --from: shadow models unlearned none of the earlier requests, so they can't stand for this "
            "model",
            hint="Attack the method without --from, on everybody at once.",
        )
    if settings.tune:
        raise UsageError(
            "--tune with --from: parameters are tuned on models that have forgotten nobody yet",
            hint="Tune a run without --from, and give what it chose: --learning-rate, --passes, --parameter.",
        )


def earlier_run(name: str | None, out: Path) -> EarlierRun | None:
    """Find the run of an audit, given its folder of results, that ``--from`` names; None where it was not given.

    Raises
    ------
    UsageError
        Where there is no such run, or its model is rejected.
    StoreError
        Where it is not whole.
    """
    if name is None:
        return None
    folder = _folder(name, out)
    if not is_there(folder):
        raise StoreError(
            f"run {folder.name} is not whole: nothing can go on from it",
            hint="Run the same privaudit unlearn again that made it: it makes anew what is missing.",
        )
    run = read_result(folder / METRICS_FILE, UnlearnRun)
    outcome = run.outcome_or_exact or "unclear"
    if outcome in REJECTED:
        raise _rejected(folder.name, outcome, run.predecessor)
    record = read_result(folder / RECORD, RemovalRecord)
    named = [(sample.sample_id, one) for sample in record.removed for one in sample.requests]
    since = 0 if run.is_exact else 1 if run.predecessor is None else run.predecessor.since_exact
    return EarlierRun(
        name=folder.name,
        model=folder / model_file(run),
        record_sha256=files.sha256_of(folder / RECORD),
        rows=_forgotten(folder),
        requests=tuple(RemovalRequest(sample, one.request_id, one.date) for sample, one in named),
        outcome=outcome,
        since_exact=since,
        exact=_last_exact(folder),
    )


def _forgotten(folder: Path) -> Rows:
    return np.flatnonzero(read_table(folder / EXPOSURE)["forgotten"].to_numpy(np.bool_)).astype(np.int64)


def _last_exact(folder: Path) -> tuple[Path, Rows] | None:
    """The last model of a chain that was retrained, as far back as it is whole, and whom that left out."""
    seen: set[str] = set()
    while folder.name not in seen and is_there(folder):
        seen.add(folder.name)
        run = read_result(folder / METRICS_FILE, UnlearnRun)
        if run.is_exact:
            return folder / model_file(run), _forgotten(folder)
        if run.predecessor is None:
            break
        folder = folder.parent / run.predecessor.run
    return None


def _folder(name: str, out: Path) -> Path:
    """Where the run lies that is called so, or the latest."""
    runs = {path.parent.name: path for path in METRICS.within(out)}
    if not runs:
        raise UsageError(
            f"--from {name}: {out.name} has no unlearning run", hint="The first request goes without --from."
        )
    if name == LATEST:
        found = {name: read_result(path, UnlearnRun) for name, path in runs.items() if files.is_whole(path)}
        # A run that was made again counts as a later one, and those that went on from it stay its successors.
        behind = {run.predecessor.run for run in found.values() if run.predecessor is not None}
        tips = [(run.number, name) for name, run in found.items() if name not in behind]
        if tips:
            return runs[max(tips)[1]].parent
    if name not in runs:
        known = ", ".join(sorted(runs)[:10])
        raise UsageError(f"--from {name}: {out.name} has no such run", hint=f"Runs: {known}; privaudit list shows all.")
    return runs[name].parent


def _rejected(name: str, outcome: str, predecessor: Predecessor | None) -> UsageError:
    before = "without --from" if predecessor is None else f"with --from {predecessor.run}"
    return UsageError(
        f"run {name} came out {outcome}: its model is rejected, and nothing goes on from it",
        hint=f"Nobody whom it was asked for is forgotten: ask for them again {before}, say by --method retrain.",
    )


def together(
    asked: ForgetSet, earlier: EarlierRun | None, audit: OpenedAudit, specification: str
) -> tuple[ForgetSet, ForgetSet]:
    """Return everybody who is to be forgotten after this request, by its ``--forget``, and those who are not yet.

    Raises
    ------
    UsageError
        Where everybody was forgotten before, or nobody would be left.
    """
    if earlier is None:
        return asked, asked
    everybody, new = with_earlier(asked, earlier.rows, earlier.requests, audit.plan.data.y_train)
    said = f"goes on from {earlier.name}: {len(earlier.rows):,} forgotten before, {len(new.rows):,} asked for now"
    everybody = replace(everybody, notes=(said, *everybody.notes))
    if not len(new.rows):
        raise UsageError(
            f"--from {earlier.name}: all {len(asked.rows):,} samples were asked for before, and it has forgotten them",
            hint="Ask for others; a random choice needs another --seed.",
        )
    if len(everybody.rows) == len(audit.bench.table):
        raise UsageError(
            f"--from {earlier.name}: with --forget {specification} nobody is left to learn from",
            hint="Delete the model instead.",
        )
    check_left(len(audit.bench.table) - len(everybody.rows), f"--from {earlier.name}: --forget {specification}")
    return everybody, new


def why_retrain(earlier: EarlierRun | None) -> str | None:
    """Why ``--method auto`` should retrain in place of going on, in words; None where it may go on."""
    if earlier is None:
        return None
    if earlier.outcome not in SOUND:
        return f"since {earlier.name} came out {earlier.outcome}: going on from it would carry along what it lacks"
    if earlier.since_exact >= MOST_IN_A_ROW:
        return (
            f"since {earlier.since_exact} requests in a row were forgotten approximately: after {MOST_IN_A_ROW} a "
            "model that is trained without everybody begins anew"
        )
    return None


def begin_anew(chosen: Chosen, earlier: EarlierRun | None, retrain_below: float | None) -> Chosen:
    """Return what auto chose, or retraining where going on would carry too much along; ``--retrain-below 0``: never."""
    why = why_retrain(earlier)
    if why is None or chosen.method == RETRAIN:
        return chosen
    if retrain_below == 0:
        talk(f"  --retrain-below 0 goes on all the same, though auto would retrain: {why}")
        return chosen
    return chosen.model_copy(update={"method": RETRAIN, "why": why})


def is_whole_link(folder: Path, earlier: EarlierRun | None) -> bool:
    """Tell whether a run that is there went on from the earlier run as that is now."""
    link = read_result(folder / METRICS_FILE, UnlearnRun).predecessor
    return (link is None) == (earlier is None) and (
        link is None or earlier is None or link.record_sha256 == earlier.record_sha256
    )
