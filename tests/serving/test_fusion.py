"""An export with a first stage: answers are those of the stage `fuse`, and a missing part is told in two lines."""

import json
import shutil

import polars as pl
import pytest
import small_export
from fastapi.testclient import TestClient

from arrange.baselines import first_stage, learned
from arrange.data.tables import Dataset
from arrange.errors import UserError
from arrange.evaluation import runs
from arrange.serving import fusion, rank
from arrange.serving.exported import load
from arrange.serving.limits import Limits
from arrange.serving.server import create

NAMES = small_export.NAMES
TEXTS = [f"the {name}\nof all" for name in NAMES]
ASKED = ["a puppy of wolf", "the fox in the house"]


def dataset():
    """Queries that name a document, 72 of each split, all of them twice or more."""
    rows = [
        (f"{split}{number:02}", split, f"{NAMES[number % 8]} and {NAMES[number * 3 % 7]}")
        for split in ("train", "validation")
        for number in range(72)
    ]
    queries = pl.DataFrame(rows, ["query_id", "split", "text"], orient="row")
    qrels = pl.DataFrame(
        [(query, f"d{int(query[-2:]) % 8}", 1) for query, *_ in rows],
        {"query_id": pl.String, "doc_id": pl.String, "rank": pl.Int32},
        orient="row",
    )
    return Dataset(queries, pl.DataFrame({"doc_id": small_export.IDS, "text": TEXTS}), qrels)


def ranked_by(exported, queries):
    """The ranker's run of a table of queries, as the stage `rank` writes it."""
    found = exported.rank(queries["text"].to_list(), exported.recipe.beams)
    pairs = [
        (query, one.doc_id, one[-1]) for query, each in zip(queries["query_id"], found, strict=True) for one in each
    ]
    return runs.from_scores(pl.DataFrame(pairs, ["query_id", "doc_id", "score"], orient="row"), depth=100)


def fuse(known, qrels, folder):
    """Put the first stage into the export, with these runs of the validation queries."""
    files = [folder / "ranker.parquet", folder / "first.parquet"]
    for file, run in zip(files, known, strict=True):
        run.write_parquet(file)
    shutil.rmtree(folder / "export/first_stage", ignore_errors=True)
    fusion.write(fusion.Parts(folder / "system/first_stage", files, qrels), folder / "export")


@pytest.fixture
def made(tmp_path):
    """The export, its first stage, the validation queries' runs of both, and their qrels."""
    exported = load(small_export.write(tmp_path / "plain"))
    data = dataset()
    first = first_stage.fit(data, ["bm25", "neighbours"], 5, voters=3)
    first_stage.write(first, tmp_path / "system/first_stage")
    asked = data.queries.filter(split="validation")
    known = [ranked_by(exported, asked), first.rank(asked)]
    qrels = data.qrels.join(asked, on="query_id", how="semi")
    shutil.copytree(tmp_path / "plain", tmp_path / "export")
    fuse(known, qrels, tmp_path)
    return tmp_path / "export", first, known, qrels


def test_answers_are_those_of_the_fusion_of_both_runs(made):
    folder, first, known, qrels = made
    exported = load(folder)
    queries = pl.DataFrame({"query_id": ["0", "1"], "text": ASKED})
    expected = learned.fused([ranked_by(exported, queries), first.rank(queries)], known, qrels, crossed=False)
    answers = exported.rank_fused(ASKED, k=3)
    for query, answer in zip(("0", "1"), answers, strict=True):
        rows = expected.filter(pl.col("query_id") == query, pl.col("rank") <= 3)
        assert [(one.doc_id, one.score) for one in answer] == rows.select("doc_id", "score").rows()
        assert [one.text for one in answer] == [TEXTS[int(one.doc_id[1:])] for one in answer]
    assert {one.doc_id for one in answers[1]} != {one.doc_id for one in exported.rank(ASKED, 3)[1]}


def test_too_few_validation_queries_are_fused_by_reciprocal_ranks(made):
    folder, first, known, qrels = made
    few = [run.filter(pl.col("query_id").str.ends_with("3")) for run in known]
    fuse(few, qrels, folder.parent)
    exported = load(folder)
    assert exported.fusion.trees is None
    [answer] = exported.rank_fused(ASKED[:1], k=1)
    both = {
        exported.rank(ASKED[:1], 1)[0][0].doc_id,
        first.rank(pl.DataFrame({"query_id": ["0"], "text": ASKED[:1]}))["doc_id"][0],
    }
    assert answer[0].doc_id in both


def test_a_terminal_and_a_server_answer_alike(made, capsys):
    folder, *_ = made
    expected = [one._asdict() for one in load(folder).rank_fused(ASKED[:1], 2)[0]]
    rank.main([str(folder), ASKED[0], "-k", "2", "--fused", "--json"])
    assert json.loads(capsys.readouterr().out) == expected
    with TestClient(create(folder, "cpu", Limits())) as client:
        answer = client.post("/rank", json={"queries": ASKED[:1], "k": 2, "fused": True}).json()
        assert answer["rankings"] == [expected]
        refused = client.post("/rank", json={"queries": ASKED, "fused": True, "among": ["d1"]})
        assert (refused.status_code, "among all" in refused.json()["error"]["message"]) == (400, True)


def test_an_export_without_a_first_stage_says_so(tmp_path):
    with pytest.raises(UserError, match="has no first stage"):
        load(small_export.write(tmp_path / "plain")).rank_fused(ASKED)
    with pytest.raises(UserError, match="among all"):
        load(small_export.write(tmp_path / "shown", **small_export.IN_CONTEXT)).rank_fused(ASKED)


def test_a_served_first_stage_lies_in_memory_and_a_missing_part_is_told(made):
    folder, *_ = made
    exported = load(folder)
    expected = exported.rank_fused(ASKED, 3)
    for name in ("vectors.safetensors", "known.parquet"):
        (folder / "first_stage" / name).write_bytes(b"")
    assert exported.rank_fused(ASKED, 3) == expected
    with pytest.raises(UserError, match="holds no whole first stage"):
        load(folder).rank_fused(ASKED)
    shutil.copy(folder.parent / "system/first_stage/vectors.safetensors", folder / "first_stage")
    with pytest.raises(UserError, match="first_stage can't be read"):
        load(folder).rank_fused(ASKED)
