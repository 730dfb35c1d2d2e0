"""What a stored model is, and what an export of it left; how it came about, and whether it may be deployed."""

from __future__ import annotations

from typing import Literal

from pydantic import JsonValue

from privaudit.results.base import Result

#: How a model came about: the one that was audited, one of its shadow models, the one that saw canaries by a coin, a
#: reference retrained without a forget set, the model of an unlearning run.
ModelKind = Literal["target", "shadow", "coin", "retrained", "unlearned"]


class ModelDescription(Result):
    """One stored model.

    Parameters
    ----------
    audit, run
        Whose it is; ``run`` where an unlearning run made it.
    file, sha256
        Its file's name and checksum.
    dataset, fingerprint, members
        What the audit's models are trained on, and of how many of its samples this one saw, where that is on record.
    network, network_source
        Its network, and the SHA-256 of that code where it is not ours.
    trained_by
        Recipe or training function, and the method that unlearned, in words.
    classes, input_shape, input_type
        Names in the order of logits; ``(H, W, C)`` or ``(D,)``; ``uint8`` or ``float32`` as the data was, None where
        an earlier version did not note it.
    outcome, outcome_sentence, record_sha256, forgotten
        Of an unlearning run: what became of it, the SHA-256 of its ``record.json``, and how many samples it was to
        forget.
    deployable, why
        Whether it may be deployed, and why or why not.
    """

    audit: str
    run: str | None = None
    kind: ModelKind
    file: str
    sha256: str
    dataset: str
    fingerprint: str
    members: int | None = None
    network: str
    network_source: str | None = None
    trained_by: str
    classes: tuple[str, ...]
    input_shape: tuple[int, ...]
    input_type: str | None = None
    outcome: str | None = None
    outcome_sentence: str | None = None
    record_sha256: str | None = None
    forgotten: int | None = None
    deployable: bool
    why: str

    def sentences(self) -> list[str]:
        """Return the same as lines for people."""
        shape = "×".join(map(str, self.input_shape))
        source = "" if self.network_source is None else f" (code {self.network_source[:12]})"
        return [
            f"{self.kind} model of audit {self.audit}" + (f", run {self.run}" if self.run else ""),
            f"network {self.network}{source}, inputs {shape}, {len(self.classes)} classes",
            f"data {self.dataset}, fingerprint {self.fingerprint[:12]}",
            f"trained by {self.trained_by}",
            *([self.outcome_sentence] if self.outcome_sentence else []),
            f"{'may be deployed' if self.deployable else 'NOT to be deployed'}: {self.why}",
        ]


class ExportedModel(ModelDescription):
    """The ``model.json`` of an export: what the model is, and what its loader goes by.

    Parameters
    ----------
    format, made_by
        1, and which privaudit wrote it.
    mean, deviation
        What inputs are standardised by, one a channel or feature; of bytes on the 0–1 scale.
    encoding
        How the columns of a table become features, as the audit keeps it.
    weights_sha256
        Of the exported weights; ``file`` and ``sha256`` are those of the stored model.
    needs
        Packages that the loader imports.
    """

    format: int
    made_by: str
    mean: list[float]
    deviation: list[float]
    encoding: dict[str, JsonValue] | None = None
    weights_sha256: str
    needs: tuple[str, ...]


class ExportResult(Result):
    """What ``privaudit export`` wrote.

    Parameters
    ----------
    audit, run, outcome, deployable
        As of the model.
    folder, files
        Where it was written, and the names of the files there.
    sha256
        Of the exported weights.
    record_sha256
        Of the record of removal that they come from; None of an audit's target.
    needs
        Packages that the loader imports.
    """

    audit: str
    run: str | None
    outcome: str | None
    deployable: bool
    folder: str
    files: tuple[str, ...]
    sha256: str
    record_sha256: str | None
    needs: tuple[str, ...]
