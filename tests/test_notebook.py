"""The notebook of the documentation, run cell by cell, and what it shows: tables, plots, HTML, and what comes later."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import privaudit
from privaudit.errors import StoreError, UsageError
from privaudit.notebook.views import ScoredAudit, UnlearnedModel
from privaudit.objects import held
from privaudit.results.audit.score_results import ScoreAnswer
from privaudit.results.unlearning.run import UnlearnAnswer
from tests.conftest import ROOT
from tests.test_objects import cell

NOTEBOOK = ROOT / "docs" / "notebooks" / "first-audit.ipynb"


def cells_of(kind: str) -> list[str]:
    notebook = json.loads(NOTEBOOK.read_text("utf-8"))
    return ["".join(one["source"]) for one in notebook["cells"] if one["cell_type"] == kind]


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """All that the notebook defined, run in one namespace in a folder of its own.

    As on a machine with one core, where this process trains: others would first have to import torch.
    """
    import matplotlib

    matplotlib.use("Agg")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("notebook"))
        patch.setattr("privaudit.engines.local.available_cores", lambda: 1)
        space: dict[str, Any] = {"__name__": "__main__"}
        for number, source in enumerate(cells_of("code")):
            cell(source, f"<cell {number}>", space)
        yield space
        __import__("matplotlib.pyplot").pyplot.close("all")


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process: nothing is at hand."""
    monkeypatch.setattr(held, "_data", {})
    monkeypatch.setattr(held, "_code", {})


def test_the_notebook_is_kept_without_what_it_printed() -> None:
    notebook = json.loads(NOTEBOOK.read_text("utf-8"))
    code = [one for one in notebook["cells"] if one["cell_type"] == "code"]
    assert [(one["outputs"], one["execution_count"]) for one in code] == [([], None)] * len(code)
    assert NOTEBOOK.stat().st_size < 50_000


def test_the_whole_chain_runs(space: dict[str, Any]) -> None:
    audit, forgotten = space["audit"], space["forgotten"]
    assert isinstance(audit, ScoreAnswer)
    assert isinstance(forgotten, UnlearnAnswer)
    assert (audit.trained, forgotten.outcome, forgotten.forget) == (9, "exact", 20)
    assert audit.audit.startswith("biopsies-net-")
    named = space["model"].predict(space["table"].drop(columns="diagnosis"))
    assert (np.array(named) == space["table"]["diagnosis"].to_numpy()).mean() > 0.9
    assert space["held"].checks[0].verdict in ("holds", "breached", "too little evidence")


def test_nothing_of_data_or_code_is_stored(space: dict[str, Any]) -> None:
    stored = [path for path in Path.cwd().rglob("*") if path.is_file()]
    kinds = {path.suffix for path in stored}
    assert kinds <= {".json", ".npy", ".safetensors", ".parquet", ".html", ".pdf", ".sha256", "", ".lock", ".salt"}
    for path in stored:
        assert b"class Net" not in path.read_bytes(), path
    described = json.loads((Path("shadow_models") / space["audit"].audit / "audit.json").read_text())
    assert (described["data"]["dataset"], described["code"]["network"]) == ("<biopsies>", "<Net>")


def test_the_same_call_trains_nothing_and_another_network_is_another_audit(space: dict[str, Any]) -> None:
    def planned() -> Any:
        return privaudit.score(
            data=space["table"].copy(),
            label="diagnosis",
            dataset="biopsies",
            network=space["Net"],
            shadows=8,
            epochs=30,
            invert=0,
            dry_run=True,
        )

    same = planned()
    assert (same.audit, same.to_train) == (space["audit"].audit, 0)
    space["HIDDEN"] = 65
    try:
        with pytest.raises(UsageError, match="something that it refers to, has changed"):
            privaudit.unlearn(dry_run=True)
    finally:
        space["HIDDEN"] = 64


def test_elsewhere_data_and_network_are_asked_for_again(space: dict[str, Any], elsewhere: None) -> None:
    table, net = space["table"], space["Net"]
    with pytest.raises(UsageError, match=r"the data, biopsies, was given in Python"):
        privaudit.unlearn(dry_run=True)
    with pytest.raises(UsageError, match="the network <Net> was defined in Python"):
        privaudit.unlearn(dry_run=True, data=table)
    other = table.copy()
    other.iloc[0, 0] += 1
    with pytest.raises(UsageError, match="the data at hand is not that of audit biopsies-net-"):
        privaudit.unlearn(dry_run=True, data=other, network=net)
    again = privaudit.unlearn(dry_run=True, data=table, network=net, forget="random:20")
    assert again.to_json()["run"] == space["forgotten"].run
    assert again.to_json()["is_there"] is True


def test_what_needs_no_data_works_elsewhere(space: dict[str, Any], elsewhere: None, tmp_path: Path) -> None:
    audit = space["audit"].audit
    assert privaudit.verify(audit).damaged == []
    assert privaudit.audits()[0].audit == audit
    assert privaudit.purge(forget="random:3", dry_run=True).samples == 3
    with pytest.raises(UsageError, match=r"network <Net> was defined in Python.*\n.*load_model"):
        privaudit.load_model(space["forgotten"].folder)
    rows = space["rows"]
    expected = space["model"].predict(rows)
    assert privaudit.load_model(space["forgotten"].folder, network=space["Net"]).predict(rows) == expected
    with pytest.raises(UsageError, match="lives in no file"):
        privaudit.export(space["forgotten"].folder, out=tmp_path / "export")
    file = tmp_path / "own.py"
    file.write_text(next(source for source in cells_of("code") if "class Net" in source), "utf-8")
    assert privaudit.load_model(space["forgotten"].folder, network=f"{file}:Net").predict(rows) == expected
    exported = privaudit.export(space["forgotten"].folder, network=f"{file}:Net", out=tmp_path / "export")
    assert (Path(exported.folder) / "own.py").is_file()


def test_results_are_fields_keys_and_tables(space: dict[str, Any]) -> None:
    audit, forgotten = space["audit"], space["forgotten"]
    table = audit.scores
    pd.testing.assert_frame_equal(table, pd.read_parquet(audit["scores"]))
    assert len(table) == audit.samples == audit["samples"] == dict(audit)["samples"]
    assert audit.to_json()["scores"] == audit.get("scores") == dict(audit)["scores"] == audit["scores"]
    assert "scores" in audit
    assert "scores_file" not in set(audit.keys())
    assert forgotten.scores["sample_id"].isin(table["sample_id"]).all()
    assert len(forgotten.scores) == 20
    assert repr(audit).startswith("ScoredAudit('biopsies-net-")
    assert len(repr(audit)) + len(repr(forgotten)) < 300
    gone = audit.model_copy(update={"scores_file": "gone/scores.parquet"})
    with pytest.raises(StoreError, match="not there any more"):
        _ = gone.scores
    assert "Audit biopsies-net-" in gone._repr_html_()


def test_plots_are_the_reports_on_axes(space: dict[str, Any]) -> None:
    from matplotlib import pyplot

    audit = space["audit"]
    curve = audit.attacks["lira"].curve
    drawn = space["roc"].lines[0]
    shown = (np.array(curve.fpr) > 0) & (np.array(curve.tpr) > 0)
    np.testing.assert_array_equal(drawn.get_xdata(), np.array(curve.fpr)[shown])
    np.testing.assert_array_equal(drawn.get_ydata(), np.array(curve.tpr)[shown])
    assert sum(bar.get_height() for bar in space["risk"].patches) == audit.samples
    table = pd.read_parquet(Path(space["forgotten"].folder) / "exposure.parquet")
    axes = space["forgotten"].plot.roc()
    before, after = axes.lines[:2]
    assert [line.get_label() for line in axes.lines][:2] == ["before", "after"]
    gone = table["forgotten"]
    for line, ratio in ((before, table["original"]), (after, table["unlearned"])):
        for fpr, tpr in zip(line.get_xdata()[:-1], line.get_ydata()[:-1], strict=True):
            # The threshold lies below so many of the forgotten, and above the next one.
            following = ratio[gone].nlargest(round(fpr * gone.sum()) + 1).min()
            assert tpr == pytest.approx((ratio[~gone] > following).mean())
        assert (line.get_xdata()[-1], line.get_ydata()[-1]) == (1, 1)
    figure, both = pyplot.subplots(1, 2)
    assert audit.plot.roc(ax=both[0]) is both[0]
    assert space["forgotten"].plot.risk(ax=both[1]) is both[1]
    assert len(figure.axes) == 2
    labels = [text.get_text() for text in both[1].get_legend().get_texts()]
    assert labels == ["before", "after", "never trained on"]


def test_a_notebook_shows_the_brief_and_nothing_that_runs(space: dict[str, Any]) -> None:
    audit, forgotten = space["audit"], space["forgotten"]
    brief = json.loads(Path(audit.report.html).with_name("report.json").read_text())["brief"]
    html = audit._repr_html_()
    assert brief["answer"] in html
    assert f"{audit.attacks['lira'].auc:.3f}" in html
    assert forgotten.outcome_evidence.sentence.split(" (")[0] in forgotten._repr_html_()
    for shown in (html, forgotten._repr_html_()):
        assert not re.search(r"<script|<link|<iframe|https?://|\bon\w+=|javascript:", shown)
        for image in re.findall(r'src="([^"]*)"', shown):
            kind, _, content = image.partition(",")
            assert kind == "data:image/svg+xml;base64"
            assert b"<svg" in base64.b64decode(content)
    evil = "<script>alert(1)</script>"
    shown = audit.model_copy(update={"warnings": [evil], "audit": evil})._repr_html_()
    assert evil not in shown
    assert shown.count("&lt;script&gt;") == 2


def test_the_report_says_how_to_repeat_it_in_python(space: dict[str, Any]) -> None:
    report = json.loads(Path(space["audit"].report.html).with_name("report.json").read_text())
    (rows,) = [table["rows"] for section in report["sections"] for table in section["tables"]
               if table["caption"] == "Reproduction"]  # fmt: skip
    scored, unlearned = [value for name, value in rows if name == "Command"]
    assert scored.startswith("privaudit.score(data=…, dataset='biopsies', label='diagnosis', samples=")
    assert "network=Net, shadows=8" in scored
    assert unlearned.startswith("privaudit.unlearn(data=…, network=…, ")
    compile(scored.replace("…", "None"), "command", "eval")
    compile(unlearned.replace("…", "None"), "command", "eval")


def test_views_are_what_the_functions_say(space: dict[str, Any]) -> None:
    assert isinstance(space["audit"], ScoredAudit)
    assert isinstance(space["forgotten"], UnlearnedModel)


@pytest.mark.slow
def test_a_network_of_no_file_trains_alike_in_this_process_and_in_others(space: dict[str, Any], tmp_path: Path) -> None:
    """By value it arrives whole: two processes come to the weights of this one, to the bit."""
    weights = []
    for workers in (1, 2):
        places: dict[str, Any] = {"store": tmp_path / f"store{workers}", "out": tmp_path / "out"}
        found = privaudit.score(
            data=space["table"], label="diagnosis", network=space["Net"], shadows=4, epochs=2, invert=0,
            workers=workers, **places
        )  # fmt: skip
        files = sorted((places["store"] / found.audit).rglob("*.safetensors"))
        weights.append([(file.name, file.read_bytes()) for file in files])
    assert len(weights[0]) == 5
    assert weights[0] == weights[1]
