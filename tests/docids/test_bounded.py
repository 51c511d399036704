"""DocIDs of many words: a bound in tokens, other words of the title, a number where there are none."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arrange.docids import schemes, trie
from arrange.docids.bounded import bounded
from arrange.docids.phrases import shortest, words
from arrange.docids.tokens import encode_docids, train_tokenizer

BYTES = train_tokenizer([], 260)  # every byte is a token, and so is the space before a text
BOUND = 16
SCHEME = schemes.Text(least_words=6, most_tokens=BOUND)
unspaced = st.lists(
    st.sampled_from(["x", "y", "long-word", "水", "กิน", "(2)", "!", "🙂🙂🙂🙂🙂"]), min_size=1, max_size=9
)
spaced = st.lists(st.sampled_from(["x", "y", "X", "word", "(2)", "?"]), min_size=1, max_size=9)
titles = st.lists(unspaced.map("".join) | spaced.map(" ".join), min_size=1, max_size=9)


def docids(texts: list[str], tokenizer=BYTES) -> tuple[list[str], dict[str, int]]:
    assignment, notes = bounded(schemes.build(SCHEME, texts), tokenizer)
    return [docid for (docid,) in assignment.docids], notes


def test_words_are_those_of_bm25_with_their_marks() -> None:
    def spelt(title: str) -> list[str]:
        return [title[begin:end] for begin, end in words(title)]

    assert spelt("red-hot, x2") == ["red", "hot", "x2"]
    assert spelt("三毛猫のカバン bag") == [*"三毛猫のカバン", "bag"]
    assert spelt("กินข้าว") == ["กิ", "นข้", "าว"]
    assert spelt("cafe\u0301 au lait") == ["cafe\u0301", "au", "lait"]
    assert spelt("?!") == []


def test_the_shortest_phrase_that_no_other_title_has() -> None:
    texts = ["red wool hat", "red wool scarf", "a red hat", "Wool, red", "red"]
    # Every pair of words of the first is in another title or is its own: "wool hat".
    expected = {0: "wool hat", 1: "scarf", 2: "a", 3: "Wool, red"}
    assert shortest(texts, range(5), 3, dict_of_first) == expected
    assert shortest(texts, range(5), 1, dict_of_first) == {1: "scarf", 2: "a"}
    assert shortest(texts, [3], 3, dict_of_first) == {3: "Wool, red"}
    assert shortest(["?", "!"], [0, 1], 3, dict_of_first) == {}


def dict_of_first(phrases: list[tuple[int, str]]) -> dict[int, str]:
    return dict(reversed(phrases))


@settings(deadline=None)
@given(titles, st.integers(1, 4), st.sets(st.integers(0, 8)))
def test_phrases_agree_with_trying_all(texts: list[str], most: int, picked: set[int]) -> None:
    spelt = [[text[a:b].lower() for a, b in words(text)] for text in texts]

    def has(row: int, phrase: list[str]) -> bool:
        return any(spelt[row][at : at + len(phrase)] == phrase for at in range(len(spelt[row])))

    rows = sorted(row for row in picked if row < len(texts))
    expected = {}
    for row in rows:
        for length in range(1, min(most, len(spelt[row])) + 1):
            places = range(len(spelt[row]) - length + 1)
            alone = [at for at in places if not any(has(o, spelt[row][at : at + length]) for o in others(texts, row))]
            if alone:
                spans = words(texts[row])
                expected[row] = texts[row][spans[alone[0]][0] : spans[alone[0] + length - 1][1]]
                break
    assert shortest(texts, rows, most, dict_of_first) == expected


def others(texts: list[str], row: int) -> list[int]:
    return [other for other in range(len(texts)) if other != row]


def test_docids_by_hand() -> None:
    same = "the same old words once more and again"
    texts = [f"{same} hat", f"{same} scarf", same, same, "a hat"]
    assert docids(texts) == (
        ["again hat", "scarf", "the same", "the same (2)", "a hat"],
        {"over_bound": 4, "suffixed": 1},
    )


def test_docids_within_the_bound_stay() -> None:
    built = schemes.build(SCHEME, ["red hat", "red hat", "blue shoe"])
    assert bounded(built, BYTES) == (built, {"over_bound": 0, "suffixed": 0})
    other = schemes.build(schemes.Numeric(), ["x"])
    assert bounded(other, BYTES) == (other, {})


def test_paragraphs_without_spaces_and_titles_with_one_beginning_have_short_docids() -> None:
    """A docID was a whole paragraph, and 3,002 tokens."""
    rng = np.random.default_rng(0)
    characters = [chr(code) for code in range(0x4E00, 0x4E00 + 600)]
    chinese = ["".join(rng.choice(characters, 150)) + "。" for _ in range(60)]
    alike = [" ".join(["word"] * 3000 + [f"end{row}"]) for row in range(24)]
    equal = [" ".join(["again"] * 3000)] * 24
    names, notes = docids([*chinese, *alike, *equal])
    assert notes == {"over_bound": 108, "suffixed": 23}
    assert names[60:84] == [f"end{row}" for row in range(24)]
    assert names[84:87] == ["again", "again (2)", "again (3)"]
    for text, name in zip(chinese, names, strict=False):
        assert len(name) <= 5
        assert name in text
        assert sum(name in other for other in chinese) == 1
    assert trie.build(encode_docids(BYTES, [(name,) for name in names])).describe()["max_depth"] <= BOUND


@settings(deadline=None)
@given(titles, st.integers(0, 9))
def test_all_are_distinct_and_short_and_the_old_stay(texts: list[str], cut: int) -> None:
    texts = [*texts, *texts[:2]]
    first, _ = bounded(schemes.build(SCHEME, texts[: cut + 1]), BYTES)
    grown, notes = bounded(schemes.extend(first, texts[cut + 1 :]), BYTES)
    assert grown.docids[: len(first.docids)] == first.docids
    assert len(set(grown.docids)) == len(texts)
    assert 0 <= notes["suffixed"] <= notes["over_bound"]
    assert max(map(len, encode_docids(BYTES, grown.docids))) <= BOUND
    for text, (docid,) in zip(texts, grown.docids, strict=True):
        assert re.sub(r" \(\d+\)$", "", docid) in text or docid in text


def test_collisions_count_the_documents_that_have_a_number_in_the_end() -> None:
    long = "twelve words would be far too much for a bound of tokens"
    assignment, notes = bounded(schemes.build(SCHEME, [long, long, long, "x", "x"]), BYTES)
    assert (assignment.collisions, notes) == (3, {"over_bound": 3, "suffixed": 2})


@pytest.mark.parametrize("title", ["pneumonoultramicroscopic" * 9, "?!" * 99, "🙂" * 99, "水" * 99])
def test_a_title_that_has_no_short_word_is_cut(title: str) -> None:
    names, _ = docids([title, title])
    assert title.startswith(names[0])
    assert names[1] == f"{names[0]} (2)"
