from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from arrange.docids.tokens import Prompt, encode_docids, encode_prompts, literal, load_tokenizer, train_tokenizer
from arrange.errors import UserError

TEXTS = ["a dog barks at the cat", "the cat sees a dog", "a dog and a cat and a café"] * 3
CODES = ["<a_1>", "<a_12>", "<b_1>"]
CORPUS, IN_CONTEXT = "{query}<docid>", "{query}\n{candidates}<docid>"
VISIBLE = st.text(st.characters(exclude_categories=["Cs", "Z", "C"]), min_size=1)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(TEXTS, 280)


@pytest.fixture
def coded() -> PreTrainedTokenizerFast:
    """A tokenizer that has the codes 280, 281 and 282."""
    tokenizer = train_tokenizer(TEXTS, 280)
    encode_docids(tokenizer, [], CODES)
    return tokenizer


def prompt(tokenizer: PreTrainedTokenizerFast, text: str, template: str = CORPUS, query_tokens: int = 99) -> list[int]:
    """The tokens of a prompt that no candidates go into."""
    ((head, tail),) = encode_prompts(tokenizer, template, [text], query_tokens)
    return [*head, *tail]


def test_special_tokens_come_first_and_the_vocabulary_is_as_large_as_asked(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    assert tokenizer.convert_ids_to_tokens([0, 1, 2, 3]) == ["<pad>", "<s>", "</s>", "<docid>"]
    assert (tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id) == (0, 1, 2)
    assert len(train_tokenizer(TEXTS, 270)) == 270


def test_a_word_has_the_same_tokens_at_the_start_and_further_on(tokenizer: PreTrainedTokenizerFast) -> None:
    (name,) = encode_docids(tokenizer, [["dog"]])
    assert tokenizer.convert_ids_to_tokens(name) == ["Ġdog", "</s>"]
    assert tokenizer.convert_ids_to_tokens(prompt(tokenizer, "a dog")) == ["<s>", "Ġa", "Ġdog", "<docid>"]


def test_two_trainings_give_the_same_files(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        tokenizer = train_tokenizer(iter(TEXTS), 280)
        encode_docids(tokenizer, [["<a_1>"]], iter(CODES))
        tokenizer.save_pretrained(tmp_path / folder)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert "tokenizer.json" in files
    assert files == sorted(path.name for path in (tmp_path / "two").iterdir())
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_using_a_tokenizer_does_not_change_its_files(tmp_path: Path) -> None:
    ours = train_tokenizer(TEXTS, 280)
    ours.save_pretrained(tmp_path / "before")
    encode_docids(ours, [["a dog"]])
    encode_prompts(ours, IN_CONTEXT, ["a dog", "the cat sees"], 4)
    ours.save_pretrained(tmp_path / "after")
    assert (tmp_path / "before/tokenizer.json").read_bytes() == (tmp_path / "after/tokenizer.json").read_bytes()


def test_a_saved_tokenizer_encodes_alike(coded: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    coded.save_pretrained(tmp_path)
    loaded = load_tokenizer(str(tmp_path))
    names = ["café (2)", "Bactrian camel", "日本", "spelt <a_1> </s>"]
    docids = [[name] for name in names] + [["<a_1>", "<b_1>"], ["<a_12>", "(2)"]]
    assert encode_docids(loaded, docids, CODES) == encode_docids(coded, docids, CODES)
    assert encode_prompts(loaded, IN_CONTEXT, names, 9) == encode_prompts(coded, IN_CONTEXT, names, 9)
    assert len(loaded) == len(coded) == 283


@given(st.lists(st.lists(VISIBLE, min_size=1).map(" ".join), unique=True, max_size=5))
def test_every_name_round_trips(tokenizer: PreTrainedTokenizerFast, names: list[str]) -> None:
    for name, tokens in zip(names, encode_docids(tokenizer, [[name] for name in names]), strict=True):
        assert tokens[-1] == tokenizer.eos_token_id
        assert tokenizer.decode(tokens[:-1]) == name


def test_a_code_is_one_token_and_texts_stand_between_codes(coded: PreTrainedTokenizerFast) -> None:
    docids = [["<a_1>", "<b_1>"], ["<a_12>", "<a_1>"], ["<a_1>"], ["<b_1>", "dog", "<a_1>"]]
    (dog, _) = encode_docids(coded, [["dog"]])[0]
    assert encode_docids(coded, docids, CODES) == [[280, 282, 2], [281, 280, 2], [280, 2], [282, dog, 280, 2]]


def test_codes_that_the_tokenizer_has_are_not_added_again(coded: PreTrainedTokenizerFast) -> None:
    assert encode_docids(coded, [["<c_1>", "<a_1>"]], [*CODES, "<c_1>"]) == [[283, 280, 2]]
    assert len(coded) == 284


@pytest.mark.parametrize("spelt", ["</s>", "<docid>", "<pad>", "a </s> dog", "<docid> <s>", "x</s></s>"])
def test_a_docid_that_spells_a_special_token_gets_ordinary_tokens(
    tokenizer: PreTrainedTokenizerFast, spelt: str
) -> None:
    (tokens,) = encode_docids(tokenizer, [[spelt]])
    assert [token for token in tokens if token < 4] == [2]
    assert tokens[-1] == 2


def test_a_docid_with_a_code_in_its_text_gets_ordinary_tokens(coded: PreTrainedTokenizerFast) -> None:
    (tokens,) = encode_docids(coded, [["see <a_1>"]], CODES)
    assert max(tokens) < 280
    assert coded.decode(tokens[:-1]) == "see <a_1>"


def test_a_prompt_whose_text_spells_a_special_token_or_a_code_gets_ordinary_tokens(
    coded: PreTrainedTokenizerFast,
) -> None:
    tokens = prompt(coded, "<s> a <docid> dog <pad> <a_12></s>")
    assert [token for token in tokens if token < 4] == [1, 3]
    assert max(tokens) < 280


def test_a_template_is_filled_in_and_its_special_tokens_are_special(coded: PreTrainedTokenizerFast) -> None:
    tokens = prompt(coded, "a dog", "<a_12>the{query}dog</s><docid>")
    assert coded.convert_ids_to_tokens(tokens) == ["<s>", "<a_12>", "Ġthe", "Ġa", "Ġdog", "Ġdog", "</s>", "<docid>"]


def test_candidates_go_between_head_and_tail(tokenizer: PreTrainedTokenizerFast) -> None:
    template = "{query}</s>{candidates}<pad>the<docid>"
    one, two = encode_prompts(tokenizer, template, ["a dog", "cat"], 99)
    the = literal(tokenizer, "the")
    assert one == Prompt([1, *literal(tokenizer, "a dog"), 2], [0, *the, 3])
    assert two == Prompt([1, *literal(tokenizer, "cat"), 2], [0, *the, 3])


def test_a_piece_of_a_template_is_read_with_its_special_tokens(coded: PreTrainedTokenizerFast) -> None:
    assert literal(coded, "") == []
    assert literal(coded, "<docid>") == [3]
    assert literal(coded, "<a_12><a_1>") == [281, 280]
    encode_docids(coded, [], ["<a_1>+"])
    assert literal(coded, "<a_1>+<a_1>") == [283, 280]  # not <a_1> and a plus
    assert literal(coded, "a</s>dog") == [*literal(coded, "a"), 2, *literal(coded, "dog")]
    assert coded.convert_ids_to_tokens(literal(coded, "a\n")) == ["Ġa", "Ċ"]


def test_a_tokenizer_without_added_tokens_reads_templates_too() -> None:
    bare = PreTrainedTokenizerFast(tokenizer_object=train_tokenizer(TEXTS, 280).backend_tokenizer)
    assert bare.convert_ids_to_tokens(literal(bare, "a dog")) == ["Ġa", "Ġdog"]


def test_a_long_prompt_loses_the_end_of_its_text(tokenizer: PreTrainedTokenizerFast) -> None:
    whole = prompt(tokenizer, "the cat sees a dog")
    cut = prompt(tokenizer, "the cat sees a dog", query_tokens=3)
    assert cut == [*whole[:4], whole[-1]]
    assert prompt(tokenizer, "the cat sees a dog", query_tokens=len(whole) - 2) == whole
    assert prompt(tokenizer, "") == [1, 3]
    assert encode_prompts(tokenizer, CORPUS, [], 5) == []


def test_a_tokenizer_without_a_beginning_token_gets_none(tokenizer: PreTrainedTokenizerFast) -> None:
    other = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer.backend_tokenizer, eos_token="</s>", extra_special_tokens=["<docid>"]
    )
    assert prompt(other, "a dog") == prompt(tokenizer, "a dog")[1:]


def test_a_tokenizer_by_name_gets_what_it_lacks(tmp_path: Path) -> None:
    foreign = Tokenizer(models.WordLevel({"[END]": 0, "[UNK]": 1, "a": 2, "dog": 3}, unk_token="[UNK]"))
    foreign.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=foreign, eos_token="[END]").save_pretrained(tmp_path)
    loaded = load_tokenizer(str(tmp_path))
    assert (loaded.eos_token, loaded.pad_token) == ("[END]", "[END]")
    assert prompt(loaded, "a dog") == [2, 3, 4]  # <docid> is the new one
    assert encode_docids(loaded, [["a dog"]]) == [[2, 3, 0]]
    loaded.save_pretrained(tmp_path / "again")
    assert len(load_tokenizer(str(tmp_path / "again"))) == 5


def test_what_a_tokenizer_lacks_is_named(tmp_path: Path) -> None:
    PreTrainedTokenizerFast(tokenizer_object=train_tokenizer([], 260).backend_tokenizer).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="has no end token\nset its eos_token"):
        load_tokenizer(str(tmp_path))
    with pytest.raises(UserError, match=r"no tokenizer '.*nowhere', looked for as a folder"):
        load_tokenizer(str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="at least 260"):
        train_tokenizer(TEXTS, 259)


def test_a_name_that_does_not_come_back_is_refused_with_its_row(coded: PreTrainedTokenizerFast) -> None:
    with pytest.raises(UserError, match=r"row 1: ' dog' comes back from the tokenizer as 'dog'"):
        encode_docids(coded, [["cat"], [" dog"]])
    with pytest.raises(UserError, match=r"row 1: ' dog' comes back from the tokenizer as 'dog'"):
        encode_docids(coded, [["cat"], ["<a_1>", " dog"]], CODES)


def test_equal_docids_are_refused_with_both_rows(coded: PreTrainedTokenizerFast) -> None:
    with pytest.raises(UserError, match="rows 0 and 2: 'cat' and 'cat'"):
        encode_docids(coded, [["cat"], ["dog"], ["cat"]])
    with pytest.raises(UserError, match="rows 1 and 2: '<a_1> cat' and '<a_1> cat'"):
        encode_docids(coded, [["cat"], ["<a_1>", "cat"], ["<a_1>", "cat"]], CODES)
