"""Queries by a language model: seeded, each document by itself, kept by what they follow from, within the budget."""

import json
from dataclasses import replace

import polars as pl
import pytest
import tiny

from arrange.augmentation import generated
from arrange.augmentation.settings import Generated
from arrange.docids.tokens import train_tokenizer
from arrange.errors import UserError
from arrange.models import ranker

DOCUMENTS = pl.DataFrame({"doc_id": list("abcd"), "text": ["red shoes", "rain coat", "straw hat", "long " * 99]})
SEEN = pl.Series(["b", "b"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A language model with random weights, saved as a base model is."""
    folder = tmp_path_factory.mktemp("model")
    tokenizer = train_tokenizer(["red shoes rain coat straw hat query"] * 3, 300)
    tokenizer.model_max_length = 64
    ranker.from_scratch(tiny.SHAPE, tokenizer, 64, seed=0).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def settings(folder):
    return Generated(
        model=str(folder), prompt="text: {document}\nquery:", documents=3, count=2, tokens=5, temperature=1.0
    )


def generate(settings, cache, seed=1, documents=DOCUMENTS):
    return generated.generate(documents, SEEN, settings, seed, cache)


def test_unseen_documents_come_first_within_the_budget(settings, tmp_path):
    found = generate(settings, tmp_path / "cache.parquet")
    assert found["doc_id"].unique(maintain_order=True).to_list() == ["a", "c", "d"]
    assert set(found["origin"]) == {"generated"}
    assert found.group_by("doc_id").len()["len"].max() <= 2
    assert all(text == text.lower().strip() and "\n" not in text for text in found["text"])
    assert found.select("doc_id", "text").rows() == pl.read_parquet(tmp_path / "cache.parquet")["doc_id", "text"].rows()


def test_a_document_gets_the_same_queries_beside_any_others(settings, tmp_path):
    all_three = generate(settings, tmp_path / "a.parquet")
    alone = generate(settings, tmp_path / "b.parquet", documents=DOCUMENTS.filter(doc_id="c"))
    assert alone.rows() == all_three.filter(doc_id="c").rows()
    assert generate(settings, tmp_path / "c.parquet", seed=2).rows() != all_three.rows()


def test_what_the_cache_has_is_not_written_again(settings, tmp_path, monkeypatch):
    cache = tmp_path / "cache.parquet"
    some = generate(replace(settings, documents=2), cache)
    asked = []
    write = generated._Writer.__call__
    monkeypatch.setattr(generated._Writer, "__call__", lambda self, *of: asked.append(of[0]) or write(self, *of))
    assert generate(replace(settings, documents=2), cache).rows() == some.rows()
    assert asked == []
    assert generate(replace(settings, documents=2), cache, seed=2).rows() != some.rows()
    assert asked == ["red shoes", "straw hat"]


def test_a_larger_budget_keeps_what_is_there(settings, tmp_path, monkeypatch):
    cache = tmp_path / "cache.parquet"
    some = generate(replace(settings, documents=2), cache)
    asked = []
    write = generated._Writer.__call__
    monkeypatch.setattr(generated._Writer, "__call__", lambda self, *of: asked.append(of[0]) or write(self, *of))
    assert generate(settings, cache).rows()[: len(some)] == some.rows()
    assert len(asked) == 1


def test_random_weights_write_nothing(settings, tmp_path):
    (tmp_path / "shape.json").write_text(json.dumps(tiny.SHAPE))
    with pytest.raises(UserError, match="has random weights\nname a language model"):
        generate(replace(settings, model=str(tmp_path)), tmp_path / "cache.parquet")
