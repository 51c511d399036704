"""Examples of a document's own words: what each kind is, and that a document's do not depend on the others."""

import polars as pl
import pytest

from arrange.augmentation import words

NONE = {"document": 0, "titles": 0, "spans": 0, "keywords": 0}
TEXTS = [
    "Acme Classic trail shoes, red, size 9 (A1)",
    "Acme Urban rain coat, red, size L (B2)",
    "靴ひも 赤い Acme",
    "...",
]
DOCUMENTS = pl.DataFrame({"doc_id": list("abcd"), "text": TEXTS})


def made(kind: str, count: int, documents: pl.DataFrame = DOCUMENTS, seed: int = 1) -> dict[str, list[str]]:
    table = words.make(documents, NONE | {kind: count}, words=5, seed=seed)
    assert set(table["origin"]) <= {kind}
    return {doc_id: table.filter(doc_id=doc_id)["text"].to_list() for doc_id in documents["doc_id"]}


def test_a_document_is_its_text_cut_behind_so_many_words():
    found = made("document", 1)
    assert found["a"] == ["acme classic trail shoes, red,"]
    assert found["c"] == ["靴ひも 赤い"]  # each sign counts as a word
    assert found["d"] == ["..."]


def test_titles_begin_the_text_and_spans_are_pieces_of_it():
    for doc_id, text in zip("ab", TEXTS, strict=False):
        titles, spans = made("titles", 3)[doc_id], made("spans", 6)[doc_id]
        assert all(text.lower().startswith(title) and 3 <= len(title.split()) <= 6 for title in titles)
        assert all(f" {span} " in f" {text.lower()} " and 2 <= len(span.split()) <= 8 for span in spans)
        assert len(set(spans)) == len(spans) > 3
        assert not all(text.lower().startswith(span) for span in spans)


def test_keywords_are_words_that_another_document_has_too_in_a_random_order():
    found = made("keywords", 20)
    assert {word for text in found["a"] for word in text.split()} == {"acme", "red", "size"}
    assert len({frozenset(text.split()) for text in found["a"]}) < len(found["a"])  # some in two orders
    assert found["d"] == []


def test_rare_words_are_drawn_more_often():
    texts = [*["one two rare"] * 50, *["one two"] * 450]
    documents = pl.DataFrame({"doc_id": [f"{row:03}" for row in range(500)], "text": texts})
    table = words.make(documents, NONE | {"keywords": 1}, words=5, seed=1)
    first = [text.split()[0] for text in table["text"][:50]]
    assert first.count("rare") > first.count("one") + first.count("two")  # 2.4 against 0.75 each


def test_equal_texts_of_a_document_are_one_and_its_first_kind_keeps_it():
    documents = pl.DataFrame({"doc_id": ["a", "b"], "text": ["red shoes", "red shoes"]})
    table = words.make(documents, {"document": 1, "titles": 2, "spans": 4, "keywords": 4}, words=9, seed=1)
    assert table.rows() == [
        ("red shoes", "a", "document"),
        ("shoes red", "a", "keywords"),
        ("red shoes", "b", "document"),
        ("shoes red", "b", "keywords"),
    ]


@pytest.mark.parametrize("kind", ["titles", "spans"])
def test_a_document_keeps_its_examples_when_others_come(kind):
    more = pl.concat([pl.DataFrame({"doc_id": ["0"], "text": ["a new one, of which nobody knew"]}), DOCUMENTS])
    old, new = made(kind, 4), made(kind, 4, more)
    assert {doc_id: new[doc_id] for doc_id in old} == old
    assert made(kind, 4, seed=2) != old
