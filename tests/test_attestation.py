"""What is handed to other tools says what the results say, about these files, and names no sample."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from privaudit import api
from privaudit.report.document import build_content
from privaudit.report.export.model_card import model_card
from privaudit.report.write import render_attested, render_report
from privaudit.results.base import read_result
from privaudit.results.score_results import ScoreResults
from privaudit.runtime import files
from tests.conftest import Run
from tests.test_compare import write_signals


def audited(tmp_path: Path) -> tuple[Path, Path]:
    """The folder of an audit of signals, and a file that stands for its model."""
    done = api.score(signals=write_signals(tmp_path / "some.npz", 1.0), out=tmp_path / "out")
    model = tmp_path / "target.safetensors"
    files.write_bytes(model, b"weights")
    files.seal(model)
    return tmp_path / "out" / done["audit"], model


def test_the_statement_is_about_these_files_and_says_what_score_json_says(tmp_path: Path) -> None:
    folder, model = audited(tmp_path)
    paths = render_attested(folder, model)
    statement: dict[str, Any] = json.loads(Path(paths.attestation).read_text("utf-8"))
    # The four fields of an in-toto statement, version 1, by their names in the specification.
    assert set(statement) == {"_type", "subject", "predicateType", "predicate"}
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert re.fullmatch(r"[a-z]+:\S+", statement["predicateType"])
    subjects = {one["name"]: one["digest"]["sha256"] for one in statement["subject"]}
    assert set(subjects) == {"target.safetensors", "report.json", "report.html", "report.pdf"}
    for name, digest in subjects.items():
        path = model if name == model.name else folder / name
        assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    found = json.loads((folder / "score.json").read_text("utf-8"))
    predicate = statement["predicate"]
    for key in ("audit", "samples", "shadows", "mean_risk", "calibrated", "union", "accuracy"):
        assert predicate[key] == found[key], key
    for key, value in predicate["attacks"]["lira"].items():
        assert value == found["attacks"]["lira"][key], key
    assert predicate["controls"]["negative"] is None
    assert "curve" not in predicate["attacks"]["lira"]


def test_the_same_results_give_the_same_bytes_and_a_later_report_removes_what_was_said_of_the_former(
    tmp_path: Path,
) -> None:
    folder, model = audited(tmp_path)
    names = ("attestation.json", "model-card.md")
    first = [Path(getattr(render_attested(folder, model), kind)).read_bytes() for kind in ("attestation", "model_card")]
    render_attested(folder, tmp_path / "no model")
    assert "target.safetensors" not in (folder / names[0]).read_text("utf-8")
    render_attested(folder, model)
    assert [(folder / name).read_bytes() for name in names] == first
    assert all(files.is_whole(folder / name) for name in names)
    render_report(folder)
    assert not any((folder / name).exists() for name in names)


def test_the_command_says_where_they_are(tmp_path: Path, privaudit: Run) -> None:
    folder, _ = audited(tmp_path)
    places = ("--out", folder.parent, "--store", tmp_path / "none")
    done = privaudit("report", folder.name, "--attest", *places, "--json")
    assert done.returncode == 0, done.stderr
    paths = json.loads(done.stdout)["report"]
    assert set(paths) == {"html", "pdf", "attestation", "model_card"}
    assert all(Path(path).is_file() for path in paths.values())


def test_a_model_cards_section_is_a_table_that_no_name_can_leave(tmp_path: Path) -> None:
    folder, model = audited(tmp_path)
    text = Path(render_attested(folder, model).model_card).read_text("utf-8")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 3 for row in rows)
    assert "Members found at 1% false alarms" in text
    results = read_result(folder / "score.json", ScoreResults)
    hostile = results.model_copy(update={"audit": "a|b\n# <script>[x](y)"})
    told = model_card(hostile, build_content(folder).report)
    assert "# <script>" not in told
    assert "a\\|b\\[U+000A\\]\\# \\<script\\>\\[x\\](y)" in told
