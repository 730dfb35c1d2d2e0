"""`quick`: the function that attacks one model with few or no shadow models."""

from __future__ import annotations

from pathlib import Path

from privaudit.api.objects import named_data
from privaudit.api.signature import with_options
from privaudit.config import QuickOptions
from privaudit.config.options import flag_name
from privaudit.errors import UsageError
from privaudit.results.audit.quick_results import QuickAnswer

#: Options that mean something with ``signals``.
WITH_SIGNALS = ("signals", "seed", "quiet", "log")


@with_options(QuickOptions)
def quick(options: QuickOptions) -> QuickAnswer:
    """Attack one model in seconds: ``privaudit quick``.

    Its members are told from never-trained samples of the same data, by attacks that need few or no shadow models.
    That is a low-cost answer, and bounds nothing: a full audit may find more or less.

    Returns
    -------
    QuickAnswer
        What ``--json`` prints, by ``to_json()``: every attack, which of them is the answer, and what speaks against it.

    Raises
    ------
    PrivauditError
        Where the command would say so and exit.
    """
    if options.signals is not None:
        senseless = [name for name in options.given() if name not in WITH_SIGNALS]
        if senseless:
            raise UsageError(
                f"{flag_name(senseless[0])} means nothing with --signals: that model is asked already",
                hint=f"With --signals go {', '.join(map(flag_name, WITH_SIGNALS[1:]))} and --json.",
            )
        from privaudit.commands.quick.logits_alone import run_logits

        return run_logits(Path(options.signals), options.seed)
    settings = options.settings()
    if options.data is not None:
        settings = settings.changed(dataset=named_data(options))
    from privaudit.commands.quick.run_quick import run_quick

    return run_quick(settings)
