"""A comparison: which rankers its losses and seeds stand for, and its table from what a run left."""

import hashlib
import json
from dataclasses import replace

import polars as pl
import pytest
from sections import SECTIONS

from arrange.data import tables
from arrange.errors import UserError
from arrange.evaluation.evaluation import SEEN
from flows import compare
from settings import params
from settings.sections import systems

SECTION = {"data": "wordnet", "docids": ["text"], "losses": ["token", "item"], "seeds": [3, 7]}


def compared(overrides=None, **section):
    sections = params.effective(SECTIONS, None, params.merge({"compare": SECTION | section}, overrides or {}))
    return params.validate(params.apply(sections, compare.trainings(sections)), "")


def test_a_ranker_for_each_loss_and_seed_and_the_same_arguments_for_all():
    settings = compared()
    assert {name: (one.loss, one.seed) for name, one in settings.rankers.items()} == {
        f"wordnet-{loss}-{seed}": (loss, seed) for loss in ("token", "item") for seed in (3, 7)
    }
    assert len({repr(replace(one, loss="", seed=0)) for one in settings.rankers.values()}) == 1
    assert {name: [*seeds.values()] for name, seeds in systems(settings.rankers, "wordnet").items()} == {
        "token": [3, 7],
        "item": [3, 7],
    }
    assert (list(settings.datasets), settings.rank.split, settings.evaluate.reference) == (["wordnet"], "test", "item")


def test_docids_are_compared_under_their_own_names_or_with_the_losses():
    one = compared(docids=["rq", "text"], losses=["token"])
    assert {name: (each.docids, each.loss) for name, each in one.rankers.items() if each.seed == 3} == {
        "wordnet-rq-3": ("rq", "token"),
        "wordnet-text-3": ("text", "token"),
    }
    assert set(one.catalogues) == {"wordnet-rq", "wordnet-text"}
    assert (one.evaluate.reference, one.swap.docids) == ("rq", "rq")
    both = compared(docids=["rq", "text"], losses=["token", "item"])
    assert list(systems(both.rankers, "wordnet")) == ["rq_token", "rq_item", "text_token", "text_item"]


def test_what_is_not_compared_is_not_made():
    first = {"data": "wordnet", "systems": ["bm25"], "depth": 9}
    others = {"catalogues": {"wordnet-rq": {"data": "wordnet", "docids": "rq"}}, "candidates": {"wordnet-first": first}}
    settings = compared(others)
    assert (list(settings.catalogues), settings.candidates) == (["wordnet-text"], {})


def test_docids_that_are_not_there_are_named():
    with pytest.raises(UserError, match=r"compare\.docids\.1 is 'texd', which is not there\ndid you mean text\?"):
        compared(docids=["rq", "texd"])


def test_the_reference_is_one_of_the_losses():
    assert compared(losses=["token", "ntp"]).evaluate.reference == "token"


def test_losses_over_another_data_set():
    settings = compared(data="products", docids=["text"])
    assert list(settings.datasets) == ["products"]
    assert settings.sweep.data == settings.compare.data == settings.swap.data == "products"


def test_own_data_are_compared_too(tmp_path):
    (tmp_path / "zoo").mkdir()
    settings = compared(params.with_own_data(SECTIONS, tmp_path / "zoo"))
    assert list(settings.rankers) == [f"zoo-{loss}-{seed}" for loss in ("token", "item") for seed in (3, 7)]


def test_a_loss_that_is_not_there_is_named():
    with pytest.raises(UserError, match=r"compare\.losses\.1 is 'itm', which is not there\ndid you mean item\?"):
        compared(losses=["token", "itm"])


def test_the_table_has_what_the_run_left(tmp_path):
    """Two queries, two losses; one training ran here, of another the record is of other parameters."""
    sections = params.apply(SECTIONS, {"compare": SECTION, "evaluate": {"resamples": 50}})
    queries = pl.DataFrame({"query_id": ["a", "b"], "text": ["a", "b"], "split": ["test"] * 2})
    qrels = pl.DataFrame(
        {"query_id": ["a", "b"], "doc_id": ["x", "y"], "rank": [1, 1], "gain": [1, 1]}, tables.SCHEMAS["qrels"]
    )
    documents = pl.DataFrame({"doc_id": ["x", "y"], "text": ["x", "y"]})
    tables.write(tables.Dataset(queries, documents, qrels), tmp_path / "data" / "wordnet")
    values = {"token": (0.25, 0.5), "item": (0.5, 1.0), "neighbours": (0.5, 0.5)}
    rows = [
        {"system": system, "seed": seed, "query_id": query, "nDCG@10": value, "overlap@3": value}
        for system, both in values.items()
        for seed in (SECTION["seeds"] if system in SECTION["losses"] else [0])
        for query, value in zip("ab", both, strict=True)
    ]
    (tmp_path / "results" / "wordnet").mkdir(parents=True)
    pl.DataFrame(rows).write_parquet(tmp_path / "results" / "wordnet" / "per_query.parquet")
    for loss, last in (("token", 0.2), ("item", 0.3)):
        for seed in SECTION["seeds"]:
            csv = "step,loss,validation_loss,validation_nDCG@10\n0,,30,0\n5,2,20,0.4\n"
            csv += f"10,1,{20.1 - seed},{last}\n"
            (tmp_path / "results" / "wordnet" / f"wordnet-{loss}-{seed}.history.csv").write_text(csv)
    for name in ("token-3", "token-7", "item-3", "item-7"):
        recall = json.dumps({"beam_recall": 0.25 if name == "item-3" else 0.75})
        (tmp_path / "results" / "wordnet" / f"wordnet-{name}.diagnostics.json").write_text(recall)
    seen = {"system": ["item", "item"], "grouping": [SEEN, "kind"], "group": ["all", "none"], "mean": [0.75, 0.25]}
    pl.DataFrame(seen | {"queries": [2, 1]}).write_parquet(tmp_path / "results" / "wordnet" / "groups.parquet")
    (tmp_path / "docids" / "wordnet-text").mkdir(parents=True)
    size = {"mean_depth": 2.5, "max_depth": 4, "nodes": 9, "collisions": 1, "bytes_per_docid": 40.2}
    (tmp_path / "docids" / "wordnet-text" / "statistics.json").write_text(json.dumps(size))
    (tmp_path / "params.yaml").write_text("{}")
    for seed, known in ((3, b"{}"), (7, b"others")):
        (tmp_path / "state" / f"finetune@wordnet-item-{seed}").mkdir(parents=True)
        record = {"params": hashlib.sha256(known).hexdigest(), "cpu_seconds": 10.0 * seed}
        (tmp_path / "state" / f"finetune@wordnet-item-{seed}" / "record.json").write_text(json.dumps(record))
    title, found = compare.table(tmp_path, sections)
    assert "test queries" in title
    assert [(row[""], row["CPU s each"]) for row in found] == [("token", "-"), ("item", "30"), ("neighbours", "-")]
    assert found[0]["nDCG@10 - item"].startswith("-0.375 (")
    kept = (tmp_path / "state" / "comparison.md").read_text()
    assert kept.startswith(title)
    assert "| item | 2 | 0.750 (0.500-1.000) ±0.000 | - |" in kept
    assert "| item | 2.5 (at most 4) | 9 | 1 | 40 | - | 0.500 | 0.750 of 2 | - | - |" in kept
    assert "| nDCG@10 | two losses | 4 | 0.500 |" in kept  # of their best checkpoints, all at 0.4
    assert "| item-3, step 10 | token-3, step 10 | 17.10 and 17.10 | 0.300 and 0.200 |" in kept
    assert "![common loss, nDCG@10 and score](selection.png)" in kept
    assert (tmp_path / "state" / "selection.png").exists()
    assert "step 0" not in kept  # the first weights of a seed are the same for all losses
