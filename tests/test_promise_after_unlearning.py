"""What becomes of a promise of differential privacy once a model is unlearned or handed on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from privaudit.audit.plan import plan_audit
from privaudit.commands.unlearning.unlearn import of_promise
from privaudit.config import AuditSettings
from privaudit.deployment.describe_model import by_training
from privaudit.errors import UsageError

ASKED: dict[str, Any] = {"dataset": "digits", "samples": 200, "network": "mlp-narrow", "device": "cpu"}
PRIVATE: dict[str, Any] = ASKED | {"recipe": "dp-sgd", "noise_multiplier": 1.0, "delta": 1e-4}


def run_of(method: str) -> Any:
    return cast(Any, SimpleNamespace(method=method, is_exact=method == "retrain"))


def test_a_model_unlearned_without_noise_is_said_to_keep_no_promise() -> None:
    pytest.importorskip("opacus")
    private, plain = (plan_audit(AuditSettings(**asked)) for asked in (PRIVATE, ASKED))
    (warning,) = of_promise(private, run_of("shadow-teacher"))
    assert "shadow-teacher took steps without noise, so the unlearned model keeps none" in warning
    assert of_promise(private, run_of("retrain")) == of_promise(plain, run_of("shadow-teacher")) == []
    # And whoever is handed the model reads what the noise is worth.
    assert "the noise follows from the seed: for an audit, not for deployment" in by_training(private.identity)
    assert by_training(plain.identity).endswith("epochs, seed 0")


@pytest.mark.parametrize("kind", ["noise", "blank", "gradient"])
def test_a_kind_of_canaries_without_any_is_a_mistake(kind: str) -> None:
    with pytest.raises(UsageError, match=f"--canary-kind {kind}: there are no canaries") as caught:
        plan_audit(AuditSettings(**ASKED | {"canary_kind": kind}))
    assert "--canaries 100" in str(caught.value.hint)
