"""Of a table in a file: which column holds the classes, which the ids, whose row it is, and what is fitted to it."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from pathlib import Path

from privaudit.cli.questions.ask import ask, choose, say, whole_number
from privaudit.config import FEWEST_SAMPLES
from privaudit.config.dataset_defaults import OTHER_FEATURES
from privaudit.data.row_names import shown
from privaudit.data.tables.cells import read_column
from privaudit.data.tables.class_column import encode_classes
from privaudit.data.tables.table_file import SUFFIXES, UserTable, demand_sound, is_table_file, read_table_file
from privaudit.data.tables.table_roles import demand_roles, ids_of, labels_of, likely_id, likely_label
from privaudit.errors import UsageError
from privaudit.estimators.build import build_estimator
from privaudit.results.audit.audit_description import TableOptions

#: Columns that are listed, and values of each that are shown.
LISTED, VALUES = 40, 3

#: What is fitted to features, in words; the first is what most people have.
MODELS = {
    "random-forest": "a random forest of scikit-learn",
    "hist-gradient-boosting": "gradient boosting of scikit-learn",
    "logistic-regression": "logistic regression",
    "mlp": "a small neural network",
}
OTHER_LIBRARIES = {"xgboost": "gradient boosting of XGBoost", "lightgbm": "gradient boosting of LightGBM"}


def ask_about_table() -> dict[str, object]:
    """Ask everything that an audit of a table needs."""
    path, table = ask("Which file (.csv, .tsv or .parquet)", _read)
    say(f"  {len(table.frame):,} rows, {len(table.columns):,} columns:")
    for name in table.columns[:LISTED]:
        say(f"    {name}: {_in_words(table, name)}")
    if len(table.columns) > LISTED:
        say(f"    and {len(table.columns) - LISTED:,} more")
    likely = likely_label(table)
    label = ask("Which column holds the classes", partial(check_label, table), likely[0] if likely else None)
    found = likely_id(table, label)
    given: dict[str, object] = {"dataset": str(path), "label": label}
    roles = TableOptions(label=label)
    for name, question, default in (
        ("id", "Which column holds an id of each row, by which people ask to be forgotten", found or ""),
        ("subject", "Which column says whose row it is, where one person has several", ""),
    ):
        column = ask(question, partial(check_role, table, roles, name), default)
        if column is not None:
            given[name] = column
            roles = roles.model_copy(update={name: column})
    groups = ask("By which columns is exposure to be told, with commas between", partial(_groups, table, roles), "")
    if groups:
        given["group"] = groups
    return given | ask_for_rows(len(table.frame) * 4 // 5) | ask_for_model()


def _read(typed: str) -> tuple[Path, UserTable]:
    path = Path(typed).expanduser()
    if not is_table_file(typed):
        raise UsageError(f"{typed} is no table in a file: its name ends in none of {', '.join(SUFFIXES)}")
    return path, read_table_file(path)


def _in_words(table: UserTable, name: str) -> str:
    try:
        column = read_column(table.frame[name], name)
    except ValueError as error:
        return str(error)
    examples = shown(column.texts().tolist(), VALUES)
    return f"{len(column.values):,} different values, {examples}" if len(column.values) else "no value"


def check_label(table: UserTable, typed: str) -> str:
    """Return the column of classes; errors where it is not there, or holds no classes."""
    demand_roles(table, TableOptions(label=typed), None)
    labels, missing = labels_of(table, typed)
    demand_sound([(table, problem) for problem in missing], "Mend the file, or name another column.")
    classes = encode_classes(labels, labels.iloc[:0], table.name)
    if len(classes.names) < 2:
        raise UsageError(f"'{typed}' has one class, {shown(classes.names)}: there is nothing to tell apart")
    return typed


def check_role(table: UserTable, roles: TableOptions, role: str, typed: str) -> str | None:
    """Return a column beside those that have a role already, None where there is none; errors as its cells."""
    if typed in ("", "none", "-") and typed not in table.columns:
        return None
    asked = roles.model_copy(update={role: typed})
    demand_roles(table, asked, None)
    if role == "id":
        demand_sound(
            [(table, problem) for problem in ids_of(table, typed)[1]],
            "Name a column with another value in every row, or none: rows are counted then.",
        )
    return typed


def _groups(table: UserTable, roles: TableOptions, typed: str) -> list[str]:
    # A name may hold a comma itself.
    names = [typed] if typed in table.columns else [name.strip() for name in typed.split(",") if name.strip()]
    if names == ["none"] and "none" not in table.columns:
        return []
    demand_roles(table, roles.model_copy(update={"group": tuple(names)}), None)
    return names


def ask_for_rows(rows: int) -> dict[str, object]:
    """Ask how many training rows are audited, where there are more than is usual."""
    usual = OTHER_FEATURES.samples
    if usual is None or rows <= usual:
        return {}
    say(f"  About {rows:,} rows to train on: {usual:,} of them, drawn by class, suit this machine.")
    return {"samples": ask("How many", whole_number(FEWEST_SAMPLES, rows, "All of them take longer."), str(usual))}


def ask_for_model() -> dict[str, object]:
    """Ask what is fitted to features: an estimator, or the network ``mlp``."""
    choices = MODELS | {name: what for name, what in OTHER_LIBRARIES.items() if find_spec(name) is not None}
    say("What is fitted to it? Shadow models are made as yours is. FILE.py:function makes an estimator of your own.")
    name = choose("Which", choices, "random-forest", _estimator)
    return {"network": name} if name == "mlp" else {"estimator": name}


def _estimator(typed: str) -> str:
    build_estimator(typed)
    return typed
