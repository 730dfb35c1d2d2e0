"""What a person at a terminal gets: an audit by any of its names, quiet and a log, and risk at a glance."""

from __future__ import annotations

import io
import os
import re
import stat
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
import pytest

import privaudit as public
from privaudit.cli import output
from privaudit.cli.commands.score import _print as show
from privaudit.cli.main import COMMANDS
from privaudit.cli.risk_summary import BINS, BLOCKS, SIGNS, histogram, print_accuracy, print_risks
from privaudit.config.audit_options import PlaceOptions, TalkOptions
from privaudit.errors import PrivauditError, UsageError
from privaudit.report.redaction import Privacy, salt_of
from privaudit.report.sample_ids import hashes_of
from privaudit.results.audit.score_results import Accuracy, ScoreAnswer
from privaudit.runtime.progress import Audience, progress, speaking_to, talk, write_log
from privaudit.shadow.locate_audit import locate_audit
from tests.pages import command_of
from tests.test_compare import write_signals
from tests.test_docs import OPTIONS

ABOUT_AN_AUDIT = ("report", "verify", "gate", "unlearn", "purge", "export")


@pytest.mark.parametrize("name", ABOUT_AN_AUDIT)
def test_an_audit_is_named_with_a_flag_or_without(name: str) -> None:
    more = ["--forget", "class:1"] if name == "purge" else []
    key = "model" if name == "export" else "audit"
    for words in (["a-1"], ["--audit", "a-1"], ["--audit=a-1"], ["a-1", "--audit", "a-1"]):
        with command_of(name).make_context(name, [*words, *more]) as context:
            assert context.params[key] == "a-1"
            assert OPTIONS[name](**{key: context.params[key], **({"forget": "class:1"} if more else {})})
    with pytest.raises(click.UsageError, match="'a-1' and --audit a-2: name one"):
        command_of(name).make_context(name, ["a-1", "--audit", "a-2", *more])
    if name == "export":
        with pytest.raises(click.MissingParameter, match="model"):
            command_of(name).make_context(name, [])


@pytest.fixture
def places(tmp_path: Path) -> PlaceOptions:
    """Two stores and two folders of results, side by side, without an audit's content."""
    for store, audit in (("models", "a-1"), ("others", "b-2")):
        (tmp_path / store / audit).mkdir(parents=True)
        (tmp_path / store / audit / "audit.json").write_text("{}")
    for out, audit in (("results", "a-1"), ("shown", "b-2"), ("shown", "sig-3")):
        (tmp_path / out / audit).mkdir(parents=True)
        (tmp_path / out / audit / "score.json").write_text("{}")
    return PlaceOptions(store=tmp_path / "models", out=tmp_path / "results")


@pytest.mark.parametrize(
    ("named", "store", "out", "audit"),
    [
        (None, "models", "results", None),
        ("latest", "models", "results", None),
        ("a-1", "models", "results", "a-1"),
        ("c-9", "models", "results", "c-9"),  # Whoever opens it says which there are.
        ("{root}/models/a-1", "models", "results", "a-1"),
        ("{root}/results/a-1/", "models", "results", "a-1"),
        ("{root}/others/b-2", "others", "shown", "b-2"),
        ("{root}/shown/b-2", "others", "shown", "b-2"),
        ("{root}/shown/../shown/sig-3", "models", "shown", "sig-3"),
    ],
)
def test_a_folder_says_where_its_audit_is(
    places: PlaceOptions, tmp_path: Path, named: str | None, store: str, out: str, audit: str | None
) -> None:
    found, name = locate_audit(places, None if named is None else named.format(root=tmp_path))
    assert (found.store, found.out, name) == (tmp_path / store, tmp_path / out, audit)


def test_a_folder_is_named_from_within_it(
    places: PlaceOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path / "shown" / "b-2")
    assert locate_audit(places, ".")[1] == "b-2"


@pytest.mark.parametrize("named", ["{root}/results", "{root}/nowhere/a-1", "no/where"])
def test_a_folder_of_something_else_is_told(places: PlaceOptions, tmp_path: Path, named: str) -> None:
    with pytest.raises(UsageError, match=r"no (audit|folder)") as raised:
        locate_audit(places, named.format(root=tmp_path))
    assert "privaudit list" in str(raised.value)


def test_a_name_that_no_file_can_have_is_told(places: PlaceOptions) -> None:
    with pytest.raises(UsageError, match=r"cannot look for the audit 'aaaa.*…: File name too long"):
        locate_audit(places, "a" * 300)


def test_commands_take_folders(small_audit: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Both folders, from where neither the store nor the output is the default."""
    monkeypatch.chdir(tmp_path)
    audit, root = small_audit["results"]["audit"], small_audit["root"]
    for folder in (root / "store" / audit, root / "out" / audit):
        assert public.gate(folder, max_auc=1.0).audit == audit
        assert public.verify(folder).audit == audit
        assert public.purge(audit=folder, forget="class:1", dry_run=True).audit == audit
        planned: Any = public.unlearn(audit=folder, method="ga", order="none", reference="shadow", dry_run=True)
        assert planned.audit == audit


@pytest.mark.parametrize("name", ["score", "unlearn", "reproduce", "purge", "report"])
def test_long_commands_can_be_quiet_and_log(name: str) -> None:
    assert issubclass(OPTIONS[name], TalkOptions)


@dataclass(frozen=True)
class Scored:
    """One audit of signals, made quietly and with a log."""

    results: ScoreAnswer
    log: Path
    said: str


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Scored:
    """400 samples, each leaking more than the one before: whom to name can be told."""
    root = tmp_path_factory.mktemp("scored")
    signals = np.load(write_signals(root / "plain.npz", 0.0))
    logits = signals["logits"].copy()
    logits[:, np.arange(400), signals["labels"]] += np.linspace(0, 5, 400) * signals["keep"]
    np.savez(root / "one.npz", logits=logits, keep=signals["keep"], labels=signals["labels"])
    said = io.StringIO()
    with redirect_stderr(said), redirect_stdout(said):
        results = public.score(signals=root / "one.npz", out=root / "out", quiet=True, log=root / "log.txt")
        with pytest.raises(PrivauditError):
            public.score(signals=root / "none.npz", out=root / "out", quiet=True, log=root / "log.txt")
    return Scored(results, root / "log.txt", said.getvalue())


def test_quiet_spares_stderr_and_a_log_has_it_all(scored: Scored) -> None:
    assert scored.said == ""
    written = scored.log.read_text("utf-8")
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  +\S", line) for line in written.splitlines())
    assert f"  audit {scored.results.audit}\n" in written
    assert re.search(r"asked for: .*--quiet.*none\.npz", written)
    assert re.search(r"  error: .*none\.npz", written)
    assert stat.S_IMODE(scored.log.stat().st_mode) == 0o600


def test_a_log_that_cannot_be_written_is_told_before_anything_else(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot write --log .*nowhere.log.txt: No such file"):
        public.score(signals="there-is-none.npz", log=tmp_path / "nowhere" / "log.txt")


def test_an_audience_is_left_again(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    log = tmp_path / "log"
    with speaking_to(Audience(quiet=True)), speaking_to(Audience(log=log)):
        talk("one\ntwo")
        with progress("training", 2) as bar:
            bar.advance(2)
    talk("three")
    write_log("four")
    assert capsys.readouterr().err == "three\n"
    assert [line[21:] for line in log.read_text().splitlines()] == ["one", "two", "  training: 100%"]


@pytest.fixture
def stdout(monkeypatch: pytest.MonkeyPatch) -> io.TextIOWrapper:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(output, "_stream", stream)
    return stream


def test_a_histogram_is_as_high_as_its_fullest_bin(stdout: io.TextIOWrapper, monkeypatch: pytest.MonkeyPatch) -> None:
    risk = np.repeat([0.01, 0.5, 0.99], [1, 800, 400])
    drawn = histogram(risk)
    assert len(drawn) == BINS
    assert (drawn[0], drawn[BINS // 2], drawn[-1]) == ("▁", "█", "▄")  # One sample in 800 is not nobody.
    assert set(drawn[1 : BINS // 2]) == {" "}
    monkeypatch.setattr(output, "_stream", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert histogram(risk) == drawn.translate(str.maketrans(BLOCKS, SIGNS))
    assert histogram(np.array([np.nan])) == " " * BINS


def test_a_dumb_terminal_gets_ascii(stdout: io.TextIOWrapper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    assert not output.can_show(BLOCKS)
    monkeypatch.setenv("TERM", "xterm")
    assert output.can_show(BLOCKS)


def test_a_score_is_seen_at_a_glance(scored: Scored, capsys: pytest.CaptureFixture[str]) -> None:
    show(scored.results)
    shown = capsys.readouterr().out
    table = pd.read_parquet(scored.results.scores_file).set_index("sample_id")
    named = re.findall(r"^ {6}(\d+), class (\d): risk (\d\.\d\d) \((\d\.\d\d)–(\d\.\d\d)\)$", shown, re.MULTILINE)
    assert len(named) == 5
    for sample, label, *figures in named:
        row = table.loc[int(sample)]
        assert str(row["label"]) == label
        assert figures == [f"{row[name]:.2f}" for name in ("risk", "risk_low", "risk_high")]
    assert re.search(r"^risk of samples, 0 \|.{16}\| 1$", shown, re.MULTILINE)
    assert re.search(r"^accuracy: shadow models \d+\.\d% on their members, \d+\.\d% on others$", shown, re.MULTILINE)
    # Once ids are redacted in the report, they are here.
    hashes = hashes_of(table.index, salt_of(Path(scored.results.scores_file).parent, Privacy(redact_ids=True)) or b"")
    show(scored.results)
    hidden = re.findall(r"^ {6}(\S+), class \d: risk", capsys.readouterr().out, re.MULTILINE)
    assert hidden == [hashes[table.index.get_loc(int(sample))] for sample, *_ in named]


def test_accuracies_of_the_target_come_first(capsys: pytest.CaptureFixture[str]) -> None:
    print_accuracy(Accuracy(target_train=1.0, target_test=0.9044, shadow_members=0.995, shadow_others=0.88))
    print_accuracy(None)
    assert capsys.readouterr().out.splitlines() == [
        "accuracy: target 100.0% on its members, 90.4% on test samples",
        "accuracy: shadow models 99.5% on their members, 88.0% on others",
    ]


@pytest.mark.parametrize(
    ("members", "is_given", "is_said"), [(0.86, True, True), (0.96, True, False), (0.86, False, False)]
)
def test_a_target_that_fits_otherwise_is_told(
    members: float, is_given: bool, is_said: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    found = Accuracy(target_train=1.0, target_test=0.9, shadow_members=members, shadow_others=0.88)
    print_accuracy(found, is_given=is_given)
    assert ("fits otherwise" in capsys.readouterr().out) == is_said


def test_nobody_is_named_where_the_ranking_is_chance(scored: Scored, capsys: pytest.CaptureFixture[str]) -> None:
    told = scored.results.told_right
    assert told is not None
    changed = told.model_copy(update={"named": False, "reason": "the ranking can't be told from chance"})
    print_risks(scored.results.model_copy(update={"told_right": changed}))
    assert len(capsys.readouterr().out.splitlines()) == 1


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("privaudit ver", "plain,verify\n"),
        ("privaudit gate --max-t", "plain,--max-tpr\n"),
        ("privaudit report a", "plain,a-1\n"),
    ],
)
def test_a_shell_completes_commands_flags_and_audits(tmp_path: Path, typed: str, offered: str) -> None:
    (tmp_path / "shadow_models" / "a-1").mkdir(parents=True)
    (tmp_path / "shadow_models" / "a-1" / "audit.json").write_text("{}")
    asked = {"_PRIVAUDIT_COMPLETE": "bash_complete", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    command = "import sys; sys.argv[0] = 'privaudit'; from privaudit.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", command],
        cwd=tmp_path,
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, offered, "")


def test_every_command_about_an_audit_is_among_these() -> None:
    """Those that take audits in another way: two of them, a store's, or none."""
    assert set(COMMANDS) - set(ABOUT_AN_AUDIT) <= {"score", "quick", "reproduce", "init", "compare", "list", "defend"}
