"""Every command of the documentation is run, page by page, in one prepared folder, at a size that a test can afford.

What a test can't have is put in its place, and nothing else: see `CUTS`, `SMALLER` and `NEAREST`. All other flags are
the page's own. `docs/bring-your-own.md` is run, block by block, by tests/test_bring_your_own.py.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from privaudit.cli.main import COMMANDS, main
from tests.conftest import ROOT
from tests.pages import PAGES, Command, commands_of, commands_of_help, completed
from tests.prepared import make_folder

#: Appended where the command itself says nothing of it: the size, and two workers.
CUTS = {
    "score": {"--samples": "120", "--shadows": "8", "--epochs": "1", "--invert": "0", "--workers": "2"},
    "quick": {"--samples": "120", "--epochs": "1", "--workers": "2"},
    "unlearn": {"--workers": "2"},
    # One variation; what is audited first, of what a page says, is as small as an audit.
    "defend": {"--sweep": "sweep.toml", "--workers": "2"},
    "reproduce": {
        "--scale": "smoke",
        "--seeds": "1",
        "--samples": "120",
        "--shadows": "8",
        "--epochs": "1",
        "--workers": "2",
    },
}

#: Where inversion is what the page is about, it is not left out, but its searches are cut to `STEPS` steps.
WITH_INVERSION = ("docs/inversion.md", "docs/start.md")
STEPS = 10

#: Sizes that a page gives, and what the generated data and a test can afford.
SMALLER = {
    ("score", "--samples"): {"10000": "120", "50000": "120"},
    ("score", "--epochs"): {"24": "1", "30": "2"},
    ("defend", "--samples"): {"2000": "120"},
    ("defend", "--shadows"): {"16": "8"},
    ("score", "--invert"): {"50": "2"},
    ("reproduce", "--samples"): {"3000": "120"},
    ("reproduce", "--shadows"): {"32": "8"},
    ("reproduce", "--seeds"): {"3": "1", "9": "1"},
    ("reproduce", "--scale"): {"paper": "smoke"},
    ("unlearn", "--seeds"): {"9": "2"},
    ("unlearn", "--forget"): {"random:500": "random:20"},
}

#: What needs a machine that is not at hand, and the nearest that is: (flag) -> (value or None for no flag, why).
NEAREST: dict[str, tuple[str | None, str]] = {
    "--device": ("cpu", "no GPU"),
    "--address": (None, "no cluster: Ray is started on this machine for the command alone"),
}

#: Words that stand for something of the reader's. Names of audits, ids and redacted ids are found in the folder.
PLACEHOLDERS = {
    "E": "3",
    "DIR": "data",
    "PHOTOS": "data/cifar10",
    "photos": "data/cifar10",
    "ids:FILE": "ids:requests.csv",
    "$HOME/data": "data",
    "/shared/store": "shadow_models",
    "/shared/reports": "reports",
    "$SCRATCH/store": "shadow_models",
    "$SCRATCH/reports": "reports",
}

#: The same for NAME, by the flag that it follows.
NAMES = {"--method": "ga", "--dataset": "digits", None: "table6"}

AUDIT_NAME = re.compile(r"\b(digits|mnist|cifar10)-(?:cnn|airbench-narrow)-[0-9a-f]{8}\b")

#: Exit codes other than 0 that are answers.
ANSWERS = {"gate": {0, 3, 4}, "unlearn": {0, 3}, "export": {0, 3}}

#: Run by tests of their own: tests/test_bring_your_own.py, tests/test_pretrained_libraries.py.
ELSEWHERE = ("bring-your-own.md", "pretrained.md", "transformers_trainer.py", "lightning_trainer.py")

SOURCES = {
    str(page.relative_to(ROOT)): commands
    for page in PAGES
    if page.name not in ELSEWHERE and (commands := commands_of(page))
} | {f"help-{name}": commands_of_help(name) for name in ("", *COMMANDS)}


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str


@dataclass
class Place:
    """A copy of the prepared folder, in which one page's commands are run."""

    folder: Path
    template: Path
    audits: dict[str, list[str]]

    def restore(self) -> None:
        """As it was prepared: after a purge."""
        for name in ("shadow_models", "reports"):
            shutil.rmtree(self.folder / name)
            shutil.copytree(self.template / name, self.folder / name)

    def latest(self) -> str:
        """What commands take when no audit is named."""
        return (self.folder / "shadow_models" / "latest").read_text("utf-8").strip()

    def words(self, command: Command) -> list[str]:
        """What is run in the command's place."""
        name, *given = completed(command)
        words: list[str] = []
        named: dict[str, str] = {}
        for word in given:
            flag = words[-1] if words and words[-1].startswith("--") else None
            if flag in NEAREST:
                value, _ = NEAREST[flag]
                words = words[:-1] if value is None else [*words, value]
                continue
            filled = self._filled(word, flag, named)
            words.append(SMALLER.get((name, flag or ""), {}).get(filled, filled))
        pages_own = command.page in WITH_INVERSION
        # These train nothing.
        # A reproduction brings samples of its own, more than the generated data have.
        small = {"--signals", "--list"} & set(words) or ("--dry-run" in words and name != "reproduce")
        of_score = CUTS["score"] if name == "defend" and "--dataset" in words else {}
        for flag, value in {} if small else (of_score | CUTS.get(name, {})).items():
            if flag in words or (flag == "--invert" and pages_own) or self._is_set_elsewhere(flag, words):
                continue
            words += [flag, value]
        if name == "gate" and not any(word.startswith("--max") for word in given):
            # Nothing was declared of the prepared audits.
            words += ["--max-auc", "0.9"]
        if "declared.toml" in given and not (self.folder / "declared.toml").exists():
            # What init writes beside the settings that the page has already.
            assert self.run(["init", "begun-declared"]).code == 0
            shutil.copyfile(self.folder / "begun-declared" / "declared.toml", self.folder / "declared.toml")
        if "--unlearned" in given:
            # The page itself may have purged the latest audit, and its runs.
            other = self.audits["digits"][1]
            made = ["unlearn", "--audit", other, "--method", "retrain", "--forget", "random:10", "--workers", "2"]
            assert self.run(made).code == 0
            words += ["--audit", other]
        before = ["", *given]
        unnamed = all(word.startswith("--") or flag.startswith("--") for flag, word in pairwise(before))
        there = [self.folder / kind for kind in ("audit.toml", "declared.toml")]
        if name == "init" and unnamed and any(path.exists() for path in there):
            # Nothing is written over what the page has already.
            words.append(f"begun-{len(list(self.folder.glob('begun-*')))}")
        return [name, *words]

    def _filled(self, word: str, flag: str | None, named: dict[str, str]) -> str:
        if word in ("AUDIT", "BEFORE", "A"):
            return self.latest() if word == "AUDIT" else self.audits["digits"][0]
        if word in ("AFTER", "B"):
            return self.audits["digits"][1]
        if word == "HASH" or (flag == "--reveal"):
            return self._redacted_id()
        filled = NAMES[flag] if word == "NAME" else PLACEHOLDERS.get(word, word)
        return AUDIT_NAME.sub(lambda match: self._audit(match, named), filled)

    def _audit(self, match: re.Match[str], named: dict[str, str]) -> str:
        """A prepared audit for the name of one that is not: another for another."""
        known = self.audits[match[1]]
        return named.setdefault(match[0], known[min(len(named), len(known) - 1)])

    def _is_set_elsewhere(self, flag: str, words: list[str]) -> bool:
        """A function of the user's knows no epochs, and what the file of settings holds is the page's own."""
        if {"--training", "--estimator"} & set(words) and flag == "--epochs":
            return True
        return "--config" in words and f"{flag[2:]} =" in (self.folder / "audit.toml").read_text("utf-8")

    def _redacted_id(self) -> str:
        """What the latest audit's report shows in place of its first id."""
        from privaudit.report import redaction, sample_ids

        assert self.run(["report", "--redact", "ids"]).code == 0
        results = self.folder / "reports" / self.latest()
        salt = redaction.salt_of(results, redaction.Privacy())
        assert salt is not None
        return sample_ids.hashes_of(list(pd.read_parquet(results / "scores.parquet")["sample_id"]), salt)[0]

    def write_requests(self, words: list[str]) -> None:
        """Requests of three samples of the audit in question."""
        audit = self.latest()
        if "--audit" in words:
            audit = words[words.index("--audit") + 1]
        elif words[0] == "score":
            audit = self.audits[words[words.index("--dataset") + 1]][0]
        ids = pd.read_parquet(self.folder / "reports" / audit / "scores.parquet")["sample_id"]
        rows = [f"{sample},R-{number},2026-11-0{number}" for number, sample in enumerate(ids[5:40:15], 1)]
        (self.folder / "requests.csv").write_text("\n".join(["sample_id,request_id,date", *rows]) + "\n", "utf-8")

    def run(self, words: list[str]) -> Ran:
        """Run it in this folder: Ray in a process of its own, which it wants for itself, all else in this one."""
        if "ids:requests.csv" in words:
            self.write_requests(words)
        if "ray" in words:
            done = subprocess.run(
                [sys.executable, "-m", "privaudit", *words],
                cwd=self.folder,
                capture_output=True,
                text=True,
                check=False,
                timeout=1800,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
            )
            return Ran(done.returncode, done.stdout, done.stderr)
        # Whoever is asked for the audit's name says it.
        answer = words[words.index("--audit") + 1] if "--audit" in words else self.latest()
        return run_here(words, self.folder, answer)


def run_here(words: list[str], folder: Path, answer: str = "") -> Ran:
    """What the console script does, in this process; whoever is asked something says ``answer``."""
    out, err = io.StringIO(), io.StringIO()
    before = signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["privaudit", *words])
        patch.setattr(sys, "stdin", io.StringIO(f"{answer}\n"))
        patch.delenv("PRIVAUDIT_DATA", raising=False)
        patch.setenv("PYTHONPATH", str(ROOT))
        _shorten_searches(patch)
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            signal.signal(signal.SIGTERM, before)
    return Ran(code, out.getvalue(), err.getvalue())


def _shorten_searches(patch: pytest.MonkeyPatch) -> None:
    """Inversion seeks for `STEPS` steps: presets, flags and files are the page's own."""
    from privaudit.audit.inversion import inversion_plan

    for name in ("resolve_attack", "feature_attack"):
        resolve = getattr(inversion_plan, name)
        patch.setattr(
            inversion_plan,
            name,
            lambda *given, resolve=resolve: _shortened(resolve(*given)),
        )


def _shortened(attack: Any) -> Any:
    steps: dict[str, Any] = {"steps": STEPS}
    if (features := getattr(attack, "features", None)) is not None:
        steps["features"] = features.model_copy(update=steps)
    return attack.model_copy(update=steps)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[str]]]:
    """The folder with its audits: two of the digits, one each of MNIST and CIFAR-10; results/ has their results too."""
    folder = tmp_path_factory.mktemp("documented")
    make_folder(folder)
    audits: dict[str, list[str]] = {}
    for dataset, changes in (("cifar10", {}), ("mnist", {}), ("digits", {"--epochs": "2"}), ("digits", {})):
        flags = [word for pair in (CUTS["score"] | changes).items() for word in pair]
        done = run_here(["score", "--dataset", dataset, *flags, "--json"], folder)
        assert done.code == 0, done.stderr
        audits.setdefault(dataset, []).insert(0, json.loads(done.stdout)["audit"])
    for copy in ("results", "before", "after"):
        shutil.copytree(folder / "reports", folder / copy)
    return folder, audits


@pytest.fixture
def place(prepared: tuple[Path, dict[str, list[str]]], tmp_path: Path) -> Iterator[Place]:
    template, audits = prepared
    shutil.copytree(template, tmp_path / "folder")
    yield Place(tmp_path / "folder", template, audits)
    # Functions of own.py are known by the file's path; folders of other pages have theirs.
    shutil.rmtree(tmp_path / "folder")


#: `reproduce` takes minutes and leaves nothing that a page goes on with: the same question is asked once.
ASKED: set[tuple[str, ...]] = set()


@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES)
def test_every_command_runs(source: str, place: Place) -> None:
    for command in SOURCES[source]:
        words = place.words(command)
        if words[0] == "reproduce":
            if tuple(words) in ASKED:
                continue
            ASKED.add(tuple(words))
        ran = place.run(words)
        print(f"{command.text}\n  run as: privaudit {' '.join(words)}: {ran.code}")
        told = f"{ran.stdout}\n{ran.stderr}"
        if "--decide" in words and ran.code == 2:
            # What the page's earlier commands made may have been asked for on another page.
            assert "there are no results below" in ran.stderr, told
            continue
        assert ran.code in ANSWERS.get(command.name, {0}), told
        assert "Traceback" not in ran.stderr, told
        if "--json" in words:
            json.loads(ran.stdout)
        if words[0] == "purge" and "--dry-run" not in words:
            place.restore()


@pytest.mark.slow
def test_the_table_of_the_first_steps_can_be_read(place: Place) -> None:
    page = (ROOT / "docs" / "start.md").read_text("utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    code = AUDIT_NAME.sub(lambda match: place.audits[match[1]][0], block)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=place.folder, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[:3] == ["sample_id", "class_name", "risk"]


def test_nothing_is_put_in_place_of_a_flag_that_a_page_chose(tmp_path: Path) -> None:
    """The page's flags are the ones that are run."""
    store = tmp_path / "shadow_models"
    store.mkdir()
    (store / "latest").write_text("digits-cnn-00000000\n")
    place = Place(tmp_path, tmp_path, {"digits": ["digits-cnn-00000000", "digits-cnn-11111111"]})
    words = place.words(Command("docs/attacks.md", ("score", "--dataset", "digits", "--shadows", "32")))
    assert words[:5] == ["score", "--dataset", "digits", "--shadows", "32"]
    assert words.count("--shadows") == 1
    assert place.words(Command("p", ("compare", "A", "B"))) == ["compare", *place.audits["digits"]]
    reproduced = place.words(Command("p", ("reproduce", "table6", "--scale", "paper", "--device", "cuda")))
    assert reproduced[:6] == ["reproduce", "table6", "--scale", "smoke", "--device", "cpu"]
    assert "--address" not in place.words(Command("p", ("score", "--engine", "ray", "--address", "HEAD:6379")))
