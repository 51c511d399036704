"""Shared words by hand, and that a learned order puts a document first because of where its name stands."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from arrange.baselines import first_stage
from arrange.baselines.matches import first_places, matches
from arrange.data.tables import Dataset

WORDS = st.lists(st.sampled_from(["ape", "ox", "cats", "cat", "gas"]), max_size=6)


def table(key: str, texts: dict[str, str]) -> pl.DataFrame:
    return pl.DataFrame({key: [*texts], "text": [*texts.values()]})


def test_shared_words_by_hand():
    queries = table("query_id", {"q": "abalone: marine gastropods of the sea", "none": ""})
    documents = table("doc_id", {"a": "marine gastropod", "b": "sea lion", "c": "", "d": "bird"})
    pairs = pl.DataFrame(
        [("q", "a"), ("q", "b"), ("q", "c"), ("q", "d"), ("none", "d")], ["query_id", "doc_id"], orient="row"
    )
    rows = matches(pairs, queries, documents).rows()
    assert rows == [(1, 2 / 6, 1, 2), (1 / 2, 1 / 6, 5, 2), (0, 0, None, 0), (0, 0, None, 1), (0, 0, None, 1)]


@given(WORDS, WORDS)
def test_shared_words_are_those_of_both_sets(query, document):
    one, other = ({word.rstrip("s") if len(word) > 3 else word for word in words} for words in (query, document))
    pairs = pl.DataFrame({"query_id": ["q"], "doc_id": ["d"]})
    row = matches(pairs, table("query_id", {"q": " ".join(query)}), table("doc_id", {"d": " ".join(document)}))
    covered, answered, first, words = row.row(0)
    shared = one & other
    assert (covered, answered) == (len(shared) / max(len(other), 1), len(shared) / max(len(one), 1))
    places = [place for word, place in first_places(" ".join(query)).items() if word in shared]
    assert (first, words) == (min(places, default=None), len(other))


def test_an_order_is_learned_from_where_a_name_stands():
    """Two documents are in each query whole, BM25 scores both alike: the one that is named first is right."""
    names = [f"animal{chr(97 + number)}" for number in range(12)]
    asked = {f"t{number:02}": (names[number % 12], names[(number * 5 + 1) % 12]) for number in range(72)}
    asked = {query: pair for query, pair in asked.items() if len({*pair}) == 2}
    tests = {f"v{number:02}": (names[number], names[number - 3]) for number in range(12)}
    rows = [(q, "train" if q in asked else "test", " eats ".join(pair)) for q, pair in (asked | tests).items()]
    queries = pl.DataFrame(rows, ["query_id", "split", "text"], orient="row")
    qrels = pl.DataFrame(
        [(query, f"d-{pair[0]}", 1) for query, pair in (asked | tests).items()],
        {"query_id": pl.String, "doc_id": pl.String, "rank": pl.Int32},
        orient="row",
    )
    dataset = Dataset(queries, table("doc_id", {f"d-{name}": name for name in names}), qrels)
    run = first_stage.fit(dataset, ["bm25"], 2, voters=1).rank(queries.filter(split="test"))
    best = run.filter(rank=1).join(qrels, on=["query_id", "doc_id"], how="semi")
    assert best["query_id"].to_list() == [*tests]
