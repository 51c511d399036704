"""A teacher's table: how it is read, what joins the lists, which scores they get, and what is refused."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import tiny
import torch

from arrange.decoding.rank import rank_lists
from arrange.errors import UserError
from arrange.evaluation import runs
from arrange.training import examples, losses, packing, teachers
from arrange.training.settings import NO_TEACHER, TeacherTable
from arrange.training.terms import Mined, Teacher

NAN = np.nan
DOC_IDS = ["a", "b", "c", "d", "e"]
QUERY_IDS = ["q1", "q0", "q2", "q3"]
DOCIDS = packing.docid_tokens([[40, 2], [41, 42, 2], [41, 43, 44, 2], [45, 2], [46, 2]])
LISTS = replace(tiny.LISTS, docids=DOCIDS, lists=[(np.array([2, 0]), np.array([1.0, NAN])), *tiny.LISTS.lists[1:]])
TABLE = pl.DataFrame(
    {
        "query_id": ["q0", "q0", "q1", "q1", "q1", "q1", "other"],
        "doc_id": ["d", "a", "e", "c", "d", "b", "a"],
        "score": [3.0, 1.0, 0.9, 0.7, 0.5, 0.5, 9.0],
    }
)


@pytest.fixture
def table(tmp_path):
    TABLE.write_parquet(tmp_path / "table.parquet")
    return tmp_path / "table.parquet"


def joined(path, depth, lists=LISTS):
    return teachers.with_teacher(lists, QUERY_IDS, DOC_IDS, TeacherTable(table=str(path), depth=depth))


def assert_lists(found, expected):
    for (rows_D, ranks_D), teacher_D, (rows, ranks, scores) in zip(found.lists, found.teacher, expected, strict=True):
        assert rows_D.tolist() == rows
        assert np.array_equal(ranks_D, ranks, equal_nan=True)
        assert np.array_equal(teacher_D, scores, equal_nan=True)


def test_the_teachers_first_documents_join_and_judged_ones_keep_their_ranks(table):
    """Document e joins q1; c keeps rank 1; d and b are beyond the depth; a, judged, has no teacher's score."""
    found = joined(table, depth=2)
    judged = [[0, 1, 2], [1, 2, 3], [NAN] * 3]
    assert_lists(
        found,
        [
            ([2, 0, 4], [1, NAN, NAN], [0.7, NAN, 0.9]),
            ([0, 1, 2, 3], [1, 2, 3, NAN], [1.0, NAN, NAN, 3.0]),
            judged,
            judged,
        ],
    )


def test_without_depth_nothing_joins_and_listed_documents_are_scored(table):
    found = joined(table, depth=0)
    judged = [[0, 1, 2], [1, 2, 3], [NAN] * 3]
    assert_lists(found, [([2, 0], [1, NAN], [0.7, NAN]), ([0, 1, 2], [1, 2, 3], [1.0, NAN, NAN]), judged, judged])


def test_in_context_the_lists_stay_because_prompts_show_them(table):
    found = joined(table, depth=9, lists=replace(LISTS, candidate=([5], [6])))
    assert [rows.tolist() for rows, _ in found.lists] == [rows.tolist() for rows, _ in LISTS.lists]
    assert found.teacher[0].tolist()[0] == 0.7


def test_a_run_file_gives_the_same_lists(table, tmp_path):
    run = runs.from_scores(TABLE, depth=9)
    runs.write_run(run, tmp_path / "run.parquet", tag="t")
    expected = joined(table, depth=3)
    for path in (tmp_path / "run.parquet", tmp_path / "run.trec"):
        found = joined(path, depth=3)
        for rows, others in zip(found.lists, expected.lists, strict=True):
            assert rows[0].tolist() == others[0].tolist()
        for scores, others in zip(found.teacher, expected.teacher, strict=True):
            assert scores == pytest.approx(others, abs=1e-6, nan_ok=True)  # TREC's text has 32-bit floats


def test_the_order_of_the_tables_rows_changes_nothing(tmp_path, table):
    TABLE.reverse().write_parquet(tmp_path / "reversed.parquet")
    found, expected = joined(tmp_path / "reversed.parquet", depth=3), joined(table, depth=3)
    assert [rows.tolist() for rows, _ in found.lists] == [rows.tolist() for rows, _ in expected.lists]


def test_a_batch_has_the_scores_of_its_documents_and_what_joined_weighs_nothing(table):
    found = joined(table, depth=2)
    weights = examples.list_weights(found, losses.Item(alpha=1.0))
    assert np.exp(weights[0].node_D).tolist() == [1, 0, 0]
    batch = examples.batch([(1, 0), (0, 1)], found, weights)
    scores = [1.0, NAN, NAN, 3.0, 0.7, NAN, 0.9]
    assert np.array_equal(batch["teacher"].numpy(), np.float32(scores), equal_nan=True)
    assert np.array_equal(batch["rank"].numpy(), [1, 2, 3, NAN, 1, NAN, NAN], equal_nan=True)
    assert "teacher" not in examples.batch([(1, 0)], LISTS)


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ({"query_id": ["x"], "doc_id": ["a"], "score": [1.0]}, "none of the 4 training queries is in it"),
        ({"query_id": ["q0"], "doc_id": ["zz"], "score": [1.0]}, "1 documents have no docID, the first 'zz' of"),
        ({"query_id": ["q0"] * 2, "doc_id": ["a"] * 2, "score": [1.0, 2.0]}, "row 1: a document that its"),
        ({"query_id": ["q0"], "doc_id": ["a"], "score": [NAN]}, "row 1: a score that is not finite"),
        ({"query_id": ["q0"], "doc_id": ["a"], "score": [None]}, "row 1: a missing value"),
        ({"query_id": ["q0"], "doc_id": ["a"]}, "cannot read query_id, doc_id and score"),
        ({"query_id": ["q0"], "doc_id": ["a"], "score": ["high"]}, "cannot read query_id, doc_id and score"),
    ],
)  # fmt: skip
def test_a_table_that_is_none_is_refused_in_two_lines(tmp_path, rows, what):
    schema = {"score": pl.Float64} if rows.get("score") == [None] else {}
    pl.DataFrame(rows, schema_overrides=schema).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(UserError) as caught:
        joined(tmp_path / "t.parquet", depth=2)
    first, second = str(caught.value).split("\n")
    assert first.startswith(f"{tmp_path / 't.parquet'}")
    assert what in first
    assert "finetune.teacher.table" in second


def test_a_run_without_documents_is_a_table_that_lacks_the_queries():
    with pytest.raises(UserError, match="none of the 4 training queries"):
        joined(NO_TEACHER, depth=2)


def test_a_training_learns_the_teachers_order_of_documents_that_nobody_judged(tmp_path, table):
    """Query q1: the teacher has e first, but c alone is ranked, and the cross-entropy lifts nothing else."""
    found = joined(table, depth=4)
    steps = {"max_steps": 150, "learning_rate": 2e-2, "per_device_train_batch_size": 4}
    quiet = {"eval_strategy": "no", "save_strategy": "no", "load_best_model_at_end": False}
    loss = losses.Item(alpha=1.0, teacher=Teacher(weight=9.0, temperature=0.1))
    ranker = tiny.ranker()
    tiny.trained(tmp_path, ranker, lists=found, loss=loss, arguments=steps | quiet)
    scores = dict(rank_lists(ranker, found, 4)[0])
    # e, c, d, b: 9 KL(T || p) - log p(c) is lowest where p ~ 9 T + (1 for c)
    taught = 9 * torch.tensor([9.0, 7.0, 5.0, 5.0]).softmax(0) + torch.tensor([0.0, 1.0, 0.0, 0.0])
    gaps = (taught / taught[0]).log().tolist()
    assert [scores[row] - scores[4] for row in (4, 2, 3, 1)] == pytest.approx(gaps, abs=0.3)


def test_a_teachers_term_without_a_teacher_is_refused(tmp_path):
    with pytest.raises(UserError, match="the loss has a teacher's term, the lists have no teacher"):
        tiny.trained(tmp_path, loss=losses.Ntp(teacher=Teacher(weight=1.0)))


def test_mined_documents_without_a_term_that_compares_documents_are_refused():
    with pytest.raises(ValueError, match="no term of this loss compares ranked documents with them; add one"):
        losses.Ntp(mined=Mined(documents=3))
