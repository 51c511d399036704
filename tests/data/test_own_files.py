"""Own data in the formats in which people have them; the good folder of csv files says what they must give."""

import gzip
import json
from pathlib import Path

import polars as pl
import pytest

from arrange.data import folder as own_folder
from arrange.data import tables
from arrange.data.coverage import coverage, warnings
from arrange.data.splits import assign_fold
from arrange.errors import UserError

QUERIES = {"1": "red shoe", "2": "blue shoe", "3": "a hat", "4": "green hat"}
FOLDS = {"train": ["1", "2"], "dev": ["3"], "test": ["4"]}
DOCUMENTS = {"a": "A red shoe", "b": "A blue shoe", "c": "A green hat"}
QRELS = {"1": [("a", 2), ("c", 0)], "2": [("b", 1)], "3": [("c", 1)], "4": [("c", 2), ("a", 1)]}
EXPECTED = tables.Dataset(
    pl.DataFrame(
        {"query_id": [*QUERIES], "text": [*QUERIES.values()], "split": ["train", "train", "validation", "test"]}
    ),
    pl.DataFrame({"doc_id": [*DOCUMENTS], "text": [*DOCUMENTS.values()]}),
    pl.DataFrame(
        [
            ("1", "a", 1, 2), ("1", "c", None, 0), ("2", "b", 1, 1),
            ("3", "c", 1, 1), ("4", "c", 1, 2), ("4", "a", 2, 1),
        ],
        tables.SCHEMAS["qrels"],
        orient="row",
    ),
)  # fmt: skip


def beir(folder: Path) -> None:
    corpus = [
        {"_id": id_, "title": text[:2].strip(), "text": text[2:], "metadata": {"x": [1]}}
        for id_, text in DOCUMENTS.items()
    ]
    write(folder / "corpus.jsonl", "".join(json.dumps(each) + "\n" for each in corpus))
    lines = (json.dumps({"_id": id_, "text": text, "metadata": {}}) + "\n" for id_, text in QUERIES.items())
    write(folder / "queries.jsonl", "".join(lines))
    for fold, queries in FOLDS.items():
        pairs = "".join(f"{q}\t{doc_id}\t{gain}\n" for q in queries for doc_id, gain in QRELS[q])
        write(folder / "qrels" / f"{fold}.tsv", f"query-id\tcorpus-id\tscore\n{pairs}")


def ms_marco(folder: Path) -> None:
    write(folder / "collection.tsv", "".join(f"{id_}\t{text}\n" for id_, text in DOCUMENTS.items()))
    for fold, queries in FOLDS.items():
        write(folder / f"queries.{fold}.tsv", "".join(f"{q}\t{QUERIES[q]}\n" for q in queries))
        pairs = "".join(f"{q}\t0\t{doc_id}\t{gain}\n" for q in queries for doc_id, gain in QRELS[q])
        write(folder / f"qrels.{fold}.tsv", pairs)
    write(folder / "queries.eval.tsv", "9\tnobody judged this\n")


def own_jsonl(folder: Path) -> None:
    write(folder / "documents.jsonl", "".join(f'{{"doc_id": "{i}", "text": "{t}"}}\n\n' for i, t in DOCUMENTS.items()))
    splits = dict(zip(QUERIES, EXPECTED.queries["split"], strict=True))
    rows = ({"query_id": int(id_), "text": text, "split": splits[id_]} for id_, text in QUERIES.items())
    write(folder / "queries.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    rows = ({"query_id": int(q), "doc_id": doc_id, "gain": gain} for q in QRELS for doc_id, gain in QRELS[q])
    write(folder / "qrels.jsonl", "".join(json.dumps(row) + "\n" for row in rows))


def write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")


def compress(folder: Path) -> None:
    for path in [*folder.rglob("*.*")]:
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()


def read(folder: Path, **options: int) -> tables.Dataset:
    dataset, _ = own_folder.tables(folder, 0.3, 0.3, **options)
    tables.check(dataset)
    return dataset


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("form", [beir, ms_marco, own_jsonl])
def test_every_format_gives_the_tables_with_its_folds(tmp_path: Path, form, zipped: bool) -> None:
    form(tmp_path)
    if zipped:
        compress(tmp_path)
    for got, expected in zip(read(tmp_path), EXPECTED, strict=True):
        assert got.rows() == expected.rows()


TOPICS = """<top>
<num> Number: 1
<title> red shoe

<desc> Description:
Which shoes are red?
</top>
<TOP>
<num>2</num>
<title>
blue
 shoe
</title>
</TOP>
"""


def test_the_titles_of_trecs_topics_are_the_queries(tmp_path: Path) -> None:
    beir(tmp_path)
    (tmp_path / "queries.jsonl").unlink()
    for path in (tmp_path / "qrels").iterdir():
        path.unlink()
    write(tmp_path / "topics.txt", TOPICS)
    write(tmp_path / "qrels.txt", "1 0 a 1\n2 0 b 1\n")
    found = own_folder.own_files.read(tmp_path, "queries")
    assert found.rows.select("query_id", "text").rows() == [("1", "red shoe"), ("2", "blue shoe")]
    assert found.place(found.rows["row"][1]).endswith("topics.txt, line 8")
    topics = "".join(f"<top>\n<num> Number: {i}\n<title> Topic: query {i}\n</top>\n\n" for i in range(301, 361))
    write(tmp_path / "topics.txt", topics)
    write(tmp_path / "qrels.txt", "".join(f"{i} 0 a 1\n{i} 0 b 0\n" for i in range(301, 361)))
    queries = read(tmp_path).queries
    assert queries["text"].to_list() == [f"query {i}" for i in range(301, 361)]
    assert queries["split"].to_list() == own_folder.assign(queries["query_id"], 0.3, 0.3).to_list()


WRONG = {
    "corpus.jsonl, line 2: no JSON": ("corpus.jsonl", '{"_id": "a", "text": "x"}\n{"_id": \n'),
    "corpus.jsonl, line 1: no object": ("corpus.jsonl", "[1]\n"),
    "corpus.jsonl, line 1: text is a list": ("corpus.jsonl", '{"_id": "a", "text": ["x"]}\n'),
    "corpus.jsonl, line 3: doc_id None is no id": ("corpus.jsonl", '{"_id": "a", "text": "x"}\n\n{"text": "y"}\n'),
    "test.tsv, line 3: 2 fields": ("qrels/test.tsv", "query-id\tcorpus-id\tscore\n4\tc\t1\n4\ta\n"),
    "test.tsv, line 2: gain '0.5' is no whole number": ("qrels/test.tsv", "query-id\tcorpus-id\tscore\n4\tc\t0.5\n"),
    "train.tsv, line 2: query_id '4' has judgements in the file of another fold too": (
        "qrels/train.tsv",
        "query-id\tcorpus-id\tscore\n4\tb\t1\n",
    ),
    "queries.jsonl, line 5: query_id '4' is there before": (
        "queries.jsonl",
        "".join(json.dumps({"_id": q, "text": "x"}) + "\n" for q in "12344"),
    ),
}


@pytest.mark.parametrize(("message", "file"), WRONG.items(), ids=WRONG)
def test_what_is_wrong_is_named_with_its_file_and_line(tmp_path: Path, message: str, file: tuple[str, str]) -> None:
    beir(tmp_path)
    write(tmp_path / file[0], file[1])
    with pytest.raises(UserError) as error:
        own_folder.tables(tmp_path, 0.3, 0.3)
    assert message in error.value.what
    assert len(str(error.value).splitlines()) == 2


def test_malformed_lines_of_ms_marco_and_trec_are_named(tmp_path: Path) -> None:
    ms_marco(tmp_path)
    write(tmp_path / "collection.tsv", 'a\tA "red shoe\nb\tA blue\tshoe\n')
    with pytest.raises(UserError, match=r"collection\.tsv, line 2: 3 fields"):
        own_folder.tables(tmp_path, 0.3, 0.3)
    write(tmp_path / "topics.txt", TOPICS.replace("<title>", "<name>"))
    for fold in (*FOLDS, "eval"):
        (tmp_path / f"queries.{fold}.tsv").unlink()
    with pytest.raises(UserError, match=r"topics\.txt, line 1: the topic has no <title>"):
        own_folder.tables(tmp_path, 0.3, 0.3)


def test_a_gzip_file_that_is_cut_or_none_is_told(tmp_path: Path) -> None:
    beir(tmp_path)
    compress(tmp_path)
    path = tmp_path / "corpus.jsonl.gz"
    for content in (path.read_bytes()[:-9], b"plain text"):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"corpus\.jsonl\.gz can't be read") as error:
            own_folder.tables(tmp_path, 0.3, 0.3)
        assert "gzip" in error.value.remedy


def test_a_published_corpus_may_have_faults_which_are_counted(tmp_path: Path) -> None:
    beir(tmp_path)
    with (tmp_path / "corpus.jsonl").open("a") as file:
        file.write('{"_id": "empty", "title": "", "text": " "}\n')
    with (tmp_path / "qrels" / "train.tsv").open("a") as file:
        file.write("1\tgone\t1\n2\tempty\t1\n")
    dataset, left_out = own_folder.tables(tmp_path, 0.3, 0.3)
    assert dataset.documents["doc_id"].to_list() == ["a", "b", "c"]
    assert dataset.qrels.rows() == EXPECTED.qrels.rows()
    counted = {out.why: (out.rows, out.first) for out in left_out}
    assert counted["documents without text"] == (1, ["empty"])
    assert counted["judgements of unknown queries or documents"] == (2, ["1 gone", "2 empty"])


@pytest.mark.parametrize(
    ("folds", "splits"),
    [
        (("train", "dev"), {"1": "train", "2": "train", "3": "test"}),  # dev is measured, validation is made of train
        (("dev", "test"), {"3": "train", "4": "test"}),
    ],
)
def test_folds_that_are_not_there_are_made_of_the_others(tmp_path: Path, folds, splits: dict[str, str]) -> None:
    beir(tmp_path)
    for fold in FOLDS:
        if fold not in folds:
            (tmp_path / "qrels" / f"{fold}.tsv").unlink()
    given = own_folder.official(pl.Series([own_folder.own_files.FOLDS[fold] for fold in folds]))
    assert given is not None
    found = own_folder.own_files.read(tmp_path, "qrels")
    queries = own_folder.own_files.read(tmp_path, "queries")
    kept = queries.rows.filter(pl.col("query_id").is_in([*splits]))
    rows = own_folder._with_folds(kept, found)
    named = dict(zip(rows["query_id"], own_folder.official(rows["fold"]), strict=True))
    assert named == splits


def test_one_fold_alone_is_split_by_hash(tmp_path: Path) -> None:
    beir(tmp_path)
    for fold in ("train", "dev"):
        (tmp_path / "qrels" / f"{fold}.tsv").unlink()
    queries = "".join(json.dumps({"_id": str(i), "text": "x"}) + "\n" for i in range(99))
    write(tmp_path / "queries.jsonl", queries)
    pairs = "".join(f"{i}\ta\t1\n" for i in range(99))
    write(tmp_path / "qrels" / "test.tsv", f"query-id\tcorpus-id\tscore\n{pairs}")
    found = read(tmp_path).queries
    assert found["split"].to_list() == own_folder.assign(found["query_id"], 0.3, 0.3).to_list()


def test_every_query_is_tested_in_one_fold_and_validation_stays_where_it_was() -> None:
    keys = pl.Series([f"q{i}" for i in range(500)])
    table = pl.DataFrame({str(fold): assign_fold(keys, 5, fold, 0.2) for fold in range(1, 6)})
    assert table.select(pl.sum_horizontal(pl.all() == "test")).to_series().to_list() == [1] * 500
    others = table.select(pl.concat_list(pl.all()).list.unique().list.set_difference(["test"]).list.len())
    assert others.to_series().to_list() == [1] * 500
    assert all(70 <= (table[name] == "test").sum() <= 130 for name in table.columns)  # 100 expected, deviation 9


def test_folds_are_a_setting(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="fold 6 of 5"):
        own_folder.Folder(raw=str(tmp_path), folds=5, fold=6)


def test_coverage_counts_what_training_shows() -> None:
    found = coverage(EXPECTED, "test")
    assert found.queries == {"train": 2, "validation": 1, "test": 1}
    assert (found.documents, found.named, found.unseen) == (
        3,
        2 / 3,
        0.5,
    )  # of c and a, training has a; c is a negative
    told = warnings(found)
    assert [line.split(":")[0] for line in told] == [
        "only 2 train queries",
        "only 1 validation queries",
        "only 1 test queries",
        "50% of the test queries' true documents are true for no training query",
    ]
    assert all("give" in line for line in told)
