"""Unlearning: methods against hand-computed steps, budgets counted, measures against closed forms."""

from __future__ import annotations

import json
import math
import re
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch

from privaudit.attacks import lira
from privaudit.attacks.risk import attack_success
from privaudit.audit.stored_signals import StoredSignals
from privaudit.errors import UsageError
from privaudit.evaluation.measures.difficulty import per_sample_difficulty, relate_to_risk
from privaudit.evaluation.measures.utility import accuracy, tug_of_war
from privaudit.evaluation.shadow_evidence import ShadowEvidence
from privaudit.networks import build_network
from privaudit.results.unlearning.run import Accuracies
from privaudit.runtime.seeds import derive_seed
from privaudit.shadow.design import paired_design
from privaudit.shadow.store import AuditStore
from privaudit.signals import SIGNALS
from privaudit.statistics.intervals import spearman
from privaudit.training.hardware import Hardware
from privaudit.training.loop import Samples
from privaudit.unlearning.base import Context, Parameters, StopUnlearning, Unlearner
from privaudit.unlearning.methods.gradient_ascent import GradientAscent
from privaudit.unlearning.methods.random_labels import RandomLabels
from privaudit.unlearning.requests.forget_set import ForgetSet, choose_forget_set
from privaudit.unlearning.schedule.ordering import group_ends, order_rows, split_groups
from privaudit.unlearning.schedule.sequence import run_sequence
from privaudit.unlearning.schedule.stages import plan_stages
from tests.conftest import SMALL, Run, unlearn

CPU = Hardware("cpu", "fp32")
CLASSES = 3


def context(name: str = "cnn", forget: int = 12, samples: int = 60) -> Context:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (samples, 8, 8, 1)).astype(np.uint8)
    pool = Samples.from_arrays(images, np.arange(samples) % CLASSES, "cpu")
    model = build_network(name, (8, 8, 1), CLASSES, ((0.5,), (0.3,)), 0)
    generator = torch.Generator().manual_seed(0)

    def build(*purpose: str | int) -> torch.nn.Module:
        return build_network(name, (8, 8, 1), CLASSES, ((0.5,), (0.3,)), derive_seed(0, *purpose))

    return Context(
        model, pool, np.arange(forget), np.arange(forget, samples), CLASSES, lambda: 1.5, CPU, generator, build
    )


def state(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def inputs(work: Context, rows: torch.Tensor) -> torch.Tensor:
    return work.samples.inputs[rows].permute(0, 3, 1, 2).float() / 255


def nested(ordered: npt.NDArray[np.int64], groups: int) -> list[npt.NDArray[np.int64]]:
    """The paper's groups: D₁ ⊂ … ⊂ D_G, growing linearly."""
    return split_groups(ordered, group_ends(len(ordered), groups, "linear"), "cumulative")


def test_ascent_is_one_step_up_the_loss() -> None:
    work = context()
    before = state(work.model)
    rows = torch.arange(12)
    loss = torch.nn.functional.cross_entropy(work.model(inputs(work, rows)), work.samples.labels[rows])
    gradients = torch.autograd.grad(loss, list(work.model.parameters()))
    GradientAscent(work, Parameters(1, 0.01)).step(rows)
    for (name, parameter), gradient in zip(work.model.named_parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.detach(), before[name] + 0.01 * gradient)


def test_ascent_with_rate_zero_changes_no_bit() -> None:
    work = context("resnet18")
    before = state(work.model)
    run_sequence(GradientAscent(work, Parameters(2, 0.0, 5)), plan_stages([work.forget], 2), lambda _: None)
    after = state(work.model)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_ascent_leaves_batchnorm_statistics_alone() -> None:
    work = context("resnet18")
    before = state(work.model)
    GradientAscent(work, Parameters(1, 0.01)).step(torch.arange(12))
    after = state(work.model)
    assert all(torch.equal(before[name], after[name]) for name in before if "running" in name)
    assert any(not torch.equal(before[name], after[name]) for name in before if name.endswith("weight"))


def test_ascent_that_runs_away_stops_and_says_so() -> None:
    work = context()
    ledger = run_sequence(
        GradientAscent(work, Parameters(500, 0.5, 4)), plan_stages([work.forget], 500), lambda _: None
    )
    assert ledger.stopped is not None
    assert "would destroy the model" in ledger.stopped
    reached, enough = map(float, re.findall(r"to about ([\d.]+), where ([\d.]+) is enough", ledger.stopped)[0])
    assert reached > enough
    assert 0 < ledger.forget_steps_run < ledger.forget_steps == 6000
    assert all(bool(torch.isfinite(tensor).all()) for tensor in work.model.state_dict().values())


def test_ascent_counts_the_climb_and_not_the_height() -> None:
    """Hard samples first or easy ones first: the rule that stops ascent is the same, and neither stops it at once."""
    ledgers, ceilings = [], []
    for hard_first in (True, False):
        work = context()
        for parameter in work.model.parameters():
            parameter.data.mul_(0)
        dict(work.model.named_parameters())["network.7.bias"].data.copy_(torch.tensor([5.0, 0, 0]))
        easy, hard = np.arange(0, 60, 3), np.array([1])  # the model is sure of class 0, and wrong of sample 1
        work = replace(work, forget=np.sort(np.concatenate([easy, hard])), unseen_loss=lambda: 0.9)
        ordered = np.concatenate([hard, easy] if hard_first else [easy, hard])
        method = GradientAscent(work, Parameters(1, 1e-4, 4))
        ceilings.append(method.guard.ceiling)
        ledgers.append(run_sequence(method, plan_stages(nested(ordered, 21), 1), lambda _: None))
    assert ceilings[0] == ceilings[1] == 0.9
    assert all(ledger.stopped is None for ledger in ledgers)


def test_random_labels_of_one_request_keep_the_batch_size(monkeypatch: pytest.MonkeyPatch) -> None:
    work = replace(context(), forget=np.array([7]), retain=np.setdiff1d(np.arange(60), [7]))
    sizes: list[int] = []
    real = torch.nn.functional.cross_entropy

    def spy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        sizes.append(len(labels))
        return real(logits, labels)

    monkeypatch.setattr("privaudit.unlearning.methods.random_labels.functional.cross_entropy", spy)
    ledger = run_sequence(RandomLabels(work, Parameters(3, 0.01, 16)), plan_stages([work.forget], 3), lambda _: None)
    assert ledger.retain_steps_run == 3 * 59
    assert max(sizes) <= 16
    assert sum(sizes) == 3 * 60


def test_random_labels_are_wrong_and_mixed_as_in_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    work = context()
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    real = torch.nn.functional.cross_entropy

    def spy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        seen.append((logits.detach(), labels))
        return real(logits, labels)

    monkeypatch.setattr("privaudit.unlearning.methods.random_labels.functional.cross_entropy", spy)
    method = RandomLabels(work, Parameters(2, 0.01, 10))
    assert method.forget_batch_size == 2  # 12 of 60 samples are to be forgotten
    ledger = run_sequence(method, plan_stages([work.forget], 2), lambda _: None)
    assert ledger.forget_steps_run == 24
    assert ledger.retain_steps_run == pytest.approx(2 * 48, abs=4)
    drawn = torch.cat([labels[:2] for _, labels in seen])
    assert len(drawn) == 24
    assert set(drawn.tolist()) == {0, 1, 2}
    assert all(len(labels) == 10 for _, labels in seen)


def test_random_labels_never_draw_the_true_one(monkeypatch: pytest.MonkeyPatch) -> None:
    work = context(forget=30)
    labels_seen: list[torch.Tensor] = []
    real = torch.nn.functional.cross_entropy

    def spy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        labels_seen.append(labels)
        return real(logits, labels)

    monkeypatch.setattr("privaudit.unlearning.methods.random_labels.functional.cross_entropy", spy)
    method = RandomLabels(work, Parameters(1, 0.01, 60))
    for _ in range(20):
        method.step(torch.arange(30))
    for labels in labels_seen:
        assert bool((labels[:30] != torch.arange(30) % CLASSES).all())
        assert len(labels) == 60


def test_budgets_are_equal_and_counted() -> None:
    ordered = np.arange(103)
    for passes in (1, 2.5, 5):
        for groups in (1, 3, 5, 103):
            stages = plan_stages(nested(ordered, groups), passes)
            assert sum(stage.budget for stage in stages) == round(passes * 103)
            assert len(stages[-1].rows) == 103


def test_groups_are_nested_and_linear() -> None:
    groups = nested(np.arange(10)[::-1].copy(), 5)
    assert [len(group) for group in groups] == [2, 4, 6, 8, 10]
    assert groups[0].tolist() == [9, 8]
    for smaller, larger in pairwise(groups):
        assert np.array_equal(larger[: len(smaller)], smaller)
    with pytest.raises(UsageError, match="11 groups of 10"):
        nested(np.arange(10), 11)


class Recorder(Unlearner):
    """Counts which samples it is handed."""

    defaults = Parameters(2, 0.1, 4)

    def __init__(self, work: Context, parameters: Parameters) -> None:
        super().__init__(work, parameters)
        self.handed: list[int] = []

    def step(self, batch: torch.Tensor) -> None:
        self.handed += batch.tolist()
        if len(self.handed) > 10**6:
            raise StopUnlearning("never")


def test_a_pass_shows_every_sample_once() -> None:
    work = context()
    recorder = Recorder(work, Recorder.defaults)
    ledger = run_sequence(recorder, plan_stages([work.forget], 3), lambda _: None)
    assert ledger.forget_steps_run == 36
    assert np.bincount(recorder.handed).tolist() == [3] * 12


def test_early_groups_come_first() -> None:
    work = context()
    recorder = Recorder(work, Recorder.defaults)
    groups = nested(work.forget[::-1].copy(), 3)
    run_sequence(recorder, plan_stages(groups, 2), lambda _: None)
    assert set(recorder.handed[:4]) == {8, 9, 10, 11}
    assert len(recorder.handed) == 24


def score_rows() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "sample_id": [10, 11, 12, 13, 14, 15],
            "label": [0, 0, 1, 1, 2, 2],
            "risk": [0.9, 0.5, 0.5, 0.7, 0.6, 1.0],
            "lira": [2.0, 0.1, 0.0, 0.5, 0.3, 3.0],
            "loss": [0.3, 0.1, 0.6, 0.2, 0.5, 0.4],
            "tail": [False, False, True, False, True, False],
            "rank": [2, 5, 6, 3, 4, 1],
        }
    )


def test_orders() -> None:
    table = score_rows()

    def ids(order: str, descending: bool = False) -> list[int]:
        return [int(n) for n in table["sample_id"].to_numpy()[order_rows(table, order, descending, 0)]]

    assert ids("risk") == [12, 11, 14, 13, 10, 15]
    assert ids("risk", True) == [15, 10, 13, 14, 11, 12]
    assert ids("loss") == [11, 13, 10, 15, 14, 12]
    assert ids("tail") == [11, 13, 10, 15, 14, 12]
    assert ids("none") == [10, 11, 12, 13, 14, 15]
    assert sorted(ids("random")) == ids("none")
    with pytest.raises(UsageError, match="unknown order 'age'"):
        ids("age")


def test_forget_sets(tmp_path: Path) -> None:
    table, names = score_rows(), ("ant", "bee", "7")

    def rows(specification: str) -> list[int]:
        return [int(row) for row in choose_forget_set(specification, table, names, 0).rows]

    assert len(rows("random:50%")) == 3
    assert rows("random:50%") == rows("random:3")
    assert rows("class:bee,0") == [0, 1, 2, 3]
    assert rows("class:7") == [4, 5]  # a class's own name goes before its number
    assert rows("top-risk:2") == [0, 5]
    assert len(rows("classes:34%")) == 2
    assert not choose_forget_set("class:0", table, names, 0).scattered
    assert not choose_forget_set("random:5", table, names, 0).scattered  # some class loses both of its samples
    path = tmp_path / "requests.csv"
    path.write_text("sample_id,date\n12,2026-01-01\n10,\n12,\n\n")
    chosen = choose_forget_set(f"ids:{path}", table, names, 0)
    assert chosen.rows.tolist() == [0, 2]
    assert chosen.scattered
    assert "1 ids were given more than once" in chosen.notes
    path.write_text("10\n11\n")
    assert not choose_forget_set(f"ids:{path}", table, names, 0).scattered


@pytest.mark.parametrize(
    ("specification", "message"),
    [
        ("everything", "not understood"),
        ("random:0", "neither a count nor"),
        ("random:-3", "neither a count nor"),
        ("random:1.5", "neither a count nor"),
        ("random:nan", "neither a count nor"),
        ("random:200%", "neither a count nor"),
        ("random:7", "only 6"),
        ("random:6", "names all 6"),
        ("class:wasp", "no class 'wasp'"),
        ("class:0,1,2", "names all 6"),
        ("ids:absent.csv", "cannot read the ids"),
    ],
)
def test_bad_forget_sets(specification: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        choose_forget_set(specification, score_rows(), ("ant", "bee", "cat"), 0)


@pytest.mark.parametrize(
    ("content", "message"),
    [("", "names no sample"), ("sample_id\n", "names no sample"), ("x\n", "'x' is not"), ("99\n", "99")],
)
def test_bad_request_files(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "requests.csv"
    path.write_text(content)
    with pytest.raises(UsageError, match=message):
        choose_forget_set(f"ids:{path}", score_rows(), ("ant", "bee", "cat"), 0)


def test_tug_of_war() -> None:
    same = Accuracies(forget=0.6, retain=1.0, test=0.59)
    assert tug_of_war(same, same) == 1
    other = Accuracies(forget=1.0, retain=0.9, test=0.54)
    assert tug_of_war(other, same) == pytest.approx(0.6 * 0.9 * 0.95)
    assert accuracy(np.array([1.0, -1.0, 0.0, 2.0])) == 0.5


def test_difficulty_and_its_relation_to_risk() -> None:
    original, unlearned, reference = np.array([5.0, 6]), np.array([1.0, 6]), np.array([2.0, 3])
    found = per_sample_difficulty(original, unlearned, reference)
    assert found["forgettability"].tolist() == [4, 0]
    assert found["fidelity"].tolist() == [1, 3]
    assert found["shift"].tolist() == [3, 3]
    assert per_sample_difficulty(original, unlearned, None)["shift"].isna().all()
    risk = np.arange(50.0)
    relation = relate_to_risk(risk, risk, per_sample_difficulty(risk, np.zeros(50), -risk))
    assert relation["forgettability"].spearman == pytest.approx(1)


@pytest.fixture(scope="module")
def own_audit(small_audit: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("unlearn")
    for name in ("store", "out"):
        shutil.copytree(small_audit["root"] / name, root / name)
    return root


def test_a_run_keeps_the_contract(privaudit: Run, own_audit: Path) -> None:
    results = unlearn(privaudit, own_audit, "--order", "risk", "--learning-rate", "0.01")
    for key in ("audit", "run", "method", "order", "forget", "forget_steps", "forget_steps_run", "stopped", "report"):
        assert key in results
    assert (results["method"], results["order"], results["forget"]) == ("ga", "risk", 30)
    assert results["forget_steps"] == 5 * 30
    assert set(results["accuracy"]) == {"original", "unlearned", "retrained"}
    assert set(results["risk_vs_difficulty"]) == {"forgettability", "fidelity", "shift"}
    accuracies = {name: Accuracies(**parts) for name, parts in results["accuracy"].items()}
    assert results["tow"] == pytest.approx(tug_of_war(accuracies["unlearned"], accuracies["retrained"]))
    assert results["tow_do_nothing"] == pytest.approx(tug_of_war(accuracies["original"], accuracies["retrained"]))
    folder = own_audit / "out" / results["audit"] / "unlearn" / results["run"]
    rejected = results["outcome"] in ("unchanged", "ruined")
    assert (folder / "rejected.safetensors").is_file() == rejected
    assert (folder / "model.safetensors").is_file() != rejected
    forgetting = pd.read_parquet(folder / "forgetting.parquet")
    assert len(forgetting) == 30
    again = unlearn(privaudit, own_audit, "--order", "risk", "--learning-rate", "0.01")
    assert again["seconds"] == results["seconds"]  # nothing was done a second time


def test_doing_nothing_is_the_original(privaudit: Run, own_audit: Path) -> None:
    results = unlearn(privaudit, own_audit, "--order", "none", "--learning-rate", "0")
    # Whatever the noise is: the model says exactly what it said before.
    assert results["outcome"] == "unchanged"
    folder = Path(results["folder"])
    record = json.loads((folder / "record.json").read_text())
    assert record["removed"] == []
    assert len(record["attempted"]) == results["forget"]
    assert record["model"]["file"] == "rejected.safetensors"
    assert not (folder / "model.safetensors").exists()
    assert results["guard"]["undone"] == []
    assert results["accuracy"]["unlearned"] == results["accuracy"]["original"]
    assert results["tow"] == results["tow_do_nothing"]
    assert results["reaudit"]["unlearned"] == results["reaudit"]["original"]


def test_retraining_is_training_on_what_remains(privaudit: Run, own_audit: Path) -> None:
    """And it is compared with a second, independent retraining."""
    results = unlearn(privaudit, own_audit, "--method", "retrain")
    assert results["forget_steps"] == 0
    assert results["accuracy"]["unlearned"]["retain"] > 0.95
    assert results["accuracy"]["unlearned"]["forget"] < results["accuracy"]["original"]["forget"]
    models = list((own_audit / "store" / results["audit"] / "retrained").glob("*.safetensors"))
    assert len(models) == 2
    assert models[0].read_bytes() != models[1].read_bytes()
    # That it "forgot" nothing at any step must not read as if nothing were forgotten.
    assert results["forgotten"]["share"] > results["forgotten"]["before"]
    record = json.loads((own_audit / "out" / results["audit"] / "unlearn" / results["run"] / "record.json").read_text())
    assert record["method"]["exact"] is True


def test_random_labels_and_a_class_end_to_end(privaudit: Run, own_audit: Path, small_npz: Path) -> None:
    results = unlearn(
        privaudit, own_audit, "--method", "rl", "--forget", "class:1", "--order", "loss", "--descending",
        "--reference", "shadow",
    )  # fmt: skip
    assert results["forget"] == (np.load(small_npz)["y_train"] == 1).sum()
    assert results["accuracy"]["retrained"] is None
    assert results["tow"] is None
    assert results["reference"] is None  # shadow models saw half of the class
    assert results["reaudit"]["unlearned"]["forget"] is None
    assert results["risk_vs_difficulty"]["fidelity"]["spearman"] is None
    assert results["accuracy"]["unlearned"]["forget"] < 0.5


def test_shadow_models_stand_in_for_scattered_samples(privaudit: Run, own_audit: Path) -> None:
    results = unlearn(privaudit, own_audit, "--reference", "shadow", "--forget", "random:40")
    assert results["reference"].startswith("half of the shadow models")
    assert results["risk_vs_difficulty"]["shift"]["spearman"] is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--method", "magic"], "unknown unlearner 'magic'"),
        (["--method", "retrian"], "Did you mean 'retrain'"),
        (["--order", "age"], "unknown order 'age'"),
        (["--audit", "nothing"], "no audit 'nothing'"),
        (["--forget", "random:100%"], "names all 300"),
        (["--forget", "random:299"], "leaves a single sample"),
        (["--method", "ga", "--learning-rate", "-1"], "'--learning-rate': -1.0 is not in the range x>=0"),
        (["--reference", "oracle"], "unknown reference"),
    ],
)
def test_mistakes_are_told(privaudit: Run, own_audit: Path, arguments: list[str], message: str) -> None:
    done = privaudit("unlearn", "--store", own_audit / "store", "--out", own_audit / "out", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_ascent_climbs_no_higher_than_the_unseen() -> None:
    """Where never-seen samples cost little, forgetting is done early."""
    work = replace(context(), unseen_loss=lambda: 0.05)
    for parameter in work.model.parameters():
        parameter.data.mul_(0)
    dict(work.model.named_parameters())["network.7.bias"].data.copy_(torch.tensor([5.0, 0, 0]))
    work = replace(work, forget=np.arange(0, 60, 3))  # all of class 0: the model is sure and right
    stages = plan_stages([work.forget], 200)
    ledger = run_sequence(GradientAscent(work, Parameters(200, 0.5)), stages, lambda _: None)
    assert ledger.stopped is not None
    assert "never seen cost the original model 0.05" in ledger.stopped
    with torch.no_grad():
        loss = torch.nn.functional.cross_entropy(
            work.model(inputs(work, torch.arange(0, 60, 3))), torch.zeros(20, dtype=torch.int64)
        )
    assert 0.01 < float(loss) < math.log(3)


def test_risk_and_its_reference_come_from_different_shadow_models(small_audit: dict[str, Any]) -> None:
    """Otherwise their relation is built in: on pure noise it would not read 0."""
    random = np.random.default_rng(0)
    keep = paired_design(3000, 16, 0)
    noise = np.zeros((16, 3000, 1, len(SIGNALS)), np.float32)
    noise[..., 0, 0] = random.normal(size=keep.shape)
    original = random.normal(size=(3000, 1, len(SIGNALS))).astype(np.float32)
    stored = StoredSignals(keep, noise, original, noise[:, :10], original[:10], noise)
    risk = attack_success(lira.online(noise[..., 0], keep), keep)
    bench = SimpleNamespace(statistic="margin", table=pd.DataFrame({"risk": risk}))
    problem: Any = SimpleNamespace(forget=ForgetSet(np.arange(3000), True), bench=bench)
    found = ShadowEvidence(problem, np.ones(16, np.bool_), stored).reference({})
    assert found.margin is not None
    for name, difficulty in {"shift": original[:, 0, 0] - found.margin, "fidelity": abs(found.margin)}.items():
        interval = spearman(found.risk, difficulty).ci
        assert interval is not None
        assert interval[0] < 0 < interval[1], name
    built_in = spearman(risk, abs(np.where(keep, 0, noise[..., 0, 0]).sum(0))).ci
    assert built_in is not None
    assert built_in[1] < 0 or built_in[0] > 0


@pytest.mark.slow
def test_another_statistic_is_another_run(privaudit: Run, small_audit: dict[str, Any], tmp_path: Path) -> None:
    """Scores made anew with another statistic, or more shadow models, must not be answered with an old run."""
    root = small_audit["root"]
    for name in ("store", "out"):
        shutil.copytree(root / name, tmp_path / name)
    first = unlearn(privaudit, tmp_path, "--groups", "3")
    command = ["score", "--dataset", str(small_audit["npz"]), *SMALL, "--statistic", "logit-gap"]
    done = privaudit(*command, "--store", tmp_path / "store", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    second = unlearn(privaudit, tmp_path, "--groups", "3")
    assert second["run"] != first["run"]
    assert (first["statistic"], second["statistic"]) == ("margin", "logit-gap")
    assert (first["number"], second["number"]) == (1, 2)
    report = json.loads((tmp_path / "out" / first["audit"] / "report.json").read_text())
    sections = {section["anchor"]: section for section in report["sections"]}
    assert "run it again to compare" in sections["unlearning-1"]["paragraphs"][0]
    assert "run it again to compare" not in sections["unlearning-2"]["paragraphs"][0]
    assert "--statistic logit-gap" in sections["reproduce"]["tables"][0]["rows"][0][1]
    # Damage to the per-sample table makes the run anew; so does its loss.
    folder = tmp_path / "out" / first["audit"] / "unlearn" / second["run"]
    for harm in ("damaged", "lost"):
        (folder / "forgetting.parquet").write_bytes(b"x")
        if harm == "lost":
            (folder / "forgetting.parquet").unlink()
        assert unlearn(privaudit, tmp_path, "--groups", "3")["accuracy"] == second["accuracy"]
        assert len(pd.read_parquet(folder / "forgetting.parquet")) == 30
    (tmp_path / "out" / first["audit"] / "scores.parquet").write_bytes(b"damaged")
    done = privaudit("report", "--store", tmp_path / "store", "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "scores.parquet is damaged" in done.stderr
    assert unlearn(privaudit, tmp_path, "--groups", "3")["method"] == "ga"  # the scores are made anew


def test_retraining_knows_no_order(privaudit: Run, own_audit: Path) -> None:
    runs = {unlearn(privaudit, own_audit, "--method", "retrain", "--order", order)["run"] for order in ("risk", "loss")}
    assert len(runs) == 1


def test_data_that_moved_is_found_after_scoring_again(
    privaudit: Run, small_audit: dict[str, Any], tmp_path: Path
) -> None:
    for name in ("store", "out"):
        shutil.copytree(small_audit["root"] / name, tmp_path / name)
    (tmp_path / "elsewhere").mkdir()
    moved = shutil.copy(small_audit["npz"], tmp_path / "elsewhere" / "noisy.npz")
    done = privaudit("score", "--dataset", moved, *SMALL, "--store", tmp_path / "store", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "nothing to train" in done.stderr
    store = AuditStore(tmp_path / "store", small_audit["results"]["audit"])
    assert store.read_description()["data"]["dataset"] == str(moved)
    unlearn(privaudit, tmp_path, "--reference", "shadow")
