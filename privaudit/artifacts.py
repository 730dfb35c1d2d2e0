"""The manifest: every kind of file that an audit has, in the store and in the output.

What it is called, whom it is about, what it is made from, and what a purge does with it. `verify`, `purge`, `list` and
a run that goes on read it here, and know no file by another way.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from pathlib import Path

from privaudit.runtime.links import MARK

#: How names of files end that an audit writes; whatever ends otherwise is the user's.
OURS = (".safetensors", ".json", ".npy", ".npz", ".parquet", ".csv")

#: In any folder of ours, and about nobody: what a running command holds, and what marks the folder.
LOCK = ".lock"
MARKERS = (LOCK, MARK)

#: Beside the audits' own folders, where comparisons of two of them go, and experiments on them.
COMPARISONS, REPRODUCTION = "comparisons", "reproduction"

#: And measures against leakage, one folder an audit.
DEFENCES = "defences"

#: And exported models, unless another folder is named; each is described by a file.
EXPORTS, EXPORTED = "exports", "model.json"


class About(Enum):
    """Whose traces a file holds."""

    NOBODY = "nobody"
    EVERYONE = "every sample"
    MEMBERS = "the samples that a model was trained on"
    FORGET_SET = "the samples of a forget set"
    SOME = "samples that it names or shows"


class Purge(Enum):
    """What a purge does with a file."""

    KEEP = "stays"
    KEEP_IF_WHOLE = "stays, unless it is damaged"
    KEEP_IF_PROVEN = "stays where it is known that the model never saw the samples, and is removed elsewhere"
    CUT_ROWS = "loses the samples' rows"
    CUT_COLUMNS = "loses the samples' columns"
    DROP_ROWS = "loses the samples' rows, a table"
    UNNAME = "loses the entries of its lists that are about the samples"
    RENDER = "is made anew from what is left"
    REMOVE = "is removed"


@dataclass(frozen=True)
class Artifact:
    """One kind of file.

    Parameters
    ----------
    path
        From the audit's folder on. ``{key}`` stands for a model of the design, ``{run}`` and other names for part of
        a file's or folder's name, ``{name:a|b}`` for one of these; ``**`` for whatever of ours lies below.
    about
        Whose traces it holds.
    source
        What it is made from.
    purge
        What a purge does with it.
    kind
        What a purge calls it where it goes, and why it stays where it may stay.
    finished
        Whether it is sealed once it is written, so that a file of that name without a seal is unfinished.
    """

    path: str
    about: About
    source: str
    purge: Purge
    kind: str = ""
    finished: bool = True

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """What paths of such files look like, each ``{name}`` a group."""
        parts = re.split(r"(\{[^}]+\}|\*\*)", self.path)
        return re.compile("".join(map(_as_pattern, parts)), re.DOTALL)

    def at(self, folder: Path, **names: str) -> Path:
        """Return where the file with these names lies below an audit's folder."""
        return folder / re.sub(r"\{(\w+)[^}]*\}", lambda name: names[name[1]], self.path)

    def within(self, folder: Path) -> list[Path]:
        """Return every such file below an audit's folder, whole or not, sorted."""
        found = folder.glob(re.sub(r"\{[^}]+\}", "*", self.path))
        return sorted(path for path in found if self.pattern.fullmatch(path.relative_to(folder).as_posix()))


def _as_pattern(part: str) -> str:
    if part == "**":
        return f".+({'|'.join(map(re.escape, OURS))})"
    if not part.startswith("{"):
        return re.escape(part)
    name, _, choice = part[1:-1].partition(":")
    return f"(?P<{name}>{choice or '[^/]+'})"


# The store: <store>/<audit>/.

DESCRIPTION = Artifact("audit.json", About.NOBODY, "the command and the data's fingerprint", Purge.KEEP)
DESIGN = Artifact("design.npy", About.EVERYONE, "the seed", Purge.CUT_COLUMNS)
ENCODING = Artifact(
    "encoding.json", About.EVERYONE, "the columns of a table", Purge.KEEP_IF_WHOLE,
    "medians, and words that at least five samples had",
)  # fmt: skip
EMBEDDINGS = Artifact(
    "embeddings.npy", About.EVERYONE, "data and pretrained weights", Purge.REMOVE,
    "embeddings of images, which tell what they show",
)  # fmt: skip
MODEL, MODEL_RECORD = (
    Artifact(f"models/{{key}}.{ending}", About.MEMBERS, "data, design and seed", Purge.KEEP_IF_PROVEN, "shadow models")
    for ending in ("safetensors", "json")
)
WHOLE_MODEL, WHOLE_MODEL_RECORD = (
    Artifact(f"{{key:target|coin}}.{ending}", About.EVERYONE, "data and seed", Purge.KEEP_IF_PROVEN, "target models")
    for ending in ("safetensors", "json")
)
STEPS_READ, STEPS_READ_RECORD = (
    Artifact(f"canaries/gradients.{ending}", About.NOBODY, "canaries, coins and noise", Purge.KEEP)
    for ending in ("npy", "json")
)
SIGNALS = Artifact("signals/{key}.npy", About.EVERYONE, "a model and the pool", Purge.CUT_ROWS)
TEST_SIGNALS = Artifact("controls/test-{key}.npy", About.NOBODY, "a model and never-trained samples", Purge.KEEP)
UNTRAINED_SIGNALS = Artifact(
    "controls/untrained-{key}.npy", About.EVERYONE, "an untrained model and the pool", Purge.REMOVE,
    "answers of untrained models",
)  # fmt: skip
NOT_PROVEN = "retrained models not known to have been trained without them"
RETRAINED, RETRAINED_RECORD = (
    Artifact(
        f"retrained/{{name}}.{ending}", About.FORGET_SET, "data without a forget set", Purge.KEEP_IF_PROVEN, NOT_PROVEN
    )
    for ending in ("safetensors", "json")
)
CALIBRATION = Artifact(
    "calibration/{name}.json", About.NOBODY, "models retrained without forget sets", Purge.REMOVE,
    "calibrations, for a target that goes too",
)  # fmt: skip
CANDIDATES = Artifact(
    "attributes/{name}/{key}.npy", About.EVERYONE, "a model and the pool with other values of a column", Purge.REMOVE,
    "answers about sensitive columns",
)  # fmt: skip
CLASS_SEARCHES = Artifact(
    "classes/{name}/{key}.npy",
    About.MEMBERS,
    "a model and held-out samples",
    Purge.REMOVE,
    "reconstructions of classes",
)
INVERSIONS = tuple(
    Artifact(f"inversion/{{name:.+}}.{ending}", About.SOME, "models and the pool", Purge.REMOVE, "results of inversion")
    for ending in ("npz", "json")
)
PURGES = Artifact("purges.json", About.NOBODY, "purges", Purge.KEEP)
PURGE_SALT = Artifact("purge.salt", About.NOBODY, "chance, while a purge is under way", Purge.KEEP)
COLUMNS = Artifact(
    "columns.json",
    About.SOME,
    "the data",
    Purge.REMOVE,
    "the encoding of a table, which lists every word of its columns",
)

_STRANGE = "models and signals that the design does not know"

#: What else of ours may lie in the store's folders: of no use to anybody, and a purge takes it along.
_STRAYS = tuple(
    Artifact(path, About.EVERYONE, "unknown", Purge.REMOVE, kind, finished=False)
    for path, kind in (
        ("retrained/**", NOT_PROVEN),
        ("calibration/**", CALIBRATION.kind),
        ("attributes/**", CANDIDATES.kind),
        ("classes/**", CLASS_SEARCHES.kind),
        ("inversion/**", "results of inversion"),
        ("controls/**", "answers of untrained models"),
        ("models/**", _STRANGE),
        ("signals/**", _STRANGE),
        ("{name:.+}.safetensors", _STRANGE),
    )
)

STORE = (
    DESCRIPTION, DESIGN, ENCODING, EMBEDDINGS, MODEL, MODEL_RECORD, WHOLE_MODEL, WHOLE_MODEL_RECORD, STEPS_READ,
    STEPS_READ_RECORD, SIGNALS, TEST_SIGNALS, UNTRAINED_SIGNALS, RETRAINED, RETRAINED_RECORD, CALIBRATION, CANDIDATES,
    CLASS_SEARCHES, *INVERSIONS, PURGES, PURGE_SALT, *_STRAYS, COLUMNS,
)  # fmt: skip

# The output: <out>/<audit>/.

SCORES = Artifact("scores.parquet", About.EVERYONE, "signals", Purge.DROP_ROWS)
SCORES_AS_CSV = Artifact("scores.csv", About.EVERYONE, "the score table", Purge.REMOVE, "tables as CSV")
RESULTS = Artifact("score.json", About.SOME, "signals", Purge.UNNAME)
REPORT = Artifact("report.{format:json|html|pdf}", About.SOME, "results", Purge.RENDER)
ATTESTATION, MODEL_CARD = (
    Artifact(name, About.EVERYONE, "results and the report", Purge.REMOVE, "attestations of former reports")
    for name in ("attestation.json", "model-card.md")
)
REDACTION_SALT = Artifact("redaction.salt", About.NOBODY, "chance", Purge.KEEP)
DECLARATION = Artifact("declared.json", About.NOBODY, "what the owner declared", Purge.KEEP)
RECONSTRUCTIONS, INVERSION_PICTURES, THUMBNAILS = (
    Artifact(path, About.SOME, source, Purge.REMOVE, "pictures and reconstructions")
    for path, source in (
        ("reconstructions.npz", "results of inversion"),
        ("inversion-pictures.npz", "results of inversion and data"),
        ("thumbnails.npz", "data and the score table"),
    )
)
ATTRIBUTES, CLASSES = (
    Artifact(path, About.NOBODY, "models and the pool", Purge.KEEP_IF_WHOLE, "shares over all samples")
    for path in ("attributes.json", "classes.json")
)
CLASS_PICTURES = Artifact(
    "class-reconstructions.npz",
    About.MEMBERS,
    "models and held-out samples",
    Purge.REMOVE,
    "pictures and reconstructions",
)
INVERSION_SETTINGS = Artifact(
    "inversion-settings.json",
    About.NOBODY,
    "results of inversion",
    Purge.KEEP_IF_WHOLE,
    "shares over groups of samples",
)
METRICS = Artifact("unlearn/{run}/metrics.json", About.FORGET_SET, "models", Purge.UNNAME)
REMOVAL_RECORD = Artifact(
    "unlearn/{run}/record.json", About.FORGET_SET, "requests and metrics", Purge.KEEP_IF_WHOLE, "a record of removal"
)
FORGETTING, EXPOSURE = (
    Artifact(f"unlearn/{{run}}/{name}.parquet", about, "models and the pool", Purge.DROP_ROWS)
    for name, about in (("forgetting", About.FORGET_SET), ("exposure", About.EVERYONE))
)
UNLEARNED, REJECTED, *_OTHERS = (
    Artifact(f"unlearn/{{run}}/{name}.safetensors", About.EVERYONE, "the target and a forget set",
             Purge.KEEP_IF_PROVEN, "models of unlearning runs", finished=name[0] != "{")
    for name in ("model", "rejected", "{name}")
)  # fmt: skip
_WORKING = tuple(
    Artifact(path, About.FORGET_SET, "a run that is under way", Purge.REMOVE, kind, finished=False)
    for path, kind in (
        ("unlearn/{run}/stages/**", "stages of interrupted runs"),
        ("unlearn/{run}/u-lira/**", "answers of shadow models that unlearned"),
    )
)
RUN_MODELS = (UNLEARNED, REJECTED, *_OTHERS)
ORDERS, ORDERS_AS_CSV = (
    Artifact(f"compare-orders/{{run}}/{name}", About.NOBODY, "trials", Purge.KEEP_IF_WHOLE,
             "means over groups of samples")
    for name in ("results.json", "runs.csv")
)  # fmt: skip
TRIAL = Artifact("trials/{scene}/{trial}.json", About.FORGET_SET, "models", Purge.REMOVE, "results of trials")
_OTHER_TRIALS = Artifact("trials/**", About.FORGET_SET, "models", Purge.REMOVE, TRIAL.kind, finished=False)

OUTPUT = (
    SCORES, SCORES_AS_CSV, RESULTS, REPORT, ATTESTATION, MODEL_CARD, REDACTION_SALT, DECLARATION, RECONSTRUCTIONS,
    INVERSION_PICTURES, THUMBNAILS, INVERSION_SETTINGS, ATTRIBUTES, CLASSES, CLASS_PICTURES,
    METRICS, REMOVAL_RECORD, FORGETTING, EXPOSURE, *RUN_MODELS, *_WORKING, ORDERS, ORDERS_AS_CSV,
    TRIAL, _OTHER_TRIALS,
)  # fmt: skip

#: What scoring leaves together, the table first: the results say which one is theirs.
SCORED = (SCORES, RESULTS)

#: What a run that ended leaves beside its model and its record: of one that lacks a part, a purge leaves no other.
RUN_RESULTS = (METRICS, FORGETTING, EXPOSURE)

# Beside it: <out>/comparisons/A--B/, <out>/defences/<audit>/ and <out>/reproduction/<audit>-<scale>/.

COMPARISON = tuple(
    Artifact(path, About.EVERYONE, "two score tables", Purge.REMOVE, "comparisons with other audits")
    for path in ("comparison.json", "samples.parquet", REPORT.path)
)
DEFENCE, DEFENCE_TABLE, DEFENCE_REPORT = (
    Artifact(path, About.NOBODY, "audits of variations", Purge.KEEP)
    for path in ("defence.json", "results.csv", REPORT.path)
)
# A stored audit reads its list again, so one is named by what it says; earlier versions wrote over the only one.
LEFT_OUT, _ONLY_LEFT_OUT = (
    Artifact(path, About.SOME, "the score table", Purge.REMOVE, "lists of the most exposed that were left out")
    for path in ("most-exposed-{digest}.csv", "most-exposed.csv")
)
DEFENCE_FILES = (DEFENCE, DEFENCE_TABLE, DEFENCE_REPORT, LEFT_OUT, _ONLY_LEFT_OUT)
VERDICTS = Artifact("verdicts.json", About.NOBODY, "results of experiments", Purge.KEEP)
EXPERIMENT = Artifact("{experiment}/results.{ending:json|csv}", About.NOBODY, "trials", Purge.KEEP)
EXPERIMENTS = (VERDICTS, EXPERIMENT)


def artifact_at(path: str, manifest: Iterable[Artifact], keys: Collection[str] | None = None) -> Artifact | None:
    """Tell which kind of file has this path.

    Parameters
    ----------
    path
        From the folder on that the manifest is of.
    manifest
        `STORE`, `OUTPUT`, `COMPARISON`, `DEFENCE_FILES` or `EXPERIMENTS`: the first that fits counts.
    keys
        Of the models that there are; None for any.

    Returns
    -------
    Artifact or None
        None where no file of ours is called so.
    """
    for artifact in manifest:
        if (found := artifact.pattern.fullmatch(path)) is not None:
            key = found.groupdict().get("key")
            if key is None or keys is None or key in keys:
                return artifact
    return None


def comparisons_with(audit: str, out: Path) -> list[Path]:
    """Return the folders of comparisons with an audit, sorted."""
    return [path for path in sorted((out / COMPARISONS).glob("*--*")) if f"--{audit}--" in f"--{path.name}--"]


def exports_of(audit: str, out: Path) -> list[Path]:
    """Return what describes the exports of an audit's models below ``out``, sorted."""
    found = sorted((out / EXPORTS).glob(f"*/{EXPORTED}"))
    return [path for path in found if f'"audit": "{audit}"' in path.read_text("utf-8", errors="replace")]


def reproductions_of(audit: str, out: Path) -> list[Path]:
    """Return the folders of experiments on an audit, sorted."""
    return sorted((out / REPRODUCTION).glob(f"{audit}-*"))
