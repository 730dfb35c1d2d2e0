"""What the terminal shows of a scored audit at a glance: accuracies, whom it exposes most, and how risk is spread."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from privaudit.cli.output import answer, can_show
from privaudit.results.audit.score_results import Accuracy, ScoreAnswer

#: How many samples are named.
NAMED = 5

#: Columns of the histogram: risk, from 0 to 1, is a share of models, whose number is most often a multiple of this.
BINS = 16

BLOCKS = " ▁▂▃▄▅▆▇█"
SIGNS = " .:-=+*#@"


def print_accuracy(found: Accuracy | None, *, is_given: bool = False) -> None:
    """Answer with how often models are right on those they were trained on, and on others.

    Of a target that was given it tells too whether it fits otherwise; one trained here saw twice as many samples.
    """
    from privaudit.report.content.comparability import fits_unlike

    if found is None:
        return
    if found.target_train is not None and found.target_test is not None:
        answer(f"accuracy: target {found.target_train:.1%} on its members, {found.target_test:.1%} on test samples")
    answer(f"accuracy: shadow models {found.shadow_members:.1%} on their members, {found.shadow_others:.1%} on others")
    if is_given and fits_unlike(found):
        answer("      the given target fits otherwise: what shadow models say of single samples may not hold for it")


def print_risks(results: ScoreAnswer) -> None:
    """Answer with the histogram of risk and the most exposed samples; ids are redacted where the report's are."""
    from privaudit.audit.result_files import read_table
    from privaudit.report.content.wording import clip, inert
    from privaudit.report.exposure.most_exposed import leaders
    from privaudit.report.redaction import Privacy, salt_of
    from privaudit.report.sample_ids import Naming

    path = Path(results.scores_file)
    everyone = table = read_table(path)
    table = table[~table["canary"].astype(bool)] if "canary" in table else table
    answer(f"risk of samples, 0 |{histogram(table['risk'].to_numpy(float))}| 1")
    named = leaders(table, results, NAMED)
    if named.empty:
        return
    naming = Naming(everyone["sample_id"], salt_of(path.parent, Privacy()))
    answer("most exposed samples, as confirmed by models that did not pick them:")
    for row in named.to_dict("records"):
        bounds = "" if row["risk_low"] != row["risk_low"] else f" ({row['risk_low']:.2f}–{row['risk_high']:.2f})"
        name, of_class = naming.text(naming.enter(row["sample_id"])), str(row["class_name"])
        answer(f"      {clip(inert(name))}, class {clip(inert(of_class))}: risk {row['risk']:.2f}{bounds}")


def histogram(risk: npt.NDArray[np.float64]) -> str:
    """Draw one sign a bin: its height is the share of samples, the fullest bin's the highest; never blank if not empty.

    Blocks where the terminal can show them, else signs of ASCII.
    """
    counts, _ = np.histogram(risk[~np.isnan(risk)], bins=BINS, range=(0, 1))
    heights = np.ceil(counts / max(counts.max(), 1) * (len(BLOCKS) - 1)).astype(int)
    signs = BLOCKS if can_show(BLOCKS) else SIGNS
    return "".join(signs[height] for height in heights)
