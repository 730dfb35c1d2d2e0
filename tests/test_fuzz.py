"""Generated input of every kind: it is taken, or refused in words; never a traceback, never a file elsewhere.

A few examples of each run with every test run; `make test-slow` runs more than a thousand.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from privaudit.audit.metadata import read_metadata
from privaudit.cli.main import cli
from privaudit.config import AuditSettings, read_settings
from privaudit.errors import PrivauditError
from privaudit.unlearning.requests.forget_requests import read_requests
from privaudit.unlearning.requests.request_cells import KnownSamples

FEW, MANY = 15, 250
RELAXED = (HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large)

SIZES = [
    pytest.param(FEW, id="few"),
    pytest.param(MANY, id="many", marks=pytest.mark.slow),
]

#: Words that a shell, a file system or a report could take amiss.
WORDS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["", " ", "../../etc/passwd", "/", "/dev/null", "a b", "émile", "𝔘", "--help", "-1", "1e999", "nan", "0",
         "<script>", "$(touch x)", "a" * 300, "digits", "mnist", "cnn", "x.npz", "x.py:f", "os:system", "..", "CON"]
    ),
)  # fmt: skip
NUMBERS = st.one_of(st.integers(-5, 5), st.sampled_from([10**9, 10**30, -(10**12)]), st.floats(allow_nan=True))


def run(examples: int, strategy: Any, check: Any) -> None:
    """Hold ``check`` against generated input, the same each time."""
    wrap: Any = given(strategy)
    same_each_time = settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=RELAXED
    )
    same_each_time(wrap(check))()


def ends_well(*arguments: str) -> int:
    """Run the command in this process; anything but an error that it knows of is a failure."""
    stdout, stderr, said = io.StringIO(), io.StringIO(), "."
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        try:
            cli.main(list(arguments), prog_name="privaudit", standalone_mode=False)
            code = 0
        except click.ClickException as error:
            code = error.exit_code
        except PrivauditError as error:
            said, code = str(error), error.exit_code
    assert said.strip()
    assert "Traceback" not in stderr.getvalue()
    assert code in (0, 1, 2, 4), code
    return code


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


CONFIGURATIONS = st.dictionaries(
    st.one_of(st.sampled_from(sorted(AuditSettings.model_fields)), st.text(max_size=8)),
    st.one_of(WORDS, NUMBERS, st.booleans(), st.lists(NUMBERS, max_size=2)),
    max_size=6,
)


@pytest.mark.parametrize("examples", SIZES)
def test_configurations(examples: int) -> None:
    def check(flags: dict[str, Any]) -> None:
        with contextlib.suppress(PrivauditError):
            assert isinstance(read_settings(flags, None), AuditSettings)

    run(examples, CONFIGURATIONS, check)


@pytest.mark.parametrize("examples", SIZES)
def test_configuration_files(examples: int, tmp_path: Path) -> None:
    path = tmp_path / "audit.toml"

    def check(content: bytes) -> None:
        path.write_bytes(content)
        with contextlib.suppress(PrivauditError):
            read_settings({}, path)

    written = st.tuples(st.sampled_from(sorted(AuditSettings.model_fields)), WORDS).map(
        lambda pair: f"{pair[0]} = {json.dumps(pair[1])}\n".encode("utf-8", "surrogatepass")
    )
    run(examples, st.one_of(st.binary(max_size=60), written), check)


#: Arrays that fit, by name: most generated files hold some of them, so that more than their absence is seen.
FITTING = {
    "images": np.zeros((40, 8, 8), np.uint8),
    "labels": np.arange(40) % 3,
    "labels as numbers": np.arange(40).astype(float) % 3,
    "nothing but nan": np.full((40, 5), np.nan),
    "features": np.random.default_rng(0).random((40, 5), np.float32),
}
ARRAYS = st.fixed_dictionaries(
    {},
    optional={
        name: st.one_of(
            arrays_of.arrays(
                st.sampled_from([np.dtype(kind) for kind in ("u1", "f4", "f8", "i8", "?", "U3")]),
                arrays_of.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5),
            ),
            st.sampled_from(sorted(FITTING)),
        )
        for name in ("x_train", "y_train", "x_test", "y_test", "class_names", "sample_ids", "../escape")
    },
)


@pytest.mark.parametrize("examples", SIZES)
def test_dataset_files(examples: int, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "x.npz"

    def check(arrays: dict[str, Any]) -> None:
        fitting: dict[str, Any] = {
            name: FITTING[value] if isinstance(value, str) else value for name, value in arrays.items()
        }
        np.savez(path, **fitting)
        ends_well(
            "score", "--dataset", str(path), "--shadows", "4", "--epochs", "1", "--dry-run", "--store",
            str(tmp_path / "store"), "--out", str(tmp_path / "out"),
        )  # fmt: skip
        assert {name.split("/")[0] for name in files_below(tmp_path)} <= {"in", "store", "out"}

    run(examples, ARRAYS, check)


CELLS = st.one_of(WORDS, st.integers(-3, 12).map(str))
TABLES = st.tuples(
    st.sampled_from(
        ["sample_id", "sample_id,request_id,date", "id,date", "sample_id,group", "", "group,sample_id", "x"]
    ),
    st.lists(st.lists(CELLS, max_size=4).map(",".join), max_size=8),
    st.sampled_from(["utf-8", "utf-16", "latin-1"]),
)


def write_lines(path: Path, table: tuple[str, list[str], str]) -> None:
    header, lines, encoding = table
    path.write_bytes("\n".join([header, *lines]).encode(encoding, "ignore"))


@pytest.mark.parametrize("examples", SIZES)
def test_request_files(examples: int, tmp_path: Path) -> None:
    path, known = tmp_path / "requests.csv", KnownSamples(np.arange(10))

    def check(table: tuple[str, list[str], str]) -> None:
        write_lines(path, table)
        with contextlib.suppress(PrivauditError):
            found = read_requests(path, known)
            rows = found.rows.tolist()
            assert len(set(rows)) == len(rows) > 0
            assert {request.sample_id for request in found.requests} == set(rows)

    run(examples, TABLES, check)


@pytest.mark.parametrize("examples", SIZES)
def test_metadata_files(examples: int, tmp_path: Path) -> None:
    path, ids = tmp_path / "metadata.csv", np.arange(10)

    def check(table: tuple[str, list[str], str]) -> None:
        write_lines(path, table)
        with contextlib.suppress(PrivauditError):
            assert all(len(values) == len(ids) for values in read_metadata(path, ids).values())

    run(examples, TABLES, check)


COMMANDS = st.tuples(
    st.sampled_from(
        ["score", "unlearn", "report", "compare", "verify", "gate", "purge", "list", "reproduce", "nonsense"]
    ),
    st.lists(
        st.one_of(
            WORDS,
            st.sampled_from(
                ["--audit", "--dataset", "--method", "--order", "--forget", "--max-tpr", "--json", "--groups", "--pace",
                 "--seed", "--scale", "--list", "--network", "--signals", "--config", "--dry-run", "--budget", "--yes"]
            ),
        ),
        max_size=5,
    ),
)  # fmt: skip


@pytest.mark.parametrize("examples", SIZES)
def test_command_lines(examples: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is typed: a known exit code, and nothing written but below --store and --out."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))

    def check(typed: tuple[str, list[str]]) -> None:
        command, arguments = typed
        # A score that is asked for in earnest would train; every other command only reads here.
        extra = ["--dry-run"] if command == "score" else []
        places = ["--store", str(tmp_path / "store"), "--out", str(tmp_path / "out")]
        ends_well(command, *arguments, *extra, *places)
        assert {name.split("/")[0] for name in files_below(tmp_path)} <= {"store", "out"}

    run(examples, COMMANDS, check)
