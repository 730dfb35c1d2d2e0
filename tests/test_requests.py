"""Who is meant by a list of requests: understood where it can mean one thing alone, else told, and nothing is done."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from privaudit import api
from privaudit.data import load_dataset
from privaudit.errors import UsageError
from privaudit.results.audit.audit_description import TableOptions
from privaudit.unlearning.requests.forget_requests import RequestList, read_requests
from privaudit.unlearning.requests.forget_set import choose_forget_set
from privaudit.unlearning.requests.request_cells import KnownSamples
from privaudit.unlearning.schedule.ordering import order_rows

INTEGERS = KnownSamples(np.arange(2000))
NAMES = ["00123", "Smith, John", 'O"Brien', "a b", "Zoë", "#7", "x;y", "7", "=SUM(A1)", "Æ\t1", "1E+05", "12.0"]
TEXTS = KnownSamples(np.array(NAMES, object))
PATHS = KnownSamples(np.arange(4), ["cat/1.png", "cat/2, b.png", "dog/1.png", "dog/é.png"])


def read(folder: Path, content: str | bytes, known: KnownSamples = INTEGERS, **flags: Any) -> RequestList:
    path = folder / "requests.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_requests(path, known, **flags)


@pytest.mark.parametrize(
    "content",
    [
        "101\n103\n",
        "101\r\n103\r\n",
        "101\r103\r",
        "\ufeff101\n103",
        "101\n103\n".encode("utf-16"),
        "101\n103\n".encode("utf-32"),
        "\ufeff101\n103\n".encode("utf-16-be"),
        '"101"\n"103"\n',
        "101.0\n103.0\n",
        "1.010000000000000000e+02\n1.030000000000000000e+02\n",
        "id,label\n101,3\n103,3\n",
        "id,class_id\n101,3\n103,4\n",
        "sample_id,user_id\n101,3\n103,4\n",
        "sample_id,note\n101,a,\n103,b,\n",
        "# of March\n\n101\n   \n#102\n 103 \n",
        "101,\n103,\n",
        "101;;\n103;;\n",
        "sample_id\n101\n103\n",
        "ID \n101\n103\n",
        "Sample ID\n101\n103\n",
        ",sample_id\n0,101\n1,103\n",
        "Unnamed: 0,sample_id\n0,101\n1,103\n",
        "sample_id;date\n101;2026-01-31\n103;\n",
        "date\tid\n2026-01-31 10:00:00\t101\n\t103\n",
        "sep=;\nsample_id;note\n101;a\n103;b\n",
        'sample_id,note\n101,"two\n# lines"\n103,b\n',
        "sample_id,id\n101,0\n103,1\n",
        "sample_id,,\n101,,\n103,,\n",
        "sample_id,date\n101,\n103,2026-01-31,,\n",
    ],
    ids=repr,
)
def test_what_can_mean_one_thing_alone_is_understood(tmp_path: Path, content: str | bytes) -> None:
    found = read(tmp_path, content)
    assert found.rows.tolist() == [101, 103]
    assert [request.sample_id for request in found.requests] == [101, 103]


@pytest.mark.parametrize(
    ("content", "line", "said"),
    [
        ("101,103,117\n", 1, "several ids"),
        ("5\n101;103\n", 2, "several values"),
        ("101\t103\n", 1, "several"),
        ("101 103\n", 1, "several"),
        ("1,000\n", 1, "thousands"),
        ("1.000\n", 1, "thousands"),
        ("1'000\n", 1, "thousands"),
        ("1 000\n", 1, "thousands"),
        ("1\u202f000\n", 1, "integers"),
        ("1_000\n", 1, "thousands"),
        ("sample_id\n1,000\n", 2, "thousands"),
        ("12,0\n", 1, "several values"),
        (",0\n0,101\n1,103\n", 1, "',0'"),
        ("0,101\n1,103\n", 1, "several"),
        ("index,subject\n0,101\n", 1, "'index,subject'"),
        ("subject\n101\n", 1, "'subject'"),
        ("0\n101\n103\n", 1, "pandas"),
        (pd.Series([1, 101]).to_csv(index=False), 1, "pandas"),
        ("0\n1\n2\n", 1, "pandas"),
        (pd.DataFrame({"sample_id": [101, 103], "note": ""}).to_csv(index_label=False), 2, "3 cells, the header 2"),
        ('"sample_id","note"\n"1",101,\n"2",103,\n', 2, "3 cells, the header 2"),
        ("9" * 5000 + "\n", 1, "too many digits"),
        ("sample_id,note\n" + "9" * 5000 + ",a\n", 2, "too many digits"),
        ("5-10\n", 1, "a range"),
        ("[5 10 17]\n", 1, "as a program shows a list"),
        ('="101"\n', 1, "formula"),
        ('"0"\n101\n', 1, "pandas"),
        ("5\n1E+05\n", 2, "shortened"),
        ("1.2E+3\n", 1, "shortened"),
        ("'101\n", 1, "apostrophe"),
        ("00101\n", 1, "zeros"),
        ("-5\n", 1, "negative"),
        ("+5\n", 1, "'\\+5'"),
        ("12.5\n", 1, "fraction"),
        ("9007199254740993.0\n", 1, "fraction"),
        ("31.01.2026\n", 1, "a date"),
        ("2026-01-31\n", 1, "a date"),
        ("2026-01-31 00:00:00\n", 1, "a date"),
        ("Jan-26\n", 1, "a date"),
        ("5\n\nnan\n", 3, "empty or broken"),
        ("#N/A\n5\n", 1, "empty or broken"),
        ("#REF!\n5\n", 1, "empty or broken"),
        ("sample_id,note\n,a\n", 2, "empty or broken"),
        ("١٢\n", 1, "'١٢'"),
        ("５\n", 1, "'５'"),
        ("5\u200b\n", 1, r"u200b"),
        ("5 # Anna\n", 1, "'5 # Anna'"),
        ("sample_id\n5\nsample_id\n", 3, "'sample_id'"),
        ("sample_id,date\n5\n", 2, "1 cells, the header 2"),
        ("sample_id,note\n5,1,000\n", 2, "3 cells, the header 2"),
        ('sample_id,note\n5,"a\n6,b\n', 2, "can't be told apart"),
        ("sample_id,date\n5,31.01.2026\n", 2, "31.01.2026"),
        ("sample_id,date\n5,46053\n", 2, "46053"),
    ],
    ids=repr,
)
def test_a_doubt_is_refused_with_line_and_content(tmp_path: Path, content: str, line: int, said: str) -> None:
    for skip in (False, True):
        with pytest.raises(UsageError, match=rf"line {line}\b.*{said}") as refused:
            read(tmp_path, content, skip_unknown=skip)
        assert "Nothing was done" in str(refused.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\xff\xfe", "is empty"),
        (b" \n\n", "is empty"),
        (b"# nobody\n", "is empty"),
        (b"sample_id\n", "no sample below its header"),
        (b"sample_id,date\n\n", "no sample below its header"),
        (b"PK\x03\x04 workbook", "Excel workbook"),
        (b"PAR1 table", "parquet"),
        (b"\x1f\x8b\x08", "compressed"),
        (b"[101, 103]", "JSON"),
        (b'{"sample_id": 101}\n{"sample_id": 103}\n', "JSON"),
        (b"1\x000\x001\x00", "NUL"),
        (b"101\n10\xe9\n", "line 2 is not UTF-8"),
        (b"id,ID\n1,2\n", "2 columns are called 'id'"),
        (b"id,subject\n0,101\n1,103\n", "only counts the rows"),
        (b"ID;subject\n1;101\n2;103\n", "only counts the rows"),
        (b"id,subject\n17,101\n18,103\n", "only counts the rows"),
        (b"id,user_id\n17,101\n23,103\n", "may number the requests"),
        (b"id,PersonID\n17,101\n", "may number the requests"),
        (b"sample_id,sampleid\n101,103\n", "a column sample_id and a column sampleid"),
        (b"path\ncat/1.png\n", "have no paths"),
    ],
    ids=repr,
)
def test_what_is_no_list_of_ids_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read(tmp_path, content)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_ids_of_text_come_through_every_table(tmp_path: Path, delimiter: str, encoding: str) -> None:
    written = io.StringIO()
    table = csv.writer(written, delimiter=delimiter)
    table.writerows([["", "sample_id", "request_id"], *([row, name, f"R-{row}"] for row, name in enumerate(NAMES))])
    found = read(tmp_path, written.getvalue().encode(encoding), TEXTS)
    assert [(one.sample_id, one.request_id) for one in found.requests] == [(n, f"R-{r}") for r, n in enumerate(NAMES)]


def test_ids_of_text_come_through_a_line_each(tmp_path: Path) -> None:
    """Typed as they are, or quoted as a spreadsheet does."""
    assert read(tmp_path, "\n".join(NAMES), TEXTS).rows.tolist() == list(range(len(NAMES)))
    written = io.StringIO()
    csv.writer(written, quoting=csv.QUOTE_ALL).writerows([name] for name in NAMES)
    assert read(tmp_path, written.getvalue(), TEXTS).rows.tolist() == list(range(len(NAMES)))
    assert read(tmp_path, "Zoe\u0308\n", TEXTS).rows.tolist() == [4]  # written with a combining sign


def test_what_a_spreadsheet_changed_is_no_unknown_id_to_skip(tmp_path: Path) -> None:
    for content, meant in (("123\n7\n", "00123"), ("'00123\n7\n", "00123"), ("smith, john,\n7\n", "Smith, John")):
        with pytest.raises(UsageError, match=meant if "smith" not in content else "several values"):
            read(tmp_path, content, TEXTS, skip_unknown=True)
    with pytest.raises(UsageError, match="empty or broken"):
        read(tmp_path, "nan\n7\n", TEXTS, skip_unknown=True)
    with pytest.raises(UsageError, match="may be a header"):
        read(tmp_path, "id\n7\n", KnownSamples(np.array(["id", "7"], object)))


def test_paths_that_are_all_unknown_are_called_unknown_paths(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("cat/9.png\ndog/8.png\n")
    known = KnownSamples(np.array([0, 1]), ("cat/1.png", "dog/2.png"))
    with pytest.raises(UsageError, match=r"2 of 2 paths are not in the training set: 'cat/9.png' \(line 1\)"):
        read_requests(tmp_path / "ids.txt", known)


def test_a_subject_in_place_of_an_id_is_told_with_what_to_write_instead(tmp_path: Path) -> None:
    scores = {"sample_id": [0, 1, 2, 3], "subject": ["K-7", "K-7", "K-9", None]}
    rows = KnownSamples.of(pd.DataFrame(scores))
    with pytest.raises(UsageError, match=r"line 2: 'K-7' is not a sample_id \(a subject, of 2 samples\)") as caught:
        read(tmp_path, "sample_id\nK-7\n", rows)
    assert "never a subject: in place of this line list the sample_id of each sample of 'K-7'" in str(caught.value.hint)
    texts = KnownSamples.of(pd.DataFrame(scores | {"sample_id": ["a", "b", "c", "d"]}))
    # Nor are all samples of a person passed over.
    for skip in (False, True):
        with pytest.raises(
            UsageError, match=r"1 of 2 ids are not .*'K-9' \(line 2; a subject, of 1 sample\)"
        ) as caught:
            read(tmp_path, "a\nK-9\n", texts, skip_unknown=skip)
        assert "--skip-unknown" not in str(caught.value.hint)
    with pytest.raises(UsageError) as caught:
        read(tmp_path, "a\nK-8\n", texts)
    assert "subject" not in str(caught.value.hint)


def test_an_id_that_is_a_subjects_name_too_is_taken_as_the_id_and_said(tmp_path: Path) -> None:
    rows = KnownSamples.of(pd.DataFrame({"sample_id": [0, 1, 2, 3], "subject": ["1", "1", "2", "9"]}))
    found = read(tmp_path, "sample_id\n1\n0\n", rows)
    assert found.rows.tolist() == [1, 0]
    assert any(note.startswith("1 of these ids is a subject's name too") for note in found.notes)
    # What is understood is no reason to speak of subjects.
    with pytest.raises(UsageError, match="line 3: '3-' is not a sample_id") as caught:
        read(tmp_path, "sample_id\n1\n3-\n", rows)
    assert "subject" not in str(caught.value.hint)


def test_an_id_of_the_test_part_is_told_as_such_and_what_that_means(tmp_path: Path) -> None:
    """Rows 2 and 5 are drawn to test with: a column of the table says so."""
    table = {"x": [0.5, 1, 1, 0.5, 3, 2, 2, 3], "y": list("abababab"), "key": [f"k{row}" for row in range(8)]}
    table["part"] = ["test" if row in (2, 5) else "train" for row in range(8)]
    pd.DataFrame(table).to_csv(tmp_path / "people.csv", index=False)
    for column, call in ((None, str), ("key", "k{}".format)):
        options = TableOptions(label="y", test="part", id=column)
        data = load_dataset(str(tmp_path / "people.csv"), table=options)
        assert data.table is not None
        known = KnownSamples(data.sample_ids, tested=data.table.tested)
        asked = f"sample_id\n{call(0)}\n{call(2)}\n"
        with pytest.raises(UsageError, match=r"1 of 2 ids .*2'? \(line 3; in the test part\)") as caught:
            read(tmp_path, asked, known)
        assert "no model was trained on the test part" in str(caught.value.hint)
        assert "the data file still holds these rows" in str(caught.value.hint)
        assert "--skip-unknown" in str(caught.value.hint)
        found = read(tmp_path, asked, known, skip_unknown=True)
        assert found.rows.tolist() == [0]
        assert any(note.startswith("1 of these is in the test part: no model was trained") for note in found.notes)
        with pytest.raises(UsageError) as caught:
            read(tmp_path, f"sample_id\n{call(0)}\n{call(9)}\n", known)
        assert "the test part" not in str(caught.value.hint)


def test_paths_name_samples_where_they_have_some(tmp_path: Path) -> None:
    assert read(tmp_path, "path\ncat/2, b.png\n./dog/1.png\n", PATHS).rows.tolist() == [1, 2]
    assert read(tmp_path, "cat/1.png\ncat\\2, b.png\n", PATHS).rows.tolist() == [0, 1]
    assert read(tmp_path, "path,date\ndog/e\u0301.png,2026-01-31\n", PATHS).rows.tolist() == [3]
    assert read(tmp_path, "sample_id,path\n2,dog/1.png\n", PATHS).rows.tolist() == [2]
    for content, said in (
        ("sample_id,path\n2,cat/1.png\n", "not the same sample"),
        ("0\ncat/1.png\n", "some samples by id and some by path"),
        ("1.png\n", "1 of 1 paths are not .*'1.png' \\(line 1\\)"),
        ("path\n/elsewhere/cat/1.png\n", "1 of 1 paths are not .*is 'cat/1.png' meant"),
        ("C:\\train\\dog\\1.png\n", "1 of 1 paths are not .*is 'dog/1.png' meant"),
        ("é.png\n", "1 of 1 paths are not .*is 'dog/é.png' meant"),
    ):
        with pytest.raises(UsageError, match=said):
            read(tmp_path, content, PATHS)
    twice = KnownSamples(np.arange(2), ["a.png", "a.png"])
    with pytest.raises(UsageError, match="1 of 1 paths are not"):
        read(tmp_path, "path\na.png\n", twice)


def test_every_unknown_id_is_told_and_may_be_skipped(tmp_path: Path) -> None:
    lines = [str(one) for one in range(17)] + ["9001", "9002", "9003"]
    content = "\n".join(["sample_id,request_id", *(f"{one},R-{one}" for one in lines)])
    with pytest.raises(
        UsageError, match=r"3 of 20 ids are not .*: 9001 \(line 19\), 9002 \(line 20\), 9003"
    ) as refused:
        read(tmp_path, content)
    assert "--skip-unknown" in str(refused.value.hint)
    found = read(tmp_path, content, skip_unknown=True)
    assert found.rows.tolist() == list(range(17))
    assert [(one.sample_id, one.request_id) for one in found.skipped] == [(n, f"R-{n}") for n in (9001, 9002, 9003)]
    with pytest.raises(UsageError, match="2 of 2 ids"):
        read(tmp_path, "9001\n9002\n", skip_unknown=True)
    with pytest.raises(UsageError, match=r"30 of 31 ids .* and 10 more"):
        read(tmp_path, "\n".join(["1", *map(str, range(9000, 9030))]))


def test_what_was_understood_is_said(tmp_path: Path) -> None:
    found = read(tmp_path, "sample_id\n1\n2\n# \n2\n1\n")
    assert found.said == f"2 ids in column 'sample_id' of {tmp_path / 'requests.csv'}; 2 duplicates; 1 comment lines"
    assert "2 ids were given more than once" in found.notes
    assert not any("requests.csv" in note for note in found.notes)


@pytest.mark.parametrize("made", [{}, {"index": False}, {"header": False}, {"sep": ";"}, {"index": False, "sep": "\t"}])
@pytest.mark.parametrize("name", ["sample_id", "subject", None])
def test_whatever_pandas_writes_names_the_right_samples_or_is_refused(
    tmp_path: Path, made: dict[str, Any], name: str | None
) -> None:
    for kind in (pd.Series([101.0, 103.0], name=name), pd.Series([101, 103], name=name)):
        try:
            found = read(tmp_path, kind.to_csv(**made))
        except UsageError:
            assert name != "sample_id" or made == {"header": False}
        else:
            assert found.rows.tolist() == [101, 103]


def test_samples_of_equal_score_go_by_ids_of_text() -> None:
    table = pd.DataFrame({"sample_id": ["b", "a", "c"], "label": 0, "loss": [1.0, 1.0, 0.5]})
    assert order_rows(table, "loss", False, 0).tolist() == [2, 1, 0]


def test_a_list_that_begins_with_the_first_samples_is_one(tmp_path: Path) -> None:
    assert read(tmp_path, "0\n").rows.tolist() == [0]
    assert read(tmp_path, "1\n0\n2\n").rows.tolist() == [1, 0, 2]
    assert read(tmp_path, "sample_id\n0\n101\n").rows.tolist() == [0, 101]


def test_a_list_typed_in_place_of_a_file_is_told() -> None:
    table = pd.DataFrame({"sample_id": [1, 2, 3], "label": [0, 0, 1]})
    with pytest.raises(UsageError, match="cannot read the ids") as refused:
        choose_forget_set("ids:1,2", table, ("a", "b"), 0)
    assert "takes a file" in str(refused.value.hint)
    for wrong in ([1, 2], np.array([1, 2]), 7):
        with pytest.raises(UsageError, match="Put ids into a file"):
            choose_forget_set(wrong, table, ("a", "b"), 0)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="only ids:FILE"):
        choose_forget_set("random:1", table, ("a", "b"), 0, skip_unknown=True)
    with pytest.raises(UsageError):
        api.unlearn(forget=[1, 2])  # type: ignore[call-overload]


def test_a_number_that_names_no_class_is_no_position_among_classes_named_by_numbers() -> None:
    table = pd.DataFrame({"sample_id": [1, 2, 3, 4], "label": [0, 0, 1, 1]})
    assert choose_forget_set("class:1", table, ("cat", "dog"), 0).rows.tolist() == [2, 3]
    assert choose_forget_set("class:20", table, ("10", "20"), 0).rows.tolist() == [2, 3]
    for wrong in ("1", "10.0", "١", "9" * 5000):
        with pytest.raises(UsageError, match="there is no class"):
            choose_forget_set(f"class:{wrong}", table, ("10", "20"), 0)


@pytest.mark.parametrize("wrong", ["ids:a\0b", "ids:~/requests.csv", "ids:", "ids"])
def test_a_request_file_that_can_not_be_opened_is_a_usage_error(wrong: str) -> None:
    table = pd.DataFrame({"sample_id": [1, 2], "label": [0, 1]})
    with pytest.raises(UsageError, match="cannot read the ids of") as refused:
        choose_forget_set(wrong, table, ("a", "b"), 0)
    assert "\0" not in str(refused.value)
    assert ("~" in wrong) == ("home folder" in str(refused.value.hint))


def test_the_audited_table_s_own_name_of_its_ids_is_understood(tmp_path: Path) -> None:
    known = KnownSamples(np.array(["K-1", "K-2", "K-3"], object), called="Customer No")
    for content in ("Customer No\nK-3\nK-1\n", "age;customer no\n30;K-3\n40;K-1\n", "id,customer-no\n1,K-3\n2,K-1\n"):
        assert read(tmp_path, content, known).rows.tolist() == [2, 0]
    both = "customer no,sample_id\nK-3,{}\nK-1,K-1\n"
    assert read(tmp_path, both.format("K-3"), known).rows.tolist() == [2, 0]
    with pytest.raises(UsageError, match="'Customer No' and 'sample_id' name different samples"):
        read(tmp_path, both.format("K-2"), known)
