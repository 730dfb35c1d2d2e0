"""What a run of unlearning is called: by everything that changes its results."""

from __future__ import annotations

import re
from dataclasses import asdict

import numpy as np

from privaudit.commands.unlearning.earlier_run import EarlierRun
from privaudit.config import UnlearnSettings
from privaudit.runtime.identity import Identity, slug
from privaudit.unlearning.application.problem import Bench
from privaudit.unlearning.application.run_method import Request
from privaudit.unlearning.base import UNLEARNERS, takes_order
from privaudit.unlearning.requests.forget_set import ForgetSet


def run_name(
    settings: UnlearnSettings,
    bench: Bench,
    forget: ForgetSet,
    request: Request | None,
    earlier: EarlierRun | None = None,
) -> str:
    """Return a name with 8 digits of the hash of everything that changes the run's results."""
    what: dict[str, object] = {
        **decides_unlearning(bench, forget),
        "method": settings.method,
        "reference": settings.reference,
        "seed": settings.seed,
        "forget": forget.rows.tolist(),
        "requests": [[entry.sample_id, entry.request_id, entry.date] for entry in forget.requests],
    }
    if forget.skipped:
        what["skipped"] = [[entry.sample_id, entry.request_id, entry.date] for entry in forget.skipped]
    if earlier is not None:
        what["from"] = earlier.name
    sequenced = request is not None and takes_order(request.method)
    if request is not None:
        what |= {"parameters": asdict(request.parameters), "u_lira": settings.u_lira, "tune": settings.tune}
        what["guard"] = request.guard
        if request.by_evidence:
            what["by_evidence"] = True
    # A method that another package brings may be edited under the same name.
    if (source := UNLEARNERS.source(settings.method)) is not None:
        what["source"] = source
    words = [settings.method]
    if request is not None and sequenced:
        what["sequencing"] = request.sequencing.to_json()
        words.append(request.sequencing.order + ("-descending" if request.sequencing.descending else ""))
        what |= request.revision
    # Where a list of requests lies, and what it is called, may name who asked: it is in no name.
    forgotten = "" if settings.forget.startswith("ids:") else re.sub(r"[^a-z0-9]+", "-", settings.forget.lower())[-24:]
    return Identity.of(**what).named(*words, slug(forgotten) or "ids")


def decides_unlearning(bench: Bench, forget: ForgetSet | None = None) -> dict[str, object]:
    """Return what decides any unlearning of an audit: its name, its size, and the scores [of the forget set alone]."""
    table = bench.table if forget is None else bench.table.loc[forget.rows]
    scores = table[["risk", "lira", "loss"]].to_numpy(np.float64)
    return {"audit": bench.store.audit, "shadows": bench.shadows, "scores": scores}
