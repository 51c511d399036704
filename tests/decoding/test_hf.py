"""Our search and our processors against Hugging Face's `generate`."""

import numpy as np
import pytest
import torch
from decoding.small import DOCIDS, END, PAD, PROMPTS, TREES, VOCABULARY, Docids, catalogue, legal, small, true_sums
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedModel

from arrange.decoding.beam import beam_search
from arrange.decoding.hf import TrieLogitsProcessor, Walker, prefix_allowed_tokens
from arrange.decoding.unconstrained import unconstrained_search
from arrange.docids.trie import build
from arrange.errors import UserError


def generate(model: PreTrainedModel, prompt: list[int], docids: Docids, beams: int, **how: object) -> list:
    """(document, sum) pairs of `generate`, held to the catalogue by what `how` says."""
    output = model.generate(
        torch.tensor([prompt]),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
        num_beams=beams,
        num_return_sequences=beams,
        max_new_tokens=max(map(len, docids)),
        length_penalty=0.0,
        do_sample=False,
        output_scores=True,
        return_dict_in_generate=True,
        **how,
    )
    found = []
    for tokens, total in zip(output.sequences.tolist(), output.sequences_scores.tolist(), strict=True):
        docid = tokens[len(prompt) :]
        found.append((list(docids).index(docid[: docid.index(END) + 1]), total))
    return found


def plain_prefixes(docids: Docids, prompt: list[int]) -> dict[str, object]:
    """The prefix function without a trie."""
    return {"prefix_allowed_tokens_fn": lambda _, tokens: legal(docids, tokens[len(prompt) :].tolist()) or [PAD]}


@pytest.mark.parametrize("name", TREES)
@pytest.mark.parametrize("lengths", [(3,), (1, 2, 3, 5)])
def test_the_ranked_lists_are_those_of_generate(name: str, lengths: tuple[int, ...]) -> None:
    docids = catalogue(70, lengths=lengths, seed=2)
    for beams in (2, 5, 12):
        for prompt, ranking in zip(
            PROMPTS, beam_search(small(name), PROMPTS, build(docids), beams=beams, batch_size=8), strict=True
        ):
            wanted = generate(small(name), prompt, docids, beams, **plain_prefixes(docids, prompt))
            assert ranking.documents_K.tolist() == [document for document, _ in wanted]
            assert ranking.sums_K == pytest.approx([total for _, total in wanted], abs=1e-4)


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_both_drop_ins_do_what_the_plain_function_does(name: str) -> None:
    trie = build(DOCIDS)
    for prompt in PROMPTS[:3]:
        wanted = generate(small(name), prompt, DOCIDS, 6, **plain_prefixes(DOCIDS, prompt))
        processor = TrieLogitsProcessor(trie, len(prompt), PAD)
        function = prefix_allowed_tokens(trie, len(prompt), PAD)
        for how in ({"logits_processor": [processor]}, {"prefix_allowed_tokens_fn": function}):
            assert generate(small(name), prompt, DOCIDS, 6, **how) == wanted


@settings(max_examples=40, deadline=None)
@given(
    bodies=st.sets(st.lists(st.integers(3, 6), max_size=4).map(tuple), min_size=1, max_size=12),
    rows=st.lists(st.lists(st.sampled_from([0, 2, 3, 4, 5, 6, 7]), min_size=3, max_size=3), min_size=1, max_size=6),
)
def test_the_processor_leaves_the_legal_tokens_alone(bodies, rows) -> None:
    docids = [[*body, END] for body in sorted(bodies)]
    trie = build(docids)
    for steps in range(4):
        tokens = torch.tensor([[9, *row[:steps]] for row in rows])
        scores = torch.arange(10.0).repeat(len(rows), 1)
        allowed = TrieLogitsProcessor(trie, 1, PAD)(tokens, scores)
        for row, scores_V in zip(rows, allowed, strict=True):
            wanted = legal(docids, row[:steps]) or [PAD]
            assert scores_V.isfinite().nonzero()[:, 0].tolist() == wanted
            assert scores_V[wanted].tolist() == wanted
            assert sorted(prefix_allowed_tokens(trie, 1, PAD)(0, torch.tensor([9, *row[:steps]]))) == wanted
        nodes = Walker(trie.on("cpu")).walk(tokens[:, 1:])
        assert nodes.tolist() == [trie.walk(row[:steps]) for row in rows]


def test_an_unconstrained_search_counts_what_is_no_docid() -> None:
    model, docids = small("llama"), [[END], *([token, END] for token in range(3, 15))]
    free = unconstrained_search(
        model, PROMPTS[:2], build(docids), beams=40, batch_size=2, end_token_id=END, pad_token_id=PAD
    )
    # With more beams than tokens, two steps are searched in full: these are all sequences.
    tokens = [token for token in range(VOCABULARY) if token != END]
    sequences = [[END], *([first, second] for first in tokens for second in range(VOCABULARY))]
    for row, prompt in enumerate(PROMPTS[:2]):
        pairs = zip(true_sums(model, prompt, sequences, "vocabulary"), sequences, strict=True)
        best = sorted(pairs, reverse=True)[:40]
        assert free.sums_BK[row] == pytest.approx([total for total, _ in best], abs=1e-4)
        assert free.valid_BK[row].tolist() == [sequence in docids for _, sequence in best]
        valid, invalid = (sum(np.exp(total) for total, ids in best if (ids in docids) is is_) for is_ in (True, False))
        assert free.valid_mass()[row] == pytest.approx(valid, abs=1e-5)
        assert free.invalid_mass()[row] == pytest.approx(invalid, abs=1e-5)
        assert free.invalid_share()[row] == pytest.approx(sum(ids not in docids for _, ids in best) / 40)
        assert [END] in [ids for _, ids in best]  # what follows it is padding
    assert 0 < free.invalid_share().mean() < 1
    with pytest.raises(UserError, match="1 beams"):
        unconstrained_search(
            model, PROMPTS[:2], build(docids), beams=1, batch_size=2, end_token_id=END, pad_token_id=PAD
        )
