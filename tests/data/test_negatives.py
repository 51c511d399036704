from pathlib import Path

import mini_wordnet
import polars as pl
import pytest

from arrange.data.negatives import add
from arrange.data.tables import SCHEMAS, Dataset, check
from arrange.data.wordnet import tables
from arrange.data.wordnet_files import read
from arrange.errors import UserError

NOTHING = pl.DataFrame(schema={"query_id": pl.String, "text": pl.String})


def dataset(lists, texts=None):
    """lists: query -> split and {document: rank}; a document's text is its id unless `texts` has another."""
    qrels = [(q, d, r, 10 if r else 0) for q, (_, ranks) in lists.items() for d, r in ranks.items()]
    documents = sorted({row[1] for row in qrels})
    return Dataset(
        pl.DataFrame([(q, q, split) for q, (split, _) in lists.items()], SCHEMAS["queries"], orient="row"),
        pl.DataFrame([(d, (texts or {}).get(d, d)) for d in documents], SCHEMAS["documents"], orient="row"),
        pl.DataFrame(qrels, SCHEMAS["qrels"], orient="row"),
    )


def negatives_of(found, query):
    return set(found.qrels.filter(pl.col("rank").is_null() & (pl.col("query_id") == query))["doc_id"])


LISTS = {
    "q": ("test", {"true": 1, "judged": None}),
    "t1": ("train", {"true": 1, "judged": 2, "q": 3, "like true": 4, "like q": 5, "left": 6}),
    "t2": ("train", {"also left": 1, "refused": None}),
    "v": ("validation", {"validated": 1}),
    "other": ("test", {"tested": 1}),
}
TEXTS = {"like true": "TRUE", "like q": "Name of q"}


def draw_for_q(count, forbidden=()):
    """Of the training documents `left` and `also left` alone can be negatives of q; other queries have rooms."""
    rooms = {f"room {i}": ("train", {f"room {i}": 1}) for i in range(9)}
    texts = ["name of Q", "no document's", *rooms, *forbidden]
    return add(dataset(LISTS | rooms, TEXTS), count, 0, pl.DataFrame({"query_id": "q", "text": texts}))


def test_what_is_never_drawn():
    """Every other document is barred by a rule of its own, so that both that are left are drawn."""
    assert negatives_of(draw_for_q(2), "q") == {"judged", "left", "also left"}


def test_too_few_documents_are_an_error():
    with pytest.raises(UserError, match="query 'q': 2 documents can be its negatives, not 3"):
        draw_for_q(3)
    with pytest.raises(UserError, match="query 'q': 1 documents can be its negatives, not 2"):
        draw_for_q(2, forbidden=["LEFT"])


def test_negatives_come_as_training_documents_do():
    """a, b and c are in 1, 2 and 5 training lists; 4,000 queries that have none of them draw two each."""
    train = {f"t{i}": ("train", {document: 1}) for i, document in enumerate("abbccccc")}
    test = {f"q{i:04}": ("test", {"z": 1, "a" * 2: 2}) for i in range(4000)}
    found = add(dataset(train | test), 2, 7, NOTHING).qrels.filter(pl.col("query_id").str.starts_with("q"))
    sets = found.filter(pl.col("rank").is_null()).group_by("query_id").agg(pl.col("doc_id").sort().str.join())
    counts = dict(sets["doc_id"].value_counts().rows())
    weight = {"a": 1 / 8, "b": 2 / 8, "c": 5 / 8}
    for first, second in ("ab", "ac", "bc"):
        x, y = weight[first], weight[second]
        expected = x * y / (1 - x) + y * x / (1 - y)  # one and then the other, in both orders
        assert counts[first + second] == pytest.approx(4000 * expected, abs=5 * (4000 * expected) ** 0.5)


def test_they_are_negatives_of_every_query_of_wordnet(tmp_path: Path):
    mini_wordnet.write(tmp_path)
    synsets = read(tmp_path)
    arguments = ("animal.n.01", "lemmas", "parent", 0.15, 0.2)
    plain, found = tables(synsets, *arguments), tables(synsets, *arguments, negatives=3, seed=5)
    check(found)
    assert found.qrels.drop_nulls("rank").equals(plain.qrels)
    assert found.queries.equals(plain.queries)
    new = found.qrels.filter(pl.col("rank").is_null())
    assert new["query_id"].value_counts()["count"].unique().to_list() == [3]
    assert new["gain"].unique().to_list() == [0]
    true = dict(plain.qrels.group_by("query_id").agg("doc_id").rows())
    for query, document in new.select("query_id", "doc_id").rows():
        texts = {synsets[id_].lemmas[0].lower() for id_ in true[query]}
        assert document not in {query, *true[query]}
        assert synsets[document].lemmas[0].lower() not in texts | {lemma.lower() for lemma in synsets[query].lemmas}


def test_the_seed_decides_and_the_order_of_rows_does_not():
    given = dataset({f"q{i}": ("train", {f"d{i}": 1, f"d{i + 1}": 2}) for i in range(30)})
    first, again, other = (add(given, 2, seed, NOTHING).qrels for seed in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)
    shuffled = Dataset(*(table.sample(fraction=1, shuffle=True, seed=3) for table in given))
    assert add(shuffled, 2, 1, NOTHING).qrels.equals(first)
