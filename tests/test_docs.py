"""The documentation says what there is: every command can be typed, every link leads somewhere, nothing is left out.

`tests/test_docs_run.py` runs the commands.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from privaudit.cli.main import COMMANDS, DEBUG_VARIABLE
from privaudit.cli.process_exit import INTERRUPTED
from privaudit.config import (
    AuditSettings,
    CompareOptions,
    DefendOptions,
    ExportOptions,
    GateOptions,
    InitOptions,
    ListOptions,
    PurgeOptions,
    QuickOptions,
    ReportOptions,
    ReproduceOptions,
    ScoreOptions,
    UnlearnOptions,
    UnlearnSettings,
    VerifyOptions,
    read_settings,
)
from privaudit.data.formats.load import DATA_VARIABLE, DATASETS
from privaudit.deployment.model_description import ExportResult
from privaudit.engines.ray import ADDRESS_VARIABLE
from privaudit.errors import EvidenceError, GateBreached, PrivauditError, UsageError
from privaudit.results.audit.quick_results import QuickAnswer, QuickSeconds, TargetAccuracy
from privaudit.results.audit.score_results import ScoreAnswer, ScoreEstimate
from privaudit.results.base import Result
from privaudit.results.defence_results import DefenceAnswer, DefenceEstimate, OutputMeasures, Variant
from privaudit.results.gate_results import Check, GateAnswer
from privaudit.results.measures import Attack
from privaudit.results.report_paths import AttestedPaths
from privaudit.results.stored_audits import AuditEntry, PurgeResults, VerifyResults
from privaudit.results.unlearning.run import UnlearnAnswer
from privaudit.runtime.torch_globals import CUBLAS_VARIABLE
from tests.conftest import ROOT
from tests.pages import PAGES, Command, anchors_of, command_of, commands_of, commands_of_help, completed, links_of

MARKDOWN = [page for page in PAGES if page.suffix == ".md"]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
DOCS = ROOT / "docs"

#: Folders of one machine; `/tmp/ray` is Ray's own, on every machine.
MACHINE_PATH = re.compile(r"(?<![\w.$}])/(?:tmp(?!/ray\b)|home|root|work|Users|mnt|var|opt|scratch)(?:/|\b)")


OPTIONS: dict[str, Any] = {
    "score": ScoreOptions,
    "quick": QuickOptions,
    "unlearn": UnlearnOptions,
    "reproduce": ReproduceOptions,
    "export": ExportOptions,
    "purge": PurgeOptions,
    "report": ReportOptions,
    "gate": GateOptions,
    "compare": CompareOptions,
    "verify": VerifyOptions,
    "list": ListOptions,
    "defend": DefendOptions,
    "init": InitOptions,
}


def check(command: Command) -> None:
    """Hold one command against the command line and against what the command accepts; an error says what is wrong."""
    name, *words = completed(command)
    of_click = command_of(name)
    try:
        with of_click.make_context(name, [_numeric(word) for word in words]) as context:
            given = {key: value for key, value in context.params.items() if value is not None}
    except click.ClickException as error:
        raise AssertionError(f"{command.page}: {command.text}: {error.format_message()}") from error
    try:
        _check_values(name, given)
    except PrivauditError as error:
        raise AssertionError(f"{command.page}: {command.text}: {error}") from error


def _numeric(word: str) -> str:
    """A placeholder for a number stands for one."""
    return "8" if word in ("N", "S", "K", "E", "W") else word


def _check_values(name: str, given: dict[str, Any]) -> None:
    """What click takes as text and the command looks at later: names of datasets, methods, orders, limits."""
    options = OPTIONS[name](**{key: value for key, value in given.items() if key in OPTIONS[name].model_fields})
    settings = AuditSettings.of(options)
    if (
        name in ("score", "reproduce")
        and not settings.dataset.endswith((".npz", ".csv"))
        and ":" not in settings.dataset
    ):
        # A folder of photos is called so on every page.
        assert settings.dataset in (*DATASETS, "NAME", "photos", "PHOTOS"), f"there is no dataset {settings.dataset}"
    if name == "unlearn":
        from privaudit.commands.unlearning.unlearn_request import request_of

        asked = UnlearnSettings.of(options)
        request_of(asked.changed(method="ga") if asked.method == "NAME" else asked)
    if name == "gate":
        from privaudit.attacks.suite import ATTACKS
        from privaudit.commands.gate import parse_rate_limit

        for limit in options.max_tpr:
            parse_rate_limit(limit)
        assert options.attack is None or options.attack in ATTACKS, f"there is no attack {options.attack}"
    if name == "reproduce":
        from privaudit.reproduction.reproduce import list_experiments

        experiments = {one["name"] for one in list_experiments()} | {"all", "NAME"}
        assert experiments.issuperset(options.names), f"there is no experiment {options.names}"
        assert options.scale in ("smoke", "small", "paper")


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_command_of_a_page_is_one_that_there_is(page: Path) -> None:
    for command in commands_of(page):
        check(command)


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_every_example_of_help_is_one_that_there_is(name: str) -> None:
    examples = commands_of_help(name)
    assert examples
    for command in examples:
        check(command)


@pytest.mark.parametrize(
    "wrong",
    [
        "score --shadow 8",
        "score --device tpu",
        "score --dataset mnits",
        "unlearn --method gaa",
        "unlearn --pace brisk",
        "unlearn --parameter beta=1",
        "gate --max-tpr 0.01",
        "gate --attack lyra",
        "reproduce table4",
        "compare A",
        "purge",
    ],
)
def test_a_command_that_is_wrong_is_told(wrong: str) -> None:
    """The check above can fail."""
    with pytest.raises(AssertionError):
        check(Command("here", tuple(wrong.split())))


def test_commands_are_found_wherever_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.pages.ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(
        "# Page\n\nText `privaudit verify\nAUDIT` and the name `privaudit purge`.\n\n"
        "    privaudit score --invert 0     says why\n    srun --nodes=1 --overlap \\\n      privaudit list\n\n"
        "```yaml\n- run: privaudit gate --max-auc 0.6  # stop\n```\n\n    RAY_AUTH_MODE=token privaudit report\n"
    )
    assert [command.text for command in commands_of(page)] == [
        "privaudit verify AUDIT",
        "privaudit score --invert 0",
        "privaudit list",
        "privaudit gate --max-auc 0.6",
        "privaudit report",
    ]


def test_there_is_something_to_check() -> None:
    """A reader of pages that overlooks blocks would let anything pass."""
    for page in MARKDOWN:
        typed = re.findall(r"^(?: {4}|\$ )?privaudit [a-z]+", page.read_text("utf-8"), re.MULTILINE)
        assert len(commands_of(page)) >= len(typed), page
    assert sum(len(commands_of(page)) for page in PAGES) > 80


@pytest.mark.parametrize("page", MARKDOWN, ids=[name for name in NAMES if name.endswith(".md")])
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links_of(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link} leads nowhere"
        assert target.is_relative_to(ROOT), f"{page.name}: {link} leads out of the repository"
        if anchor:
            assert anchor in anchors_of(target), f"{page.name}: {link}: no such heading"


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=[*NAMES, "CHANGELOG.md"])
def test_no_page_holds_a_path_of_a_machine(page: Path) -> None:
    assert not MACHINE_PATH.findall(page.read_text("utf-8"))


def test_every_page_is_in_the_index() -> None:
    index = DOCS / "README.md"
    linked = {(DOCS / link.partition("#")[0]).resolve() for link in links_of(index)}
    assert {page for page in DOCS.glob("*.md") if page != index} <= linked
    assert index in {(ROOT / link).resolve() for link in links_of(ROOT / "README.md")}


def test_every_command_has_its_section() -> None:
    page = DOCS / "commands.md"
    headings = re.findall(r"^## (\w+)$", page.read_text("utf-8"), re.MULTILINE)
    assert set(COMMANDS) == set(headings)
    told = {command.name for command in commands_of(page)}
    assert told == set(COMMANDS)


def section(page: Path, heading: str) -> str:
    """What stands below a heading of the second level."""
    found = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def test_exit_codes_are_told() -> None:
    table = re.findall(r"^\| (\d+) \|", section(DOCS / "commands.md", "Common to all"), re.MULTILINE)
    kinds = (PrivauditError, UsageError, GateBreached, EvidenceError)
    assert [int(code) for code in table] == sorted({0, INTERRUPTED, *(kind.exit_code for kind in kinds)})


def test_environment_variables_are_told() -> None:
    common = section(DOCS / "commands.md", "Common to all")
    for name in (DATA_VARIABLE, DEBUG_VARIABLE, ADDRESS_VARIABLE, CUBLAS_VARIABLE, "TMPDIR", "TERM"):
        assert f"`{name}`" in common
    # No other is read: whoever reads one more has to tell it.
    readers = {
        str(path.relative_to(ROOT)): len(re.findall(r"os\.environ", path.read_text("utf-8")))
        for path in (ROOT / "privaudit").rglob("*.py")
    }
    assert {path for path, count in readers.items() if count} == {
        "privaudit/cli/main.py",
        "privaudit/cli/output.py",
        "privaudit/data/formats/load.py",
        "privaudit/engines/ray.py",
        "privaudit/runtime/scratch.py",
        "privaudit/runtime/torch_globals.py",
    }


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("score", ScoreAnswer),
        ("score", ScoreEstimate),
        ("score", Attack),
        ("quick", QuickAnswer),
        ("quick", QuickSeconds),
        ("quick", TargetAccuracy),
        ("unlearn", UnlearnAnswer),
        ("purge", PurgeResults),
        ("gate", GateAnswer),
        ("gate", Check),
        ("verify", VerifyResults),
        ("list", AuditEntry),
        ("report", AttestedPaths),
        ("export", ExportResult),
        ("defend", DefenceAnswer),
        ("defend", DefenceEstimate),
        ("defend", Variant),
        ("defend", OutputMeasures),
    ],
)
def test_what_json_holds_is_told(name: str, keys: type[Result]) -> None:
    said = set(re.findall(r"`([a-z0-9_]+)`", section(DOCS / "commands.md", name).split("**`--json`**", 1)[1]))
    assert {field.alias or name for name, field in keys.model_fields.items() if not field.exclude} <= said


def test_settings_and_pipeline_can_be_read(tmp_path: Path) -> None:
    text = (DOCS / "commands.md").read_text("utf-8")
    (settings,) = re.findall(r"^```toml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    file = tmp_path / "audit.toml"
    file.write_text(settings, "utf-8")
    read = read_settings({}, file)
    assert read.model_fields_set == set(tomllib.loads(settings))
    (recipe,) = re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    steps = yaml.safe_load(recipe)["jobs"]["audit"]["steps"]
    ours = [step["run"].split()[1] for step in steps if step.get("run", "").startswith("privaudit")]
    assert ours == ["score", "gate"]


def test_the_store_is_told_file_by_file(small_audit: dict[str, Any]) -> None:
    """Every file that an audit leaves has its row in docs/store.md, with its name as it is."""
    text = (DOCS / "store.md").read_text("utf-8")
    patterns = [_pattern(name) for row in re.findall(r"^\| (`[^|]*) \|", text, re.MULTILINE) for name in _ticked(row)]
    for top in ("store", "out"):
        audit = small_audit["root"] / top / small_audit["results"]["audit"]
        for path in sorted(audit.rglob("*")):
            name = str(path.relative_to(audit)).removesuffix(".sha256")
            if path.is_file():
                assert any(pattern.fullmatch(name) for pattern in patterns), f"{name} has no row in docs/store.md"


def test_the_score_table_is_told_column_by_column(small_audit: dict[str, Any]) -> None:
    import pandas as pd

    said = set(_ticked(section(DOCS / "store.md", "The output")))
    table = pd.read_parquet(small_audit["results"]["scores"])
    assert set(table.columns) <= said
    types = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", section(DOCS / "store.md", "The output"), re.MULTILINE))
    for column in set(types) & set(table.columns):
        assert str(table[column].dtype) == types[column], column


def test_the_keys_of_audit_json_are_told(small_audit: dict[str, Any]) -> None:
    from privaudit.runtime import files

    store = small_audit["root"] / "store" / small_audit["results"]["audit"]
    said = set(_ticked(section(DOCS / "store.md", "The store")))
    about = files.read_json(store / "audit.json")
    assert {*about, *about["identity"], *about["data"], *about["signals"], *about["queries"]} <= said
    assert set(files.read_json(store / "models" / "0000.json")) <= said


def _ticked(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", text)


def _pattern(name: str) -> re.Pattern[str]:
    """A file's name in the tables: upper-case words and `…` stand for something."""
    return re.compile(re.sub(r"NNNN|[A-Z]{2,}(?:-[A-Z]+)*|\\?…", r"[^/]+", re.escape(name).replace(r"\-", "-")))
