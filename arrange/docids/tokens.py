"""From text to tokens: train or load a tokenizer, encode docIDs and prompts.

A sequence is a prompt (a filled-in template of params.yaml), then a docID, then the end token, which counts as part of
the docID (so one docID may begin another). Our own tokenizer has `<docid>`, which the templates put between the two.
transformers takes seconds to import: it is imported where it is used.
"""

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from arrange.docids import trie
from arrange.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD, BOS, END, DOCID = "<pad>", "<s>", "</s>", "<docid>"


def train_tokenizer(texts: Iterable[str], vocabulary_size: int) -> "PreTrainedTokenizerFast":
    """Train a byte-level BPE tokenizer of at most `vocabulary_size` tokens, the four special ones included.

    A text's first word is tokenised as in the middle of a sentence (" dog"), so that a name shares its tokens with the
    sentences that mention it; decoding removes that space again. Every text round-trips: all 256 bytes are tokens. Same
    texts, same files.
    Raises UserError if the vocabulary cannot hold the bytes and the special tokens.

    >>> tokenizer = train_tokenizer(["a dog", "a cat"], 260)
    >>> tokenizer.decode(tokenizer.encode("a dog"))
    'a dog'
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

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


def load_tokenizer(name: str) -> "PreTrainedTokenizerFast":
    """A tokenizer from a local folder or, by name, from the hub; `<docid>` is added if it lacks it.

    Raises UserError where there is none, and for one without an end token.
    """
    from transformers import AutoTokenizer

    from arrange.models.pretrained import load

    tokenizer: Any = load("tokenizer", name, AutoTokenizer.from_pretrained)
    if tokenizer.eos_token_id is None:
        raise UserError(f"the tokenizer {name!r} has no end token", "set its eos_token")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token  # padding is masked, so any token will do
    if DOCID not in tokenizer.get_vocab():
        tokenizer.add_special_tokens({"extra_special_tokens": [DOCID]})
    return tokenizer


def encode_docids(
    tokenizer: "PreTrainedTokenizerFast", docids: Sequence[Sequence[str]], codes: Iterable[str] = ()
) -> list[list[int]]:
    """The tokens of each docID, the end token last. A docID is pieces: codes, and texts between them.

    `codes` are added to the tokenizer, one token each. Raises UserError, naming the row, for a text that the tokenizer
    decodes to another text and for a docID with the tokens of an earlier one.

    >>> tokenizer = train_tokenizer(["a dog"], 260)
    >>> encode_docids(tokenizer, [["<a_1>", "<b_1>"], ["<a_1>", "<b_2>"]], codes=["<a_1>", "<b_1>", "<b_2>"])
    [[260, 261, 2], [260, 262, 2]]
    """
    from tokenizers import AddedToken

    codes = list(codes)
    tokenizer.add_tokens([AddedToken(code, normalized=False) for code in codes], special_tokens=True)
    added = tokenizer.get_added_vocab()
    of_code = {code: [added[code]] for code in codes}
    texts = sorted({piece for pieces in docids for piece in pieces if piece not in of_code})
    ids_of = dict(zip(texts, plain(tokenizer, texts), strict=True)) | of_code
    tokens = [[*(id_ for piece in pieces for id_ in ids_of[piece]), tokenizer.eos_token_id] for pieces in docids]
    _check_distinct(docids, tokens)
    for row, pieces in enumerate(docids):
        for text in (piece for piece in pieces if piece not in of_code):
            decoded = tokenizer.decode(ids_of[text], clean_up_tokenization_spaces=False)
            if decoded != text:
                raise UserError(
                    f"docIDs, row {row}: {text!r} comes back from the tokenizer as {decoded!r}",
                    "change the docID, or choose a tokenizer that keeps it (a byte-level one keeps all)",
                )
    return tokens


def _check_distinct(docids: Sequence[Sequence[str]], tokens: Sequence[Sequence[int]]) -> None:
    row_of: dict[tuple[int, ...], int] = {}
    for row, ids in enumerate(tokens):
        first = row_of.setdefault(tuple(ids), row)
        if first != row:
            names = f"{' '.join(docids[first])!r} and {' '.join(docids[row])!r}"
            raise UserError(
                f"docIDs, rows {first} and {row}: {names} have the same tokens", "give the documents different docIDs"
            )


def build_trie(texts: Sequence[str], tokenizer: "PreTrainedTokenizerFast | None" = None) -> trie.Trie:
    """The trie of documents that are named by texts; a document's index is its row.

    tokenizer: that of the model which generates the texts. Without one every byte is a token, and 256 is the end.
    Raises UserError as `trie.build` and `encode_docids`, for two equal texts for one.

    >>> animals = build_trie(["dog", "dogfish", "cat"])
    >>> animals.documents([animals.walk([*b"dog", 256])]).item(), animals.walk(b"cow")
    (0, -1)
    """
    if tokenizer is not None:
        return trie.build(encode_docids(tokenizer, [[text] for text in texts]))
    return trie.build([list(text.encode()) for text in texts], end_token=256)


class Prompt(NamedTuple):
    """The tokens of a prompt before and after the place of the candidates, if it has candidates."""

    head: list[int]
    tail: list[int]


def encode_prompts(
    tokenizer: "PreTrainedTokenizerFast", template: str, texts: list[str], query_tokens: int
) -> list[Prompt]:
    """A template with each query's text in it: "{query}<docid>", or "{query} {candidates}<docid>".

    Special tokens in the template become special tokens; in a text they become ordinary tokens. A text is cut at its
    end to `query_tokens`. The tokenizer's beginning token, if it has one, comes first.
    """
    before, _, after = template.partition("{query}")
    middle, _, tail = after.partition("{candidates}")
    start = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    before_T, middle_T, tail_T = (literal(tokenizer, part) for part in (before, middle, tail))
    return [Prompt([*start, *before_T, *ids[:query_tokens], *middle_T], tail_T) for ids in plain(tokenizer, texts)]


def counts(tokenizer: "PreTrainedTokenizerFast", texts: list[str]) -> list[int]:
    """How many tokens each text has before `encode_prompts` cuts it."""
    return [len(ids) for ids in plain(tokenizer, texts)]


def literal(tokenizer: "PreTrainedTokenizerFast", text: str) -> list[int]:
    """The tokens of a piece of a template, special ones included."""
    special = sorted(tokenizer.get_added_vocab(), key=len, reverse=True)
    pieces = re.split(f"({'|'.join(map(re.escape, special))})" if special else "$^", text)
    added = tokenizer.get_added_vocab()
    return [
        id_ for piece in pieces if piece for id_ in ([added[piece]] if piece in added else plain(tokenizer, [piece])[0])
    ]


def plain(tokenizer: "PreTrainedTokenizerFast", texts: list[str]) -> list[list[int]]:
    """Tokens of the texts alone. A text that spells a special token ("</s>") gets ordinary tokens."""
    if not texts:
        return []
    encoded = tokenizer(texts, add_special_tokens=False, split_special_tokens=True, verbose=False)
    return encoded["input_ids"]
