"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from privaudit.cli.output import alone_on_stdout
from privaudit.config import DEFAULT_OUT, DEFAULT_STORE

Command = Callable[..., Any]


def store_option(function: Command) -> Command:
    """``--store DIR``."""
    return click.option(
        "--store", type=click.Path(path_type=Path, file_okay=False), help=f"Where models are kept [{DEFAULT_STORE}]."
    )(function)


def out_option(function: Command) -> Command:
    """``--out DIR``."""
    return click.option(
        "--out", type=click.Path(path_type=Path, file_okay=False), help=f"Where results go [{DEFAULT_OUT}]."
    )(function)


def json_option(function: Command) -> Command:
    """``--json``; with or without it stdout holds the command's answer and nothing else."""
    option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
    return option(alone_on_stdout(function))


def redact_option(function: Command) -> Command:
    """``--redact ids``."""
    return click.option(
        "--redact",
        help="ids: show salted hashes in place of sample ids, now and later; none undoes it, salt and all [as it was].",
    )(function)


def show_samples_option(function: Command) -> Command:
    """``--show-samples``."""
    return click.option(
        "--show-samples", is_flag=True, default=None, help="Show images of the riskiest and the safest samples."
    )(function)


def engine_options(function: Command) -> Command:
    """``--workers W``, ``--engine local|ray``, ``--address HOST:PORT`` and ``--gpu-share S``."""
    for option in (
        click.option("--gpu-share", type=float, help="With ray on GPUs: the part of one that a job takes [1]."),
        click.option("--address", help="The Ray cluster's HOST:PORT [$RAY_ADDRESS, else a Ray of its own]."),
        click.option("--engine", help="local: processes on this machine; ray: a Ray cluster [local]."),
        click.option("--workers", type=int, help="Jobs at a time, one thread each [one a core, or up to four a GPU]."),
    ):
        function = option(function)
    return function
