"""``privaudit gate``."""

from __future__ import annotations

from pathlib import Path

import click

from privaudit.cli.main import print_results
from privaudit.cli.options import json_option, out_option, store_option
from privaudit.config import read_settings
from privaudit.errors import EvidenceError, GateBreached, UsageError

EPILOG = """\b
Examples:
  privaudit gate --max-tpr 0.01@0.001
  privaudit gate mnist-cnn-1a2b3c4d --max-tpr 0.05@0.01 --max-auc 0.6 --junit gate.xml
  privaudit gate --max-asr 0.9 --attack lira-hierarchical

\b
A limit holds where the whole 95% interval lies at or below it.
Exit codes: 0 every limit holds, 3 one is breached, 4 too little evidence to tell.
"""


@click.command("gate", epilog=EPILOG)
@click.argument("audit", required=False)
@click.option("--max-tpr", multiple=True, metavar="TPR@FPR", help="Most members found at a false positive rate.")
@click.option("--max-auc", type=click.FloatRange(0, 1), help="Highest AUC.")
@click.option("--max-asr", type=click.FloatRange(0, 1), help="Highest mean risk of the most exposed samples.")
@click.option("--attack", default="lira", show_default=True, help="Whose figures count; chosen beforehand.")
@click.option("--target", "of_target", is_flag=True, help="Hold the target model to them, not the shadow models.")
@click.option("--junit", "junit_file", type=click.Path(path_type=Path), help="Write JUnit XML here.")
@store_option
@out_option
@json_option
def command(
    audit: str | None,
    max_tpr: tuple[str, ...],
    max_auc: float | None,
    max_asr: float | None,
    attack: str,
    of_target: bool,
    junit_file: Path | None,
    store: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Hold AUDIT [the latest] against limits, for a pipeline to stop at."""
    settings = read_settings({"store": store, "out": out}, None)
    from privaudit import files
    from privaudit.shadow.store import open_audit
    from privaudit.workflow import gate

    limits = [gate.parse_rate_limit(text) for text in max_tpr]
    limits += [gate.Limit(name, most) for name, most in (("auc", max_auc), ("asr", max_asr)) if most is not None]
    # Results can be held against limits where the store is not: a name alone is enough then.
    name = audit if audit and (settings.out / audit).is_dir() else open_audit(settings.store, audit).audit
    checks = gate.check_audit(settings.out / name, limits, attack, of_target=of_target)
    if junit_file is not None:
        if junit_file.is_dir():
            raise UsageError(f"--junit {junit_file} is a folder", hint="Name a file.")
        files.write_bytes(junit_file, gate.junit(name, checks))
    if as_json:
        print_results({"audit": name, "checks": [check.to_json() for check in checks]})
    else:
        for check in checks:
            click.echo(gate.sentence(check))
    verdicts = [check.verdict for check in checks]
    if "breached" in verdicts:
        raise GateBreached(f"{verdicts.count('breached')} of {len(checks)} limits are breached")
    if "too little evidence" in verdicts:
        raise EvidenceError(f"{verdicts.count('too little evidence')} of {len(checks)} limits can't be told")
