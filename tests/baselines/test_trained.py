"""A baseline of each kind, from its settings to a run."""

from contextlib import contextmanager

import polars as pl
import pytest
import tiny

from arrange.base_models.prepare import prepare
from arrange.base_models.settings import Scratch
from arrange.baselines import bm25
from arrange.baselines.settings import Cross, Dual, Encoder, FitBaseline, Reranker
from arrange.baselines.trained import train_baseline, weighted_lists
from arrange.data.tables import Dataset
from arrange.docids.tokens import train_tokenizer
from arrange.errors import UserError
from arrange.evaluation.runs import check_run
from arrange.training.settings import Prompt

TRAIN = Dataset(
    pl.DataFrame({"query_id": ["t0", "t1"], "text": ["red dog", "blue cat"]}),
    pl.DataFrame({"doc_id": ["d0", "d1", "d2"], "text": ["dog", "cat", "fish"]}),
    pl.DataFrame(
        {"query_id": ["t0", "t0", "t1", "t1"], "doc_id": ["d0", "d1", "d1", "d2"], "rank": [1, 2, 1, None]},
        schema_overrides={"rank": pl.Int32},
    ),
)
QUERIES = pl.DataFrame({"query_id": ["q0", "q1"], "text": ["red cat", "fish dog"]})
CANDIDATES = pl.DataFrame({"query_id": ["q0", "q0", "q1"], "doc_id": ["d0", "d2", "d1"]})
PROMPT = Prompt(
    regime="corpus",
    corpus="{query}<docid>",
    in_context="{query}{candidates}<docid>",
    candidate="{docid}",
    query_tokens=9,
    score="sum",
)
FIT = FitBaseline(
    steps=3,
    batch_size=2,
    learning_rate=1e-2,
    warmup=0.1,
    threads=1,
    alpha=1.0,
    temperature=0.05,
    negatives=2,
)
ENTRY = {"data": "small", "docids": "text", "model": "base_models/scratch", "seed": 1}
PAIRS = {"first": 1, "batch_size": 2, "negatives": 2}
PRETRAINED = {"max_tokens": 8, "steps": 2, "learning_rate": 1e-3}


@pytest.fixture(autouse=True)
def base_model(tmp_path, monkeypatch):
    """The folder base_models/scratch, by a relative name as in params.yaml."""
    monkeypatch.chdir(tmp_path)
    prepare(Scratch(shape=tiny.SHAPE), tmp_path / "base_models" / "scratch")


def trained(entry):
    done = []

    @contextmanager
    def bar(total, unit):
        yield lambda reached: done.append((reached, total, unit))

    search = train_baseline(
        entry,
        FIT,
        TRAIN,
        QUERIES,
        tokenizer=train_tokenizer([*TRAIN.queries["text"], *QUERIES["text"]], 300),
        prompt=PROMPT,
        progress=bar,
    )
    return search, done


@pytest.mark.parametrize("kind", [Dual, Cross])
def test_small_encoders_rank_all_documents_or_the_candidates(kind):
    search, done = trained(kind(**ENTRY, width=4))
    run = search(candidates=None)
    check_run(run, "run")
    assert done == [(step, 3, "steps") for step in (1, 2, 3)]
    assert run.group_by("query_id").len()["len"].to_list() == [3, 3]
    judged = search(candidates=CANDIDATES)
    assert judged.select("query_id", "doc_id").sort(pl.all()).equals(CANDIDATES.sort(pl.all()))
    assert run.equals(trained(kind(**ENTRY, width=4))[0](candidates=None))  # the same seed
    assert not run.equals(trained(kind(**ENTRY | {"seed": 2}, width=4))[0](candidates=None))


@pytest.mark.parametrize("steps", [0, 2])
def test_a_pretrained_encoder_ranks_with_and_without_training(bert, steps):
    search, done = trained(Encoder(**ENTRY | PRETRAINED | {"steps": steps, "model": bert("encoder")}))
    check_run(search(candidates=None), "run")
    assert done == [(3, 3, "documents"), *((step, steps, "steps") for step in range(1, steps + 1))]


@pytest.mark.parametrize("steps", [0, 2])
def test_a_reranker_ranks_the_first_documents_of_bm25_or_the_candidates(bert, steps):
    entry = Reranker(**ENTRY | PRETRAINED | PAIRS | {"steps": steps, "model": bert("classifier")})
    search, done = trained(entry)
    first = bm25.search(QUERIES, TRAIN.documents, depth=1)
    pairs = ["query_id", "doc_id"]
    assert search(candidates=None).select(pairs).equals(first.select(pairs))
    assert search(candidates=CANDIDATES).select(pairs).sort(pairs).equals(CANDIDATES.sort(pairs))
    read = [(1, 2, "queries"), (2, 2, "queries")]
    assert done == [*((step, steps, "steps") for step in range(1, steps + 1)), *read, *read]


@pytest.mark.parametrize(("kind", "saved"), [(Encoder, "encoder"), (Reranker, "classifier")])
def test_texts_longer_than_the_transformer_reads_are_refused(bert, kind, saved):
    more = PAIRS if kind is Reranker else {}
    entry = kind(**ENTRY | PRETRAINED | {"max_tokens": 33, "steps": 0, "model": bert(saved)} | more)
    with pytest.raises(UserError, match=r"max_tokens is 33, and .* reads 32\ngive 32 or fewer"):
        trained(entry)


def test_the_weights_of_a_list_are_powers_of_the_ranks_and_sum_to_1():
    (rows, weights), (_, with_negative) = weighted_lists(TRAIN, alpha=1.0)
    assert rows.tolist() == [0, 1]
    assert weights.tolist() == pytest.approx([2 / 3, 1 / 3])
    assert with_negative.tolist() == [1, 0]
