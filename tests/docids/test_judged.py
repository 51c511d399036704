import numpy as np
import polars as pl

from arrange.docids.judged import Judged, near_queries, of_tables

QUERIES = pl.DataFrame({"query_id": ["a", "b", "c"], "text": ["x", "y", "z"], "split": ["train", "test", "train"]})
DOCUMENTS = pl.DataFrame({"doc_id": ["d", "e"], "text": ["", ""]})
QRELS = pl.DataFrame(
    {
        "query_id": ["c", "a", "a", "b"],
        "doc_id": ["d", "e", "d", "d"],
        "rank": [1, 1, None, 1],
        "gain": [1, 1, 0, 1],
    }
)


def test_pairs_are_ranked_documents_of_training_queries() -> None:
    judged = of_tables(QUERIES, DOCUMENTS, QRELS)
    assert (judged.query_P.tolist(), judged.document_P.tolist()) == ([0, 2], [1, 0])


def test_vectors_are_mixed_by_hand() -> None:
    own_DE = np.array([[1, 0], [1, 0], [0.6, 0.8]], np.float32)
    queries_QE = np.array([[0, 1], [0.6, 0.8], [0, 0]], np.float32)
    judged = Judged(["p", "q", "r"], np.array([0, 0, 1, 2]), np.array([0, 1, 1, 2]), queries_QE)
    # Document 1: its queries' sum is (0.6, 1.8), of length 1.897, so (0.316, 0.949). Document 2: its query is nothing.
    mixed_DE = near_queries(own_DE, queries_QE, judged, share=0.5)
    expected = np.array([[0.5, 0.5], [0.5 + 0.158114, 0.474342], [0.6, 0.8]])
    assert np.abs(mixed_DE - expected / np.linalg.norm(expected, axis=1)[:, None]).max() < 1e-6
    assert np.array_equal(near_queries(own_DE, queries_QE, judged, share=0.0), own_DE)


def test_documents_of_the_same_queries_come_nearer_and_others_stay() -> None:
    own_DE = np.eye(4, dtype=np.float32)[:3]
    judged = Judged(["q"], np.array([0, 0]), np.array([0, 1]), np.eye(4, dtype=np.float32)[3:])
    mixed_DE = near_queries(own_DE, judged.vectors_QE, judged, share=0.7)
    assert mixed_DE[0] @ mixed_DE[1] > 0.8
    assert np.array_equal(mixed_DE[2], own_DE[2])
