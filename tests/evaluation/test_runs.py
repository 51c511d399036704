import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arrange.errors import UserError
from arrange.evaluation.runs import (
    SCHEMA,
    check_run,
    from_scores,
    leave_out_itself,
    make_run,
    read_run,
    read_runs,
    write_run,
    write_runs,
)


def run_of(*rows):
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def test_make_run_ranks_and_cuts():
    ranked = [[(1, -0.5), (0, -0.7), (2, -0.7), (3, -2.0)], [], [(3, -1.0)]]
    run = make_run(["b", "c", "a"], ranked, ["a", "b", "x", "y"], depth=3)
    assert run.rows() == [("a", "y", 1, -1.0), ("b", "b", 1, -0.5), ("b", "a", 2, -0.7), ("b", "x", 3, -0.7)]
    assert run.schema == SCHEMA


def test_a_document_with_its_querys_id_leaves_a_run_only_where_queries_are_documents():
    run = run_of(("1", "2", 1, 3.0), ("1", "1", 2, 2.0), ("1", "3", 3, 1.0), ("2", "1", 1, 1.0))
    assert leave_out_itself(run, False).equals(run)
    kept = leave_out_itself(run, True)
    assert kept.rows() == [("1", "2", 1, 3.0), ("1", "3", 2, 1.0), ("2", "1", 1, 1.0)]
    check_run(kept, "kept")


def test_make_run_of_nothing_is_an_empty_run():
    assert make_run(["a"], [[]], ["a"], depth=3).equals(run_of())


def test_equal_scores_go_by_document_id():
    scores = pl.DataFrame({"query_id": ["q"] * 3, "doc_id": ["c", "a", "b"], "score": [1, 1, 2]})
    assert from_scores(scores, depth=9)["doc_id"].to_list() == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([("q", "a", 1, 1.0), ("q", "b", 3, 0.5)], ["row 2", "rank"]),
        ([("q", "a", 1, 1.0), ("q", "b", 2, 1.5)], ["row 2", "score above"]),
        ([("q", "a", 1, 1.0), ("q", "a", 2, 0.5)], ["row 1", "twice"]),
        ([("q", "a", 1, float("nan"))], ["row 1", "finite"]),
        ([("q", None, 1, 1.0)], ["row 1", "missing"]),
        ([("r", "a", 1, 1.0), ("q", "a", 1, 1.0)], ["row 2", "order"]),
    ],
)
def test_bad_rows_are_named(rows, words):
    with pytest.raises(UserError) as caught:
        check_run(run_of(*rows), "my run")
    assert all(word in str(caught.value) for word in ["my run", *words])


def test_a_wrong_column_is_named():
    with pytest.raises(UserError, match="columns"):
        check_run(run_of().drop("score"), "my run")


def test_files_hold_the_run(tmp_path):
    run = run_of(("a", "x", 1, -0.5), ("a", "y", 2, -0.5), ("b", "x", 1, 0.0), ("b", "z", 2, 0.0))
    write_run(run, tmp_path / "item.parquet", "item")
    assert read_run(tmp_path / "item.parquet").equals(run)
    lines = [line.split(" ") for line in (tmp_path / "item.trec").read_text().splitlines()]
    below = np.nextafter(np.float32([-0.5, 0]), np.float32(-1))
    assert [line[:4] + line[5:] for line in lines] == [
        ["a", "Q0", "x", "1", "item"],
        ["a", "Q0", "y", "2", "item"],
        ["b", "Q0", "x", "1", "item"],
        ["b", "Q0", "z", "2", "item"],
    ]
    assert np.array_equal(np.float32([line[4] for line in lines]), [-0.5, below[0], 0, below[1]])


@given(st.lists(st.lists(st.floats(-50, 50) | st.just(-1.0) | st.just(0.0), min_size=1, max_size=8), max_size=4))
@settings(max_examples=60, deadline=None)
def test_trec_scores_fall_strictly_as_32_bit_floats_and_stay_near(tmp_path_factory, lists):
    rows = [
        (f"q{q}", f"d{d}", d + 1, score)
        for q, scores in enumerate(lists)
        for d, score in enumerate(sorted(scores, reverse=True))
    ]
    path = tmp_path_factory.mktemp("runs") / "r.parquet"
    write_run(run_of(*rows), path, "t")
    lines = [line.split(" ") for line in path.with_suffix(".trec").read_text().splitlines()]
    scores = np.array([line[4] for line in lines], dtype=np.float32)
    for before, after in zip(range(len(lines)), range(1, len(lines)), strict=False):
        assert lines[before][0] != lines[after][0] or scores[after] < scores[before]
    assert np.allclose(scores, [row[3] for row in rows], rtol=2e-6, atol=1e-40)


def test_trec_eval_sees_the_ranks(tmp_path):
    """Tied scores with ids against the ranks: trec_eval would put z first."""
    import ir_measures

    write_run(run_of(("q", "a", 1, 1.0), ("q", "z", 2, 1.0)), tmp_path / "r.parquet", "t")
    run = list(ir_measures.read_trec_run(str(tmp_path / "r.trec")))
    assert ir_measures.calc_aggregate([ir_measures.RR], [ir_measures.Qrel("q", "a", 1)], run)[ir_measures.RR] == 1


def test_white_space_in_an_id_is_refused_and_nothing_written(tmp_path):
    with pytest.raises(UserError, match="'my doc'"):
        write_run(run_of(("q", "my doc", 1, 1.0)), tmp_path / "r.parquet", "t")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [None, b"", b"PAR1 no parquet"])
def test_missing_or_broken_files_are_named(tmp_path, content):
    if content is not None:
        (tmp_path / "r.parquet").write_bytes(content)
    with pytest.raises(UserError, match=r"r\.parquet"):
        read_run(tmp_path / "r.parquet")


def test_trecs_format_is_read_by_score_as_trec_eval_does(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("q Q0 b 1 0.5 tag\r\nq\tQ0\tc\t2\t7e-1\ttag\n\nq Q0 q 3 9 tag\n  a Q0 é 0 -1 tag\nq Q0 a 9 .5 t\n")
    assert read_run(path).equals(
        run_of(("a", "é", 1, -1.0), ("q", "q", 1, 9.0), ("q", "c", 2, 0.7), ("q", "a", 3, 0.5), ("q", "b", 4, 0.5))
    )
    path.write_text("")
    assert read_run(path).equals(run_of())


def test_what_is_written_in_trecs_format_is_read_as_the_same_ranks(tmp_path):
    run = run_of(("a", "z", 1, -0.5), ("a", "y", 2, -0.5), ("b", "x", 1, 0.0), ("b", "z", 2, 0.0))
    write_run(run, tmp_path / "r.parquet", "t")
    assert read_run(tmp_path / "r.trec").drop("score").equals(run.drop("score"))


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("q 0 b 1", "no line of a run"),
        ("q Q0 b 1 0.5 my tag", "no line of a run"),
        ("q Q0 b 1 best tag", "a score that is no finite number"),
        ("q Q0 b 1 nan tag", "a score that is no finite number"),
        ("q Q0 a 2 0.1 tag", "a document that its query has twice"),
    ],
)
def test_a_bad_line_in_trecs_format_is_named(tmp_path, line, problem):
    path = tmp_path / "mine.trec"
    path.write_text(f"q Q0 a 1 0.5 tag\n\n{line}\n")
    with pytest.raises(UserError) as caught:
        read_run(path)
    assert caught.value.what == f"{path}, line 3: {problem}" + (
        ", query_id Q0 doc_id rank score tag" * ("no l" in problem)
    )
    assert line in caught.value.remedy


def test_a_missing_file_in_trecs_format_is_named(tmp_path):
    with pytest.raises(UserError, match=r"mine\.run can't be read"):
        read_run(tmp_path / "mine.run")


@pytest.mark.parametrize("queries_are_documents", [False, True])
def test_both_runs_of_a_system_are_read_as_they_were_written(tmp_path, queries_are_documents):
    run, judged = run_of(("q", "q", 1, 2.0), ("q", "a", 2, 1.0)), run_of(("q", "b", 1, 1.0))
    write_runs(tmp_path / "item", run, judged, queries_are_documents)
    expected = run_of(("q", "a", 1, 1.0)) if queries_are_documents else run
    for found, wanted in zip(read_runs(tmp_path / "item"), (expected, judged), strict=True):
        assert found.equals(wanted)
    assert (tmp_path / "item" / "judged.trec").read_text() == "q Q0 b 1 1 item\n"
