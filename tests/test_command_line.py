"""The command line: results on stdout, talk on stderr, exit codes, and no traceback for a mistake."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from privaudit.cli.main import main
from tests.conftest import ROOT, SMALL, Run, save_noisy_images

COLUMNS = [
    *("sample_id", "label", "class_name", "risk", "risk_low"),
    *("risk_high", "asr", "lira", "rmia", "margin"),
    *("loss", "entropy", "confidence", "tail", "rank"),
]


def test_score_json_is_the_contract(small_audit: dict[str, Any]) -> None:
    results = small_audit["results"]
    assert (results["samples"], results["shadows"], results["trained"]) == (300, 8, 9)
    lira = results["attacks"]["lira"]
    assert lira["auc_ci"][0] <= lira["auc"] <= lira["auc_ci"][1]
    assert set(lira["tpr_at_fpr"]) == {"0.01", "0.001", "0.0001"}
    assert lira["tpr_at_fpr"]["0.001"] is None  # 1,200 non-members resolve no 0.1%
    assert "loss" in results["attacks"]
    assert set(results["controls"]["negative"]) >= {"auc", "ci"}
    assert results["controls"]["positive"] is None
    for path in (results["scores"], results["report"]["html"], results["report"]["pdf"]):
        assert Path(path).is_file()
    assert "training 9 models" in small_audit["stderr"]


@pytest.mark.parametrize("fails", [False, True])
def test_stdout_holds_the_answer_alone(tmp_path: Path, small_audit: dict[str, Any], fails: bool) -> None:
    """A library prints from a thread, while the command runs and after it: none of it is among the JSON."""
    root = small_audit["root"]
    if fails:
        arguments = ["gate", "--out", root / "out", "--max-auc", "0.5", "--store", root / "store", "--json"]
    else:
        arguments = ["list", "--store", root / "store", "--json"]
    (tmp_path / "chatty.py").write_text(
        "import sys, threading, time\n"
        "from privaudit import api\n"
        "from privaudit.cli.main import main\n"
        "def chat(stop):\n"
        "    while not stop.is_set():\n"
        "        print('a node died')\n"
        "        time.sleep(0.001)\n"
        "stop = threading.Event()\n"
        "chatting = threading.Thread(target=chat, args=(stop,))\n"
        "def slowly(function):\n"
        "    def call(*arguments, **options):\n"
        "        chatting.start()\n"
        "        time.sleep(0.1)\n"
        "        return function(*arguments, **options)\n"
        "    return call\n"
        "api.audits, api.gate = slowly(api.audits), slowly(api.gate)\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    time.sleep(0.1)\n"
        "    stop.set()\n"
        "    chatting.join()\n"
    )
    done = subprocess.run(
        [sys.executable, tmp_path / "chatty.py", *arguments],
        capture_output=True, text=True, cwd=ROOT, check=False, timeout=1200,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == (3 if fails else 0), done.stderr
    assert isinstance(json.loads(done.stdout), dict)
    assert done.stderr.count("a node died") > 20


def test_an_older_terminal_loses_no_answer(privaudit: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its locale says ASCII: what it can't show is written as an escape."""
    told = privaudit("reproduce", "--list").stdout
    assert not told.isascii()
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    assert privaudit("reproduce", "--list").stdout == told.encode("ascii", "backslashreplace").decode()


def test_a_full_stdout_is_named() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here (it takes Linux)")
    with full.open("w") as stdout:
        done = subprocess.run(
            [sys.executable, "-m", "privaudit", "reproduce", "--list"],
            stdout=stdout, stderr=subprocess.PIPE, text=True, cwd=ROOT, check=False, timeout=1200,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("error: cannot write the answer to stdout: No space left on device\n"), done.stderr
    assert len(done.stderr.splitlines()) == 2


def test_the_score_table(small_audit: dict[str, Any]) -> None:
    table = pd.read_parquet(small_audit["results"]["scores"])
    assert list(table.columns[: len(COLUMNS)]) == COLUMNS
    assert len(table) == 300
    assert table["sample_id"].tolist() == list(range(300))
    assert table["risk"].between(0, 1).all()
    assert (table["risk_low"] <= table["risk"]).all()
    assert (table["risk"] <= table["risk_high"]).all()
    assert sorted(table["rank"]) == list(range(1, 301))
    by_rank = table.sort_values("rank")
    assert by_rank["risk"].is_monotonic_decreasing
    assert table["rmia"].between(0, 1).all()
    assert table["separation"].between(0.5, 1).all()
    assert table["memorisation"].between(-1, 1).all()
    share = table.groupby("label")["tail"].mean()
    assert share.between(0.15, 0.2).all()
    assert table.loc[table["tail"], "confidence"].mean() < table.loc[~table["tail"], "confidence"].mean()


def test_noisy_labels_are_at_risk(small_audit: dict[str, Any]) -> None:
    """A fifth of the labels is noise, which a network can only memorise."""
    assert small_audit["results"]["attacks"]["lira"]["auc"] > 0.6
    assert small_audit["results"]["controls"]["negative"]["holds"]


def test_canaries_are_flagged_and_kept_apart(privaudit: Run, small_npz: Path, tmp_path: Path) -> None:
    done = privaudit(
        "score", "--dataset", small_npz, *SMALL, "--canaries", "20", "--csv", "--store", tmp_path / "s", "--out",
        tmp_path / "o", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    table = pd.read_parquet(results["scores"])
    assert table["canary"].sum() == 20
    assert (table.loc[table["canary"], "sample_id"] < 0).all()
    assert table.loc[table["canary"], "rank"].isna().all()
    assert results["samples"] == 300
    assert results["attacks"]["lira"]["positives"] == 300 * 4
    assert results["controls"]["positive"]["mean_asr"] > results["controls"]["positive"]["others_mean_asr"]
    assert len(pd.read_csv(Path(results["scores"]).with_suffix(".csv"))) == 320
    assert results["trained"] == 8 + 2  # the target, and the model that sees canaries by coins
    assert results["epsilon"]["trials"] is None  # four pairs are too few
    assert 0 <= results["epsilon"]["one_run"]["epsilon"] < 5
    assert results["epsilon"]["one_run"]["canaries"] == 20
    wanted = ("--method", "ga", "--forget", "top-risk:20", "--reference", "shadow")
    again = privaudit("unlearn", *wanted, "--store", tmp_path / "s", "--out", tmp_path / "o", "--json")
    assert again.returncode == 0, again.stderr
    forgotten = pd.read_parquet(Path(json.loads(again.stdout)["folder"]) / "forgetting.parquet")
    assert (forgotten["sample_id"] >= 0).all()


def test_dry_run_trains_nothing(privaudit: Run, small_npz: Path, tmp_path: Path) -> None:
    done = privaudit("score", "--dataset", small_npz, *SMALL, "--store", tmp_path / "s", "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert plan["to_train"] == 9
    assert plan["seconds"] > 0
    assert not (tmp_path / "s").exists()


def test_config_file_and_flags(privaudit: Run, small_npz: Path, tmp_path: Path) -> None:
    config = tmp_path / "audit.toml"
    config.write_text(f'dataset = "{small_npz}"\nshadows = 32\nepochs = 2\nlearning-rate = 0.02\n')
    done = privaudit("score", "--config", config, "--shadows", "7", "--dry-run", "--json")
    assert json.loads(done.stdout)["shadows"] == 8
    assert "--shadows 7 is rounded up to 8" in done.stderr
    config.write_text("shadow = 3\n")
    done = privaudit("score", "--config", config)
    assert done.returncode == 2
    assert "shadow" in done.stderr
    for line in ('shadows = "8"', "epochs = true", "show_samples = 1"):
        config.write_text(f'dataset = "{small_npz}"\n{line}\n')
        done = privaudit("score", "--config", config, "--dry-run")
        assert done.returncode == 2, line
        assert line.split()[0] in done.stderr
    config.write_text("shadows = [")
    assert privaudit("score", "--config", config).returncode == 2


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["score", "--dataset", "mnits"], 2, "Did you mean 'mnist'"),
        (["score", "--network", "resnet19"], 2, "Did you mean 'resnet18'"),
        (["score", "--shadows", "2"], 2, "at least 4"),
        (["score", "--shadows", "-1"], 2, "shadows"),
        (["score", "--recipe", "slow"], 2, "unknown recipe"),
        (["score", "--epochs", "0"], 2, "epochs = 0"),
        (["score", "--learning-rate", "inf"], 2, "learning_rate"),
        (["score", "--network", "own:net"], 2, "cannot find network 'own:net'"),
        (["score", "--network", "resnet18", "--batch-size", "1"], 2, "BatchNorm needs 2"),
        (["score", "--samples", "5000"], 2, "only 1,437"),
        (["score", "--device", "tpu"], 2, "device = 'tpu'"),
        (["score", "--canaries", "300"], 2, "at most half"),
        (["score", "--dataset", "tiny-imagenet", "--data-dir", "nowhere"], 1, "val_annotations.txt"),
        (["score", "--dataset", "absent.npz"], 1, "there is no file"),
        (["score", "--epochs", "x"], 2, "not a valid integer"),
        (["scoer"], 2, "Did you mean 'score'"),
        (["report", "nothing"], 2, "no audit 'nothing'"),
        (["verify"], 2, "no latest audit"),
        (["unlearn"], 2, "privaudit score --dataset digits"),
    ],
)  # fmt: skip
def test_mistakes_are_told(privaudit: Run, tmp_path: Path, arguments: list[str], code: int, message: str) -> None:
    done = privaudit(*arguments, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_report_list_verify(privaudit: Run, small_audit: dict[str, Any]) -> None:
    root, name = small_audit["root"], small_audit["results"]["audit"]
    listed = json.loads(privaudit("list", "--store", root / "store", "--json").stdout)
    assert listed["audits"][0] | {"latest": True} == listed["audits"][0]
    assert listed["audits"][0]["audit"] == name
    done = privaudit("report", "--store", root / "store", "--out", root / "out")
    assert done.stdout.splitlines()[-1].endswith("report.pdf")
    without_store = privaudit("report", name, "--store", root / "nowhere", "--out", root / "out")
    assert without_store.returncode == 0
    verified = privaudit("verify", "--store", root / "store", "--out", root / "out", "--json")
    assert json.loads(verified.stdout)["damaged"] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_is_clean(small_npz: Path, tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "privaudit", "score", "--dataset", str(small_npz), "--shadows", "64"]
    command += ["--invert", "0", "--epochs", "200", "--store", str(tmp_path / "s"), "--out", str(tmp_path / "o")]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=ROOT,
        # A shell starts what runs in its background with interrupts ignored, and that is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    time.sleep(9)
    os.kill(process.pid, number)
    _, said = process.communicate(timeout=1200)
    assert process.returncode == 130, said
    # The last word: helpers that clean up behind it say nothing.
    assert said.splitlines()[-1].startswith("stopped;"), said
    assert "the same command carries on" in said
    assert "Traceback" not in said


def test_an_unforeseen_error_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("the sky fell")

    monkeypatch.setattr("privaudit.cli.main.cli.main", fails)
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 1
    said = capsys.readouterr().err
    assert "error: RuntimeError: the sky fell" in said
    assert "Traceback" not in said
    monkeypatch.setenv("PRIVAUDIT_DEBUG", "1")
    with pytest.raises(RuntimeError):
        main()


def test_too_few_samples_are_refused(privaudit: Run, tmp_path: Path) -> None:
    save_noisy_images(tmp_path / "few.npz", x_train=np.zeros((6, 8, 8), np.uint8), y_train=np.arange(6) % 3)
    done = privaudit("score", "--dataset", "few.npz", cwd=tmp_path)
    assert done.returncode == 1
    assert "6 training samples are too few" in done.stderr


def test_the_report_says_how_to_repeat_everything(small_audit: dict[str, Any]) -> None:
    """The printed command, run again, names the same audit."""
    folder = Path(small_audit["results"]["scores"]).parent
    report = json.loads((folder / "report.json").read_text())
    (section,) = [one for one in report["sections"] if one["anchor"] == "reproduce"]
    words = shlex.split(section["tables"][0]["rows"][0][1])
    for flag in ("--batch-size", "--learning-rate", "--weight-decay", "--augment", "--statistic", "--device"):
        assert flag in words
    words[words.index("noisy.npz")] = str(small_audit["npz"])
    store = str(small_audit["root"] / "store")
    done = subprocess.run(
        [sys.executable, "-m", *words, "--store", store, "--dry-run", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    plan = json.loads(done.stdout)
    assert plan["audit"] == small_audit["results"]["audit"]
    assert plan["to_train"] == 0


def test_help_has_examples(privaudit: Run) -> None:
    for command in ([], ["score"], ["unlearn"], ["report"], ["compare"], ["verify"], ["list"]):
        done = privaudit(*command, "--help")
        assert done.returncode == 0
        assert "privaudit " in done.stdout.split("Example")[1]
