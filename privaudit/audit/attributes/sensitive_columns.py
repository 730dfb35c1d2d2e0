"""``--sensitive COLUMN``: the candidates that an attacker tries in its place, and which of them each record has.

A column stands in the features as one block. A candidate is a block that some training record has: of words each
value, of numbers the record at the median of a range. Everything is read off the features, so that a table in a file
and a DataFrame are one.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from privaudit.audit.plan import AuditPlan
from privaudit.data.dataset import Dataset
from privaudit.data.row_names import shown
from privaudit.data.tables.column_encoders import BooleanColumn, CategoryColumn, DateColumn, NumberColumn
from privaudit.data.tables.encoding import TableEncoding
from privaudit.data.tables.fit_columns import RAREST
from privaudit.data.tables.frame_encoding import FrameEncoding
from privaudit.errors import UsageError
from privaudit.runtime.seeds import generator

Codes = npt.NDArray[np.int64]
Features = npt.NDArray[np.float32]

#: Numbers with more different values than this, or some that fewer than `RAREST` records have, are guessed as one of
#: `BINS` ranges of equally many records.
MOST_NUMBERS, BINS = 10, 5

#: Of words the commonest are candidates, and the others one together.
MOST_WORDS = 12

#: Records that are guessed: of more, so many are drawn.
MOST_RECORDS = 10_000

#: Columns that a message lists.
LISTED = 40

MISSING = -1


@dataclass(frozen=True)
class Block:
    """Which features a column became.

    Parameters
    ----------
    name
        The column's.
    start, stop
        Its features.
    words
        What each of them stands for, where they are indicators; the last two may be ``(rare)`` and ``(missing)``.
    has_indicator
        Whether the last says that the cell is missing.
    kind
        Of the column.
    scale
        Mean and deviation that turn the first feature back into the column's number.
    """

    name: str
    start: int
    stop: int
    words: tuple[str, ...] = ()
    has_indicator: bool = False
    kind: str = "number"
    scale: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True)
class SensitiveColumn:
    """One column that an attacker guesses.

    Parameters
    ----------
    block
        Where it stands.
    values, binned
        The candidates in words, and whether they are ranges of numbers.
    candidates
        float32 ``[V, K]``: what stands in the block's place.
    rows
        The training records that are guessed, sorted.
    truth
        Which candidate each of these has.
    left_out, drawn_of
        Training records whose cell is missing, and how many had one where only some were drawn.
    held_out, held_out_truth
        Never-trained records with a cell, and what they have.
    """

    block: Block
    values: list[str]
    binned: bool
    candidates: Features
    rows: Codes
    truth: Codes
    left_out: int
    drawn_of: int | None
    held_out: Codes
    held_out_truth: Codes

    @property
    def name(self) -> str:
        """The column's name."""
        return self.block.name

    def without(self, features: Features) -> Features:
        """Return features without the column's."""
        return np.delete(features, np.s_[self.block.start : self.block.stop], axis=1)

    def with_candidate(self, features: Features, value: int) -> Features:
        """Return features with one candidate in the column's place."""
        tried = features.copy()
        tried[:, self.block.start : self.block.stop] = self.candidates[value]
        return tried


def sensitive_columns(plan: AuditPlan) -> list[SensitiveColumn]:
    """Resolve ``--sensitive``; none where it was not given.

    Raises
    ------
    UsageError
        Where the data is no table, there is no such column, or it is no feature or says nothing.
    """
    asked = tuple(dict.fromkeys(plan.settings.sensitive))
    if not asked:
        return []
    data = plan.data
    blocks = {block.name: block for block in blocks_of(data)}
    if not blocks:
        raise UsageError(
            f"--sensitive {asked[0]}: {data.name} has no columns by name",
            hint="It is for tables: --dataset FILE.csv --label COLUMN, or a DataFrame as data=.",
        )
    for name in asked:
        if name not in blocks:
            raise _no_feature(name, plan, list(blocks))
    if plan.shadows < 4:
        raise UsageError(f"--sensitive {asked[0]}: {plan.shadows} shadow models are too few: it needs at least 4")
    return [_resolve(blocks[name], plan) for name in asked]


def _no_feature(name: str, plan: AuditPlan, known: list[str]) -> UsageError:
    settings, table = plan.settings, plan.data.table
    roles = {settings.label: "the label", settings.id: "the id", settings.subject: "the subject"}
    why = roles.get(name)
    if why is None and table is not None and isinstance(table.encoding, TableEncoding):
        why = next((one.why for one in table.encoding.left_out if one.name == name), None)
    if why is not None:
        return UsageError(
            f"--sensitive '{name}': the column is no feature ({why}), so no model's answer can depend on it",
            hint=f"Features: {shown(known, LISTED)}.",
        )
    near = difflib.get_close_matches(name, known, n=1)
    meant = f" (is '{near[0]}' meant?)" if near else ""
    return UsageError(
        f"{plan.data.name} has no such column: --sensitive '{name}'{meant}", hint=f"Columns: {shown(known, LISTED)}."
    )


def blocks_of(data: Dataset) -> list[Block]:
    """Return every column that became features, in their order; none where these have no names."""
    encoding = data.encoding if data.table is None else data.table.encoding
    blocks: list[Block] = []
    if isinstance(encoding, TableEncoding):
        for column in encoding.columns:
            start = blocks[-1].stop if blocks else 0
            stop = start + len(column.feature_names())
            blocks.append(_block(column, start, stop))
    elif isinstance(encoding, FrameEncoding):
        for one in encoding.columns:
            start = blocks[-1].stop if blocks else 0
            words = one.values or ()
            blocks.append(Block(str(one.name), start, start + max(1, len(words)), words))
    return blocks


def _block(column: NumberColumn | BooleanColumn | DateColumn | CategoryColumn, start: int, stop: int) -> Block:
    if isinstance(column, CategoryColumn):
        words = [*column.values, *["(rare)"] * (column.rare > 0), *["(missing)"] * column.indicator]
        return Block(column.name, start, stop, tuple(words), has_indicator=column.indicator, kind=column.kind)
    scale = (0.0, 1.0)
    if isinstance(column, NumberColumn):
        scale = (column.scale.mean, column.scale.deviation)
    elif isinstance(column, DateColumn) and column.parts[0].part == "days":
        scale = (column.parts[0].scale.mean, column.parts[0].scale.deviation)
    words = list(column.words) if isinstance(column, BooleanColumn) else []
    return Block(column.name, start, stop, tuple(words), column.indicator, column.kind, scale)


def _resolve(block: Block, plan: AuditPlan) -> SensitiveColumn:
    data = plan.data
    kept = plan.test_rows
    cells, others = (part[:, block.start : block.stop] for part in (data.x_train, data.x_test[kept]))
    is_words = block.kind == "category" or (bool(block.words) and block.kind != "boolean")
    if is_words:
        values, candidates, codes, other_codes, binned = _of_words(block, cells, others)
    else:
        values, candidates, codes, other_codes, binned = _of_numbers(block, cells, others)
    if len(values) < 2:
        raise UsageError(
            f"--sensitive '{block.name}': nearly every training record has the same value: there is no guessing"
        )
    rows = np.flatnonzero(codes != MISSING)
    total = len(rows)
    if total > MOST_RECORDS:
        draw = generator(plan.settings.seed, "sensitive", block.name).permutation(total)[:MOST_RECORDS]
        rows = np.sort(rows[draw])
    known = np.flatnonzero(other_codes != MISSING)
    return SensitiveColumn(
        block=block,
        values=values,
        binned=binned,
        candidates=np.ascontiguousarray(candidates, np.float32),
        rows=rows,
        truth=codes[rows],
        left_out=len(data) - total,
        drawn_of=None if total == len(rows) else total,
        held_out=kept[known],
        held_out_truth=other_codes[known],
    )


_Resolved = tuple[list[str], Features, Codes, Codes, bool]


def _of_words(block: Block, cells: Features, others: Features) -> _Resolved:
    """Each common word is a candidate; rarer ones are one together, tried by the commonest of them."""
    words = block.words[:-1] if block.has_indicator else block.words
    places, other_places = (_places(part, len(words)) for part in (cells, others))
    counts = np.bincount(places[places != MISSING], minlength=len(words))
    order = [int(one) for one in np.argsort(-counts, kind="stable") if counts[one]]
    common = order if len(order) <= MOST_WORDS else order[: MOST_WORDS - 1]
    rest = order[len(common) :]
    values = [words[one] for one in common] + ([f"{len(rest):,} rarer ones"] if rest else [])
    code = np.full(len(words) + 1, MISSING)
    code[common] = np.arange(len(common))
    code[rest] = len(common)
    tried = [*common, *rest[:1]]
    candidates = np.zeros((len(tried), cells.shape[1]), np.float32)
    candidates[np.arange(len(tried)), tried] = 1
    return values, candidates, code[places], code[other_places], False


def _places(part: Features, words: int) -> Codes:
    """Which indicator is set, `MISSING` where none of the words' is."""
    found = part[:, :words].argmax(axis=1)
    return np.where(part[:, :words].max(axis=1) > 0, found, MISSING).astype(np.int64)


def _of_numbers(block: Block, cells: Features, others: Features) -> _Resolved:
    """Few different numbers are candidates each; of many, ranges of equally many records, tried by their medians."""
    first, other = cells[:, 0].astype(np.float64), others[:, 0].astype(np.float64)
    is_known = cells[:, -1] == 0 if block.has_indicator else np.ones(len(cells), np.bool_)
    other_known = others[:, -1] == 0 if block.has_indicator else np.ones(len(others), np.bool_)
    levels, counts = np.unique(first[is_known], return_counts=True)
    # A number that hardly anybody has is nobody's business either.
    binned = len(levels) > MOST_NUMBERS or (len(levels) > 2 and counts.min() < RAREST)
    if binned:
        inner = np.quantile(first[is_known], np.arange(1, BINS) / BINS, method="higher")
        edges = np.unique(inner[inner > levels[0]])
    else:
        edges = levels[1:]
    codes, other_codes = (np.searchsorted(edges, part, side="right") for part in (first, other))
    representatives, values = [], []
    for code in range(len(edges) + 1):
        within = np.flatnonzero(is_known & (codes == code))
        middle = within[np.argsort(first[within], kind="stable")[len(within) // 2]]
        representatives.append(cells[middle])
        values.append(_range(block, edges, code) if binned else _told(block, levels[code]))
    codes, other_codes = np.where(is_known, codes, MISSING), np.where(other_known, other_codes, MISSING)
    return values, np.stack(representatives), codes.astype(np.int64), other_codes.astype(np.int64), binned


def _range(block: Block, edges: npt.NDArray[np.float64], code: int) -> str:
    """A range by its edges: the smallest and the largest number are single records', and not told."""
    if code == 0:
        return f"below {_told(block, edges[0])}"
    if code == len(edges):
        return f"{_told(block, edges[-1])} and more"
    return f"{_told(block, edges[code - 1])} to below {_told(block, edges[code])}"


def _told(block: Block, value: Any) -> str:
    """A number as the table has it."""
    if block.kind == "boolean" and block.words:
        return block.words[round(float(value))]
    mean, deviation = block.scale
    found = float(value) * deviation + mean
    if block.kind == "date" and block.scale != (0.0, 1.0):
        return str(np.datetime64("1970-01-01") + np.timedelta64(round(found), "D"))
    return f"{found:.4g}" if abs(found) < 1e4 else f"{found:,.0f}"
