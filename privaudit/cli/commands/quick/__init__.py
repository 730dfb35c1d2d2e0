"""``privaudit quick``."""

from __future__ import annotations

from typing import Any

import click

from privaudit import api
from privaudit.cli.commands.quick.summary import print_quick
from privaudit.cli.options import json_option, options_of
from privaudit.cli.output import answer_json
from privaudit.config import QuickOptions

EPILOG = """\b
Examples:
  privaudit quick --dataset own.py:data --network own.py:net --target own.pt
  privaudit quick --dataset digits --shadows 2
  privaudit quick --signals answers.npz

\b
It needs one model, the samples that it was trained on, and samples of the
same source that it was never trained on: the data's test part. Without
--target the model is trained here. Shadow models are trained on halves of the
training samples, by the recipe (or your --training); they are those of
privaudit score, which goes on from them.

\b
It answers how well the members can be told from the others as a whole. That
is the low-cost answer, and bounds nothing: other attacks may find more. It
does not tell which samples are at risk, and makes no report; privaudit score
does. Where training and test samples differ, what it finds may be that
difference; it says whether they do.

\b
FILE.npz of --signals: logits [N, C], labels [N], member [N] bool. Datasets,
networks and recipes are those of privaudit score.
"""


@click.command("quick", epilog=EPILOG)
@options_of(QuickOptions)
@json_option
def command(as_json: bool, **options: Any) -> None:
    """Attack one model in seconds, with few or no shadow models: the low-cost answer."""
    results = api.quick(**options)
    if as_json:
        answer_json(results)
    else:
        print_quick(results)
