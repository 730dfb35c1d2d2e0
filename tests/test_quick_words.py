"""What `privaudit quick` says beside its answer: all that was run counts, and what is advised can be done."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from privaudit.cli.commands.quick.summary import print_quick
from privaudit.commands.quick.logits_alone import run_logits
from privaudit.commands.quick.run_quick import doubts_of
from privaudit.errors import DataError
from privaudit.results.audit.quick_results import TargetAccuracy
from privaudit.results.measures import Attack
from privaudit.scoring.few_models.attack_target import all_clear_refuted


def attack(auc: float, low: float, high: float) -> Attack:
    return Attack(auc=auc, auc_ci=(low, high), tpr_at_fpr={}, tpr_ci={}, smallest_fpr=0.01)


SEES = {"loss": attack(0.617, 0.542, 0.686), "transferred": attack(0.52, 0.45, 0.59)}
BLIND = SEES | {"loss": attack(0.55, 0.48, 0.62)}


def test_a_given_target_that_any_attack_tells_apart_is_not_said_to_know_nothing() -> None:
    labels = np.arange(200) % 2
    arrays = SimpleNamespace(test_labels=labels[:100])
    plan = cast(Any, SimpleNamespace(given=object(), data=Sized(labels), arrays=arrays))
    perfect = TargetAccuracy(members=1.0, others=1.0)
    assert doubts_of(plan, perfect, SEES) == []
    assert "no attack on it tells them apart" in doubts_of(plan, perfect, BLIND)[0]


class Sized:
    def __init__(self, labels: Any) -> None:
        self.y_train = labels

    def __len__(self) -> int:
        return len(self.y_train)


def test_an_answer_that_finds_nothing_beside_an_attack_that_does_is_said_to_be_no_all_clear() -> None:
    (said,) = all_clear_refuted(SEES)
    assert "the other attack can" in said
    assert "Loss threshold: AUC 0.617 (0.542–0.686). It is no all-clear" in said
    three = {"conditional": attack(0.5, 0.4, 0.6)} | SEES
    assert "1 of the 2 other attacks can" in all_clear_refuted(three)[0]
    assert all_clear_refuted(BLIND) == []
    assert all_clear_refuted(SEES | {"transferred": attack(0.6, 0.53, 0.66)}) == []


@pytest.fixture
def answers() -> dict[str, Any]:
    random = np.random.default_rng(0)
    labels, member = random.integers(0, 4, 400), random.random(400) < 0.5
    logits = random.normal(size=(400, 4))
    logits[np.arange(400), labels] += 1 + member
    return {"logits": logits, "labels": labels, "member": member}


def test_of_logits_alone_nothing_is_advised_that_would_be_refused(
    answers: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odds = np.exp(answers["logits"])
    np.savez(tmp_path / "answers.npz", **answers | {"logits": odds / odds.sum(1, keepdims=True)})
    results = run_logits(tmp_path / "answers.npz", 0)
    print_quick(results)
    told = capsys.readouterr()
    assert "--shadows 2" not in told.out  # It means nothing with --signals.
    assert "privaudit score --signals" in told.out
    # What the numbers were taken for is a guess, and said.
    assert results.notes
    assert results.notes[0] in told.err


def test_a_file_of_answers_that_is_none_is_told_what_one_holds(answers: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "answers.npz"
    path.write_text("no archive")
    with pytest.raises(DataError, match="not a readable") as caught:
        run_logits(path, 0)
    assert "member [N] bool" in str(caught.value.hint)
    np.savez(path, **answers | {"member": np.ones(400, np.bool_)})
    with pytest.raises(DataError, match="member is False for 0 of 400 samples: it needs 10"):
        run_logits(path, 0)
