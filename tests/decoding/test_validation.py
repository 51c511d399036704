"""Judged queries and the measures of a ranker on them."""

from dataclasses import replace

import polars as pl
import pytest
import tiny

from arrange.data.tables import About, Dataset
from arrange.decoding import rank
from arrange.decoding.settings import Decoding
from arrange.decoding.validation import judged_queries, means, measure, validate
from arrange.docids import trie
from arrange.docids.catalogue import Catalogue
from arrange.docids.tokens import train_tokenizer
from arrange.evaluation import measures
from arrange.models.ranker import from_scratch
from arrange.training.settings import Prompt

TEXTS = ["red", "a red dog", "blue", "a dog"]
DOC_IDS = ["x", "y", "z"]
DOCIDS = [[40, 2], [41, 42, 2], [41, 43, 44, 2]]
DATASET = Dataset(
    pl.DataFrame({"query_id": ["a", "b", "c", "d"], "text": TEXTS}),
    pl.DataFrame({"doc_id": DOC_IDS, "text": DOC_IDS}),
    pl.DataFrame(
        [(query, doc_id, place + 1, 3 - place) for query in "abcd" for place, doc_id in enumerate(DOC_IDS)],
        schema={"query_id": pl.String, "doc_id": pl.String, "rank": pl.Int32, "gain": pl.Int32},
        orient="row",
    ),
)
ABOUT = About(title="Four queries.")
TOKENIZER = train_tokenizer(TEXTS, 300)
CATALOGUE = Catalogue(pl.DataFrame({"doc_id": DOC_IDS, "tokens": DOCIDS}), TOKENIZER, trie.build(DOCIDS))
PROMPT = Prompt(
    regime="corpus",
    corpus="{query}<docid>",
    in_context="{query}{candidates}<docid>",
    candidate="{docid}",
    query_tokens=9,
    score="sum",
)
DECODING = Decoding(split="test", threads=1, beams=3, batch_size=2, normaliser="vocabulary", diagnosed=0)


@pytest.fixture(scope="module")
def model():
    return from_scratch(tiny.SHAPE, TOKENIZER, 32, seed=0)


def test_the_first_queries_come_with_their_own_judgements():
    queries = judged_queries(DATASET, CATALOGUE, PROMPT, 3, ABOUT, most=2)
    assert queries.query_ids == ["a", "b"]
    assert queries.qrels["query_id"].unique().sort().to_list() == ["a", "b"]
    assert len(queries.examples.prompts) == 2
    assert queries.examples.seed == 3
    assert judged_queries(DATASET, CATALOGUE, PROMPT, 3, ABOUT).query_ids == ["a", "b", "c", "d"]


def test_the_measures_are_those_of_the_run(model):
    queries, done = judged_queries(DATASET, CATALOGUE, PROMPT, 1, ABOUT), []
    measured = measure(model, queries, CATALOGUE, DECODING, "sum", done.append)
    run = rank.rank(
        model, queries.examples, CATALOGUE.trie, queries.query_ids, DOC_IDS, **DECODING.search(), score="sum"
    )
    assert measured.equals(measures.evaluate(run, DATASET.qrels))
    assert done == [2, 4]


def test_a_training_logs_the_common_loss_and_the_means_of_some_measures(model):
    queries = judged_queries(DATASET, CATALOGUE, PROMPT, 1, ABOUT)
    logged = validate(model, queries, CATALOGUE, DECODING, "sum")
    measured = measure(model, queries, CATALOGUE, DECODING, "sum")
    assert logged.keys() == {"loss", "nDCG@10", "overlap@3", "R@10"}
    assert logged["loss"] == pytest.approx(rank.common_loss(model, queries.examples, 3), abs=1e-5)
    assert logged["nDCG@10"] == measured["nDCG@10"].mean()
    assert logged["R@10"] == 1  # the beam is as wide as the catalogue


@pytest.mark.parametrize(("ranks", "best"), [([1, 2, 3], "sum"), ([3, 2, 1], "mean")])
def test_validation_chooses_the_score_that_ranks_better(ranks, best):
    """x has the shortest docID, z the longest: sums prefer x."""
    ranker = from_scratch(tiny.SHAPE, TOKENIZER, 32, seed=0)
    qrels = DATASET.qrels.with_columns(rank=pl.Series(ranks * 4, dtype=pl.Int32), gain=4 - pl.Series(ranks * 4))
    dataset = DATASET._replace(qrels=qrels.with_columns(pl.col("gain").cast(pl.Int32)))
    queries = judged_queries(dataset, CATALOGUE, replace(PROMPT, regime="in_context"), 1, ABOUT)
    by_score = {
        score: measure(ranker, queries, CATALOGUE, DECODING, score)["nDCG@10"].mean() for score in ("sum", "mean")
    }
    assert max(by_score, key=by_score.__getitem__) == best
    assert by_score["sum"] != by_score["mean"]
    assert rank.score_of(ranker.config, "validation") == "sum"  # nothing is chosen yet
    assert validate(ranker, queries, CATALOGUE, DECODING, "validation")["nDCG@10"] == by_score[best]
    assert rank.score_of(ranker.config, "validation") == best
    chosen, given = (rank.rank_lists(ranker, queries.examples, 2, score) for score in ("validation", best))
    assert chosen == given
    other = "sum" if best == "mean" else "mean"
    assert rank.rank_lists(ranker, queries.examples, 2, other) != chosen  # what is asked for is not chosen
    in_corpus = judged_queries(dataset, CATALOGUE, PROMPT, 1, ABOUT)
    validate(ranker, in_corpus, CATALOGUE, DECODING, "validation")
    assert rank.score_of(ranker.config, "validation") == "sum"


def test_a_measure_that_applies_to_no_query_has_no_mean():
    row = dict.fromkeys(measures.MEASURES, 0.5)
    per_query = pl.DataFrame([row | {"nDCG@10": 0.1}, row | {"nDCG@10": 0.3}]).with_columns(
        CVR=pl.lit(None, pl.Float64)
    )
    assert means(per_query)["nDCG@10"] == pytest.approx(0.2)
    assert "CVR" not in means(per_query)


def test_the_common_loss_is_over_the_queries_with_a_ranked_document(model):
    prompt = replace(PROMPT, regime="in_context")
    unranked = DATASET.qrels.with_columns(rank=pl.when(pl.col("query_id") != "d").then("rank"))  # d's are no answers
    every = judged_queries(DATASET._replace(qrels=unranked), CATALOGUE, prompt, 1, ABOUT)
    without_d = judged_queries(DATASET, CATALOGUE, prompt, 1, ABOUT, most=3)
    losses = [rank.common_loss(model, queries.examples, 2) for queries in (every, without_d)]
    assert losses[0] == losses[1] > 0
