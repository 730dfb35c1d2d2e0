"""Runs the command line again and again without starting Python anew: a process that has imported everything forks.

Half of what a small command takes is the import of torch, pandas and scikit-learn. Each command is still a process of
its own: its streams, environment, folder, exit. Tests of the start itself (imports, signals) start one for real.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).parent.parent

#: What commands import when they run, beside the modules of the package that they name themselves.
HEAVY = (
    "torch", "pandas", "pyarrow.parquet", "scipy.stats", "sklearn.linear_model", "sklearn.ensemble", "sklearn.datasets",
    "matplotlib.figure", "matplotlib.backends.backend_svg", "joblib", "jinja2", "rich.progress", "safetensors.torch",
    "privaudit.cli.main", "privaudit.commands.score", "privaudit.commands.unlearning.unlearn", "privaudit.report.write",
)  # fmt: skip


#: Variables that decide how Python, or a library that is imported, starts.
OF_THE_START = ("PYTHON", "LC_", "LANG", "LD_", "OMP_", "MKL_", "KMP_", "OPENBLAS", "MALLOC_", "MPL", "CUDA", "TORCH")


def of_the_start() -> dict[str, str]:
    """What of the environment no running process can take over."""
    return {name: value for name, value in os.environ.items() if name.startswith(OF_THE_START)}


class CommandServer:
    """One such process; commands run one after the other."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._environment = of_the_start()

    def run(
        self, arguments: list[str], *, cwd: Path | None, folder: Path, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Run ``privaudit ARGUMENTS`` as `subprocess.run` with captured output; that passes through ``folder``."""
        if of_the_start() != self._environment:
            command = [sys.executable, "-m", "privaudit", *arguments]
            return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False, timeout=timeout)
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        out, err = folder / "stdout", folder / "stderr"
        request = {
            "arguments": arguments, "cwd": str(cwd or Path.cwd()), "environment": dict(os.environ),
            "stdout": str(out), "stderr": str(err),
        }  # fmt: skip
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        child = int(process.stdout.readline())
        timer = threading.Timer(timeout, os.kill, (child, 9))
        timer.start()
        code = int(process.stdout.readline())
        timer.cancel()
        # As with a pipe in text mode: newlines of all kinds are one.
        with out.open(encoding="utf-8") as stdout, err.open(encoding="utf-8") as stderr:
            return subprocess.CompletedProcess(arguments, code, stdout.read(), stderr.read())

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.communicate()

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.command_server"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
            )  # fmt: skip
        return self._process


def serve() -> None:
    """Answer each line with the number of the process that runs it, and with its exit code when it has ended."""
    import importlib

    for name in HEAVY:
        importlib.import_module(name)
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            run_here(request)
        print(child, file=answers, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)


def run_here(request: dict[str, Any]) -> NoReturn:
    """Become the command, and end as it does."""
    import atexit
    import importlib.util

    from privaudit.cli.main import main

    places = {0: os.devnull, 1: request["stdout"], 2: request["stderr"]}
    for number, path in places.items():
        opened = os.open(path, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    # As python -m privaudit: what workers of joblib look at.
    sys.modules["__main__"].__spec__ = importlib.util.find_spec("privaudit.__main__")
    sys.argv = ["privaudit", *request["arguments"]]
    sys.path[0] = request["cwd"]
    code = 1
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
