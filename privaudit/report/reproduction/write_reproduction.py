"""Write the reproduction report: everything that was reproduced below one output folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from privaudit.report.reproduction.reproduction_document import Study, build_reproduction
from privaudit.report.sections.gradient_inversion import PICTURES, pictures_in
from privaudit.report.write import write_report
from privaudit.runtime import files
from privaudit.runtime.progress import talk

#: Below the output folder, and in each study.
VERDICTS = "verdicts.json"


def render_reproduction(folder: Path, *, show_samples: bool = False) -> dict[str, str | None]:
    """Read every whole study below ``<out>/reproduction/`` and render one report; no paths where there are none.

    Parameters
    ----------
    folder
        ``<out>/reproduction``.
    show_samples
        Whether Figure 1 may show images, where an audit has kept some.
    """
    studies: list[Study] = []
    pictures = {}
    for verdicts in sorted(folder.glob(f"*/{VERDICTS}")):
        paths = sorted(verdicts.parent.glob("*/results.json"))
        answers = [found for path in paths if (found := _readable(path)) is not None]
        if not files.is_whole(verdicts) or not answers:
            continue
        judged = files.read_json(verdicts)
        if any("p_holm" in decided for of_one in judged.values() for decided in of_one.values()):
            talk(
                f"  left out of the report: {verdicts.parent} (decided by a rule that has changed; privaudit reproduce "
                "--decide decides what is stored again)"
            )
            continue
        # A run that was stopped between an experiment and its verdict is told when it goes on.
        told = [answer for answer in answers if not answer["claim"] or answer["name"] in judged]
        if not told:
            continue
        studies.append((verdicts.parent.name, told, judged))
        images = folder.parent / answers[0]["about"]["audit"] / PICTURES
        if show_samples and images.is_file():
            pictures[verdicts.parent.name] = [pictures_in(images)]
    if not studies:
        return {"html": None, "pdf": None}
    files.claim(folder)
    return write_report(build_reproduction(studies, pictures), folder)


def _readable(path: Path) -> dict[str, Any] | None:
    """An experiment's results; None, and a word of it, where they are damaged or of an earlier version."""
    if files.is_whole(path):
        found: dict[str, Any] = files.read_json(path)
        if "not_applicable" in found and path.parent.parent.name.startswith(f"{found['about']['audit']}-"):
            return found
    talk(f"  left out of the report: {path.parent} (damaged, of another audit or an earlier version; run it again)")
    return None
