"""Write the reproduction report: everything that was reproduced below one output folder."""

from __future__ import annotations

from pathlib import Path

from privaudit import files
from privaudit.report.reproduction import build_reproduction
from privaudit.workflow.render import write_report


def render_reproduction(folder: Path) -> dict[str, str | None]:
    """Read every whole study below ``<out>/reproduction/`` and render one report of them."""
    studies = []
    for verdicts in sorted(folder.glob("*/verdicts.json")):
        if not files.is_whole(verdicts):
            continue
        answers = [
            files.read_json(path) for path in sorted(verdicts.parent.glob("*/results.json")) if files.is_whole(path)
        ]
        studies.append((verdicts.parent.name, answers, files.read_json(verdicts)))
    return write_report(build_reproduction(studies), folder)
