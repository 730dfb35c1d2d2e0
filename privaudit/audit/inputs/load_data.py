"""Reads the samples of an audit, and once more where a user's code gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from privaudit.audit.metadata import leave_out
from privaudit.config import AuditSettings
from privaudit.data import Dataset, Limits, load_dataset
from privaudit.data.formats.image_files import Resizing
from privaudit.data.formats.load import is_function
from privaudit.data.objects.object_dataset import is_read_by_items, object_dataset
from privaudit.data.tables.table_roles import table_options
from privaudit.errors import DataError
from privaudit.objects.held import is_held_name
from privaudit.runtime.user_code import other_draws

if TYPE_CHECKING:
    from privaudit.audit.plan import AuditPlan


def load_data(settings: AuditSettings, limits: Limits, mixed: int | None = None) -> Dataset:
    """Load what the settings name; ``mixed`` is the size that images in files of several sizes get."""
    if is_held_name(settings.dataset):
        drawn = object_dataset(settings.dataset, table_options(settings), settings.samples, limits, settings.seed)
    else:
        drawn = load_dataset(
            settings.dataset,
            data_dir=settings.data_dir,
            samples=settings.samples,
            limits=limits,
            seed=settings.seed,
            image_size=Resizing(settings.image_size, settings.image_fit, mixed),
            table=table_options(settings),
        )
    return leave_out(drawn, settings.without)


def demand_same_again(plan: AuditPlan) -> None:
    """Read what a user's function or dataset gives once more: `DataError` where it is something else each time.

    Every later command reads the data again and holds it against its fingerprint, so that what draws at random could
    be audited, and nothing else.
    """
    name = plan.settings.dataset
    if not (is_read_by_items(name) if is_held_name(name) else is_function(name)):
        return
    with other_draws():
        again = load_data(plan.settings, Limits(plan.data.drawn, plan.data.drawn))
    parts = ("x_train", "y_train", "x_test", "y_test", "sample_ids")
    changed = [name for name in parts if not np.array_equal(getattr(plan.data, name), getattr(again, name))]
    if changed:
        raise DataError(
            f"{plan.data.name}: two readings of the samples give different {', '.join(changed)}"
            if is_held_name(name)
            else f"{plan.data.name}: two calls of the function return different {', '.join(changed)}",
            hint="Draw with a fixed seed, keep an order, and leave out transforms that draw at random.",
        )
