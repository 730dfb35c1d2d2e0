"""The record of a removal, or of an attempt: what was removed, for whom, by which method, on which evidence."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from privaudit import __version__
from privaudit.report.content.outcome_wording import is_rejected
from privaudit.runtime import files
from privaudit.unlearning.base import RETRAIN
from privaudit.unlearning.requests.forget_requests import RemovalRequest
from privaudit.unlearning.requests.forget_set import ForgetSet
from privaudit.unlearning.requests.request_cells import SampleIdentifier, plain

RECORD = "record.json"
FORMAT = 1

LIMITS = (
    "Unlearning other than retraining is approximate. The evidence is against the measures that were taken: that they "
    "found nothing does not prove that nothing is left.",
    "The re-audit uses shadow models that unlearned nothing: it understates what is left. U-LiRA (--u-lira) is "
    "stronger.",
    "The original model, the shadow models, their signals and the score table still hold these samples: "
    "privaudit purge removes them. Copies elsewhere (backups, deployed models) are beyond this tool.",
    "This is a measurement, no determination of legal compliance.",
)


def write_record(
    folder: Path, results: dict[str, Any], forget: ForgetSet, table: pd.DataFrame, model: Path, seconds: float
) -> None:
    """Write ``record.json`` beside the run's model and seal it.

    Parameters
    ----------
    folder
        Of the run.
    results
        Its metrics.
    forget, table
        What was to be removed, and the score table that names it.
    model
        The unlearned model's file, rejected or not.
    seconds
        That the unlearning took.
    """
    evidence = ("accuracy", "tow", "tow_do_nothing", "noise_floor", "mia", "relearn", "jensen_shannon", "reaudit")
    asked, skipped = by_sample(forget.requests), by_sample(forget.skipped)
    rows = table.iloc[forget.rows]
    named = [
        {"sample_id": plain(sample), "class_name": str(name), "requests": asked.get(plain(sample), [])}
        for sample, name in zip(rows["sample_id"], rows["class_name"], strict=True)
    ]
    rejected = is_rejected(results)
    content = {
        "format": FORMAT,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "privaudit": __version__,
        "audit": results["audit"],
        "run": results["run"],
        "outcome": results["outcome"],
        "outcome_evidence": results["outcome_evidence"],
        # Of a model that is rejected nothing was removed: it was attempted.
        "removed": [] if rejected else named,
        "attempted": named if rejected else [],
        "requests": len(forget.requests),
        "skipped": [{"sample_id": sample, "requests": found} for sample, found in skipped.items()],
        "method": {
            name: results[name] for name in ("method", "parameters", "order", "descending", "sequencing", "seed")
        }
        | {
            # Then the model never saw them: the evidence below measures the attack, not the removal.
            "exact": results["method"] == RETRAIN,
            "forget_steps_run": results["forget_steps_run"],
            "stopped": results["stopped"],
            "guard": results["guard"],
            "seconds": round(seconds, 3),
        },
        "model": {"file": model.name, "sha256": files.sha256_of(model)},
        "evidence": {name: results[name] for name in (*evidence, "exposure", "u_lira") if name in results},
        "limits": list(LIMITS),
    }
    files.write_json(folder / RECORD, content)
    files.seal(folder / RECORD)


def by_sample(requests: tuple[RemovalRequest, ...]) -> dict[SampleIdentifier, list[dict[str, Any]]]:
    """Numbers and dates of the requests by the sample that they name."""
    found: dict[SampleIdentifier, list[dict[str, Any]]] = {}
    for request in requests:
        found.setdefault(request.sample_id, []).append({"request_id": request.request_id, "date": request.date})
    return found
