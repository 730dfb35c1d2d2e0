"""Write the reproduction report: everything that was reproduced below one output folder."""

from __future__ import annotations

from pathlib import Path

from privaudit import files
from privaudit.report.inversion import PICTURES, pictures_in
from privaudit.report.reproduction import Study, build_reproduction
from privaudit.workflow.render import write_report


def render_reproduction(folder: Path, *, show_samples: bool = False) -> dict[str, str | None]:
    """Read every whole study below ``<out>/reproduction/`` and render one report of them.

    Parameters
    ----------
    folder
        ``<out>/reproduction``.
    show_samples
        Whether Figure 1 may show images, where an audit has kept some.
    """
    studies: list[Study] = []
    pictures = {}
    for verdicts in sorted(folder.glob("*/verdicts.json")):
        paths = sorted(verdicts.parent.glob("*/results.json"))
        answers = [files.read_json(path) for path in paths if files.is_whole(path)]
        if not files.is_whole(verdicts) or not answers:
            continue
        studies.append((verdicts.parent.name, answers, files.read_json(verdicts)))
        images = folder.parent / answers[0]["about"]["audit"] / PICTURES
        if show_samples and images.is_file():
            pictures[verdicts.parent.name] = [pictures_in(images)]
    return write_report(build_reproduction(studies, pictures), folder)
