"""`privaudit gate --unlearned`: hold an unlearning run against what it was to do."""

from __future__ import annotations

from pathlib import Path

from privaudit.errors import UsageError
from privaudit.report.content.outcome_wording import sentence_of_run, with_outcome
from privaudit.results.base import read_result
from privaudit.results.gate_results import RunCheck, Verdict
from privaudit.results.unlearning.run import UnlearnRun
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
    """Return run, outcome, verdict and sentence of an unlearning run of ``<out>/<audit>``, by name or the ``latest``.

    Raises
    ------
    UsageError
        Where there is none of that name, whole.
    """
    runs = {
        path.parent.name: read_result(path, UnlearnRun)
        for path in folder.glob("unlearn/*/metrics.json")
        if files.is_whole(path)
    }
    if name == "latest" and runs:
        name = max(runs, key=lambda run: (runs[run].number, run))
    if name not in runs:
        raise UsageError(
            f"--unlearned {name}: {folder.name} has no such run, whole",
            hint=f"There are: {', '.join(sorted(runs)) or 'none'}.",
        )
    run = with_outcome(runs[name])
    outcome = run.outcome or "unclear"
    verdict = VERDICTS[outcome]
    sentence = f"{name} is {outcome}: {verdict}. {sentence_of_run(run)}"
    return RunCheck(run=name, outcome=outcome, verdict=verdict, sentence=sentence)
