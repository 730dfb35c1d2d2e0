"""One question at a time, on stderr; an answer that won't do is told why, and the question asked again."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Mapping
from typing import TypeVar

import click

from privaudit.errors import PrivauditError, UsageError

Answer = TypeVar("Answer")


def is_terminal() -> bool:
    """Whether somebody sits there to be asked."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr is not None and sys.stderr.isatty()


def say(text: str) -> None:
    """Say something between two questions."""
    click.echo(text, err=True)


def ask(question: str, check: Callable[[str], Answer], default: str | None = None) -> Answer:
    """Ask until the answer will do.

    Parameters
    ----------
    question
        Without its question mark.
    check
        Takes what was typed, without blanks around it; what it returns is the answer, and a `PrivauditError` that it
        raises is told.
    default
        What Enter alone stands for; an empty text where that is no answer at all.
    """
    shown = f"{question}?" if default != "" else f"{question} [none]?"
    while True:
        typed = click.prompt(shown, default=default, show_default=bool(default), err=True, prompt_suffix=" ")
        try:
            return check(str(typed).strip())
        except PrivauditError as error:
            say(f"  {error}")


def choose(question: str, choices: Mapping[str, str], default: str, check: Callable[[str], str] | None = None) -> str:
    """Ask for one of several; a number, or a name.

    Parameters
    ----------
    question
        Without its question mark.
    choices
        Names, and what each is in words.
    default
        Its name.
    check
        Takes an answer that is neither a number nor a name of the list; without it that is an error.
    """
    width = max(map(len, choices))
    for number, (name, what) in enumerate(choices.items(), 1):
        say(f"  {number}  {name:<{width}}  {what}")

    def chosen(typed: str) -> str:
        if typed.isdecimal() and 1 <= int(typed) <= len(choices):
            return list(choices)[int(typed) - 1]
        if typed in choices:
            return typed
        if check is not None:
            return check(typed)
        near = difflib.get_close_matches(typed.lower(), choices, n=1)
        raise UsageError(
            f"'{typed}' is none of them{f': is {near[0]} meant?' if near else ''}",
            hint=f"Type a number from 1 to {len(choices)}, or a name.",
        )

    return ask(question, chosen, default)


def whole_number(least: int, most: int, what: str) -> Callable[[str], int]:
    """Return a check for a whole number within limits."""

    def check(typed: str) -> int:
        plain = typed.replace(",", "").replace("_", "")
        if not plain.isdecimal() or not least <= int(plain) <= most:
            raise UsageError(f"'{typed}' is no whole number from {least:,} to {most:,}", hint=what)
        return int(plain)

    return check
