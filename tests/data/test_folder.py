import csv
import io
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arrange.data import csv_text, tables
from arrange.data import folder as own_folder
from arrange.errors import UserError

QUERIES = "query_id,text,split,note\n7,red shoe,train,x\n8,blue shoe,validation,x\n9,green hat,test,x\n"
DOCUMENTS = "doc_id,text\na,A red shoe\nb,A blue shoe\nc,A green hat\n"
QRELS = "query_id,doc_id,gain\n7,a,5\n7,b,2\n7,c,0\n8,b,1\n9,c,3\n"


def folder(tmp_path: Path, **files: str) -> Path:
    """The good files as csv, some of them replaced: `qrels_txt` is qrels.txt, and takes the place of qrels.csv."""
    contents = {"queries.csv": QUERIES, "documents.csv": DOCUMENTS, "qrels.csv": QRELS}
    for name, content in files.items():
        table, _, ending = name.partition("_")
        contents.pop(f"{table}.csv", None)
        contents[f"{table}.{ending or 'csv'}"] = content
    for name, content in contents.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    return tmp_path


def read(path: Path, validation: float = 0.2, test: float = 0.3) -> tables.Dataset:
    dataset, _ = own_folder.tables(path, validation, test)
    tables.check(dataset)
    return dataset


def test_csv_files_become_the_three_tables(tmp_path: Path) -> None:
    dataset = read(folder(tmp_path))
    assert dataset.queries.rows() == [
        ("7", "red shoe", "train"),
        ("8", "blue shoe", "validation"),
        ("9", "green hat", "test"),
    ]
    assert dataset.documents.rows() == [("a", "A red shoe"), ("b", "A blue shoe"), ("c", "A green hat")]
    assert dataset.qrels.rows() == [
        ("7", "a", 1, 5),
        ("7", "b", 2, 2),
        ("7", "c", None, 0),
        ("8", "b", 1, 1),
        ("9", "c", 1, 3),
    ]


@pytest.mark.parametrize("ending", ["txt", "qrels", "trec"])
def test_trec_qrels_give_the_same(tmp_path: Path, ending: str) -> None:
    expected = read(folder(tmp_path)).qrels
    (tmp_path / "qrels.csv").unlink()
    (tmp_path / f"qrels.{ending}").write_text("7 0 a 5\n7 0 b 2\n7\t0\tc\t-1\n8 0 b 1\n9 0 c 3\n")
    assert read(tmp_path).qrels.equals(expected)


def test_parquet_with_numbers_for_ids_gives_the_same(tmp_path: Path) -> None:
    expected = read(folder(tmp_path))
    other = tmp_path / "parquet"
    other.mkdir()
    for name in ("queries", "documents", "qrels"):
        frame = pl.read_csv(tmp_path / f"{name}.csv")
        assert name == "documents" or frame.schema["query_id"] == pl.Int64
        frame.write_parquet(other / f"{name}.parquet")
    for got, table in zip(read(other), expected, strict=True):
        assert got.equals(table)


def test_ranks_alone_give_gains(tmp_path: Path) -> None:
    qrels = "query_id,doc_id,rank\n7,a,2\n7,b,1\n7,c,\n8,b,1\n9,c,1\n9,a,1\n9,b,2.0\n"
    assert read(folder(tmp_path, qrels=qrels)).qrels.rows()[:3] == [
        ("7", "b", 1, 1000000),
        ("7", "a", 2, 500000),
        ("7", "c", None, 0),
    ]
    assert read(tmp_path).qrels.rows()[4:] == [("9", "a", 1, 1000000), ("9", "c", 1, 1000000), ("9", "b", 2, 500000)]


def test_gains_of_ranks_are_rounded(tmp_path: Path) -> None:
    qrels = "query_id,doc_id,rank\n7,a,1\n8,b,1\n" + "".join(f"9,d{rank},{rank}\n" for rank in range(1, 8))
    documents = DOCUMENTS + "".join(f"d{rank},text\n" for rank in range(1, 8))
    gains = read(folder(tmp_path, qrels=qrels, documents=documents)).qrels["gain"].to_list()
    assert gains[2:] == [1000000, 500000, 333333, 250000, 200000, 166667, 142857]


def test_ranks_and_gains_together_stay_as_they_are(tmp_path: Path) -> None:
    qrels = "rank,gain,query_id,doc_id\n1,3,7,a\n1,9,7,b\n,-2,7,c\n1,1,8,b\n1,1,9,c\n"
    assert read(folder(tmp_path, qrels=qrels)).qrels.rows()[:3] == [
        ("7", "a", 1, 3),
        ("7", "b", 1, 9),
        ("7", "c", None, 0),
    ]


def test_a_document_may_have_its_querys_id(tmp_path: Path) -> None:
    qrels = "query_id,doc_id,gain\n7,7,1\n8,b,1\n9,c,1\n"
    dataset = read(folder(tmp_path, documents=DOCUMENTS + "7,another thing\n", qrels=qrels))
    assert dataset.qrels.rows()[0] == ("7", "7", 1, 1)
    about = own_folder.Folder(raw=str(tmp_path)).prepare("mine").about
    assert not about.queries_are_documents


def test_queries_that_are_documents_are_told(tmp_path: Path) -> None:
    folder(tmp_path, documents=DOCUMENTS + "7,red shoe\n")
    assert own_folder.Folder(raw=str(tmp_path)).prepare("mine").about.queries_are_documents


def test_queries_without_a_ranked_document_are_counted(tmp_path: Path) -> None:
    queries = QUERIES + "10,no judgement,train,x\n11,only negatives,train,x\n"
    dataset, left_out = own_folder.tables(
        folder(tmp_path, queries=queries, qrels=QRELS + "11,a,0\n11,b,-1\n"), 0.2, 0.3
    )
    assert dataset.queries["query_id"].to_list() == ["7", "8", "9"]
    assert [tuple(out) for out in left_out] == [
        ("judgements of queries without a ranked document", 2, ["11 a", "11 b"]),
        ("queries without a ranked document", 2, ["10", "11"]),
    ]


def many(tmp_path: Path, header: str, row: str) -> Path:
    rows = "".join(row.format(i) for i in range(200))
    qrels = "query_id,doc_id,gain\n" + "".join(f"{i},a,1\n" for i in range(200))
    return folder(tmp_path, queries=header + rows, qrels=qrels)


def test_without_a_split_column_the_hash_decides(tmp_path: Path) -> None:
    queries = read(many(tmp_path, "query_id,text\n", "{0},text\n")).queries
    assert queries.equals(queries.with_columns(own_folder.assign(queries["query_id"], 0.2, 0.3)))
    assert 40 <= queries.filter(pl.col("split") == "test").height <= 80  # 60 expected, standard deviation 6.5


def test_a_split_column_without_validation_keeps_its_test_queries(tmp_path: Path) -> None:
    queries = "query_id,text,split\n" + "".join(f"{i},text,{'test' if i % 2 else 'train'}\n" for i in range(200))
    got = read(many(tmp_path, queries, "")).queries
    even = got["query_id"].cast(pl.Int64) % 2 == 0
    assert set(got.filter(~even)["split"]) == {"test"}
    by_hash = own_folder.assign(got.filter(even)["query_id"], validation=0.2, test=0)
    assert got.filter(even)["split"].equals(by_hash)
    assert set(by_hash) == {"train", "validation"}


BAD = {
    "qrels.csv: column doc_id is missing": {"qrels": "query_id,gain\n7,1\n"},
    "queries.csv: column text is missing": {"queries": "query_id,title\n7,shoe\n"},
    "qrels.csv: column gain is missing": {"qrels": "query_id,doc_id\n7,a\n"},
    "qrels.csv, line 7: query_id '12' is not in queries.csv": {"qrels": QRELS + "12,a,1\n"},
    "qrels.csv, line 7: doc_id 'z' is not in documents.csv (and 1 more)": {"qrels": QRELS + "9,z,1\n9,y,1\n"},
    "qrels.txt, line 2: doc_id 'z' is not in documents.csv": {"qrels_txt": "7 0 a 1\n7 0 z 1\n"},
    "qrels.txt, line 2: 3 fields": {"qrels_txt": "7 0 a 1\n7 z 1\n"},
    "qrels.csv, line 7: query_id and doc_id '7 a' is there before": {"qrels": QRELS + "7,a,1\n"},
    "documents.csv, line 5: doc_id 'a' is there before": {"documents": DOCUMENTS + "a,again\n"},
    "documents.csv, line 5: text '  ' is no text": {"documents": DOCUMENTS + "d,  \n"},
    "documents.csv, line 5: text None is no text": {"documents": DOCUMENTS + "d,\n"},
    "queries.csv, line 5: query_id None is no id": {"queries": QUERIES + ",text,train,x\n"},
    "queries.csv, line 5: split 'dev' is not one of train, validation, test": {
        "queries": QUERIES + "10,text,dev,x\n",
        "qrels": QRELS + "10,a,1\n",
    },
    "qrels.csv, line 7: gain '1.5' is no whole number": {"qrels": QRELS + "9,a,1.5\n"},
    "qrels.csv, line 7: gain 'high' is no whole number": {"qrels": QRELS + "9,a,high\n"},
    "qrels.csv, line 7: gain None is no whole number": {"qrels": QRELS + "9,a,\n"},
    "qrels.csv, line 7: gain '3000000000' is no whole number below 2^31": {"qrels": QRELS + "9,a,3000000000\n"},
    "qrels.csv, line 3: rank 3 is not dense": {"qrels": "query_id,doc_id,rank\n7,a,1\n7,b,3\n8,b,1\n9,c,1\n"},
    "qrels.csv, line 2: rank 0 is not dense": {"qrels": "query_id,doc_id,rank\n7,a,0\n7,b,1\n8,b,1\n9,c,1\n"},
    "qrels.csv, line 2: gain 0 contradicts its rank": {
        "qrels": "query_id,doc_id,rank,gain\n7,a,1,0\n8,b,1,1\n9,c,1,1\n"
    },
    "qrels.csv, line 3: gain 5 contradicts its rank": {
        "qrels": "query_id,doc_id,rank,gain\n7,a,1,5\n7,b,,5\n8,b,1,1\n"
    },
    "qrels.csv, line 4: gain 5 is above that of a better rank": {
        "qrels": "query_id,doc_id,rank,gain\n7,a,1,4\n7,b,2,4\n7,c,3,5\n8,b,1,1\n9,c,1,9\n"
    },
    "one file of qrels is needed, or one of each fold; it has qrels.csv, qrels.txt": {
        "qrels": QRELS,
        "qrels_txt": "7 0 a 1\n",
    },
    "3 queries, none of them in the test split": {"queries": QUERIES.replace("test", "train")},
}


@pytest.mark.parametrize(("message", "files"), BAD.items(), ids=BAD)
def test_what_is_wrong_is_named_with_its_file_and_line(tmp_path: Path, message: str, files: dict[str, str]) -> None:
    folder(tmp_path, **files)
    if "qrels_txt" in files and "qrels" in files:
        (tmp_path / "qrels.csv").write_text(files["qrels"])
    with pytest.raises(UserError) as error:
        own_folder.tables(tmp_path, 0.2, 0.3)
    assert message in error.value.what
    assert len(str(error.value).splitlines()) == 2


def test_rows_of_parquet_count_from_0(tmp_path: Path) -> None:
    folder(tmp_path)
    pl.read_csv(tmp_path / "qrels.csv").with_columns(doc_id=pl.lit("z")).write_parquet(tmp_path / "qrels.parquet")
    (tmp_path / "qrels.csv").unlink()
    with pytest.raises(UserError, match=r"qrels\.parquet, row 0: doc_id 'z' is not in documents\.csv \(and 4 more\)"):
        own_folder.tables(tmp_path, 0.2, 0.3)


@pytest.mark.parametrize("name", ["queries", "documents", "qrels"])
def test_a_file_that_is_missing_or_damaged_is_named(tmp_path: Path, name: str) -> None:
    folder(tmp_path)
    path = tmp_path / f"{name}.parquet"
    pl.read_csv(tmp_path / f"{name}.csv").write_parquet(path)
    (tmp_path / f"{name}.csv").unlink()
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=rf"{name}\.parquet can't be read"):
        own_folder.tables(tmp_path, 0.2, 0.3)
    path.unlink()
    with pytest.raises(UserError, match=f"one file of {name} is needed, or one of each fold; it has none"):
        own_folder.tables(tmp_path, 0.2, 0.3)
    with pytest.raises(UserError, match="is no folder"):
        own_folder.tables(tmp_path / "elsewhere", 0.2, 0.3)


def test_text_that_is_no_utf8_or_a_list_is_refused(tmp_path: Path) -> None:
    folder(tmp_path)
    (tmp_path / "documents.csv").write_bytes("doc_id,text\na,é\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"documents\.csv, line 2: the byte 0xe9 isn't UTF-8"):
        own_folder.tables(tmp_path, 0.2, 0.3)
    (tmp_path / "documents.csv").unlink()
    pl.DataFrame({"doc_id": ["a"], "text": [["a", "b"]]}).write_parquet(tmp_path / "documents.parquet")
    with pytest.raises(UserError, match=r"column text is List\(String\)"):
        own_folder.tables(tmp_path, 0.2, 0.3)


MALFORMED = {  # what is wrong -> the documents, and a word of the remedy
    "documents.csv, line 3: field 2 opens a quote that is never closed": ('doc_id,text\na,x\nb,"y\nc,z\n', "close it"),
    "documents.csv, line 2: field 2 opens a quote, and text follows the quote that closes it in line 4": (
        'doc_id,text\na,"x\nb,y\nc,"z"\n',
        "close every quote",
    ),
    "documents.csv, line 3: field 2 opens a quote, and text follows the quote that closes it there": (
        'doc_id,text\na,x\nb,"a 5" nail"\nc,z\n',
        '"a 5"" nail"',
    ),
    "documents.csv, line 3: field 2 has a quote in it and none around it: 'a 5\" nail'": (
        'doc_id,text\na,x\nb,a 5" nail\nc,z\n',
        '"a 5"" nail"',
    ),
    "documents.csv, line 4: 3 fields, and the header has 2": (
        'doc_id,text\na,"two\nlines"\nb,red, blue\nc,z\n',
        '"red, or blue"',
    ),
    "documents.csv, line 1: field 2 opens a quote that is never closed": ('doc_id,"text\na,x\n', "close it"),
    "documents.csv, line 4: text None is no text": ('doc_id,text\na,"two\nlines"\nb,\nc,z\n', "mend the row"),
    "documents.csv is empty": ("", "a row for each document"),
}


@pytest.mark.parametrize(("message", "case"), MALFORMED.items(), ids=MALFORMED)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_malformed_csv_is_told_with_its_line(tmp_path: Path, message: str, case: tuple[str, str], end: str) -> None:
    folder(tmp_path)
    (tmp_path / "documents.csv").write_bytes(case[0].replace("\n", end).encode())
    with pytest.raises(UserError) as error:
        own_folder.tables(tmp_path, 0.2, 0.3)
    assert message in error.value.what
    assert case[1] in error.value.remedy
    assert len(str(error.value).splitlines()) == 2


def test_quoted_texts_are_read_as_they_are(tmp_path: Path) -> None:
    documents = 'doc_id,text\n"a","a 5"" nail, red"\nb,"two\nlines"\nc,"""all"""'
    assert read(folder(tmp_path, documents=documents)).documents["text"].to_list() == [
        'a 5" nail, red',
        "two\nlines",
        '"all"',
    ]


@pytest.mark.parametrize("end", ["\r", "\r\n"])
def test_other_line_ends_give_the_same(tmp_path: Path, end: str) -> None:
    expected = read(folder(tmp_path))
    for name in ("queries", "documents", "qrels"):
        path = tmp_path / f"{name}.csv"
        path.write_bytes(path.read_bytes().replace(b"\n", end.encode()))
    for got, table in zip(read(tmp_path), expected, strict=True):
        assert got.equals(table)


@pytest.mark.parametrize("blank", ["\n", "\n\n", "\r\n", " \n"])
def test_blank_lines_at_the_end_are_no_rows(tmp_path: Path, blank: str) -> None:
    expected = read(folder(tmp_path)).qrels
    (tmp_path / "qrels.csv").write_bytes((QRELS + blank.strip(" ")).encode())
    assert read(tmp_path).qrels.equals(expected)
    (tmp_path / "qrels.csv").unlink()
    (tmp_path / "qrels.txt").write_bytes(f"7 0 a 5\n7 0 b 2\n7 0 c -1\n8 0 b 1\n9 0 c 3\n{blank}".encode())
    assert read(tmp_path).qrels.equals(expected)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
@pytest.mark.parametrize("name", ["documents.csv", "qrels.txt"])
def test_another_encoding_is_named(tmp_path: Path, encoding: str, name: str) -> None:
    folder(tmp_path)
    if name == "qrels.txt":
        (tmp_path / "qrels.csv").unlink()
    (tmp_path / name).write_bytes((DOCUMENTS if name == "documents.csv" else "7 0 a 5\n").encode(encoding))
    with pytest.raises(UserError, match=encoding[:6].upper()) as error:
        own_folder.tables(tmp_path, 0.2, 0.3)
    assert name in error.value.what
    assert error.value.remedy == "save the file as UTF-8"
    assert "\0" not in str(error.value)


def test_a_long_header_is_cut(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="column doc_id is missing") as error:
        own_folder.tables(folder(tmp_path, documents="x" * 1000 + "\n1\n"), 0.2, 0.3)
    assert len(error.value.remedy) < 100


@pytest.mark.parametrize("files", [{"qrels": "query_id,doc_id,gain\n"}, {"qrels_txt": ""}, {"qrels_txt": "\n"}])
def test_qrels_without_a_row_are_told_as_empty(tmp_path: Path, files: dict[str, str]) -> None:
    with pytest.raises(UserError, match=r"qrels\.(csv|txt) is empty") as error:
        own_folder.tables(folder(tmp_path, **files), 0.2, 0.3)
    assert "gain" in error.value.remedy


def test_fractional_gains_are_to_be_multiplied(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"qrels\.csv, line 7: gain '0\.5' is no whole number") as error:
        own_folder.tables(folder(tmp_path, qrels=QRELS + "9,a,0.5\n"), 0.2, 0.3)
    assert error.value.remedy.startswith("multiply all gains")


def test_an_empty_split_names_the_knob_or_the_column(tmp_path: Path) -> None:
    no_column = folder(tmp_path, queries="query_id,text\n7,a\n8,b\n9,c\n")
    with pytest.raises(UserError) as error:
        own_folder.tables(no_column, 0.001, 0.001, "mine")
    assert "datasets.mine.test" in error.value.remedy
    with pytest.raises(UserError) as error:
        own_folder.tables(folder(tmp_path, queries=QUERIES.replace("test", "train")), 0.001, 0.001, "mine")
    assert error.value.remedy.startswith("write test into the column split")
    with pytest.raises(UserError) as error:
        own_folder.tables(folder(tmp_path, queries=QUERIES.replace("validation", "train")), 0.001, 0.001, "mine")
    assert "datasets.mine.validation" in error.value.remedy


def test_a_binary_column_may_be_utf8_and_nothing_else(tmp_path: Path) -> None:
    expected = read(folder(tmp_path)).documents
    frame = pl.read_csv(tmp_path / "documents.csv").with_columns(pl.all().cast(pl.Binary))
    (tmp_path / "documents.csv").unlink()
    frame.write_parquet(tmp_path / "documents.parquet")
    assert read(tmp_path).documents.equals(expected)
    bad = frame.with_columns(text=pl.Series([b"ok", None, b"caf\xe9"]))
    bad.write_parquet(tmp_path / "documents.parquet")
    with pytest.raises(UserError, match=r"documents\.parquet, row 2: column text isn't UTF-8") as error:
        own_folder.tables(tmp_path, 0.2, 0.3)
    assert len(str(error.value).splitlines()) == 2


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\r")), min_size=2, max_size=2)))
def test_what_the_csv_module_writes_passes_the_check(rows: list[list[str]]) -> None:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerows([["id", "text"], *rows])
    text = csv_text.normalised(file.getvalue())
    csv_text.check(text, Path("file.csv"))
    assert pl.read_csv(text.encode(), infer_schema=False).rows() == [tuple(row) for row in rows]
    lines = 2
    for number, row in enumerate(rows):
        assert csv_text.line(text, number) == lines
        lines += 1 + "".join(row).count("\n")


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.integers(-2, 4), min_size=1, max_size=6), min_size=3, max_size=5))
def test_ranks_of_gains_count_the_better_gains(
    tmp_path_factory: pytest.TempPathFactory, gains: list[list[int]]
) -> None:
    """Oracle: the rank is one more than the number of different better gains."""
    gains = [[*row, 1] for row in gains]  # one ranked document at least
    names = ["train", "validation", "test", "train", "train"]
    path = folder(
        tmp_path_factory.mktemp("own"),
        queries="query_id,text,split\n" + "".join(f"q{i},t,{names[i]}\n" for i in range(len(gains))),
        documents="doc_id,text\n" + "".join(f"d{j},t\n" for j in range(7)),
        qrels_txt="".join(f"q{i} 0 d{j} {gain}\n" for i, row in enumerate(gains) for j, gain in enumerate(row)),
    )
    got = {(query, document): (rank, gain) for query, document, rank, gain in read(path).qrels.rows()}
    for i, row in enumerate(gains):
        for j, gain in enumerate(row):
            rank = len({other for other in row if other > gain}) + 1 if gain > 0 else None
            assert got[f"q{i}", f"d{j}"] == (rank, max(gain, 0))
