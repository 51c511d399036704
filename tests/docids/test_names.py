import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arrange.data import wordnet, wordnet_files
from arrange.docids.names import shorten, unique_names
from arrange.errors import UserError

WORDNET = Path(os.environ.get("WORDNET_DIR") or "/usr/share/wordnet")

# Few letters, and the suffixes themselves, so that collisions are the rule.
texts = st.lists(st.sampled_from(["a", "b", " a ", "a (2)", "a (3)", "a (2) (2)", "a  b", "é"]), max_size=12)
# Two words, so that texts begin alike, begin one another or are equal.
titles = st.lists(st.lists(st.sampled_from(["x", "y"]), min_size=1, max_size=5).map(" ".join), max_size=12)


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


def test_names_that_are_used_count_as_given() -> None:
    assert unique_names(["cat", "cat", "dog"], used=["cat", "cat (3)"]) == ["cat (2)", "cat (4)", "dog"]


@given(texts, texts)
def test_newcomers_leave_used_names_alone(first: list[str], later: list[str]) -> None:
    used = unique_names(first)
    names = [*used, *unique_names(later, used)]
    assert len(set(names)) == len(first) + len(later)


def test_a_title_is_cut_where_it_leaves_the_others() -> None:
    given_titles = ["red wool hat", "red  wool scarf xl", "red shoe", "green wool hat xl", "blue", "blue hat xl"]
    assert shorten(given_titles, 1) == ["red wool hat", "red wool scarf", "red shoe", "green", "blue", "blue hat"]
    assert shorten(given_titles, 3) == [
        "red wool hat",
        "red wool scarf",
        "red shoe",
        "green wool hat",
        *given_titles[4:],
    ]


def test_other_titles_count_but_are_not_cut() -> None:
    assert shorten(["red wool hat xl", "green wool hat"], 1, others=["red wool scarf"]) == ["red wool hat", "green"]


@given(titles, titles, st.integers(1, 4))
def test_shortening_agrees_with_trying_every_length(cut: list[str], others: list[str], least: int) -> None:
    def fewest(title: str) -> str:
        words = title.split()
        for length in range(least, len(words)):
            if not any(other.split()[:length] == words[:length] for other in {*cut, *others} - {title}):
                return " ".join(words[:length])
        return title

    assert shorten(cut, least, others) == [fewest(title) for title in cut]


@given(titles, st.integers(1, 4))
def test_different_titles_stay_different(cut: list[str], least: int) -> None:
    assert len(set(shorten(cut, least))) == len(set(cut))


def test_shortening_refuses_an_empty_text_with_its_row() -> None:
    with pytest.raises(UserError, match="row 1"):
        shorten(["cat", " "], 1)


@pytest.mark.skipif(not (WORDNET / "data.noun").is_file(), reason="no WordNet in $WORDNET_DIR or /usr/share/wordnet")
def test_six_words_are_enough_to_leave_every_name_of_wordnet_whole() -> None:
    synsets = wordnet_files.read(WORDNET)
    documents = wordnet.tables(synsets, "entity.n.01", "lemmas_gloss", "parent", validation=0.05, test=0.1).documents
    lemmas = documents["text"].to_list()
    assert shorten(lemmas, 6) == lemmas
    assert unique_names(shorten(lemmas, 6)) == unique_names(lemmas)
    assert shorten(lemmas, 5) != lemmas
