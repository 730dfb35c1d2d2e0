"""The ``privaudit`` command. Subcommands are imported when they are called, so that help stays instant."""

from __future__ import annotations

import errno
import importlib
import io
import os
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from privaudit import __version__
from privaudit.cli.answer import for_good
from privaudit.errors import PrivauditError
from privaudit.files import is_full
from privaudit.scratch import remove_own

#: name -> one line of help. The command ``x`` lives in ``privaudit.cli.x:command``.
COMMANDS = {
    "score": "Train shadow models, attack, and score every training sample's risk.",
    "unlearn": "Forget samples in order of risk, audit again, and measure what is left.",
    "reproduce": "Run the paper's tables and figures, and say of each claim whether it holds.",
    "purge": "Remove what an audit itself still holds of forgotten samples.",
    "report": "Write an audit's HTML and PDF report anew from its stored results.",
    "gate": "Hold an audit against limits, for a pipeline to stop at.",
    "compare": "Say what changed between two audits of the same samples.",
    "verify": "Hold every file of an audit against its checksum.",
    "list": "List the audits of a store.",
}

INTERRUPTED = 130

#: Set to anything, an unforeseen error shows its traceback.
DEBUG_VARIABLE = "PRIVAUDIT_DEBUG"

#: How torch, CUDA, the dynamic loader and the threads' library say it.
OUT_OF_MEMORY = (
    "out of memory",
    "allocate memory",
    "not enough memory",
    "failed to map segment",
    "can't start new thread",
)


class LazyGroup(click.Group):
    """Loads a subcommand's module only when the subcommand is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"privaudit.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        import difflib

        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            meant = f" Did you mean '{near[0]}'?" if near else ""
            ctx.fail(f"no command '{args[0]}'.{meant} Commands: {', '.join(COMMANDS)}.")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


EPILOG = """\b
Examples:
  privaudit score                                audit the embedded digits
  privaudit score --dataset cifar10 --dry-run    what would it cost?
  privaudit unlearn --order risk                 forget 10% of the latest audit
"""


@click.group(cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="privaudit")
def cli() -> None:
    """Audit which training samples a classifier leaks, unlearn them in order of risk, audit again, and report it."""


def main() -> NoReturn:
    """Run the command; a user's mistake never shows a traceback."""
    signal.signal(signal.SIGTERM, _terminate)
    if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:  # A terminal that was closed; nohup's run goes on.
        signal.signal(signal.SIGHUP, _terminate)
    stdout = sys.stdout
    if isinstance(stdout, io.TextIOWrapper):  # A minus sign is no reason to lose an answer to an older terminal.
        stdout.reconfigure(errors="backslashreplace")
    # Said by joblib's process for cleaning up, when it cleans up after a run that was stopped: nothing to worry about.
    sys.warnoptions.append("ignore:resource_tracker:UserWarning")
    with for_good():
        code = _run()
    try:
        stdout.flush()
    except BrokenPipeError:
        # The reader of our output went away (head, say): nothing to complain about.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stdout.fileno())
    if code == INTERRUPTED:
        _leave_interrupted()
    sys.exit(code)


def _run() -> int:
    """Run the command; its exit code."""
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        code = _stopped()
    except KeyboardInterrupt:
        code = _stopped()
    except click.ClickException as error:
        error.show(file=sys.stderr)
        code = error.exit_code
    except PrivauditError as error:
        click.echo(f"error: {error}", err=True)
        code = error.exit_code
    except BrokenPipeError:
        code = 0
    except Exception as error:
        if os.environ.get(DEBUG_VARIABLE):
            raise
        click.echo(f"error: {_shortage(error) or _fault(error)}", err=True)
        code = 1
    return code if isinstance(code, int) else 0


def _shortage(error: Exception) -> str | None:
    """What the machine has too little of, where that is what an unforeseen error comes to."""
    if isinstance(error, MemoryError) or any(words in str(error).lower() for words in OUT_OF_MEMORY):
        return (
            "this machine has too little memory for it\n"
            "  Run it again with fewer --workers or --samples, which need less: what was finished is kept."
        )
    if is_full(error):
        # Not the store or the output, which say so themselves: a folder for temporary files.
        where = getattr(error, "filename", None) or tempfile.gettempdir()
        return (
            f"cannot write {where}: {os.strerror(errno.ENOSPC)}\n"
            "  Make room there, or set TMPDIR to another folder, then run the same command again."
        )
    return None


def _fault(error: Exception) -> str:
    where = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"{type(error).__name__}: {error} ({Path(where.filename).name}, line {where.lineno})\n"
        f"  This is a fault of privaudit. {DEBUG_VARIABLE}=1 shows where it happened, for a report of it."
    )


def _leave_interrupted() -> NoReturn:
    """Exit with 130 whatever the interrupt passed through.

    Where it passed through code that a C extension ran (an import of torch, say), CPython notes it as unhandled
    although it was handled, and ends by killing itself with the signal. Nor is there anything to wait for: files are
    whole or absent, workers leave once whoever asked for them is gone, and their shared memory is cleaned up after.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    remove_own()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(INTERRUPTED)


def _stopped() -> int:
    click.echo("stopped; what was finished is kept, and the same command carries on from there", err=True)
    return INTERRUPTED


def _terminate(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
