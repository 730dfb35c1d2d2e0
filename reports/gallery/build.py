"""Make the reference reports anew: ``make gallery`` (digits), or ``make gallery REPORTS="digits mnist cifar10"``.

Each is what the commands below write. The digits are audited on a CPU in fp32, so that any machine comes close to the
same numbers; the others in what the machine has (a CPU with bf16 made those that lie here).
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PORTABLE = "--device cpu --precision fp32"

#: What makes each report, in order; the last command renews it.
COMMANDS = {
    "digits": [f"score --dataset digits --shadows 32 {PORTABLE}", "unlearn --order risk --forget top-risk:72"],
    "mnist": [
        "score --dataset mnist --samples 10000 --shadows 16 --invert 0",
        "unlearn --order risk --forget random:10%",
    ],
    "cifar10-50000": [
        "score --dataset cifar10 --samples 50000 --epochs 24 --shadows 16 --invert 0 --network airbench --device cuda",
    ],
    "cifar10": [
        "score --dataset cifar10 --invert 0",
        "unlearn --order risk --forget random:10% --reference shadow",
    ],
}
RENDERED = ("report.html", "report.pdf", "report.json")


def build(name: str, folder: Path, work: Path, data_dir: str | None) -> None:
    """Run the commands of one report with stores and results below ``work``, and copy what they rendered."""
    common = ["--store", str(work / "store" / name), "--out", str(work / "out" / name), "--json"]
    if data_dir is not None:
        common += ["--data-dir", data_dir]
    done = None
    for command in COMMANDS[name]:
        done = subprocess.run(
            [sys.executable, "-m", "privaudit", *shlex.split(command), *common],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    assert done is not None
    source = Path(json.loads(done.stdout)["report"]["html"]).parent
    (folder / name).mkdir(parents=True, exist_ok=True)
    for rendered in RENDERED:
        shutil.copyfile(source / rendered, folder / name / rendered)


if __name__ == "__main__":
    work, data_dir, *names = sys.argv[1:]
    for name in names:
        build(name, HERE, Path(work), data_dir or None)
