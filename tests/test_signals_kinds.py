"""Probabilities in a signals file: taken back to log-odds where that is what they are, refused where it is a guess."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import expit, log_softmax, softmax

from privaudit.audit.external_signals.signals_file import SignalsFile, read_signals_file
from privaudit.errors import DataError
from privaudit.signals import SIGNALS
from tests.conftest import Run
from tests.test_signals_file import arrays, save

GIVEN = arrays(8, 300, classes=4)
LOGITS = 3 * GIVEN["logits"].astype(np.float64)


def read(tmp_path: Path, logits: npt.NDArray[Any], **others: Any) -> SignalsFile:
    return read_signals_file(save(tmp_path / "k.npz", GIVEN | {"logits": logits} | others), 0)


def of(signals: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    found: npt.NDArray[Any] = signals[..., SIGNALS.index(name)]
    return found


@pytest.mark.parametrize(
    ("made", "said", "tolerance"),
    [
        (softmax(LOGITS, axis=-1), "probabilities (rows sum to 1)", 1e-5),
        (softmax(LOGITS, axis=-1).astype(np.float32), "probabilities (rows sum to 1)", 1e-4),
        (100 * softmax(LOGITS, axis=-1), "percentages (rows sum to 100)", 1e-5),
        (log_softmax(LOGITS, axis=-1), "log-probabilities", 1e-5),
        (np.log(softmax(LOGITS, axis=-1).astype(np.float32)), "log-probabilities", 1e-4),
        (LOGITS, None, 1e-5),
        (np.round(4e9 * softmax(LOGITS, axis=-1)).astype(np.uint32), "shares of one number", 0.05),
        (LOGITS - 1000, None, 1e-3),
        (np.abs(LOGITS) + 2, None, np.inf),
    ],
)
def test_every_form_gives_the_signals_of_its_logits(
    tmp_path: Path, made: npt.NDArray[Any], said: str | None, tolerance: float
) -> None:
    expected, found = (read(tmp_path, form) for form in (LOGITS, made))
    for name in ("margin", "scaled-logit", "loss", "entropy"):
        difference = of(found.evidence.signals, name) - of(expected.evidence.signals, name)
        assert np.abs(difference).max() <= tolerance
    assert len(found.notes) == (said is not None)
    assert said is None or said in found.notes[0]


@pytest.mark.parametrize("decimals", [2, 3, 4])
def test_rounded_probabilities_keep_what_rounding_leaves(tmp_path: Path, decimals: int) -> None:
    rounded = read(tmp_path, softmax(LOGITS, axis=-1).round(decimals))
    whole = read(tmp_path, LOGITS)
    assert f"0 counted as if {0.5 * 10.0**-decimals:.2g}" in rounded.notes[0]
    margins = [of(file.evidence.signals, "margin").ravel() for file in (rounded, whole)]
    assert np.isfinite(margins[0]).all()
    assert np.corrcoef(margins[0], np.clip(margins[1], -7, 7))[0, 1] > 0.93


def test_half_precision_sums_that_miss_one_are_probabilities(tmp_path: Path) -> None:
    half = softmax(LOGITS, axis=-1).astype(np.float16)
    assert np.abs(half.astype(float).sum(-1) - 1).max() > 2e-4
    assert "rows sum to 1" in read(tmp_path, half).notes[0]


def test_a_sigmoid_column_is_told_by_the_labels(tmp_path: Path) -> None:
    given = GIVEN | {"labels": GIVEN["labels"] % 2}
    z = np.random.default_rng(0).normal(size=(8, 300, 1)) + 2 * (2 * given["labels"][None, :, None] - 1)
    plain, found = (read(tmp_path, form, labels=given["labels"]) for form in (z, expit(z)))
    np.testing.assert_allclose(found.evidence.signals, plain.evidence.signals, rtol=1e-4, atol=1e-5)
    assert "probabilities of class 1" in found.notes[0]
    assert plain.notes == ()
    saturated = expit(z)
    saturated[0, 0], saturated[1, 1] = 0, 1
    signals = read(tmp_path, saturated, labels=given["labels"])
    assert "2 of 0 or 1 counted as if" in signals.notes[0]
    assert np.isfinite(signals.evidence.signals).all()
    for doubtful in (1 - expit(z), 100 * expit(z), np.log(expit(z))):
        with pytest.raises(DataError, match="in one column"):
            read(tmp_path, doubtful, labels=given["labels"])


def test_minus_infinity_is_the_logarithm_of_nothing_and_else_it_is_named(tmp_path: Path) -> None:
    logs = log_softmax(LOGITS, axis=-1)
    logs[2, 5] = [0, -np.inf, -np.inf, -np.inf]
    found = read(tmp_path, logs)
    assert "3 of minus infinity counted" in found.notes[0]
    assert np.isfinite(found.evidence.signals).all()
    for value, name in ((-np.inf, "-inf"), (np.inf, "inf"), (np.nan, "nan")):
        spoiled = LOGITS.copy()
        spoiled[3, 7, 1] = value
        with pytest.raises(DataError, match=f"logits holds {name} for model 3, sample 7"):
            read(tmp_path, spoiled)
    logs[4, 6, 2] = np.nan
    with pytest.raises(DataError, match="nan for model 4, sample 6"):
        read(tmp_path, logs)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (
            np.where(np.arange(8)[:, None, None] == 3, expit(LOGITS), softmax(LOGITS, axis=-1)),
            "the rows of model 3 don't sum",
        ),
        (expit(LOGITS), "and its rows sum to"),
        (softmax(LOGITS, axis=-1)[..., :3], "and its rows sum to"),
        (np.random.default_rng(0).integers(0, 200, LOGITS.shape).astype(np.uint8), "and its rows sum to"),
        (np.eye(4)[LOGITS.argmax(-1)], "0 and 1 alone: labels"),
        (np.where(np.arange(8)[:, None, None] == 3, softmax(LOGITS, axis=-1), LOGITS), "model 3 holds probabilities"),
        (
            np.where(np.arange(8)[:, None, None] == 3, 100 * softmax(LOGITS, axis=-1), softmax(LOGITS, axis=-1)),
            "all must be of one kind",
        ),
    ],
)
def test_what_could_be_something_else_is_refused_with_the_cure(
    tmp_path: Path, made: npt.NDArray[Any], message: str
) -> None:
    with pytest.raises(DataError, match=message) as error:
        read(tmp_path, made, labels=GIVEN["labels"] % 3)
    assert "Save the logits themselves" in str(error.value.hint)


def test_a_model_of_zeros_among_logits_is_a_model_of_zeros(tmp_path: Path) -> None:
    dead = LOGITS.copy()
    for row in ([0, 0, 0, 0], [1, 1, 1, 1], [0.1, 0.2, 0.3, 0.4]):
        dead[5] = row
        assert read(tmp_path, dead).notes == ()
    dead = softmax(LOGITS, axis=-1)
    dead[5] = 0.25
    assert len(read(tmp_path, dead).notes) == 1
    assert read(tmp_path, np.zeros(LOGITS.shape)).notes == ()


def test_the_population_is_asked_too(tmp_path: Path) -> None:
    population = np.random.default_rng(1).normal(size=(8, 60, 4)) * 3
    labels = np.arange(60) % 4
    plain = read(tmp_path, LOGITS, population_logits=population, population_labels=labels)
    given = softmax(population, axis=-1)
    found = read(tmp_path, softmax(LOGITS, axis=-1), population_logits=given, population_labels=labels)
    assert [note.split(" holds")[0] for note in found.notes] == ["logits", "population_logits"]
    assert plain.evidence.population is not None
    assert found.evidence.population is not None
    np.testing.assert_allclose(found.evidence.population, plain.evidence.population, rtol=1e-4, atol=1e-4)
    with pytest.raises(DataError, match=r"population_logits lies between .* sum to"):
        read(tmp_path, LOGITS, population_logits=expit(population), population_labels=labels)


def test_softmax_reads_what_logits_read_and_says_so_everywhere(privaudit: Run, tmp_path: Path) -> None:
    results = []
    for name, form in (("logits", LOGITS), ("softmax", softmax(LOGITS, axis=-1).astype(np.float32))):
        path = save(tmp_path / f"{name}.npz", GIVEN | {"logits": form})
        done = privaudit("score", "--signals", path, "--out", tmp_path / "o", "--json")
        assert done.returncode == 0, done.stderr
        results.append(json.loads(done.stdout))
    plain, found = results
    assert found["attacks"]["lira"]["auc"] == pytest.approx(plain["attacks"]["lira"]["auc"], abs=1e-4)
    assert found["attacks"]["lira"]["tpr_at_fpr"]["0.01"] == pytest.approx(
        plain["attacks"]["lira"]["tpr_at_fpr"]["0.01"], abs=0.005
    )
    said = "logits holds probabilities (rows sum to 1), taken as log-odds"
    assert said in done.stderr
    assert said in found["about"]["notes"][0]
    assert said in Path(found["report"]["html"]).read_text()
