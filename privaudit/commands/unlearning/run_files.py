"""The files of an unlearning run, and whether they are all there."""

from __future__ import annotations

from pathlib import Path

from privaudit.audit.result_files import model_file
from privaudit.results.base import read_result
from privaudit.results.unlearning.run import UnlearnRun
from privaudit.runtime import files
from privaudit.unlearning.application.removal_record import RECORD

METRICS_FILE = "metrics.json"
FORGETTING = "forgetting.parquet"
EXPOSURE = "exposure.parquet"
FILES = (METRICS_FILE, FORGETTING, EXPOSURE, RECORD)


def is_there(folder: Path) -> bool:
    """Tell whether a run is finished and whole, its model that of its outcome."""
    whole = all(files.is_whole(folder / name) for name in FILES)
    return whole and files.is_whole(folder / model_file(read_result(folder / METRICS_FILE, UnlearnRun)))


def run_folder(runs: Path, name: str) -> Path:
    """Return where a run's results go, or are: an earlier version named runs of a list of ids after its file."""
    digest = name.rsplit("-", 1)[1]
    earlier = [path for path in sorted(runs.glob(f"*-{digest}")) if is_there(path)]
    return earlier[0] if earlier else runs / name


def numbers_of(runs: Path) -> list[int]:
    """Return the numbers of the runs that have results: the next one's is above them all, whichever were deleted."""
    return [read_result(path, UnlearnRun).number for path in runs.glob(f"*/{METRICS_FILE}") if files.is_whole(path)]
