"""What a report shows of single people, and what it takes to show more."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from privaudit.errors import StoreError, UsageError
from privaudit.report.document import build_content
from privaudit.report.redaction import SALT, Privacy, reveal
from privaudit.report.sample_ids import hashes_of
from privaudit.report.write import render_report
from privaudit.runtime import files
from tests.conftest import SMALL, Run, save_noisy_images

REDACTED = Privacy(redact_ids=True)


@pytest.fixture
def folder(small_audit: dict[str, Any], tmp_path: Path) -> Path:
    published = Path(small_audit["results"]["scores"]).parent
    shutil.copytree(published, tmp_path / published.name)
    return tmp_path / published.name


def exposed_ids(folder: Path, shown: Privacy | None = None) -> list[str]:
    section = next(part for part in build_content(folder, shown).report.sections if part.anchor == "exposed")
    return [row[0] for row in section.tables[0].rows]


def test_ids_are_replaced_and_the_owner_can_tell(folder: Path) -> None:
    plain = exposed_ids(folder)
    hidden = exposed_ids(folder, REDACTED)
    assert all(re.fullmatch(r"[0-9a-f]{12}", name) for name in hidden)
    assert [str(reveal(folder, name)) for name in hidden] == plain
    assert (folder / SALT).stat().st_mode & 0o077 == 0
    with pytest.raises(UsageError, match="no sample"):
        reveal(folder, "0" * 12)


def test_order_gives_no_id_away(folder: Path) -> None:
    """Rows in the order of their ids would name them all, whatever stands in the first column."""
    content = build_content(folder, REDACTED)
    names = list(content.samples["sample_id"])
    assert names == sorted(names)
    ids = [reveal(folder, name) for name in names[:20]]
    assert ids != sorted(ids)
    risk = pd.read_parquet(folder / "scores.parquet").set_index("sample_id")["risk"]
    assert content.samples["risk"].tolist()[:20] == [risk[one] for one in ids]


def test_redaction_stays_until_it_is_undone(folder: Path) -> None:
    render_report(folder, REDACTED)
    report = json.loads((folder / "report.json").read_text())
    assert any("salted hashes" in notice for notice in report["notices"])
    assert "salted hashes" in (folder / "report.html").read_text()
    first = exposed_ids(folder, REDACTED)
    assert exposed_ids(folder) == first  # whoever renews it, and with the same salt
    assert exposed_ids(folder, Privacy(redact_ids=False)) != first
    assert not (folder / SALT).exists()
    with pytest.raises(UsageError, match="are not redacted") as gone:
        reveal(folder, first[0])
    assert "--redact none removed the salt" in str(gone.value.hint)
    assert exposed_ids(folder)[0].isdigit()
    assert exposed_ids(folder, REDACTED) != first  # another salt


def test_a_damaged_salt_is_told(folder: Path) -> None:
    exposed_ids(folder, REDACTED)
    (folder / SALT).write_text("00")
    with pytest.raises(StoreError, match="damaged"):
        build_content(folder)


def test_hashes_need_the_salt() -> None:
    ids = list(range(1000))
    assert hashes_of(ids, b"a") != hashes_of(ids, b"b")
    assert len(set(hashes_of(ids, b"a"))) == 1000
    # HMAC-SHA-256 of "7" under the key "a", as openssl computes it.
    assert hashes_of([7], b"a")[0] == "3cc3dd94b881"


def test_no_image_unless_asked_for(folder: Path) -> None:
    render_report(folder)
    assert "data:image/png" not in (folder / "report.html").read_text()
    assert "samples" not in {section.anchor for section in build_content(folder).report.sections}
    with pytest.raises(UsageError, match="--show-samples"):
        build_content(folder, Privacy(show_samples=True))


def test_images_are_shown_where_they_are_asked_for(privaudit: Run, small_audit: dict[str, Any]) -> None:
    root, npz = small_audit["root"], small_audit["npz"]
    common = ("--store", root / "store", "--out", root / "shown")
    done = privaudit("score", "--dataset", npz, *SMALL, *common, "--show-samples", "--redact", "ids", "--json")
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert results["trained"] == 0
    folder = Path(results["scores"]).parent
    stored = folder / "thumbnails.npz"
    assert files.is_whole(stored)
    assert stored.stat().st_mode & 0o077 == 0
    with np.load(npz) as given, np.load(stored) as kept:
        np.testing.assert_array_equal(kept["images"][:, :, :, 0], given["x_train"][kept["sample_ids"]])
    report = json.loads((folder / "report.json").read_text())
    assert "shows training samples" in report["notices"][0]
    section = next(part for part in report["sections"] if part["anchor"] == "samples")
    table = pd.read_parquet(folder / "scores.parquet").sort_values("rank")
    named = [row[0] for row in section["figures"][0]["table"]["rows"]]
    assert [reveal(folder, name) for name in named[:10]] == table["sample_id"].tolist()[:10]
    assert [reveal(folder, name) for name in named[10:]] == table["sample_id"].tolist()[:-11:-1]
    # A later report shows none unless it is asked again, and stored images are enough for it.
    again = privaudit("report", results["audit"], *common)
    assert again.returncode == 0
    assert "samples" not in {part["anchor"] for part in json.loads((folder / "report.json").read_text())["sections"]}
    assert privaudit("report", results["audit"], *common, "--show-samples").returncode == 0
    whose = privaudit("report", results["audit"], *common, "--reveal", named[0])
    assert whose.stdout.strip() == str(table["sample_id"].iloc[0])


def test_features_are_no_images(privaudit: Run, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    save_noisy_images(
        tmp_path / "f.npz",
        x_train=random.normal(size=(300, 4)).astype(np.float32),
        x_test=random.normal(size=(120, 4)).astype(np.float32),
    )
    done = privaudit(
        "score", "--dataset", tmp_path / "f.npz", "--show-samples", "--store", tmp_path / "s", "--out", tmp_path
    )
    assert done.returncode == 2
    assert "which is no image" in done.stderr
    assert not (tmp_path / "s").exists()


def test_a_wrong_word_is_told(privaudit: Run, tmp_path: Path) -> None:
    done = privaudit("report", "--redact", "names", cwd=tmp_path)
    assert done.returncode == 2
    assert "redact" in done.stderr
