"""Nothing of a redacted report names a sample: ids have no text before one place says what each is called."""

from __future__ import annotations

import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pypdf
import pytest

from privaudit import api
from privaudit.report import sample_ids
from privaudit.report.content.elements import Section
from privaudit.report.content.wording import command
from privaudit.report.document import build_content
from privaudit.report.redaction import Privacy, reveal
from privaudit.report.sample_ids import Naming, SampleId
from privaudit.report.sections import attack_results
from privaudit.report.write import render_report
from privaudit.results.audit.inversion_results import AttackParameters, InversionResults
from privaudit.results.audit.score_results import ScoreResults
from privaudit.results.base import read_result
from privaudit.runtime import files, seals
from tests.conftest import unlearn_anyway

#: As somebody else's ids may be: with signs that parts of a report treat on their own.
SIGNS = ("", " x", ",7", '"q"', "é", "'", "<b>", "0")


def text_id(row: int) -> str:
    return f"0P{row:04d}Z{SIGNS[row % len(SIGNS)]}"


def text_path(row: int) -> str:
    return f"anna/photos/IMG{row:04d}.png"


def with_text_ids(folder: Path) -> None:
    """Give the samples of a finished audit's results ids of text, and paths, as a data set of the user's may."""

    def renamed(content: Any) -> Any:
        if isinstance(content, list):
            return [renamed(entry) for entry in content]
        if isinstance(content, dict):
            return {
                k: text_id(v) if k == "sample_id" and isinstance(v, int) else renamed(v) for k, v in content.items()
            }
        return content

    for path in sorted(folder.rglob("*.parquet")):
        table = pd.read_parquet(path)
        table["path"] = [text_path(row) for row in table["sample_id"]]
        table["sample_id"] = [text_id(row) for row in table["sample_id"]]
        table.to_parquet(path, index=False)
        files.seal(path)
    for path in (folder / "score.json", *folder.glob("unlearn/*/*.json")):
        content = renamed(json.loads(path.read_text("utf-8")))
        if path.name == "score.json":
            content["table_sha256"] = files.sha256_of(folder / "scores.parquet")
            content["about"]["notes"] = [f"the samples {text_id(5)} and {text_id(7)} are alike"]
        files.write_json(path, content)
        files.seal(path)


def reseal(folder: Path) -> None:
    """Seal everything for the place that it lies in now."""
    for path in folder.rglob(f"*{seals.SUFFIX}"):
        files.seal(path.with_name(path.name.removesuffix(seals.SUFFIX)))


def copy_results(folder: Path, to: Path) -> None:
    shutil.copytree(folder, to)
    reseal(to)


@pytest.fixture(scope="module")
def audit(small_audit: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """An audit with ids of text, one run of unlearning, pictures, and a second audit of the same samples."""
    root = tmp_path_factory.mktemp("text")
    for name in ("store", "out"):
        shutil.copytree(small_audit["root"] / name, root / name)
    places: dict[str, Any] = {"store": root / "store", "out": root / "out"}
    request = root / "anna-smith-requests.csv"
    request.write_text("\n".join(map(str, range(2, 62, 2))))
    run = unlearn_anyway(
        lambda: api.unlearn(forget=f"ids:{request}", method="ga", reference="shadow", passes=1, **places)
    )
    folder = root / "out" / small_audit["results"]["audit"]
    with_text_ids(folder)
    stored = io.BytesIO()
    np.savez(
        stored,
        sample_ids=pd.read_parquet(folder / "scores.parquet")["sample_id"].to_numpy(np.str_)[:20],
        images=np.zeros((20, 8, 8, 1), np.uint8),
        table_sha256=np.array(files.sha256_of(folder / "scores.parquet")),
    )
    files.write_bytes(folder / "thumbnails.npz", stored.getvalue())
    files.seal(folder / "thumbnails.npz")
    second = folder.with_name("second")
    copy_results(folder, second)
    files.write_json(second / "score.json", json.loads((second / "score.json").read_text()) | {"audit": "second"})
    files.seal(second / "score.json")
    return {"folder": folder, "root": root, "run": run, "request": request, **places}


def shown_in(folder: Path) -> dict[str, str]:
    """All the text of a report's files, without the spaces that a line's end may have put in."""
    pdf = "".join(page.extract_text() for page in pypdf.PdfReader(folder / "report.pdf").pages)
    told = {name: (folder / name).read_text("utf-8") for name in ("report.html", "report.json")} | {"report.pdf": pdf}
    return {name: re.sub(r"\s+", "", text) for name, text in told.items()}


def named_in(folder: Path) -> dict[str, set[int]]:
    """Which samples a report's files name, by id or path; an id is found by its distinctive part."""
    return {
        name: {row for row in range(300) if f"0P{row:04d}Z" in text or f"IMG{row:04d}" in text}
        for name, text in shown_in(folder).items()
    }


def test_a_redacted_report_names_nobody(audit: dict[str, Any]) -> None:
    folder = audit["folder"]
    render_report(folder, Privacy(redact_ids=False, show_samples=True))
    told = named_in(folder)
    # Page 1, the ten most exposed, the retained that became more exposed and the pictures name some; the explorer all.
    assert all(len(told[name]) > 15 for name in ("report.json", "report.pdf"))
    assert len(told["report.html"]) == 300
    render_report(folder, Privacy(redact_ids=True, show_samples=True))
    assert named_in(folder) == {"report.html": set(), "report.json": set(), "report.pdf": set()}
    report = json.loads((folder / "report.json").read_text())
    tables = [(part["anchor"], table) for part in report["sections"] for table in part["tables"]]
    tables += [(part["anchor"], figure["table"]) for part in report["sections"] for figure in part["figures"]]
    by_sample = {anchor: table for anchor, table in tables if table and table["columns"][0] == "Sample"}
    assert by_sample.keys() >= {"unlearning-1", "samples"}
    assert all(re.fullmatch("[0-9a-f]{12}", row[0]) for table in by_sample.values() for row in table["rows"])
    table = by_sample["samples"]
    whose = reveal(folder, table["rows"][0][0])
    assert whose == pd.read_parquet(folder / "scores.parquet").head(20).nsmallest(1, "rank")["sample_id"].iloc[0]


def test_a_redacted_comparison_names_nobody(audit: dict[str, Any]) -> None:
    out = audit["out"]
    render_report(audit["folder"], Privacy(redact_ids=False))
    plain = Path(api.compare(audit["folder"].name, "second", out=out)["folder"])
    assert len(named_in(plain)["report.html"]) == 300
    hidden = Path(api.compare(audit["folder"].name, "second", redact="ids", out=out)["folder"])
    assert named_in(hidden) == {"report.html": set(), "report.json": set(), "report.pdf": set()}
    assert not pd.read_parquet(hidden / "samples.parquet")["sample_id"].str.contains("0P").any()


def test_a_section_that_forgets_to_redact_can_not(audit: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A new one that prints ids in a sentence, a caption and a number of its own."""
    real = attack_results.risk_and_shift

    def forgetful(table: pd.DataFrame, results: ScoreResults) -> Section:
        ids = [f"sample {one}" for one in table["sample_id"]]
        return Section(
            "intrinsic", ids[0], [", ".join(ids), str(table["sample_id"].tolist())], real(table, results).tables
        )

    monkeypatch.setattr(attack_results, "risk_and_shift", forgetful)
    text = str(build_content(audit["folder"], Privacy(redact_ids=True)).report)
    assert not re.search("0P[0-9]{4}Z", text)
    assert "0P0000Z" in str(build_content(audit["folder"], Privacy(redact_ids=False)).report)


def test_an_id_has_no_text_before_the_report_is_complete() -> None:
    names = Naming(["anna", "ben"], b"salt")
    one = names.enter("anna")
    for told in (str(one), f"{one}", repr(one), str([one])):
        assert "anna" not in told
    assert not hasattr(one, "__dict__")
    assert names.text(one) == sample_ids.hashes_of(["anna"], b"salt")[0]
    with pytest.raises(TypeError):
        json.dumps({"sample_id": one})
    assert names.enter("anna") == one != names.enter("ben")
    # Somebody whom the score table no longer has is redacted too.
    assert names.resolve(f"{names.enter('carl')}") == sample_ids.hashes_of(["carl"], b"salt")[0]
    assert names.enter_json({"most": [{"sample_id": "anna"}]})["most"][0]["sample_id"] == str(names.enter("anna"))


def test_what_looks_like_a_placeholder_names_nobody() -> None:
    forged = str(SampleId(7))
    assert Naming([1, 2], b"salt").resolve(forged) == forged


def test_notes_of_results_are_redacted_too() -> None:
    names = Naming([3, 12, 40], b"salt")
    noted = names.enter_json({"notes": ["samples 3 and 12 equal row 40; 3 epochs"]})
    (note,) = names.resolve(noted)["notes"]
    a, b, c = sample_ids.hashes_of([3, 12, 40], b"salt")
    assert note == f"samples {a} and {b} equal row {c}; 3 epochs"


def test_no_report_says_where_a_list_of_ids_lies(audit: dict[str, Any]) -> None:
    assert audit["run"]["run"].startswith("ga-risk-ids-")
    for text in shown_in(audit["folder"]).values():
        assert "anna-smith" not in text
        assert str(audit["root"]) not in text
    for path in audit["folder"].rglob("*.json"):
        assert "anna-smith" not in path.read_text("utf-8")
    results = read_result(audit["folder"] / "score.json", ScoreResults)
    file = "ids:/home/anna/smith.csv"
    construct: Any = InversionResults.model_construct
    settings = {"asked": file, "at": "trained", "preset": "default", "gradient_noise": 0, "gradient_clip": None}
    searched: dict[str, Any] = {"cost": "cosine", "optimiser": "lbfgs", "steps": 40, "joint_label": False}
    of_features = construct(**settings, attack=AttackParameters(**searched, features={"steps": 100}))
    said = command(results.model_copy(update={"inversion": of_features}))
    assert "--invert ids:FILE" in said
    assert "--invert-preset" not in said
    # What was sought from noise, the default of before, is sought so again by name alone.
    from_noise = construct(**settings, attack=AttackParameters(**searched))
    assert "--invert-preset from-noise" in command(results.model_copy(update={"inversion": from_noise}))


def test_a_run_that_an_earlier_version_named_after_its_list_is_shown_without(
    audit: dict[str, Any], tmp_path: Path
) -> None:
    run, folder = audit["run"]["run"], tmp_path / audit["folder"].name
    digest = run.rsplit("-", 1)[1]
    old = f"ga-risk-home-anna-smith-csv-{digest}"
    shutil.copytree(audit["folder"], folder)
    (folder / "unlearn" / run).rename(folder / "unlearn" / old)
    path = folder / "unlearn" / old / "metrics.json"
    files.write_json(path, json.loads(path.read_text()) | {"run": old})
    files.seal(path)
    reseal(folder)
    report = json.dumps(build_content(folder).report.to_json())
    assert "anna-smith" not in report
    assert digest in report


def test_an_audit_with_ids_of_text_is_purged_of_some(audit: dict[str, Any], tmp_path: Path) -> None:
    for name in ("store", "out"):
        shutil.copytree(audit[name], tmp_path / name)
    places: dict[str, Any] = {"store": tmp_path / "store", "out": tmp_path / "out"}
    folder = places["out"] / audit["folder"].name
    gone = [text_id(row) for row in (3, 10, 11, 12)]
    request = tmp_path / "requests.csv"
    pd.DataFrame({"sample_id": [*gone, "nobody"]}).to_csv(request)
    done = api.purge(forget=f"ids:{request}", skip_unknown=True, yes=True, **places)
    assert done["samples"] == 4
    assert done["skipped"] == ["nobody"]
    for path in folder.rglob("*.parquet"):
        assert not pd.read_parquet(path)["sample_id"].isin(gone).any()
    metrics = next(folder.glob("unlearn/*/metrics.json")).read_text("utf-8")
    assert not any(json.dumps(one)[1:-1] in metrics for one in gone)
    assert api.verify(**places)["missing"] == []
    assert len(json.loads((folder / "report.json").read_text())["sections"]) > 5
