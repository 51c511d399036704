"""Text as tokens: a tokenizer of our own, and docIDs and prompts in any tokenizer.

A training sequence is  <s> text <docid> name </s> : the prompt ends with `<docid>`, the docID with
the end token, which is part of it (so that one name may begin another).
"""

from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from arrange.errors import UserError

PAD, BOS, END, DOCID = "<pad>", "<s>", "</s>", "<docid>"


def train_tokenizer(texts: Iterable[str], vocabulary_size: int) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer of at most `vocabulary_size` tokens, the four special ones included.

    A text's first word is tokenised as it would be further on (" dog"), so that a name shares its
    tokens with the sentences that mention it; decoding removes that space again. Every text
    round-trips: all 256 bytes are tokens. Same texts, same files.
    Raises UserError if the vocabulary cannot hold the bytes and the special tokens.

    >>> tokenizer = train_tokenizer(["a dog", "a cat"], 260)
    >>> tokenizer.decode(tokenizer.encode("a dog"))
    'a dog'
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = [PAD, BOS, END, DOCID]
    least = len(alphabet) + len(special)
    if vocabulary_size < least:
        raise UserError(f"a vocabulary of {vocabulary_size} tokens is too small", f"give at least {least}")
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    bpe.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Strip(" ", 1, 0)])
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=END,
        extra_special_tokens=[DOCID],
        clean_up_tokenization_spaces=False,
    )


def encode_docids(tokenizer: PreTrainedTokenizerFast, names: list[str]) -> list[list[int]]:
    """The tokens of each name, the end token last.

    Raises UserError, naming the row, for a name that does not come back when it is decoded and for
    one whose tokens an earlier name has.
    """
    end = tokenizer.eos_token_id
    if end is None:
        raise UserError("the tokenizer has no end token", "set its eos_token")
    tokens = [[*ids, end] for ids in _plain(tokenizer, names)]
    row_of: dict[tuple[int, ...], int] = {}
    for row, (name, ids) in enumerate(zip(names, tokens, strict=True)):
        first = row_of.setdefault(tuple(ids), row)
        if first != row:
            raise UserError(
                f"docIDs, rows {first} and {row}: {names[first]!r} and {name!r} have the same tokens",
                "give the documents different names",
            )
        decoded = tokenizer.decode(ids[:-1], clean_up_tokenization_spaces=False)
        if decoded != name:
            raise UserError(
                f"docIDs, row {row}: {name!r} comes back from the tokenizer as {decoded!r}",
                "change the name, or choose a tokenizer that keeps it (a byte-level one keeps all)",
            )
    return tokens


def encode_prompts(tokenizer: PreTrainedTokenizerFast, texts: list[str], max_tokens: int) -> list[list[int]]:
    """`<s>` text `<docid>` as tokens; a text is cut at its end so that the whole is <= `max_tokens`.

    A tokenizer without a beginning token (Qwen's) gets none. Raises UserError if the tokenizer does
    not know `<docid>` or if `max_tokens` leaves no room for text.
    """
    separator = tokenizer.get_added_vocab().get(DOCID)
    if separator is None:
        raise UserError(f"the tokenizer has no {DOCID} token", "add it as a special token")
    start = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    room = max_tokens - len(start) - 1
    if room < 1:
        raise UserError(f"a prompt of {max_tokens} tokens has no room for text", f"give at least {len(start) + 2}")
    return [[*start, *ids[:room], separator] for ids in _plain(tokenizer, texts)]


def _plain(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> list[list[int]]:
    """Tokens of the texts alone. A text that spells a special token ("</s>") gets ordinary tokens."""
    if not texts:
        return []
    encoded = tokenizer(texts, add_special_tokens=False, split_special_tokens=True, verbose=False)
    return encoded["input_ids"]
