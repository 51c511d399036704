import numpy as np
import polars as pl
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arrange.ranking.examples import best_examples, collate, draw, ranked_lists, training_examples

PROMPTS = [[1, 10, 3], [1, 11, 12, 3]]
DOCIDS = [[20, 2], [21, 22, 2], [23, 2]]
LISTS = [(np.array([0, 1]), np.array([1.0, 0.0])), (np.array([2, 0, 1]), np.array([0.5, 0.0, 0.5]))]


def test_lists_hold_rows_of_the_document_table_in_the_queries_order():
    qrels = pl.DataFrame(
        {
            "query_id": ["a", "a", "b", "b", "c"],
            "doc_id": ["z", "x", "x", "y", "y"],
            "rank": [1, None, 1, 1, 1],
        }
    )
    lists = ranked_lists(pl.Series(["b", "a"]), qrels, pl.Series(["x", "y", "z"]))
    assert [rows.tolist() for rows, _ in lists] == [[0, 1], [2, 0]]
    assert lists[0][1].tolist() == [1, 1]
    assert np.array_equal(lists[1][1], [1, np.nan], equal_nan=True)


@given(
    st.lists(st.lists(st.sampled_from([0.0, 0.1, 0.5, 2.0]), max_size=5).map(lambda w: [*w, 1.0, 0.0]), min_size=1),
    st.integers(0, 99),
)
@settings(max_examples=50)
def test_each_epoch_has_every_query_once_and_no_document_of_weight_zero(raw, seed):
    weights = [np.array(w) / sum(w) for w in raw]
    queries, positions = draw(weights, 3 * len(weights) - 1, seed)
    assert sorted(queries[: len(weights)]) == list(range(len(weights)))
    assert sorted(queries[len(weights) : 2 * len(weights)]) == list(range(len(weights)))
    assert len(queries) == 3 * len(weights) - 1
    assert all(weights[q][p] > 0 for q, p in zip(queries, positions, strict=True))


def test_documents_are_drawn_with_their_weights():
    weights = [np.array([0.5, 0.3, 0.2]), np.array([0.0, 1.0]), np.array([0.1, 0.9])]
    queries, positions = draw(weights, 60_000, seed=5)
    for q, expected in enumerate(weights):
        share = np.bincount(positions[queries == q], minlength=len(expected)) / (queries == q).sum()
        assert np.abs(share - expected).max() < 4 * 0.5 / np.sqrt(20_000)  # 4 standard errors


def test_rows_hold_prompt_and_docid_with_the_prompt_unlabelled():
    rows = list(training_examples(PROMPTS, DOCIDS, LISTS, count=40, seed=0))
    allowed = {0: [[20, 2]], 1: [[23, 2], [21, 22, 2]]}
    for row in rows:
        length = len(PROMPTS[row["query"]])
        assert row["input_ids"][:length] == PROMPTS[row["query"]]
        assert row["input_ids"][length:] in allowed[row["query"]]
        assert row["labels"] == [-100] * length + row["input_ids"][length:]
    assert {tuple(row["input_ids"][4:]) for row in rows if row["query"] == 1} == {(23, 2), (21, 22, 2)}


def test_the_seed_decides_the_order():
    def table(seed):
        return training_examples(PROMPTS, DOCIDS, LISTS, count=30, seed=seed).to_dict()

    assert table(3) == table(3)
    assert table(3) != table(4)


def test_best_examples_take_the_first_of_rank_one():
    lists = [(np.array([1, 0]), np.array([np.nan, 1.0])), (np.array([1, 2]), np.array([1.0, 1.0]))]
    assert best_examples(PROMPTS, DOCIDS, lists)["input_ids"] == [
        [1, 10, 3, 20, 2],
        [1, 11, 12, 3, 21, 22, 2],
    ]


def test_collate_pads_on_the_right():
    rows = [{"input_ids": [5, 6, 2], "labels": [-100, 6, 2]}, {"input_ids": [5, 2], "labels": [-100, 2]}]
    batch = collate(rows, pad_token_id=9)
    assert torch.equal(batch["input_ids"], torch.tensor([[5, 6, 2], [5, 2, 9]]))
    assert torch.equal(batch["labels"], torch.tensor([[-100, 6, 2], [-100, 2, -100]]))
    assert torch.equal(batch["attention_mask"], torch.tensor([[1, 1, 1], [1, 1, 0]]))
