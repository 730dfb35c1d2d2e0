"""Names of audits, runs, trials and models: each is what it was since it was first given, to the character."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from privaudit.audit.plan import plan_audit
from privaudit.commands import score_signals
from privaudit.commands.unlearning import run_naming
from privaudit.config import AuditSettings, UnlearnSettings
from privaudit.runtime.identity import Identity, digest_of, slug
from privaudit.trials.treatment import Scene, Treatment
from privaudit.unlearning.application.retrained_models import retrain_jobs
from privaudit.unlearning.application.run_method import Request
from privaudit.unlearning.methods.gradient_ascent import GradientAscent
from privaudit.unlearning.requests.forget_set import ForgetSet
from privaudit.unlearning.schedule.stages import sequencing_of

TABLE = pd.DataFrame({"risk": [0.5, 0.25, 1.0, 0.75], "lira": [0.1, -2.0, 3.5, 0.0], "loss": [0.3, 1.5, 0.01, 2.0]})
FORGET = ForgetSet(np.array([1, 3]), scattered=True)


def settings(**changes: Any) -> AuditSettings:
    return AuditSettings(dataset="digits", device="cpu", precision="fp32", **changes)


def test_an_audit_is_named_by_its_data_network_and_training() -> None:
    names = [
        plan_audit(settings(shadows=4)).name,
        plan_audit(settings(shadows=8, canaries=20, epochs=4)).name,
        plan_audit(settings(samples=200, seed=3, network="mlp")).name,
    ]
    assert names == ["digits-cnn-a4573732", "digits-cnn-2ce165a8", "digits-mlp-d7097131"]


def test_results_of_signals_are_named_by_their_content() -> None:
    assert score_signals._short("0" * 64, settings(seed=1)) == "1a62932e"


def stub(**more: Any) -> Any:
    """What is read of a plan, a bench or a store where they give names."""
    return SimpleNamespace(**more)


def request(order: str) -> Request:
    sequencing = sequencing_of(UnlearnSettings(order=order))
    return Request("ga", GradientAscent.defaults, sequencing, 2)


def test_a_run_is_named_by_all_that_changes_its_results() -> None:
    bench = stub(store=stub(audit="digits-cnn-12345678"), shadows=8, table=TABLE)
    asked = {
        "ids": (UnlearnSettings(method="ga", forget="ids:people/Ann.csv", seed=2), request("risk")),
        "class": (UnlearnSettings(method="ga", forget="class:3,7", order="loss", seed=2), request("loss")),
        "retrain": (UnlearnSettings(method="retrain", forget="random:10%"), None),
    }
    names = {name: run_naming.run_name(one, bench, FORGET, made) for name, (one, made) in asked.items()}
    assert names == {
        "ids": "ga-risk-ids-7662078d",
        "class": "ga-loss-class-3-7-cefc2824",
        "retrain": "retrain-random-10-a4afcf93",
    }


def test_a_trial_is_named_by_its_scene_and_its_treatment() -> None:
    bench = stub(table=TABLE, shadows=8)
    scene = Scene(2, bench, FORGET, Path("trials"), Path("a"), (Path("b"), Path("c")), True, ())
    paths = [scene.path(Treatment(one)).as_posix() for one in ("retrain", request("risk"), request("none"))]
    assert paths == [
        "trials/99a6386431756df5/3261f390eb85d57a.json",
        "trials/99a6386431756df5/0c2da5d041e834de.json",
        "trials/99a6386431756df5/9ed42fcd58ed8aa9.json",
    ]


def test_a_run_in_stages_has_another_name_once_a_method_does_other_things_in_stages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = stub(store=stub(audit="digits-cnn-12345678"), shadows=8, table=TABLE)

    def names() -> list[tuple[str, Any]]:
        return [
            (run_naming.run_name(asked(order), bench, FORGET, request(order)), Treatment(request(order)).identity())
            for order in ("risk", "none")
        ]

    def asked(order: str) -> UnlearnSettings:
        return UnlearnSettings(method="ga", forget="random:3", order=order, seed=2)

    (ordered, at_once) = names()
    monkeypatch.setattr(GradientAscent, "stages_revision", 2)
    (now, still) = names()
    assert now[0] != ordered[0]
    assert now[1] != ordered[1]
    assert still == at_once


def test_a_retrained_model_is_named_by_what_it_never_saw() -> None:
    plan = stub(store=stub(folder=Path("store")), specification=None)
    (first, second) = retrain_jobs(plan, FORGET, np.array([0, 2]), 5, 2)
    assert first.path.as_posix() == "store/retrained/8e8f6841378f772c-5-0.safetensors"
    assert second.path.as_posix() == "store/retrained/8e8f6841378f772c-5-1.safetensors"
    assert first.purpose == ("retrain", "8e8f6841378f772c", 5, 0)


def test_an_array_is_known_by_its_content_alone() -> None:
    array = np.arange(6, dtype=np.int64).reshape(2, 3)
    assert Identity.of(rows=array).digest() == Identity.of(rows=np.asfortranarray(array)).digest()
    assert Identity.of(rows=array).digest() != Identity.of(rows=array + 1).digest()
    assert digest_of("a") == digest_of(b"a") == "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"


def test_a_slug_holds_letters_and_digits() -> None:
    assert (slug("My Data: v2!"), slug("--a--b", 3), slug("…")) == ("my-data-v2", "a", "")
