"""`privaudit gate --unlearned`: hold an unlearning run against what it was to do."""

from __future__ import annotations

from pathlib import Path

from privaudit.errors import UsageError
from privaudit.report.content.outcome_wording import with_outcome
from privaudit.results.gate_results import RunCheck, Verdict
from privaudit.runtime import files

#: What each outcome is to a gate: only a model that is or answers like a retrained one passes.
VERDICTS: dict[str, Verdict] = {
    "exact": "holds",
    "close": "holds",
    "partial": "breached",
    "unchanged": "breached",
    "ruined": "breached",
    "unclear": "too little evidence",
}


def check_run(folder: Path, name: str) -> RunCheck:
    """Judge an unlearning run of ``<out>/<audit>``, by name or the ``latest``.

    Raises
    ------
    UsageError
        Where there is none of that name, whole.
    """
    runs = {
        path.parent.name: files.read_json(path)
        for path in folder.glob("unlearn/*/metrics.json")
        if files.is_whole(path)
    }
    if name == "latest" and runs:
        name = max(runs, key=lambda run: (int(runs[run]["number"]), run))
    if name not in runs:
        raise UsageError(
            f"--unlearned {name}: {folder.name} has no such run, whole",
            hint=f"There are: {', '.join(sorted(runs)) or 'none'}.",
        )
    run = with_outcome(runs[name])
    outcome, verdict = run["outcome"], VERDICTS[run["outcome"]]
    sentence = f"{name} is {outcome}: {verdict}. {run['outcome_evidence']['sentence']}"
    return RunCheck(run=name, outcome=outcome, verdict=verdict, sentence=sentence)
