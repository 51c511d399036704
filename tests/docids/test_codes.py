import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrange.docids.codes import LEVELS, numbered, path_of, tokens, vocabulary

paths = st.lists(st.lists(st.integers(0, 1), max_size=2).map(tokens), max_size=20)


def test_a_vocabulary_has_a_token_per_level_and_code_and_the_digits_last() -> None:
    assert vocabulary(2, 3, 2) == ["<a_0>", "<a_1>", "<a_2>", "<b_0>", "<b_1>", "<b_2>", "<n_0>", "<n_1>"]
    assert vocabulary(0, 3, 2) == ["<n_0>", "<n_1>"]


def test_no_level_has_the_letter_of_serial_numbers() -> None:
    assert len(set(LEVELS)) == 13
    assert "n" not in LEVELS


def test_a_serial_number_counts_the_documents_of_a_path_in_its_base() -> None:
    (path,) = {tokens([3, 1])}
    serials = ["".join(docid[2:]) for docid in numbered([path] * 6, digits=2)]
    assert serials == ["<n_0>", "<n_1>", "<n_1><n_0>", "<n_1><n_1>", "<n_1><n_0><n_0>", "<n_1><n_0><n_1>"]
    assert numbered([tokens([0])], digits=2, old=[("<a_0>", "<n_0>"), ("<a_1>", "<n_0>")]) == [("<a_0>", "<n_1>")]


@given(paths, st.integers(2, 11))
def test_docids_are_unique_spell_their_path_and_stay_in_the_vocabulary(given_paths: list, digits: int) -> None:
    docids = numbered(given_paths, digits)
    assert len(set(docids)) == len(given_paths)
    assert [path_of(docid) for docid in docids] == given_paths
    assert {piece for docid in docids for piece in docid} <= set(vocabulary(2, 2, digits))


@given(paths, st.integers(0, 20), st.integers(2, 5))
def test_numbering_in_two_goes_is_numbering_in_one(given_paths: list, cut: int, digits: int) -> None:
    old = numbered(given_paths[:cut], digits)
    assert old + numbered(given_paths[cut:], digits, old) == numbered(given_paths, digits)


@pytest.mark.parametrize("count", [10_001])
def test_many_documents_of_one_path_have_short_numbers(count: int) -> None:
    assert numbered([()] * count, digits=100)[-1] == ("<n_1>", "<n_0>", "<n_0>")
