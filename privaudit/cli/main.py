"""The ``privaudit`` command. Subcommands are imported when they are called, so that help stays instant."""

from __future__ import annotations

import errno
import importlib
import os
import signal
import sys
import tempfile
import traceback
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

import click

from privaudit import __version__
from privaudit.cli.output import for_good
from privaudit.cli.process_exit import INTERRUPTED, leave, leave_at_once
from privaudit.cli.standard_streams import claim_streams, flush_streams
from privaudit.errors import PrivauditError
from privaudit.runtime.locks import is_full
from privaudit.runtime.progress import talk
from privaudit.runtime.scratch import SHARED_MEMORY, has_no_room
from privaudit.runtime.user_code import ended_by

#: name -> one line of help. The command ``x`` lives in ``privaudit.cli.x:command``.
COMMANDS = {
    "score": "Train shadow models, attack, and score every training sample's risk.",
    "quick": "Attack one model in seconds, with few or no shadow models.",
    "unlearn": "Forget samples in order of risk, audit again, and measure what is left.",
    "defend": "Say what lowers the risk, other ways to train among it, and what it costs.",
    "reproduce": "Run the paper's tables and figures, and say of each claim whether it holds.",
    "export": "Write a model as a folder that serves it without privaudit.",
    "init": "Write files to fill in: an audit's settings, and what is declared of it.",
    "purge": "Remove what an audit itself still holds of forgotten samples.",
    "report": "Write an audit's HTML and PDF report anew from its stored results.",
    "gate": "Hold an audit against limits, for a pipeline to stop at.",
    "compare": "Say what changed between two audits of the same samples.",
    "verify": "Hold every file of an audit against its checksum.",
    "list": "List the audits of a store.",
}

#: Set to anything, an unforeseen error shows its traceback.
DEBUG_VARIABLE = "PRIVAUDIT_DEBUG"

#: How a shell asks what could be typed; click's own.
COMPLETION_VARIABLE = "_PRIVAUDIT_COMPLETE"

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
        command: click.Command = importlib.import_module(f"privaudit.cli.commands.{cmd_name}").command
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
    own = sys.stdout is sys.__stdout__  # else another program calls us, whose streams and end are its own affair
    try:
        signal.signal(signal.SIGTERM, _terminate)
        if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:  # A terminal that was closed; nohup's run goes on.
            signal.signal(signal.SIGHUP, _terminate)
        claim_streams()
        # Said by joblib's process for cleaning up when it does so after a run that was stopped: nothing to worry about.
        sys.warnoptions.append("ignore:resource_tracker:UserWarning")
        stdout = sys.stdout
        with for_good():
            code = _run()
        flush_streams(stdout, sys.stderr)
    except KeyboardInterrupt:  # Between two of the lines above.
        code = _stopped()
    if code == INTERRUPTED:
        leave_at_once()
    if own:
        leave(code)
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
        with suppress(OSError):
            error.show(file=sys.stderr)
        code = error.exit_code
    except PrivauditError as error:
        talk(f"error: {error}")
        code = error.exit_code
    except Exception as error:
        if _reader_is_gone(error):
            return 0
        if os.environ.get(DEBUG_VARIABLE):
            raise
        talk(f"error: {_unheard(error) or _shortage(error) or _lack(error) or _fault(error)}")
        code = 1
    except BaseException as error:  # sys.exit() within a user's code, above all
        if isinstance(error, SystemExit) and COMPLETION_VARIABLE in os.environ:
            return 0  # How click ends what a shell asked to complete.
        talk(f"error: {ended_by(error)}")
        code = 1
    return code if isinstance(code, int) else 0


def _of_click(error: Exception) -> bool:
    """Whether an error came while click printed help or a version: all else is answered by `answer`."""
    frames = traceback.extract_tb(error.__traceback__)
    return isinstance(error, OSError) and Path(frames[-1].filename).parent.name == "click"


def _reader_is_gone(error: Exception) -> bool:
    return isinstance(error, BrokenPipeError) and _of_click(error)


def _unheard(error: Exception) -> str | None:
    return (
        f"cannot write to stdout: {os.strerror(error.errno or 0)}"
        if isinstance(error, OSError) and _of_click(error)
        else None
    )


def _shortage(error: Exception) -> str | None:
    """What the machine has too little of, where that is what an unforeseen error comes to."""
    if isinstance(error, MemoryError) or any(words in str(error).lower() for words in OUT_OF_MEMORY):
        return (
            "this machine has too little memory for it\n"
            "  Run it again with fewer --workers or --samples, which need less: what was finished is kept."
        )
    if is_full(error):
        # Not the store or the output, which say so themselves: a folder for temporary files.
        where, cure = _full_folder(error)
        return f"cannot write {where}: {os.strerror(errno.ENOSPC)}\n  {cure}, then run the same command again."
    return None


def _lack(error: Exception) -> str | None:
    """What was left out of the installation, where the rest was to do without (docs/install.md)."""
    if isinstance(error, ModuleNotFoundError) and error.name in ("torch", "torchvision"):
        return (
            f"this command trains or runs models, and {error.name} is not installed\n"
            "  Install it: pip install torch torchvision. Stored results and --signals need neither."
        )
    return None


def _full_folder(error: Exception) -> tuple[str, str]:
    """What is full, and what helps; semaphores of processes go to the disk in memory, and their error names no file."""
    named = getattr(error, "filename", None)
    if named is None and has_no_room(SHARED_MEMORY):
        return str(SHARED_MEMORY), "Make room there, or use --workers 1, which needs none of it"
    return str(named or tempfile.gettempdir()), "Make room there, or set TMPDIR to another folder"


def _fault(error: Exception) -> str:
    where = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"{type(error).__name__}: {error} ({Path(where.filename).name}, line {where.lineno})\n"
        f"  This is a fault of privaudit. {DEBUG_VARIABLE}=1 shows where it happened, for a report of it."
    )


def _stopped() -> int:
    talk("stopped; what was finished is kept, and the same command carries on from there")
    return INTERRUPTED


def _terminate(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
