import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrange.docids.names import unique_names
from arrange.errors import UserError

# Few letters, and the suffixes themselves, so that collisions are the rule.
texts = st.lists(st.sampled_from(["a", "b", " a ", "a (2)", "a (3)", "a (2) (2)", "a  b", "é"]), max_size=12)


def test_the_first_keeps_its_text_and_later_ones_are_numbered() -> None:
    assert unique_names(["cat", "dog", "cat", "cat"]) == ["cat", "dog", "cat (2)", "cat (3)"]


def test_a_number_never_takes_another_documents_text() -> None:
    assert unique_names(["cat", "cat", "cat (2)"]) == ["cat", "cat (3)", "cat (2)"]
    assert unique_names(["a (2)", "a (2)", "a", "a"]) == ["a (2)", "a (2) (2)", "a", "a (3)"]


def test_white_space_is_normalised_before_names_are_compared() -> None:
    assert unique_names(["  big\tcat\n", "big cat"]) == ["big cat", "big cat (2)"]


@pytest.mark.parametrize("empty", ["", " \n\t"])
def test_an_empty_text_is_refused_with_its_row(empty: str) -> None:
    with pytest.raises(UserError, match="row 1"):
        unique_names(["cat", empty, "dog"])


@given(texts)
def test_names_are_unique_and_texts_kept_where_they_can_be(given_texts: list[str]) -> None:
    names = unique_names(given_texts)
    plain = [" ".join(text.split()) for text in given_texts]
    assert len(set(names)) == len(names) == len(plain)
    for row, (name, text) in enumerate(zip(names, plain, strict=True)):
        assert (name == text) == (text not in plain[:row])
        assert name.startswith(text)


@given(texts)
def test_names_need_no_second_pass(given_texts: list[str]) -> None:
    names = unique_names(given_texts)
    assert unique_names(names) == names


def test_many_equal_texts_take_linear_time() -> None:
    names = unique_names(["x"] * 200_000)  # quadratic would take hours
    assert names[-1] == "x (200000)"
