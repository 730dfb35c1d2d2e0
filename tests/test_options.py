"""An option is declared once: its flag, its keyword and its key in a file of settings agree, and so do their errors."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest

import privaudit
from privaudit.cli.main import COMMANDS
from privaudit.config import (
    AuditSettings,
    PurgeOptions,
    ReproduceOptions,
    ReproduceSettings,
    ScoreOptions,
    UnlearnOptions,
    read_settings,
)
from privaudit.config.options import Options, shown, words_of
from privaudit.errors import PrivauditError, UsageError
from tests.pages import command_of


@pytest.mark.parametrize("name", COMMANDS)
def test_every_flag_is_helped_and_named_as_in_python(name: str) -> None:
    for parameter in command_of(name).params:
        if isinstance(parameter, click.Option) and parameter.name != "as_json":
            assert parameter.help
            assert "{" not in parameter.help
            assert parameter.opts == ["--" + str(parameter.name).removeprefix("as_").rstrip("_").replace("_", "-")]


def test_limits_are_those_of_the_command_line() -> None:
    types = {parameter.name: parameter.type for parameter in command_of("score").params}
    shadows, share = types["shadows"], types["gpu_share"]
    assert isinstance(shadows, click.IntRange)
    assert (shadows.min, shadows.max) == (1, 4096)
    assert isinstance(share, click.FloatRange)
    assert (share.min, share.min_open, share.max, share.max_open) == (0, True, 1, False)


def test_types_are_checked_without_a_run() -> None:
    """A type checker refuses these: were it not so, it would call the marks unused."""
    with pytest.raises(UsageError, match="did you mean shadows"):
        privaudit.score(shadow=8)  # type: ignore[call-overload]
    with pytest.raises(UsageError, match="shadows = '8'"):
        privaudit.score(shadows="8")  # type: ignore[call-overload]
    with pytest.raises(UsageError, match="unknown engine, known are 'local', 'ray'"):
        privaudit.unlearn(engine="spark")  # type: ignore[call-overload]
    with pytest.raises(UsageError, match="stoer"):
        privaudit.verify("audit", stoer="there")  # type: ignore[call-overload]
    with pytest.raises(UsageError, match="forget is missing"):
        privaudit.purge(dry_run=True)  # type: ignore[call-arg]


def test_what_may_stand_without_its_name() -> None:
    positional = inspect.Parameter.POSITIONAL_OR_KEYWORD
    first = {name: inspect.signature(getattr(privaudit, name)).parameters for name in ("gate", "reproduce", "score")}
    assert first["gate"]["audit"].kind is first["reproduce"]["names"].kind is positional
    assert all(parameter.kind is inspect.Parameter.KEYWORD_ONLY for parameter in first["score"].values())
    untyped: Any = privaudit
    with pytest.raises(TypeError, match="2 stand without"):
        untyped.verify("audit", "another")
    with pytest.raises(TypeError, match="audit"):
        untyped.verify("audit", audit="another")


def test_none_is_not_given_and_numpy_s_numbers_are_numbers() -> None:
    untyped: Any = {"seed": None, "shadows": np.int64(8), "learning_rate": np.float32(0.5)}
    settings = ScoreOptions(**untyped)
    assert settings.given() == {"shadows": 8, "learning_rate": 0.5}
    assert type(settings.shadows) is int


def test_a_command_passes_on_what_it_shares_with_an_audit() -> None:
    unlearn = UnlearnOptions(seed=3, learning_rate=0.1, workers=2, data_dir="d", parameter={"alpha": 2})
    assert unlearn.parameter == ("alpha=2",)
    assert AuditSettings.of(unlearn).given() == {"workers": 2, "data_dir": Path("d")}
    assert AuditSettings.of(PurgeOptions(forget="class:3", seed=3, out="o")).given() == {"out": Path("o")}
    assert ReproduceSettings.of(ReproduceOptions(names="table1", samples=500)).base.given() == {"samples": 500}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("score", ScoreOptions(dataset="mnist", shadows=8, learning_rate=0.1, store="s", invert="0", csv=True)),
        ("unlearn", UnlearnOptions(order="loss", rank_by="class", parameter={"a": 1, "b": 2})),
        ("reproduce", ReproduceOptions(names=["table1", "table2"], seeds=9, show_samples=True)),
    ],
)
def test_what_is_typed_is_what_was_given(name: str, options: Options) -> None:
    with command_of(name).make_context(name, words_of(options)) as context:
        typed = {key: value for key, value in context.params.items() if key in type(options).model_fields}
    assert type(options).model_validate(typed).model_dump() == options.model_dump()


def test_a_file_s_mistake_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "audit.toml"
    file.write_text("shadows = '8'\n", "utf-8")
    with pytest.raises(UsageError, match=r"--config .*audit\.toml: shadows = '8'"):
        read_settings({}, file)
    assert read_settings({"shadows": 4}, file).shadows == 4  # Flags beat it.
    file.write_text("csv = true\n", "utf-8")
    with pytest.raises(UsageError, match="csv = True: there is no such option"):
        read_settings({}, file)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (np.zeros((2, 3)), "a ndarray of shape (2, 3)"),
        ([np.zeros(3)], "a list"),
        ({"a": 1}, "a dict"),
        ([1, 2], "[1, 2]"),
        ("x" * 500, "'" + "x" * 119 + "…"),
    ],
)
def test_errors_show_no_arrays(value: object, said: str) -> None:
    assert shown(value) == said
    with pytest.raises(PrivauditError) as raised:
        AuditSettings(samples=value)  # type: ignore[arg-type]
    assert str(raised.value).startswith(f"samples = {said}: ")
    assert raised.value.__cause__ is None
