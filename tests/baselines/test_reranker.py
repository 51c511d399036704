import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import load_file, save_file

from arrange.baselines import reranker
from arrange.baselines.cross import sigmoid_loss
from arrange.baselines.fitting import FitArguments
from arrange.errors import UserError
from arrange.evaluation.runs import check_run
from arrange.models import encoders

QUERIES = pl.DataFrame({"query_id": ["q0", "q1", "q2"], "text": ["red dog", "blue cat fish", "green"]})
DOCUMENTS = pl.DataFrame({"doc_id": ["d0", "d1", "d2", "d3"], "text": ["dog", "cat", "fish fish", "red cat"]})
CANDIDATES = pl.DataFrame(
    {"query_id": ["q1", "q0", "q0", "q0", "q1"], "doc_id": ["d1", "d3", "d0", "d2", "d0"], "score": [1.0] * 5}
)
LISTS = [(np.array([0, 3]), np.array([2, 1]) / 3), (np.array([1, 2]), np.array([2, 1]) / 3)]
LISTS.append((np.array([2, 0]), np.array([1.0, 0.0])))


def test_candidates_are_ranked_by_the_score_of_each_pair_whatever_the_batch(bert):
    model = reranker.by_name(bert("classifier"), max_tokens=7, seed=0, to_train=False)
    run = reranker.rerank(model, QUERIES, DOCUMENTS, CANDIDATES)
    check_run(run, "pairs")
    assert run.select("query_id", "doc_id").sort(pl.all()).rows() == [
        ("q0", "d0"), ("q0", "d2"), ("q0", "d3"), ("q1", "d0"), ("q1", "d1"),
    ]  # fmt: skip
    texts = dict(QUERIES.rows()) | dict(DOCUMENTS.rows())
    for query_id, doc_id, _, score in run.rows():
        plain = model.tokenizer(texts[query_id], texts[doc_id], return_tensors="pt", truncation=True, max_length=7)
        with torch.no_grad():
            assert model.body(**plain).logits.item() == pytest.approx(score, abs=1e-5)
    one = reranker.rerank(model, QUERIES, DOCUMENTS, CANDIDATES, batch_size=1)
    assert one["doc_id"].to_list() == run["doc_id"].to_list()


def test_training_puts_the_listed_documents_first_and_repeats(bert):
    folder = bert("classifier")
    arguments = FitArguments(steps=100, batch_size=3, learning_rate=3e-3, warmup=0.1, seed=7, threads=1)
    everything = QUERIES.select("query_id").join(DOCUMENTS.select("doc_id"), how="cross")

    def trained():
        model = reranker.by_name(folder, max_tokens=16, seed=0, to_train=True)
        texts = QUERIES["text"].to_list(), DOCUMENTS["text"].to_list()
        losses = reranker.train(model, *texts, LISTS, arguments, negatives=8)
        return losses, reranker.rerank(model, QUERIES, DOCUMENTS, everything)

    (losses, run), (again, run_again) = trained(), trained()
    assert losses == again
    assert run.equals(run_again)
    assert run.filter(pl.col("rank") <= 2)["doc_id"].to_list()[:4] == ["d0", "d3", "d1", "d2"]
    assert run.filter(pl.col("query_id") == "q2")["doc_id"][0] == "d2"


def test_a_batch_reads_no_padding_and_no_document_without_weight(bert):
    model = reranker.by_name(bert("classifier"), max_tokens=16, seed=0, to_train=True)
    read = []
    model.batch = lambda queries, documents, batch=model.batch: (
        read.extend(zip(queries, documents, strict=True)) or batch(queries, documents)
    )
    arguments = FitArguments(steps=1, batch_size=3, learning_rate=1e-3, warmup=0.0, seed=7, threads=1)
    reranker.train(model, QUERIES["text"].to_list(), DOCUMENTS["text"].to_list(), LISTS, arguments, negatives=2)
    assert len(read) == 2 + 2 + 1 + 3 * 2
    assert {("red dog", "dog"), ("red dog", "red cat"), ("blue cat fish", "cat"), ("green", "fish fish")} <= set(read)


def test_a_missing_model_is_told(tmp_path):
    with pytest.raises(UserError, match="looked for"):
        reranker.by_name(str(tmp_path / "no" / "such"), max_tokens=16, seed=0, to_train=True)


def test_an_output_layer_may_be_missing_before_a_training_and_no_other_weight(bert):
    folder = Path(bert("encoder"))
    with pytest.raises(UserError, match=r"no weights classifier.bias .*\n.*steps above 0") as failure:
        reranker.by_name(str(folder), max_tokens=16, seed=0, to_train=False)
    assert str(failure.value).count("\n") == 1
    made = [reranker.by_name(str(folder), max_tokens=16, seed=seed, to_train=True) for seed in (1, 1, 2)]
    first, again, other = (model.body.classifier.weight for model in made)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    weights = load_file(folder / "model.safetensors")
    save_file({name: values for name, values in weights.items() if "query" not in name}, folder / "model.safetensors")
    with pytest.raises(UserError, match=r"no weights bert.encoder.layer.0.attention.self.query.bias"):
        reranker.by_name(str(folder), max_tokens=16, seed=0, to_train=True)


def test_a_tokenizer_that_cannot_pad_is_told(bert):
    path = Path(bert("classifier"), "tokenizer_config.json")
    path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != "pad_token"}))
    with pytest.raises(UserError, match="no padding token"):
        reranker.by_name(str(path.parent), max_tokens=16, seed=0, to_train=False)


def test_weights_of_half_precision_are_read_as_floats(bert):
    folder = Path(bert("classifier"))
    weights = load_file(folder / "model.safetensors")
    save_file({name: values.bfloat16() for name, values in weights.items()}, folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"dtype": "bfloat16"}))
    assert reranker.by_name(str(folder), max_tokens=16, seed=0, to_train=False).body.dtype == torch.float32
    assert encoders.by_name(str(folder))[1].body.dtype == torch.float32


def test_pieces_of_a_step_give_the_loss_and_the_gradients_of_the_whole(bert, monkeypatch):
    model = reranker.by_name(bert("classifier"), max_tokens=16, seed=0, to_train=False)
    positive, negative = torch.tensor([[1.0, 0, 0.5, 0, 1], [0, 1.0, 0, 0.5, 0]])
    pairs = model.batch(["red dog", "blue", "green", "red", "cat"], ["dog", "cat", "fish fish", "red cat", "fish"])
    found, read = [], []
    model.body.register_forward_pre_hook(lambda _, __, given: read.append(len(given["input_ids"])), with_kwargs=True)
    for size in (64, 2):
        monkeypatch.setattr(reranker, "PAIRS", size)
        model.zero_grad()
        loss = model(positive, negative, **pairs)["loss"]
        loss.backward()
        found.append([loss.detach(), *(weight.grad.clone() for weight in model.parameters())])
    assert read == [5, 5, *(2, 2, 1), *(1, 2, 2)]  # forth, and once more on the way back
    for whole, pieces in zip(*found, strict=True):
        assert torch.allclose(whole, pieces, atol=1e-6)
    plain = sigmoid_loss(model.body(**pairs).logits.squeeze(1), positive, negative)
    assert torch.allclose(found[1][0], plain, atol=1e-6)
