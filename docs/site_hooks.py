"""What makes a site of the repository's pages: links that lead out of ``docs/`` hold there too (see mkdocs.yml).

A page or a file that is linked from a page and lies elsewhere in the repository is shown below ``project/``. The page
of the Python API is made from docstrings.
"""

from __future__ import annotations

import inspect
import itertools
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import privaudit

ROOT = Path(__file__).parent.parent

#: Where files of the repository that are not in ``docs/`` are shown.
ELSEWHERE = "project/"

#: The page of the Python API; in the repository it is the docstrings.
API = "python.md"

LINK = re.compile(r"(\]\()([^)\s]+)(\))")
FENCED = re.compile(r"^(`{3,})[^\n]*\n.*?^\1\s*$", re.MULTILINE | re.DOTALL)

#: A list that follows a paragraph without an empty line, which GitHub takes for a list and Python-Markdown does not.
_LIST_AT_ONCE = re.compile(r"^((?![-*|>#\s]|\d+\.).+\n)(?=(?:[-*]|\d+\.) )", re.MULTILINE)


#: A block of code that is a file, as the tests of the pages read it.
NAMED_BLOCK = re.compile(r"^(`{3,}\w+) file=(\S+)$", re.MULTILINE)


def slug(text: str, separator: str) -> str:
    """Return a heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", separator)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Have headings named as in the repository."""
    config["mdx_configs"].setdefault("toc", {})["slugify"] = slug
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what is linked from elsewhere in the repository, and the page of the API."""
    files.append(File.generated(config, API, content=api_page()))
    seen = set((ROOT / "docs").rglob("*.md"))
    waiting = sorted(seen)
    while waiting:
        for target in sorted(set(linked_files(waiting.pop())) - seen):
            seen.add(target)
            if target.suffix == ".md":
                waiting.append(target)
            if not target.is_relative_to(ROOT / "docs"):
                files.append(File.generated(config, site_path(target), abs_src_path=str(target)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links to files elsewhere into links to where the site shows them; write what only GitHub reads for both."""
    source = source_of(page.file.src_uri)

    def turned(found: re.Match[str]) -> str:
        path, sign, anchor = found[2].partition("#")
        target = (source.parent / path).resolve()
        if re.match(r"[a-z]+:", found[2]) or not path or not target.is_relative_to(ROOT):
            return found[0]
        link = posixpath.relpath(site_path(shown(target)), posixpath.dirname(page.file.src_uri) or ".")
        return f"{found[1]}{link}{sign}{anchor}{found[3]}"

    markdown = NAMED_BLOCK.sub(r'\1 title="\2"', markdown)
    return outside_fences(markdown, lambda text: _LIST_AT_ONCE.sub(r"\1\n", LINK.sub(turned, text)))


def outside_fences(markdown: str, change: Any) -> str:
    """Change a page but for its blocks of code."""
    ends = [0, *(end for block in FENCED.finditer(markdown) for end in block.span()), len(markdown)]
    parts = [markdown[start:end] for start, end in itertools.pairwise(ends)]
    return "".join(part if index % 2 else change(part) for index, part in enumerate(parts))


def linked_files(page: Path) -> Iterator[Path]:
    """Files of the repository that a page links to."""
    for found in LINK.finditer(FENCED.sub("", page.read_text("utf-8"))):
        path = found[2].partition("#")[0]
        target = (page.parent / path).resolve()
        if path and not re.match(r"[a-z]+:", path) and target.is_relative_to(ROOT) and target.exists():
            yield shown(target)


def shown(target: Path) -> Path:
    """What stands for a path: of a folder its README."""
    return target / "README.md" if target.is_dir() else target


def site_path(file: Path) -> str:
    """Where the site shows a file of the repository."""
    path = file.relative_to(ROOT).as_posix()
    return path.removeprefix("docs/") if path.startswith("docs/") else ELSEWHERE + path


def source_of(uri: str) -> Path:
    """Return the file of the repository that a page of the site is."""
    return ROOT / uri.removeprefix(ELSEWHERE) if uri.startswith(ELSEWHERE) else ROOT / "docs" / uri


def api_page() -> str:
    """Return the page of the Python API: every public name, by its docstring, none of which loads torch."""
    parts = [
        "# From Python\n\nEvery command is a function, and these are all the public names. `help(privaudit.score)` "
        "says the same. Examples: [bring your own](bring-your-own.md#from-python).\n"
    ]
    for name in sorted(set(privaudit.__all__) - {"__version__"}, key=str.lower):
        parts += [f"## privaudit.{name}\n", *described(getattr(privaudit, name))]
    return "\n".join(parts)


def described(thing: Any) -> Iterator[str]:
    """Yield the sections of a docstring as Markdown."""
    if inspect.isclass(thing):
        yield f"*class `{thing.__module__}.{thing.__qualname__}`*\n"
    sections = griffe.Docstring(inspect.getdoc(thing) or "", lineno=1).parse("numpy", warnings=False)
    defaults = {name: one.default for name, one in inspect.signature(thing).parameters.items()}
    for section in sections:
        if section.kind is griffe.DocstringSectionKind.text:
            yield f"{section.value}\n"
            continue
        yield f"**{(section.title or section.kind.value).capitalize()}**\n"
        for entry in section.value:
            # Of what is returned or raised there is only a type.
            name = getattr(entry, "name", "") or str(entry.annotation)
            default = defaults.get(name, inspect.Parameter.empty)
            said = " = " + repr(str(default) if isinstance(default, Path) else default)
            shown_default = "" if default in (inspect.Parameter.empty, None) else said
            yield f"- `{name}{shown_default}`: " + " ".join(str(entry.description).split())
        yield ""
