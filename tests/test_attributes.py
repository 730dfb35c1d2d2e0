"""Sensitive columns: nothing is found where there is nothing, and what a model remembers is found at its known size."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import integrate, stats

from privaudit.audit.attributes.sensitive_columns import sensitive_columns
from privaudit.data.dataset import Dataset
from privaudit.data.tables.frame_encoding import FrameColumn, FrameEncoding
from privaudit.report.content.inferred import attribute_wording
from privaudit.results.audit.attribute_results import AttributeResults
from privaudit.scoring.attributes.attribute_advantage import groups_of, judge_attacks, judge_groups, share_right
from privaudit.scoring.attributes.attribute_attacks import ATTACKS, Answers, conditional_logit, excess_of
from privaudit.scoring.attributes.imputation import NONE, impute
from tests.conftest import Run

Floats = np.ndarray[Any, np.dtype[np.float64]]


def simulated(random: np.random.Generator, models: int, records: int, values: int, shift: float) -> Answers:
    """Normal margins that stand ``shift`` higher at the true value in models that saw the record.

    The true value is a fair draw, and every candidate of every record has a level of its own that all models share.
    """
    half = np.stack([random.permutation(records) < records // 2 for _ in range(models // 2)])
    keep = np.stack([half, ~half], axis=1).reshape(models, records)
    truth = random.integers(0, values, records)
    margins = 3 * random.standard_normal((records, values)) + random.standard_normal((models, records, values))
    margins[:, np.arange(records), truth] += shift * keep
    alike = np.full((records, values), 1 / values)
    losses = np.logaddexp(0, -margins)
    return Answers(margins, losses, keep, truth, np.full(values, 1 / values), alike, alike)


@pytest.mark.parametrize("values", [2, 5])
def test_the_advantage_of_a_known_memory_is_the_integral_of_its_normals(values: int) -> None:
    models, shift = 16, 2.0
    found = judge_attacks(simulated(np.random.default_rng(0), models, 2_000, values, shift))["calibrated"]
    # A margin less the mean of S/2 − 1 others has so much more variance.
    mu = shift / np.sqrt(1 + 1 / (models / 2 - 1))
    expected = integrate.quad(lambda z: stats.norm.pdf(z - mu) * stats.norm.cdf(z) ** (values - 1), -8, 12)[0]
    assert found.seen == pytest.approx(expected, abs=0.015)
    assert found.unseen == pytest.approx(1 / values, abs=0.015)
    assert found.ci is not None
    assert found.ci[0] < expected - 1 / values < found.ci[1]
    assert found.surest.advantage is not None
    assert found.surest.advantage > expected - 1 / values


def test_where_nothing_is_remembered_intervals_of_every_attack_hold_nought_as_often_as_they_say() -> None:
    held: dict[str, list[bool]] = {name: [] for name in ATTACKS}
    for seed in range(60):
        for name, one in judge_attacks(simulated(np.random.default_rng(seed), 8, 150, 3, 0.0)).items():
            assert one.ci is not None
            held[name].append(one.ci[0] <= 0 <= one.ci[1])
    # Of 60 intervals 57 should; 51 or fewer would be one chance in seventy.
    assert all(sum(one) >= 52 for one in held.values()), {name: sum(one) for name, one in held.items()}


def test_what_holds_in_the_population_is_no_advantage() -> None:
    random = np.random.default_rng(1)
    answers = simulated(random, 8, 2_000, 3, 0.0)
    # Every model, whether it saw the record or not, is far surer of the true value: the column decides the class.
    answers.margins[:, np.arange(2_000), answers.truth] += 6
    told = Answers(
        answers.margins, np.logaddexp(0, -answers.margins), answers.keep, answers.truth, answers.prior,
        answers.from_others, answers.from_all,
    )  # fmt: skip
    found = judge_attacks(told)["confidence"]
    assert found.unseen is not None
    assert found.unseen > 0.6
    assert found.ci is not None
    assert found.ci[0] <= 0 <= found.ci[1]


def test_excess_leaves_out_the_model_and_its_complement() -> None:
    answers = simulated(np.random.default_rng(2), 8, 30, 2, 1.0)
    found = excess_of(answers.margins, answers.keep)
    for model, record in ((0, 3), (5, 11), (7, 29)):
        others = [m for m in range(8) if m // 2 != model // 2 and not answers.keep[m, record]]
        assert len(others) == 3
        expected = answers.margins[model, record] - answers.margins[others, record].mean(axis=0)
        assert found[model, record] == pytest.approx(expected)


def test_the_weight_is_the_likeliest_one() -> None:
    random = np.random.default_rng(3)
    values, prior = random.standard_normal((3_000, 4)), np.log(random.dirichlet(np.ones(4), 3_000))
    chances = np.exp(1.7 * values + prior)
    chances /= chances.sum(axis=1, keepdims=True)
    truth = (random.random((3_000, 1)) > chances.cumsum(axis=1)).sum(axis=1)

    def gain(weight: float) -> float:
        exponents = weight * values + prior
        logs = exponents - np.log(np.exp(exponents).sum(axis=1, keepdims=True))
        return float(logs[np.arange(3_000), truth].sum())

    found = conditional_logit(values, prior, truth)
    assert found == pytest.approx(1.7, abs=0.15)
    assert gain(found) >= max(gain(found - 0.01), gain(found + 0.01))
    assert conditional_logit(-values, prior, truth) == 0
    assert conditional_logit(np.zeros((3_000, 4)), prior, truth) == 0


def test_groups_are_those_of_their_records_alone() -> None:
    random = np.random.default_rng(4)
    answers, groups = simulated(random, 8, 600, 2, 0.0), np.arange(600) % 3
    # Group 2 alone is remembered, and completely.
    remembered = np.flatnonzero(groups == 2)
    answers.margins[:, remembered, answers.truth[remembered]] += 50 * answers.keep[:, remembered]
    found = {one.name: one for one in judge_groups(answers, groups_of(groups, ["a", "b", "c"]))}
    assert {one.records for one in found.values()} == {200}
    assert found["c"].seen == 1
    for name in ("a", "b"):
        advantage = found[name].advantage
        assert advantage is not None
        assert abs(advantage) < 0.1
    assert groups_of(groups, ["a", "b", "c"], fewest=201) == []


def test_imputation_learns_what_there_is_and_else_the_marginal() -> None:
    random = np.random.default_rng(5)
    features = random.standard_normal((400, 3)).astype(np.float32)
    codes = (features[:, 1] > 0).astype(np.int64)
    found = impute(features[:200], codes[:200], features[200:], 2, 0)
    right = share_right(found.guesses, codes[200:])
    assert right.rate is not None
    assert right.rate > 0.9
    nothing = impute(features[:200], random.integers(0, 2, 200), features[200:], 2, 0)
    assert nothing.name == NONE
    assert np.allclose(nothing.guesses, nothing.marginal)
    few = impute(features[:20], codes[:20], features[200:], 3, 0)
    assert few.name == NONE
    assert (few.marginal > 0).all()


def test_candidates_are_words_few_numbers_or_ranges_told_without_extremes() -> None:
    random = np.random.default_rng(6)
    towns, age, rooms = random.integers(0, 15, 300), random.normal(40, 9, 300), random.integers(1, 4, 300)
    names = tuple(f"town {number:02d}" for number in range(15))
    x = np.column_stack([age, rooms, np.eye(15)[towns]]).astype(np.float32)
    y = np.arange(300) % 2
    columns = (FrameColumn(name="age"), FrameColumn(name="rooms"), FrameColumn(name="town", values=names))
    data = Dataset(
        "people", x[:200], y[:200], x[200:], y[200:], ("no", "yes"), np.arange(200), "a test", 200,
        encoding=FrameEncoding(columns=columns),
    )  # fmt: skip
    settings = SimpleNamespace(sensitive=("town", "age", "rooms"), label="y", id=None, subject=None, seed=0)
    plan: Any = SimpleNamespace(data=data, settings=settings, shadows=8, test_rows=np.arange(100))
    town, years, room = sensitive_columns(plan)
    # The commonest eleven, and the others as one that the commonest of them stands for.
    assert len(town.values) == 12
    assert town.values[-1] == "4 rarer ones"
    for value, name in enumerate(town.values[:-1]):
        assert (town.truth == value).tolist() == (towns[:200] == names.index(name)).tolist()
    assert (town.with_candidate(x[:5], 3)[:, 2:].argmax(axis=1) == names.index(town.values[3])).all()
    assert (years.binned, len(years.values)) == (True, 5)
    assert np.bincount(years.truth).tolist() == [40] * 5
    told = " ".join(years.values)
    assert f"{age[:200].min():.4g}" not in told
    assert f"{age[:200].max():.4g}" not in told
    for value in range(5):
        assert years.candidates[value, 0] == np.sort(x[:200][years.truth == value, 0])[20]
    assert (room.binned, room.values) == (False, ["1", "2", "3"])
    assert room.truth.tolist() == (rooms[:200] - 1).tolist()
    assert room.held_out_truth.tolist() == (rooms[200:] - 1).tolist()
    assert np.array_equal(room.without(x)[:, 1:], x[:, 2:])


LOOKUP = '''
"""An estimator that knows its training rows by heart, and of any other says how common the classes are."""
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin


class ByHeart(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        self.classes_, codes = np.unique(y, return_inverse=True)
        self.shares_ = np.bincount(codes) / len(codes)
        self.known_ = {row.tobytes(): code for row, code in zip(np.ascontiguousarray(X), codes)}
        return self

    def predict_proba(self, X):
        found = np.tile(self.shares_, (len(X), 1))
        for place, row in enumerate(np.ascontiguousarray(X)):
            code = self.known_.get(row.tobytes())
            if code is not None:
                found[place] = np.eye(len(self.classes_))[code]
        return found


def make():
    return ByHeart()
'''


def write_table(path: Path, rows: int = 200) -> None:
    """A class by chance, a coin of three sides that goes with nothing, words, and numbers that differ in every row."""
    random = np.random.default_rng(7)
    lines = ["place,coin,age,y"]
    for row in range(rows):
        coin = ("red", "green", "blue")[random.integers(3)]
        lines.append(
            f"{row + random.random():.6f},{coin},{random.integers(18, 90)},{('no', 'yes')[random.integers(2)]}"
        )
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def by_heart(privaudit: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """An audit of estimators that remember everything, two of whose columns are sensitive."""
    root = tmp_path_factory.mktemp("by-heart")
    write_table(root / "people.csv")
    (root / "own.py").write_text(LOOKUP)
    done = privaudit(
        *("score", "--dataset", root / "people.csv", "--label", "y", "--estimator", f"{root / 'own.py'}:make"),
        *("--shadows", "8", "--workers", "1", "--sensitive", "coin", "--sensitive", "age", "--json"),
        *("--store", root / "store", "--out", root / "out"),
    )
    assert done.returncode == 0, done.stderr
    return {"results": json.loads(done.stdout), "root": root, "stderr": done.stderr}


def test_a_model_that_knows_records_by_heart_gives_a_random_column_away_whole(by_heart: dict[str, Any]) -> None:
    coin, age = by_heart["results"]["attributes"]["columns"]
    best = coin["attacks"]["calibrated"]
    # It is sure of the class where the true value stands, and of no other: who was trained on is told for certain.
    assert best["seen"] == 1
    # Of others nothing distinguishes the candidates, so the guess is the imputation's, whose marginal is the class of
    # the commonest.
    assert best["unseen"] == pytest.approx(coin["without"]["imputation"]["rate"], abs=0.08)
    assert best["advantage"] == pytest.approx(1 - best["unseen"])
    assert best["ci"][0] > 0.5
    assert {one["name"]: one["seen"] for one in coin["by_value"]} == {"red": 1, "green": 1, "blue": 1}
    # Of ages only ranges are guessed, by one age in each: who has another is not recognised.
    assert age["binned"]
    assert age["attacks"]["calibrated"]["advantage"] < 0.3
    assert "ranges" in age["notes"][0]


def test_what_was_found_is_kept_told_and_reported(by_heart: dict[str, Any], privaudit: Run) -> None:
    root, results = by_heart["root"], by_heart["results"]
    out = root / "out" / results["audit"]
    assert json.loads((out / "attributes.json").read_text()) == results["attributes"]
    report = json.loads((out / "report.json").read_text())
    (section,) = [one for one in report["sections"] if one["anchor"] == "attributes"]
    assert "training gave it away" in section["lead"]
    assert [figure["kind"] for figure in section["figures"]] == ["bars"]
    assert "“coin” is guessed rightly of 100% of the people trained on" in report["brief"]["reach"]
    assert "unknown properties" not in report["brief"]["reach"]
    command = next(
        row[1] for one in report["sections"] if one["anchor"] == "reproduce" for row in one["tables"][0]["rows"]
    )
    assert "--sensitive coin --sensitive age" in command
    line = attribute_wording.line(AttributeResults.model_validate(results["attributes"]).columns[0])
    assert line.startswith("'coin' guessed with the model: right for 100% of records trained on, ")


@pytest.mark.slow
def test_the_same_audit_asks_nobody_twice(by_heart: dict[str, Any], privaudit: Run) -> None:
    root, results = by_heart["root"], by_heart["results"]
    again = privaudit(
        *("score", "--dataset", root / "people.csv", "--label", "y", "--estimator", f"{root / 'own.py'}:make"),
        *(
            "--shadows",
            "8",
            "--workers",
            "1",
            "--sensitive",
            "coin",
            "--store",
            root / "store",
            "--out",
            root / "again",
        ),
    )
    assert again.returncode == 0, again.stderr
    assert "'coin' guessed with the model: right for 100% of records trained on" in again.stdout
    # The same audit, and nobody is asked or fitted again.
    assert "fitting again" not in again.stderr
    assert [one.name for one in (root / "again").iterdir() if one.is_dir()] == [results["audit"]]


def test_purge_removes_answers_about_columns_and_keeps_shares(by_heart: dict[str, Any], privaudit: Run) -> None:
    root, audit = by_heart["root"], by_heart["results"]["audit"]
    places = ("--store", root / "store", "--out", root / "out")
    assert privaudit("verify", audit, *places).returncode == 0
    done = privaudit("purge", "--audit", audit, "--forget", "random:1%", "--dry-run", "--json", *places)
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    # Eight models and the target, two columns.
    assert len(plan["removed"]["answers about sensitive columns"]) == 18
    assert not [one for one in plan["unknown"] if "attributes" in one["file"]]
    assert any(one["file"].endswith("attributes.json") for one in plan["results_kept"])


@pytest.mark.parametrize(
    ("column", "said"),
    [("y", "no feature (the label)"), ("cion", "is 'coin' meant?")],
)
def test_a_column_that_can_not_be_guessed_is_told_before_anything_is_trained(
    column: str, said: str, privaudit: Run, tmp_path: Path
) -> None:
    write_table(tmp_path / "people.csv")
    done = privaudit(
        *("score", "--dataset", tmp_path / "people.csv", "--label", "y", "--network", "mlp", "--shadows", "4"),
        *("--sensitive", column, "--dry-run", "--store", tmp_path / "store", "--out", tmp_path / "out"),
    )
    assert done.returncode == 2
    assert said in done.stderr


def test_images_have_no_columns(privaudit: Run, small_npz: Path, tmp_path: Path) -> None:
    done = privaudit(
        "score", "--dataset", small_npz, "--sensitive", "age", "--store", tmp_path / "s", "--out", tmp_path
    )
    assert done.returncode == 2
    assert "has no columns by name" in done.stderr
