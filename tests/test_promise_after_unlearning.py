"""What becomes of a promise of differential privacy once a model is unlearned or handed on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from privaudit.audit.plan import plan_audit
from privaudit.config import AuditSettings
from privaudit.deployment.describe_model import by_training
from privaudit.errors import UsageError
from privaudit.report.content import wording
from privaudit.report.content.unlearning_wording import of_promise
from privaudit.report.sections.unlearning_results import section_of_run
from privaudit.results.audit.score_results import About
from privaudit.results.unlearning.run import UnlearnResults
from privaudit.unlearning.application.removal_record import record_of
from privaudit.unlearning.requests.forget_set import ForgetSet
from tests.test_sides import bare_results
from tests.test_unlearning_words import run_of as results_of

ASKED: dict[str, Any] = {"dataset": "digits", "samples": 200, "network": "mlp-narrow", "device": "cpu"}
PRIVATE: dict[str, Any] = ASKED | {"recipe": "dp-sgd", "noise_multiplier": 1.0, "delta": 1e-4}


def run_of(method: str) -> UnlearnResults:
    return results_of(method, 0.9, 0.5, 0.95)


def test_a_model_unlearned_without_noise_is_said_to_keep_no_promise() -> None:
    pytest.importorskip("opacus")
    private, plain = (plan_audit(AuditSettings(**asked)) for asked in (PRIVATE, ASKED))
    (warning,) = of_promise(private.identity, run_of("shadow-teacher"), is_given=False)
    assert "shadow-teacher took steps without noise, so the unlearned model keeps none" in warning
    assert of_promise(private.identity, run_of("retrain"), is_given=False) == []
    assert of_promise(private.identity, run_of("shadow-teacher"), is_given=True) == []
    assert of_promise(plain.identity, run_of("shadow-teacher"), is_given=False) == []
    # And whoever is handed the model reads what the noise is worth.
    assert "the noise follows from the seed: for an audit, not for deployment" in by_training(private.identity)
    assert by_training(plain.identity).endswith("epochs, seed 0")


@pytest.mark.parametrize(("method", "gone"), [("shadow-teacher", True), ("ft", True), ("retrain", False)])
def test_the_record_and_the_report_say_with_the_terminal_that_the_promise_is_gone(
    tmp_path: Path, method: str, gone: bool
) -> None:
    recipe = {"name": "dp-sgd", "epochs": 5, "batch_size": 64, "learning_rate": 0.5, "weight_decay": 0.0}
    privacy = {"noise_multiplier": 1.1, "max_grad_norm": 1.0, "sample_rate": 0.1, "accountant": "prv"}
    identity = {
        "dataset": "digits", "fingerprint": "0" * 64, "network": "cnn", "seed": 0, "device": "cpu", "precision": "fp32",
        "recipe": recipe | {"augment": "none", "privacy": privacy | {"epsilon": 7.994, "delta": 1e-5}},
    }  # fmt: skip
    about = About.model_validate({"audit": "private", "identity": identity})
    run = run_of(method)
    sentence = (
        f"the audited model keeps a promise of differential privacy (ε 7.994 at δ 1e-05); {method} took steps without "
        "noise, so the unlearned model keeps none. --method retrain trains by the recipe again"
    )
    said = of_promise(about.identity, run, is_given=False)
    assert said == [sentence] * gone
    table = pd.DataFrame({"sample_id": [4, 5], "class_name": ["a", "b"], "risk": [0.5, 0.9]})
    forgetting = table.assign(**dict.fromkeys(wording.DIFFICULTIES, np.nan))
    results = bare_results().model_copy(update={"about": about})
    paragraphs = section_of_run(results, run, forgetting, 1).paragraphs
    assert [one for one in paragraphs if "differential" in one] == [f"Warning: {sentence}."] * gone
    model = tmp_path / "model.safetensors"
    model.write_bytes(b"weights")
    record = record_of(run, ForgetSet(np.array([1]), scattered=True), table, model, said)
    assert [one for one in record.limits if "differential" in one] == [f"T{sentence[1:]}."] * gone


@pytest.mark.parametrize("kind", ["noise", "blank", "gradient"])
def test_a_kind_of_canaries_without_any_is_a_mistake(kind: str) -> None:
    with pytest.raises(UsageError, match=f"--canary-kind {kind}: there are no canaries") as caught:
        plan_audit(AuditSettings(**ASKED | {"canary_kind": kind}))
    assert "--canaries 100" in str(caught.value.hint)
