"""`score` and `unlearn`: the functions that train and change models."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Unpack, cast, overload

from privaudit.api.flags import ScoreFlags, UnlearnFlags, check_types, listed, reference
from privaudit.api.results import UnlearnResults
from privaudit.config import read_settings
from privaudit.errors import UsageError
from privaudit.results.score_results import ScoreAnswer, ScoreEstimate

#: Flags that mean something with ``signals``.
WITH_SIGNALS = ("statistic", "rmia_gamma", "metadata", "seed", "redact", "store", "out")


@overload
def score(
    *,
    dry_run: Literal[True],
    signals: str | Path | None = ...,
    config: str | Path | None = ...,
    csv: bool = ...,
    **flags: Unpack[ScoreFlags],
) -> ScoreEstimate: ...


@overload
def score(
    *,
    dry_run: Literal[False] = ...,
    signals: str | Path | None = ...,
    config: str | Path | None = ...,
    csv: bool = ...,
    **flags: Unpack[ScoreFlags],
) -> ScoreAnswer: ...


def score(
    *,
    dry_run: bool = False,
    signals: str | Path | None = None,
    config: str | Path | None = None,
    csv: bool = False,
    **flags: Unpack[ScoreFlags],
) -> ScoreAnswer | ScoreEstimate:
    """Train what is missing, attack, score every training sample, and report: ``privaudit score``.

    Parameters
    ----------
    dry_run
        Say what would be done and what it would cost; train nothing.
    signals
        Attack models that were trained elsewhere: their logits in an ``.npz`` file. Nothing is trained.
    config
        A TOML file with any of the flags; those that are given here beat it.
    csv
        Write the score table as CSV too.
    **flags
        `ScoreFlags`: ``dataset``, ``network``, ``shadows``, ``target``, …; None leaves one at its default. A dataset, a
        network and a training may be functions, if they live in a file of their own.

    Returns
    -------
    ScoreAnswer or ScoreEstimate
        What ``--json`` prints, by ``to_json()``: attacks, controls and risk, and the paths of score table and report.

    Raises
    ------
    PrivauditError
        Where the command would say so and exit.
    """
    given: dict[str, Any] = dict(flags)
    for name in ("dataset", "network", "training"):
        if name in given:
            given[name] = reference(given[name], name)
    settings = read_settings(given, None if config is None else Path(config))
    if signals is not None:
        _check_signals_flags(given, dry_run)
        from privaudit.commands.score_signals import run_signals

        return run_signals(settings, Path(signals), csv=csv)
    from privaudit.commands import score as workflow

    return workflow.dry_run(settings) if dry_run else workflow.run_score(settings, csv=csv)


def _check_signals_flags(flags: dict[str, Any], dry_run: bool) -> None:
    """With ``--signals`` nothing is trained: a flag that says how to train is a mistake."""
    flags_with_signals = ", ".join("--" + name.replace("_", "-") for name in WITH_SIGNALS)
    senseless = [name for name, value in flags.items() if value is not None and name not in WITH_SIGNALS]
    if dry_run:
        senseless.append("dry_run")
    if senseless:
        raise UsageError(
            f"--{senseless[0].replace('_', '-')} means nothing with --signals: those models are trained already",
            hint=f"With --signals go {flags_with_signals}, --csv, --json and --config.",
        )


@overload
def unlearn(
    *, compare_orders: Literal[True], seeds: int | None = ..., dry_run: bool = ..., **flags: Unpack[UnlearnFlags]
) -> dict[str, Any]: ...


@overload
def unlearn(
    *, compare_orders: bool = ..., seeds: int | None = ..., dry_run: Literal[True], **flags: Unpack[UnlearnFlags]
) -> dict[str, Any]: ...


@overload
def unlearn(
    *,
    compare_orders: Literal[False] = ...,
    seeds: None = ...,
    dry_run: Literal[False] = ...,
    **flags: Unpack[UnlearnFlags],
) -> UnlearnResults: ...


def unlearn(
    *,
    compare_orders: bool = False,
    seeds: int | None = None,
    dry_run: bool = False,
    **flags: Unpack[UnlearnFlags],
) -> UnlearnResults | dict[str, Any]:
    """Forget samples in order, compare with retraining, and audit again: ``privaudit unlearn``.

    Parameters
    ----------
    compare_orders
        Run every order at one budget and compare them.
    seeds
        With ``compare_orders``: over how many seeds.
    dry_run
        Say what would be done and what it would cost, and what retraining would; train nothing, write nothing.
    **flags
        `UnlearnFlags`: ``method``, ``order``, ``forget``, …; None leaves one at its default. ``parameter`` may be a
        mapping of names to values.

    Returns
    -------
    UnlearnResults or dict
        What ``--json`` prints: accuracies, tug of war, how risk goes with difficulty, and the report's paths; with
        ``compare_orders`` the arms and their paired differences.

    Raises
    ------
    UnlearningRejected
        Where the model came out ``unchanged`` or ``ruined``; its ``results`` are what would have been returned.
    PrivauditError
        Where the command would say so and exit.
    """
    check_types(flags)
    given: dict[str, Any] = {name: value for name, value in flags.items() if value is not None}
    of_base = ("store", "out", "data_dir", "workers", "engine", "address", "gpu_share", "redact", "show_samples")
    base = read_settings({name: given.pop(name) for name in of_base if name in given}, None)
    if "parameter" in given:
        given["parameter"] = listed(given["parameter"])
    from privaudit.commands.unlearning.unlearn import UnlearnSettings, plan_unlearn, run_unlearn

    settings = UnlearnSettings(base=base, **given)
    if not compare_orders:
        if seeds is not None:
            raise UsageError("--seeds goes with --compare-orders", hint="For one run, --seed K sets its seed.")
        return cast(UnlearnResults, (plan_unlearn if dry_run else run_unlearn)(settings).to_json())
    from privaudit.commands.unlearning.compare_orders import DEFAULT_SEEDS, plan_compare_orders, run_compare_orders

    return (plan_compare_orders if dry_run else run_compare_orders)(settings, seeds or DEFAULT_SEEDS).to_json()
