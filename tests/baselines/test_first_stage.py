"""What a first stage finds, and that the vote of the neighbours doesn't know a training query's answer."""

from pathlib import Path

import polars as pl
import pytest

from arrange.baselines import first_stage
from arrange.baselines.controls import Voters, apart_in, kin
from arrange.baselines.settings import Candidates
from arrange.data.tables import Dataset
from arrange.errors import UserError

QUERIES = pl.DataFrame(
    {
        "query_id": ["q1", "q2", "q3", "q4"],
        "split": ["train", "train", "train", "test"],
        "text": ["red dog", "red cat", "red dog barks", "red dog"],
    }
)
DOCUMENTS = pl.DataFrame({"doc_id": ["d1", "d2", "d3"], "text": ["dog", "cat", "animal"]})
QRELS = pl.DataFrame(
    [("q1", "d1", 1), ("q1", "d3", 2), ("q2", "d2", 1), ("q2", "d3", 2), ("q3", "d1", 1), ("q4", "d1", 1)],
    schema={"query_id": pl.String, "doc_id": pl.String, "rank": pl.Int32},
    orient="row",
)
DATASET = Dataset(QUERIES, DOCUMENTS, QRELS)
TRAIN = QUERIES.filter(split="train"), QRELS.filter(pl.col("query_id") != "q4")


def found(run, query):
    return run.filter(query_id=query)["doc_id"].to_list()


def test_a_training_query_votes_for_others_and_not_for_itself():
    voted = {apart: Voters(*TRAIN, 1, apart).vote(QUERIES) for apart in (None, "query", "best_document")}
    assert found(voted[None], "q1") == ["d1", "d3"]  # its own list
    assert found(voted["query"], "q1") == ["d1"]  # of q3, the nearest other one
    assert found(voted["best_document"], "q1") == ["d2", "d3"]  # q3 has the same best document, so q2 votes
    assert found(voted["best_document"], "q4") == found(voted[None], "q4")  # all may vote for a test query


def test_kin_are_the_queries_that_share_a_best_document():
    pairs = {(query, other) for query, other in kin(TRAIN[1], "best_document").rows()}
    assert pairs == {("q1", "q1"), ("q3", "q3"), ("q1", "q3"), ("q3", "q1"), ("q2", "q2")}
    assert {*kin(TRAIN[1], "query").rows()} == {("q1", "q1"), ("q2", "q2"), ("q3", "q3")}
    assert kin(TRAIN[1], None).is_empty()


@pytest.mark.parametrize(
    ("best", "apart"),
    [
        (["d2"], "query"),
        (["d3"], "best_document"),
        (["d1", "d3", "d3"], "query"),  # 1/3 of 2/3
        (["d1", "d3", "d3", "d3"], "best_document"),
        ([], "query"),
    ],
)
def test_training_queries_have_the_kin_that_the_split_has(best, apart):
    """Of the training queries, whose best documents are d1, d2 and d1, two thirds share one; best: of validation."""
    asked = [f"v{number}" for number in range(len(best))]
    new = pl.DataFrame({"query_id": asked, "split": ["validation"] * len(best), "text": asked}, QUERIES.schema)
    queries = pl.concat([TRAIN[0], new])
    rows = pl.DataFrame({"query_id": asked, "doc_id": best, "rank": [1] * len(best)}, QRELS.schema)
    assert apart_in(Dataset(queries, DOCUMENTS, pl.concat([TRAIN[1], rows]))) == apart


def test_as_many_neighbours_vote_though_kin_are_left_out():
    queries = pl.DataFrame({"query_id": list("abcdef"), "text": ["red dog"] * 3 + ["red", "red fox", "red dog fox"]})
    qrels = pl.DataFrame(
        {"query_id": list("abcdef"), "doc_id": ["1", "1", "1", "2", "3", "4"], "rank": [1] * 6},
        schema_overrides={"rank": pl.Int32},
    )
    run = Voters(queries, qrels, 3, "best_document").vote(queries)
    assert {*found(run, "a")} == {"2", "3", "4"}


def test_a_first_stage_has_the_first_documents_of_each_system():
    first = first_stage.fit(DATASET, ["neighbours", "bm25"], 1, voters=1, teachers=None)
    assert found(first.rank(QUERIES.filter(split="test")), "q4") == ["d1"]  # both find it
    run = first.rank_train()
    assert {*found(run, "q2")} == {"d1", "d2"}  # the vote's d1, and BM25's d2
    assert run.filter(query_id="q2")["score"].to_list() == [1 / 2, 1 / 2]  # of reciprocal ranks with k 1


def taught_dataset():
    """BM25 is right, and of a training query's list the vote, without its kin, knows nothing."""
    rows = [(f"t{number:02}", "train", f"word{number % 12} other{number % 5}", number % 12) for number in range(60)]
    rows += [(f"v{number:02}", "test", f"word{number} other{number % 7}", number) for number in range(12)]
    rows += [("apart", "validation", "no training query has its best document", 12)]
    queries = pl.DataFrame([row[:3] for row in rows], ["query_id", "split", "text"], orient="row")
    documents = pl.DataFrame({"doc_id": [f"d{n:02}" for n in range(13)], "text": [f"word{n} thing" for n in range(13)]})
    qrels = pl.DataFrame([(row[0], f"d{row[3]:02}", 1) for row in rows], schema=QRELS.schema, orient="row")
    return Dataset(queries, documents, qrels)


def test_training_queries_teach_the_order_and_each_is_ranked_by_what_others_taught():
    dataset = taught_dataset()
    first = first_stage.fit(dataset, ["bm25", "neighbours"], 9, voters=5, teachers=None)
    run = pl.concat([first.rank(dataset.queries.filter(split="test")), first.rank_train()])
    best = run.filter(rank=1).join(dataset.qrels, on=["query_id", "doc_id"], how="semi")
    ranked = dataset.queries.filter(pl.col("split") != "validation")
    assert best["query_id"].sort().to_list() == ranked["query_id"].sort().to_list()


def test_a_sentence_encoder_finds_the_nearest_by_cosine(bert):
    folder = bert("encoder")
    first = first_stage.fit(DATASET, [str(folder)], 3, voters=1, teachers=None)
    run = pl.concat([first.rank(QUERIES.filter(split="test")), first.rank_train()])
    assert run.group_by("query_id").len()["len"].to_list() == [3] * 4
    assert found(run, "q1") == found(run, "q4")  # the same text


def test_a_first_stage_is_read_back_and_ranks_alike(bert, tmp_path):
    dataset, folder = taught_dataset(), tmp_path / "first_stage"
    first = first_stage.fit(dataset, ["neighbours", str(bert("encoder")), "bm25"], 5, voters=3)
    first_stage.write(first, folder)
    asked = pl.DataFrame({"query_id": ["0", "t00"], "text": ["word3 other1", "word4 other4 word3"]})
    again = first_stage.load(folder, dataset.documents)
    assert again.trees is not None
    run = again.rank(asked)
    of_new = pl.col("query_id") == "0"  # t00 is a training query to `first`, which lets it not vote for itself
    assert run.filter(of_new).equals(first.rank(asked).filter(of_new))
    assert found(run, "t00")


def test_a_first_stage_without_its_encoder_or_a_part_is_refused(bert, tmp_path):
    encoder, folder = Path(bert("encoder")), tmp_path / "first_stage"
    first_stage.write(first_stage.fit(DATASET, [str(encoder)], 3, voters=1), folder)
    weights = next(encoder.glob("*.safetensors"))
    weights.rename(weights.with_suffix(".moved"))
    with pytest.raises(UserError, match=f"needs the encoder {encoder}"):
        first_stage.load(folder, DOCUMENTS)
    (folder / "taught.parquet").unlink()
    with pytest.raises(UserError, match="no whole first stage"):
        first_stage.load(folder, DOCUMENTS)


@pytest.mark.parametrize(("systems", "what"), [([], "systems is empty"), (["bm26"], "systems has 'bm26'; give bm25")])
def test_systems_that_there_are_not_are_refused(systems, what):
    with pytest.raises(ValueError, match=what):
        Candidates(data="wordnet", systems=systems, depth=9)
