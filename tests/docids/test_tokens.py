from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from arrange.docids.tokens import encode_docids, encode_prompts, train_tokenizer
from arrange.errors import UserError

TEXTS = ["a dog barks at the cat", "the cat sees a dog", "a dog and a cat and a café"] * 3
VISIBLE = st.text(st.characters(exclude_categories=["Cs", "Z", "C"]), min_size=1)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(TEXTS, 290)


def test_special_tokens_come_first_and_the_vocabulary_is_as_large_as_asked(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    assert tokenizer.convert_ids_to_tokens([0, 1, 2, 3]) == ["<pad>", "<s>", "</s>", "<docid>"]
    assert (tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id) == (0, 1, 2)
    assert len(train_tokenizer(TEXTS, 270)) == 270


def test_a_word_has_the_same_tokens_at_the_start_and_further_on(tokenizer: PreTrainedTokenizerFast) -> None:
    (name,) = encode_docids(tokenizer, ["dog"])
    (prompt,) = encode_prompts(tokenizer, ["a dog"], 99)
    assert tokenizer.convert_ids_to_tokens(name) == ["Ġdog", "</s>"]
    assert tokenizer.convert_ids_to_tokens(prompt) == ["<s>", "Ġa", "Ġdog", "<docid>"]


def test_two_trainings_give_the_same_files(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        train_tokenizer(iter(TEXTS), 290).save_pretrained(tmp_path / folder)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert "tokenizer.json" in files
    assert files == sorted(path.name for path in (tmp_path / "two").iterdir())
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_using_a_tokenizer_does_not_change_its_files(tmp_path: Path) -> None:
    ours = train_tokenizer(TEXTS, 290)
    ours.save_pretrained(tmp_path / "before")
    encode_docids(ours, ["a dog"])
    encode_prompts(ours, ["a dog", "the cat sees"], 4)
    ours.save_pretrained(tmp_path / "after")
    assert (tmp_path / "before/tokenizer.json").read_bytes() == (tmp_path / "after/tokenizer.json").read_bytes()


def test_a_saved_tokenizer_encodes_alike(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    names = ["café (2)", "Bactrian camel", "日本"]
    assert encode_docids(loaded, names) == encode_docids(tokenizer, names)
    assert encode_prompts(loaded, names, 9) == encode_prompts(tokenizer, names, 9)


@given(st.lists(st.lists(VISIBLE, min_size=1).map(" ".join), unique=True, max_size=5))
def test_every_name_round_trips(tokenizer: PreTrainedTokenizerFast, names: list[str]) -> None:
    for name, tokens in zip(names, encode_docids(tokenizer, names), strict=True):
        assert tokens[-1] == tokenizer.eos_token_id
        assert tokenizer.decode(tokens[:-1]) == name


def test_text_that_spells_a_special_token_gets_ordinary_tokens(tokenizer: PreTrainedTokenizerFast) -> None:
    (name,) = encode_docids(tokenizer, ["a </s> dog"])
    assert name.count(tokenizer.eos_token_id) == 1
    (prompt,) = encode_prompts(tokenizer, ["<s> a <docid> dog <pad>"], 99)
    assert [token for token in prompt if token < 4] == [1, 3]


def test_a_long_prompt_loses_the_end_of_its_text(tokenizer: PreTrainedTokenizerFast) -> None:
    whole, cut = (encode_prompts(tokenizer, ["the cat sees a dog"], room)[0] for room in (99, 5))
    assert cut == [*whole[:4], whole[-1]]
    assert encode_prompts(tokenizer, [""], 5) == [[1, 3]]
    assert encode_prompts(tokenizer, [], 5) == []


def test_a_tokenizer_without_a_beginning_token_gets_none(tokenizer: PreTrainedTokenizerFast) -> None:
    other = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer.backend_tokenizer, eos_token="</s>", extra_special_tokens=["<docid>"]
    )
    assert encode_prompts(other, ["a dog"], 9) == [encode_prompts(tokenizer, ["a dog"], 9)[0][1:]]


def test_what_a_tokenizer_lacks_is_named(tokenizer: PreTrainedTokenizerFast) -> None:
    bare = PreTrainedTokenizerFast(tokenizer_object=train_tokenizer([], 260).backend_tokenizer)
    with pytest.raises(UserError, match="no end token"):
        encode_docids(bare, ["dog"])
    with pytest.raises(UserError, match="no room for text"):
        encode_prompts(tokenizer, ["dog"], 2)
    with pytest.raises(UserError, match="at least 260"):
        train_tokenizer(TEXTS, 259)


def test_a_name_that_does_not_come_back_is_refused_with_its_row(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(UserError, match=r"row 1: ' dog' comes back from the tokenizer as 'dog'"):
        encode_docids(tokenizer, ["cat", " dog"])


def test_equal_names_are_refused_with_both_rows(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(UserError, match="rows 0 and 2: 'cat' and 'cat'"):
        encode_docids(tokenizer, ["cat", "dog", "cat"])
