"""Data and networks that are at hand in Python: read as files would be, known by content, never printed or stored."""

from __future__ import annotations

import functools
import inspect
import linecache
import subprocess
import sys
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

import privaudit
from privaudit.data.dataset import Dataset
from privaudit.data.objects.object_dataset import is_read_by_items, object_dataset
from privaudit.data.sampling import NO_LIMITS
from privaudit.data.tables.table_dataset import table_dataset
from privaudit.errors import DataError, PrivauditError, UsageError
from privaudit.objects import held, network
from privaudit.objects.carried import with_code
from privaudit.objects.code_identity import identify_code
from privaudit.results.audit.audit_description import TableOptions

#: A value of a sample, which nobody is to read in an error.
SECRET = 7654321


def read(value: Any, **roles: Any) -> Dataset:
    return object_dataset(held.hold_data("thing", value), TableOptions(**roles), None, NO_LIMITS, 0)


def some_frame() -> pd.DataFrame:
    """120 rows of every common kind of column, a third of them of another class."""
    random = np.random.default_rng(0)
    days: Any = random.integers(0, 900, 120)
    frame = pd.DataFrame(
        {
            "age": random.integers(18, 90, 120),
            "income": np.where(random.random(120) < 0.1, np.nan, random.normal(3e4, 1e4, 120).round(2)),
            "city": random.choice(["Ulm", "Bonn", "Köln"], 120),
            "since": pd.Timestamp("2020-01-31") + pd.to_timedelta(days, "D"),
            "active": random.random(120) < 0.5,
            "churned": np.where(np.arange(120) % 3 == 0, "yes", "no"),
            "customer": [f"K-{number:04d}" for number in range(120)],
        }
    )
    return frame.sample(frac=1, random_state=1)


def test_a_frame_is_read_as_its_file(tmp_path: Path) -> None:
    """The same table as CSV, whose cells are words, makes the same features, labels, ids and split."""
    frame = some_frame()
    before = frame.copy(deep=True)
    roles = {"label": "churned", "id": "customer", "group": ("city",)}
    found = read(frame, **roles)
    frame.to_csv(tmp_path / "thing.csv", index=False)
    expected = table_dataset(tmp_path / "thing.csv", TableOptions(**roles), None, NO_LIMITS, 0)
    for name in ("x_train", "y_train", "x_test", "y_test", "sample_ids"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
    assert found.class_names == expected.class_names == ("no", "yes")
    assert found.table is not None
    assert found.table.groups["city"].tolist() == frame.set_index("customer")["city"][found.sample_ids].tolist()
    pd.testing.assert_frame_equal(frame, before)


def test_equal_content_is_the_same_data_and_a_changed_cell_is_not() -> None:
    frame = some_frame()
    same = read(frame.copy(), label="churned").fingerprint
    assert read(frame, label="churned").fingerprint == same
    assert read(frame.astype({"city": "category"}), label="churned").x_train.shape[0] == 96
    other = frame.assign(age=frame["age"].where(np.arange(120) != 3, 17))
    assert read(other, label="churned").fingerprint != same


def test_a_named_index_may_be_the_id_and_a_second_table_tests() -> None:
    frame = some_frame().set_index("customer")
    train, test = frame.iloc[:100], frame.iloc[100:]
    for value in ({"train": train, "test": test}, (train, test)):
        found = read(value, label="churned", id="customer")
        assert found.sample_ids.tolist() == train.index.tolist()
        assert [found.class_names[label] for label in found.y_test] == test["churned"].tolist()
    assert read({"train": train}, label="churned").available == 80
    with pytest.raises(DataError, match="the other table, to test with, lacks the column 'age'"):
        read((train, test.drop(columns="age")), label="churned")


def images(count: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    random = np.random.default_rng(count)
    return random.integers(0, 256, (count, 6, 5, 3), np.uint8), np.arange(count) % 4


def test_inputs_with_labels_are_divided_by_class_and_keep_their_place() -> None:
    x, y = images(80)
    for value in ((x, y), {"data": x, "target": y, "target_names": ["a", "b", "c", "d"], "DESCR": "…"}):
        found = read(value)
        np.testing.assert_array_equal(found.x_train, x[found.sample_ids])
        np.testing.assert_array_equal(found.y_train, y[found.sample_ids])
        assert np.bincount(found.y_test).tolist() == [4, 4, 4, 4]
    assert found.class_names == ("a", "b", "c", "d")
    four = read((x, y, x[:8], y[:8]))
    assert (len(four), len(four.y_test)) == (80, 8)
    named = read({"x_train": x, "y_train": y, "x_test": x[:8], "y_test": y[:8]})
    assert named.fingerprint == four.fingerprint


def test_torch_datasets_one_or_two() -> None:
    torch = pytest.importorskip("torch")
    x, y = images(40)
    tensors = torch.from_numpy(np.moveaxis(x, 3, 1).astype(np.float32)), torch.from_numpy(y)
    train = torch.utils.data.TensorDataset(*tensors)
    both = read((train, torch.utils.data.Subset(train, range(8))))
    np.testing.assert_array_equal(both.x_train, x)
    np.testing.assert_array_equal(both.x_test, x[:8])
    alone = read(train)
    np.testing.assert_array_equal(alone.x_train, x[alone.sample_ids])
    assert len(alone) == 32
    assert is_read_by_items(held.hold_data("thing", train))
    assert not is_read_by_items(held.hold_data("thing", (x, y)))


@pytest.mark.slow
def test_datasets_of_hugging_face() -> None:
    """Of images, of vectors, and of columns; a third of the rows are held out by the owner as ``validation``."""
    datasets = pytest.importorskip("datasets")
    from PIL import Image

    x, y = images(40)
    kinds = datasets.Features({"image": datasets.Image(), "kind": datasets.ClassLabel(names=["a", "b", "c", "d"])})
    rows = {"image": [Image.fromarray(one) for one in x], "kind": y.tolist()}
    pictures = datasets.Dataset.from_dict(rows, features=kinds)
    found = read(datasets.DatasetDict(train=pictures, validation=pictures.select(range(8))))
    np.testing.assert_array_equal(found.x_train, x)
    assert (found.class_names, len(found.y_test)) == (("a", "b", "c", "d"), 8)
    frame = some_frame()
    table = datasets.Dataset.from_pandas(frame, preserve_index=False)
    assert read(table, label="churned").fingerprint == read(frame, label="churned").fingerprint
    vectors = datasets.Dataset.from_dict({"v": x.reshape(40, -1).tolist(), "label": y.tolist()})
    np.testing.assert_array_equal(read(vectors).x_train, x.reshape(40, -1)[read(vectors).sample_ids])
    with pytest.raises(DataError, match="without a length"):
        read(table.to_iterable_dataset(), label="churned")


ARRAY = np.full((30, 4), SECRET, np.float64)
FRAME: Any = pd.DataFrame(ARRAY, columns=list("abcd")).assign(y=np.arange(30) % 2)


@pytest.mark.parametrize(
    ("value", "roles", "said"),
    [
        (FRAME, {}, "Likely label='y'"),
        (FRAME, {"label": "Y"}, "label='Y' (is 'y' meant?)"),
        ({"train": FRAME, "test": FRAME}, {}, "Name it with label='COLUMN'"),
        (FRAME, {"label": "a"}, "a"),
        (FRAME.iloc[:0], {"label": "y"}, "thing has no row"),
        (pd.concat({"x": FRAME}, axis=1), {"label": "y"}, "thing: its columns have 2 levels"),
        (pd.concat([FRAME, FRAME[["a"]]], axis=1), {"label": "y"}, "two columns may not be called alike: 'a'"),
        (FRAME.assign(a=[[SECRET]] * 30), {"label": "y"}, "column 'a': holds a list a cell"),
        (FRAME.assign(y=[None] + [1, 0] * 14 + [1]), {"label": "y"}, "row 0, column 'y': the label is missing"),
        (ARRAY, {}, "data is a ndarray: it must be a DataFrame with label='COLUMN'"),
        ((ARRAY,), {}, "data is a tuple of 1 (ndarray)"),
        ((ARRAY, ARRAY), {}, "data: y must be integers of shape [N], not float64 [30, 4]"),
        ((ARRAY, np.arange(20)), {}, "30 inputs and 20 labels"),
        ((ARRAY, FRAME["y"].to_numpy()), {"label": "y"}, "label= is for tables, and data is a tuple of 2"),
        ({"x_train": ARRAY}, {}, "data lacks y_train, x_test, y_test"),
        ({"x": ARRAY, "train": 3}, {}, "data lacks x_train"),
        ((row for row in ARRAY), {}, "data is a stream (generator) without a length"),
        ([(ARRAY[0], "cat")] * 3, {}, "a list"),
    ],
)
def test_an_error_says_what_was_given_and_prints_none_of_it(value: Any, roles: dict[str, Any], said: str) -> None:
    with pytest.raises(PrivauditError) as raised:
        read(value, **roles)
    message = str(raised.value)
    assert said in message
    assert str(SECRET) not in message
    assert "array(" not in message
    assert "--" not in message
    assert "eturn" not in message
    assert len(message) < 700


#: Without types: what mypy would tell is told all the same.
UNTYPED: Any = privaudit


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"data": FRAME, "shadow": 8}, "did you mean shadows"),
        ({"data": "customers.csv"}, "dataset='customers.csv' reads it"),
        ({"data": some_frame}, "give what it returns"),
        ({"data": 3}, "it holds no samples"),
        ({"data": FRAME, "dataset": "mnist"}, "data= and dataset='mnist' are two sets of data"),
        ({"data": FRAME, "dataset": "there.csv"}, "two sets of data"),
        ({"data": FRAME, "signals": "s.npz"}, "signals= is of data in files"),
        ({"data": FRAME, "data_dir": "there"}, "data_dir= is of data in files"),
        ({"data": FRAME, "label": FRAME}, "label = a DataFrame of shape (30, 5)"),
        ({"data": FRAME, "test": FRAME}, "test = a DataFrame of shape (30, 5)"),
        ({"dataset": FRAME}, "dataset = a DataFrame of shape (30, 5)"),
        ({"network": ARRAY}, "network = a ndarray of shape (30, 4)"),
    ],
)
def test_a_slip_of_the_call_is_told(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as raised:
        UNTYPED.score(**options)
    assert said in str(raised.value)
    assert str(SECRET) not in str(raised.value)


def test_help_names_the_types_of_data() -> None:
    for function in (privaudit.score, privaudit.unlearn):
        signature = str(inspect.signature(function))
        assert "data: Annotated[Any, 'pandas.DataFrame | " in signature
        assert "torch.utils.data.Dataset" in signature
    with pytest.raises(TypeError, match="such as data=…: 1 stand without"):
        UNTYPED.score(FRAME)


def cell(source: str, name: str, space: dict[str, Any]) -> dict[str, Any]:
    """Run a notebook's cell as IPython does, which keeps its source for whoever inspects it."""
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    exec(compile(source, name, "exec"), space)  # noqa: S102
    return space


NETWORK = """
import functools
import numpy as np
from fractions import Fraction

WIDTH = 16
WEIGHTS = np.arange(3)


def block(width):
    return width * WIDTH


class Base:
    bias = True


class Net(Base):
    sizes = (1, 2)

    def __init__(self, input_shape, classes):
        self.layers = [block(size) for size in self.sizes], WEIGHTS

    @property
    def wide(self):
        return super().bias


both = [lambda shape, classes: Net(shape, classes), lambda shape, classes: Net(shape, classes + 1)]
part = functools.partial(Net, classes=3)
"""


def in_notebook(source: str = NETWORK, name: str = "<cell 1>") -> dict[str, Any]:
    return cell(source, name, {"__name__": "__main__"})


def test_a_network_is_known_by_its_source_and_all_it_refers_to() -> None:
    for which in ("Net", "part"):
        first = identify_code(in_notebook()[which])
        again = identify_code(in_notebook("\n\n# moved\n" + NETWORK + "other = 3\n", "<cell 2>")[which])
        assert (first.compiled, first.unread) == ([], [])
        assert again.digest == first.digest
        changes = [
            ("WIDTH = 16", "WIDTH = 17"),
            ("np.arange(3)", "np.arange(4)"),
            ("width * WIDTH", "width + WIDTH"),
            ("bias = True", "bias = False"),
            ("sizes = (1, 2)", "sizes = (1, 3)"),
            ("return super().bias", "return not super().bias"),
        ]
        digests = {identify_code(in_notebook(NETWORK.replace(*change))[which]).digest for change in changes}
        assert len(digests - {first.digest}) == len(changes)
    space = in_notebook()
    assert len({identify_code(one).digest for one in (*space["both"], space["Net"], space["part"])}) == 4
    before = identify_code(space["Net"]).digest
    space["WIDTH"] = 17
    assert identify_code(space["Net"]).digest != before


def test_what_cannot_be_read_is_said() -> None:
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(NETWORK, "<nowhere>", "exec"), space)  # noqa: S102
    found = identify_code(space["Net"])
    assert "can't be read: it is known by its compiled code" in found.sentences()[0]
    assert "Net.__init__" in found.sentences()[0]
    exec(compile(NETWORK.replace("width * WIDTH", "width + WIDTH"), "<nowhere>", "exec"), space)  # noqa: S102
    assert identify_code(space["Net"]).digest != found.digest
    unread = identify_code(
        cell("def net(shape, classes): return it", "<cell 3>", {"__name__": "__main__", "it": object()})["net"]
    )
    assert unread.sentences()[1].startswith("what it is can't be looked into")


def test_a_network_may_take_shape_and_classes_or_nothing() -> None:
    def by_name(classes: int, input_shape: tuple[int, ...]) -> Any:
        return input_shape, classes

    def by_place(inputs: Any, outputs: Any, width: int = 3) -> Any:
        return inputs, outputs

    def of_nothing(width: int = 3, depth: int = 2) -> Any:
        return width, depth

    for factory, built in (
        (by_name, ((4,), 2)),
        (by_place, ((4,), 2)),
        (of_nothing, (3, 2)),
        (functools.partial(by_name, classes=5), ((4,), 2)),
        (lambda shape, classes: (shape, classes), ((4,), 2)),
    ):
        assert network.network_of(network.hold_network(factory))((4,), 2) == built
    assert network.hold_network(by_place) == "<by_place>"
    with pytest.raises(UsageError, match="can't be called with an input's shape and the classes"):
        network.hold_network(lambda one: one)
    lock = __import__("threading").Lock()
    with pytest.raises(UsageError, match="can't be sent to the processes"):
        network.hold_network(lambda shape, classes: lock)


def test_a_network_itself_is_refused_with_what_to_give() -> None:
    nn = pytest.importorskip("torch").nn
    with pytest.raises(UsageError, match=r"network is a Linear, a network itself.*\n.*network=Linear"):
        UNTYPED.score(network=nn.Linear(3, 2))


def job(name: str, shared: Any, report: Any) -> Any:
    """What workers run: a module-level function, which finds code by its name."""
    return network.network_of(name)((4,), 2)


def test_code_arrives_by_value_in_another_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "_code", {})
    assert with_code(job) is job
    space = in_notebook("WIDTH = 5\ndef net(shape, classes): return [*shape, classes, WIDTH]\n")
    name = network.hold_network(space["net"])
    carried = with_code(job)
    assert carried(name, None, None) == [4, 2, 5]
    read_and_call = (
        "import sys, pickle\ncall, name = pickle.loads(sys.stdin.buffer.read())\n"
        "print(call(name, None, None), call(name, None, None), 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", read_and_call],
        input=cloudpickle.dumps((carried, name)),
        capture_output=True,
        check=True,
        cwd=Path(__file__).parent.parent,
    )
    assert done.stdout.decode().strip() == "[4, 2, 5] [4, 2, 5] False"


def test_code_of_one_name_is_what_came_with_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes live on between calls, and notebooks define a name again and again."""
    carried = {}
    for width in (5, 6):
        monkeypatch.setattr(held, "_code", {})
        name = network.hold_network(in_notebook(f"def net(shape, classes): return {width}\n")["net"])
        carried[width] = with_code(job)
    read_and_call = (
        "import sys, pickle\nname, calls = pickle.loads(sys.stdin.buffer.read())\n"
        "print(*(call(name, None, None) for call in calls))"
    )
    done = subprocess.run(
        [sys.executable, "-c", read_and_call],
        input=cloudpickle.dumps((name, [carried[5], carried[6], carried[5]])),
        capture_output=True,
        check=True,
        cwd=Path(__file__).parent.parent,
    )
    assert done.stdout.decode().strip() == "5 6 5"


def test_what_is_not_at_hand_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "_data", {})
    monkeypatch.setattr(held, "_code", {})
    with pytest.raises(UsageError, match=r"the data, customers, was given in Python.*\n.*privaudit\.unlearn\(data=…\)"):
        held.held_data("<customers>")
    with pytest.raises(UsageError, match=r"network <Net> was defined in Python.*\n.*network=…"):
        held.held_code("<Net>")
