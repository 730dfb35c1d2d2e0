"""Write the reproduction report: everything that was reproduced below one output folder."""

from __future__ import annotations

from pathlib import Path

from privaudit.errors import StoreError
from privaudit.report.reproduction.reproduction_document import build_reproduction
from privaudit.report.sections.gradient_inversion import PICTURES, pictures_in
from privaudit.report.write import write_report
from privaudit.results.base import read_result
from privaudit.results.report_paths import ReportPaths
from privaudit.results.reproduction_results import (
    RESULTS,
    VERDICTS,
    ExperimentResults,
    StudyResults,
    StudyVerdicts,
    read_experiment,
)
from privaudit.runtime import files
from privaudit.runtime.progress import talk


def render_reproduction(folder: Path, *, show_samples: bool = False) -> ReportPaths:
    """Read every whole study below ``<out>/reproduction/`` and render one report; no paths where there are none.

    Parameters
    ----------
    folder
        ``<out>/reproduction``.
    show_samples
        Whether Figure 1 may show images, where an audit has kept some.
    """
    studies = [found for path in sorted(folder.glob(f"*/{VERDICTS}")) if (found := _study(path.parent)) is not None]
    if not studies:
        return ReportPaths(html=None, pdf=None)
    kept = {study.name: folder.parent / study.about.audit / PICTURES for study in studies if show_samples}
    pictures = {name: [pictures_in(images)] for name, images in kept.items() if images.is_file()}
    files.claim(folder)
    return write_report(build_reproduction(studies, pictures), folder)


def _study(folder: Path) -> StudyResults | None:
    """A study; None where nothing of it can be told."""
    found = [results for path in sorted(folder.glob(f"*/{RESULTS}")) if (results := _readable(path)) is not None]
    if not files.is_whole(folder / VERDICTS) or not found:
        return None
    try:
        verdicts = read_result(folder / VERDICTS, StudyVerdicts)
    except StoreError:
        talk(
            f"  left out of the report: {folder} (decided by a rule that has changed; privaudit reproduce "
            "--decide decides what is stored again)"
        )
        return None
    # A run that was stopped between an experiment and its verdict is told when it goes on.
    told = [results for results in found if not results.claim or results.name in verdicts.by_experiment]
    return StudyResults(name=folder.name, experiments=told, verdicts=verdicts) if told else None


def _readable(path: Path) -> ExperimentResults | None:
    """An experiment's results; None, and a word of it, where they are damaged or of an earlier version."""
    found = read_experiment(path) if files.is_whole(path) else None
    if found is not None and path.parent.parent.name.startswith(f"{found.about.audit}-"):
        return found
    talk(f"  left out of the report: {path.parent} (damaged, of another audit or an earlier version; run it again)")
    return None
