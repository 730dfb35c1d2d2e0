"""What `list` and `purge` tell at the terminal: figures that agree with each other, and models that are gone."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner

from privaudit import api
from privaudit.cli.commands.list import command
from privaudit.cli.commands.purge import tell
from privaudit.results.stored_audits import AuditEntry, PurgeResults, RunEntry


def test_a_run_whose_model_is_gone_is_listed_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    common: dict[str, Any] = {"method": "ga", "order": "risk", "outcome": "partial"}
    runs = [
        RunEntry(run="kept", model="model.safetensors", forget=1, **common),
        RunEntry(run="purged", model=None, forget=2, **common),
    ]
    audit = AuditEntry(audit="a", latest=True, dataset="d", network="n", samples=9, shadows=8, runs=runs)
    monkeypatch.setattr(api, "audits", lambda **_: [audit])
    kept, purged = CliRunner().invoke(command, []).output.splitlines()[1:]
    assert kept.strip() == "kept  partial, 1 sample to forget"
    assert purged.strip() == "purged  partial, 2 samples to forget; its model is gone or damaged"


def test_a_purge_counts_models_as_models_and_files_as_files(capsys: pytest.CaptureFixture[str]) -> None:
    removed = {"shadow models": ["0.safetensors", "0.json", "1.safetensors", "1.json"], "calibrations": ["c.json"]}
    lists = dict.fromkeys(
        (
            "made_anew",
            "unlearned_removed",
            "models_kept",
            "results_kept",
            "unknown",
            "other_audits",
            "skipped",
            "notes",
        ),
        (),
    )
    planned = PurgeResults(
        audit="a", samples=1, models_removed=2, files_removed=5, arrays_cut=0, tables_cut=0, removed=removed,
        cut=[], **lists,
    )  # fmt: skip
    tell(planned, "", in_full=False)
    told = capsys.readouterr().err
    assert "2 models go (5 files)" in told
    assert "go: shadow models: 4 files" in told
    assert "go: calibrations: 1 file\n" in told
