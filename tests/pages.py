"""The pages of the documentation: their commands, links and headings, read as a reader would."""

from __future__ import annotations

import importlib
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import click

from privaudit.cli.main import COMMANDS
from privaudit.cli.main import EPILOG as MAIN_EPILOG
from tests.conftest import ROOT

#: Every page, in the order in which docs/README.md and the README lead to them.
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "CONTRIBUTING.md",
    ROOT / "reports" / "README.md",
    *sorted((ROOT / "reports" / "gallery").rglob("*.md")),
    ROOT / "shadow_models" / "README.md",
    *sorted((ROOT / "examples").glob("*.py")),
]

#: A pair of fences, with what is between them.
FENCED = re.compile(r"^(`{3,})[^\n]*\n(.*?)^\1\s*$", re.MULTILINE | re.DOTALL)

#: `privaudit …` between single backticks, over a line's end too.
INLINE = re.compile(r"(?<!`)`(privaudit\s[^`]+)`(?!`)")

#: What may stand before a command on its line: a prompt, an entry of a pipeline, variables, Slurm's launcher.
BEFORE = re.compile(r"^\s*(?:\$ |- (?:run: )?|[A-Z_]+=\S+ |srun (?:--?\S+ )+|\S*bin/)*(?=privaudit\s+[a-z])")

#: Where a command ends and the shell goes on.
SHELL = {"|", "||", "&&", ">", ";"}

#: A word that the reader is to replace, or that leads on.
ELLIPSIS = "…"


@dataclass(frozen=True)
class Command:
    """One ``privaudit …`` of a page; ``words`` are what follows ``privaudit``, as they stand there."""

    page: str
    words: tuple[str, ...]

    @property
    def name(self) -> str:
        """``score``, ``gate``, …"""
        return self.words[0]

    @property
    def text(self) -> str:
        """As one would type it."""
        return shlex.join(["privaudit", *self.words])


def commands_of(page: Path) -> list[Command]:
    """Every command of a page, in its order: in fenced and indented blocks, and inline."""
    text = page.read_text("utf-8")
    found: list[tuple[int, str]] = []
    if page.suffix == ".py":
        found = [(match.start(), match[0]) for match in re.finditer(r'privaudit [a-z]+ --[^"\n]*', text)]
    else:
        for start, block in _blocks(text):
            found += [(start, line) for line in _lines(block)]
        inline = [(match.start(), match[1].split()) for match in INLINE.finditer(_without_fences(text))]
        # Two words alone are the command's name, not a command.
        found += [(start, " ".join(words)) for start, words in inline if len(words) > 2]
    return list(_parsed(str(page.relative_to(ROOT)), [line for _, line in sorted(found, key=lambda pair: pair[0])]))


def commands_of_help(name: str) -> list[Command]:
    """The examples at the end of a command's ``--help``; those of ``privaudit --help`` for an empty name."""
    epilog = command_of(name).epilog if name else MAIN_EPILOG
    assert epilog is not None
    return list(_parsed(f"privaudit {name} --help", _lines(epilog)))


def command_of(name: str) -> click.Command:
    """A command of the command line."""
    command: click.Command = importlib.import_module(f"privaudit.cli.commands.{name}").command
    return command


def _blocks(text: str) -> Iterator[tuple[int, str]]:
    """Fenced blocks, and runs of lines that are indented by four spaces."""
    for match in FENCED.finditer(text):
        yield match.start(), match[2]
    for match in re.finditer(r"(?:^ {4}.*\n)+", _without_fences(text), re.MULTILINE):
        yield match.start(), match[0]


def _without_fences(text: str) -> str:
    """The page with its fenced blocks blanked, every other sign where it was."""
    return FENCED.sub(lambda match: re.sub(r"\S", " ", match[0]), text)


def _lines(block: str) -> list[str]:
    """Lines that are commands of ours, continued ones joined, without what is in front and behind."""
    joined = re.sub(r"\\\n\s*", "", block)
    found = []
    for line in joined.splitlines():
        if (before := BEFORE.match(line)) is not None:
            # What is set off by two spaces says what the command is for.
            found.append(re.split(r" {2,}", line[before.end() :].strip())[0])
    return found


def _parsed(page: str, lines: list[str]) -> Iterator[Command]:
    for line in lines:
        words = list(takewhile(lambda word: word not in SHELL, shlex.split(line, comments=True)))[1:]
        if words and words[0] in COMMANDS:
            yield Command(page, tuple(words))


def completed(command: Command) -> tuple[str, ...]:
    """The words without an ellipsis, and a value for an option that is named without one (``--signals`` alone)."""
    words = tuple(word.removesuffix(ELLIPSIS) for word in command.words if word != ELLIPSIS)
    options = {name: option for option in command_of(words[0]).params for name in option.opts}
    last = options.get(words[-1])
    if isinstance(last, click.Option) and not last.is_flag:
        words += ("FILE.npz",)
    return words


def links_of(page: Path) -> list[str]:
    """Targets of the links and pictures of a page, but for those into the network."""
    text = re.sub(r"`[^`\n]*`", "", _without_fences(page.read_text("utf-8")))
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if not re.match(r"[a-z]+:", target)]


def anchors_of(page: Path) -> set[str]:
    """What a link may name after ``#``: the headings, as they are made into anchors."""
    headings = re.findall(r"^#{1,6} (.+?)\s*$", _without_fences(page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
