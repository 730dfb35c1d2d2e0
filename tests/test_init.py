"""`privaudit init` asks what somebody has, and holds every answer against the data before the next question."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from privaudit import init
from privaudit.cli.commands.init import command
from privaudit.config import read_settings
from privaudit.errors import UsageError

#: At the end: no estimate.
NO = "n"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a table, photos, arrays and signals in it, at a terminal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("privaudit.cli.commands.init.is_terminal", lambda: True)
    rows = [
        f"K-{row:03},{row % 7 + row / 100},{'north' if row % 3 else 'south'},h{row % 5},{row % 2}" for row in range(60)
    ]
    Path("customers.csv").write_text("\n".join(["customer_id,age,region,home,churned", *rows]) + "\n", "utf-8")
    return tmp_path


def answered(*answers: str, words: tuple[str, ...] = ("made",)) -> Result:
    return CliRunner().invoke(command, list(words), input="\n".join(answers) + "\n")


def written(result: Result) -> dict[str, Any]:
    """The settings that came of it, as a file of settings is read."""
    assert result.exception is None, result.output
    settings = tomllib.loads(Path("made/audit.toml").read_text("utf-8"))
    assert settings.pop("declare") == "made/declared.toml"
    read_settings({}, Path("made/audit.toml"))
    return settings


def test_enter_alone_audits_the_digits(place: Path) -> None:
    result = answered("", "", "", NO)
    assert written(result) == {"dataset": "digits", "shadows": 32}
    assert result.stdout == "made/audit.toml\nmade/declared.toml\n"
    assert "next: privaudit score --config made/audit.toml --dry-run" in result.stderr


def test_of_a_table_its_columns_are_offered(place: Path) -> None:
    """Label and id are guessed from names and cells; Enter takes what is offered."""
    result = answered("2", "customers.csv", "", "", "", "", "", "", NO)
    assert "60 rows, 5 columns" in result.stderr
    assert "region: 2 different values, south, north" in result.stderr
    assert written(result) == {
        "dataset": "customers.csv", "label": "churned", "id": "customer_id", "estimator": "random-forest",
        "shadows": 32,
    }  # fmt: skip


def test_an_answer_that_will_not_do_is_told_and_asked_again(place: Path) -> None:
    typed = (
        ("9", "'9' is none of them"), ("tabel", "is table meant?"), ("table", ""),
        ("customers.xls", "no table in a file"), ("absent.csv", "there is no file absent.csv"), ("customers.csv", ""),
        ("churn", "is 'churned' meant?"), ("age", "measurements, not classes"), ("churned", ""),
        ("region", "the id 'south' is that of an earlier row"), ("none", ""),
        ("churned", "can't be the label and something else"), ("home", ""),
        ("region, aeg", "is 'age' meant?"), ("region, age", ""),
        ("forest", "unknown estimator 'forest'"), ("own.py:make", "own.py"), ("mlp", ""),
        ("many", "no whole number from 4"), ("2", "LiRA needs at least 4"), ("16", ""),
    )  # fmt: skip
    result = answered(*(answer for answer, _ in typed), NO)
    for answer, said in typed:
        assert said in result.stderr, answer
    assert written(result) == {
        "dataset": "customers.csv", "label": "churned", "subject": "home", "group": ["region", "age"], "network": "mlp",
        "shadows": 16,
    }  # fmt: skip


def test_photos_arrays_and_signals_are_looked_into(place: Path) -> None:
    for name in ("photos/cat/1.png", "photos/dog/2.png"):
        Path(name).parent.mkdir(parents=True)
        Path(name).write_bytes(b"")
    result = answered("photos", "customers.csv", "photos", "cnn", "2", "24", "8", NO)
    assert "there is no folder customers.csv" in result.stderr
    assert "2 classes, cat, dog; 2 images" in result.stderr
    assert written(result) == {"dataset": "photos", "network": "cnn", "image_size": 24, "shadows": 8}
    Path("made/audit.toml").unlink()
    Path("made/declared.toml").unlink()
    np.savez("a.npz", x_train=np.random.default_rng(0).normal(size=(40, 3)), y_train=np.arange(40) % 2)
    random = np.random.default_rng(1)
    x_test, y_test = random.normal(size=(10, 3)), np.arange(10) % 2
    np.savez("b.npz", x_train=random.normal(size=(40, 3)), y_train=np.arange(40) % 2, x_test=x_test, y_test=y_test)
    result = answered("arrays", "a.npz", "b.npz", "logistic-regression", "", NO)
    assert "a.npz lacks x_test" in result.stderr
    assert written(result) == {"dataset": "b.npz", "estimator": "logistic-regression", "shadows": 32}
    Path("made/audit.toml").unlink()
    Path("made/declared.toml").unlink()
    halves = np.array([random.permutation(40) < 20 for _ in range(4)])
    keep = np.concatenate([halves, ~halves])
    np.savez("s.npz", logits=random.normal(size=(8, 40, 3)), keep=keep, labels=np.arange(40) % 3)
    result = answered("signals", "b.npz", "s.npz")
    assert "b.npz lacks keep" in result.stderr
    assert "8 models that take part, 40 samples" in result.stderr
    assert written(result) == {}
    assert "next: privaudit score --signals s.npz --config made/audit.toml\n" in result.stderr


def test_nothing_is_written_where_the_questions_are_left_or_files_are_there(place: Path) -> None:
    result = answered("2")
    assert isinstance(result.exception, UsageError)
    assert "the questions were left" in str(result.exception)
    assert not Path("made").exists()
    init("made")
    result = answered()
    assert "made/audit.toml is there already" in str(result.exception)
    assert "What have you got" not in result.stderr


def test_flags_and_pipes_are_asked_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("made", "--dataset", "customers.csv", "--label", "churned", "--group", "region", "--group", "ho,me")
    result = answered(words=(*words, "--estimator", "xgboost", "--shadows", "8"))
    assert "?" not in result.stderr
    assert written(result) == {
        "dataset": "customers.csv", "label": "churned", "group": ["region", "ho,me"], "estimator": "xgboost",
        "shadows": 8,
    }  # fmt: skip
    assert "#network" not in Path("made/audit.toml").read_text("utf-8")
    monkeypatch.setattr("privaudit.cli.commands.init.is_terminal", lambda: False)
    assert answered(words=("plain",)).exception is None
    assert set(tomllib.loads(Path("plain/audit.toml").read_text("utf-8"))) == {"declare"}
    with pytest.raises(UsageError, match="--signals with --label"):
        init("other", signals="s.npz", label="y")


def test_columns_of_any_name_come_out_as_they_went_in(tmp_path: Path) -> None:
    name = 'a "b" \\ 👩‍🚀 = é'
    made = init(tmp_path / "made", dataset="x.csv", label=name, leave_out=[name, "c"])
    settings = read_settings({}, Path(made.settings))
    assert (settings.label, settings.leave_out) == (name, (name, "c"))
