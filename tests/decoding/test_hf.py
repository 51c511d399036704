"""Our search and our processors against Hugging Face's `generate`."""

import copy

import numpy as np
import pytest
import torch
from decoding.small import DOCIDS, END, PAD, PROMPTS, TREES, VOCABULARY, Docids, catalogue, legal, small, true_sums
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import GenerationConfig, LogitsProcessor, PreTrainedModel

from arrange.decoding.beam import beam_search
from arrange.decoding.hf import TrieLogitsProcessor, Walker, prefix_allowed_tokens, search_config
from arrange.decoding.unconstrained import unconstrained_search
from arrange.docids.trie import build
from arrange.errors import UserError

SEARCH = GenerationConfig(do_sample=False)


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
        processor = TrieLogitsProcessor(trie, len(prompt), PAD, SEARCH)
        function = prefix_allowed_tokens(trie, len(prompt), PAD, SEARCH)
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
        allowed = TrieLogitsProcessor(trie, 1, PAD, SEARCH)(tokens, scores)
        for row, scores_V in zip(rows, allowed, strict=True):
            wanted = legal(docids, row[:steps]) or [PAD]
            assert scores_V.isfinite().nonzero()[:, 0].tolist() == wanted
            assert scores_V[wanted].tolist() == wanted
            following = prefix_allowed_tokens(trie, 1, PAD, SEARCH)
            assert sorted(following(0, torch.tensor([9, *row[:steps]]))) == wanted
        nodes = Walker(trie.on("cpu")).walk(tokens[:, 1:])
        assert nodes.tolist() == [trie.walk(row[:steps]) for row in rows]


def sampling() -> PreTrainedModel:
    """A model whose generation_config samples, cuts and penalises, as those of some published models do."""
    model = copy.deepcopy(small("qwen2"))
    its = {"do_sample": True, "top_k": 5, "top_p": 0.8, "temperature": 0.7, "repetition_penalty": 1.5}
    model.generation_config.update(**its)
    return model


def found_by(model: PreTrainedModel, prompt: list[int], beams: int, **how: object) -> list[list[int]]:
    """The docIDs that `generate` finds; a beam that is no docID is left out."""
    ids = torch.tensor([prompt])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        rows = model.generate(ids, attention_mask=torch.ones_like(ids), **how)
    docids = [row[len(prompt) :] for row in rows.tolist()]
    return [each[: each.index(END) + 1] for each in docids if END in each and each[: each.index(END) + 1] in DOCIDS]


def test_a_model_that_samples_by_its_own_config_finds_every_docid_with_a_search_config() -> None:
    trie, model, beams = build(DOCIDS), sampling(), len(DOCIDS)
    for prompt in PROMPTS[:2]:
        config = search_config(trie, beams)
        processor = TrieLogitsProcessor(trie, len(prompt), PAD, config)
        found = found_by(model, prompt, beams, generation_config=config, logits_processor=[processor])
        [ranked] = beam_search(small("qwen2"), [prompt], trie, beams=beams, batch_size=1)
        assert found == [DOCIDS[document] for document in ranked.documents_K]
        # what the model's own config does to the same beams
        limits = {"num_beams": beams, "num_return_sequences": beams, "max_new_tokens": max(map(len, DOCIDS))}
        lost = found_by(model, prompt, beams, **limits, **plain_prefixes(DOCIDS, prompt))
        assert len({tuple(docid) for docid in lost}) < beams


@pytest.mark.parametrize("make", [TrieLogitsProcessor, prefix_allowed_tokens])
def test_a_config_that_samples_or_leaves_it_to_the_model_is_refused(make) -> None:
    message = r"may sample \(do_sample True, top_k 5, top_p 0.8\): legal docIDs would be lost\n.*do_sample=False"
    with pytest.raises(UserError, match=message):
        make(build(DOCIDS), 3, PAD, sampling().generation_config)
    with pytest.raises(UserError, match="do_sample None"):
        make(build(DOCIDS), 3, PAD, GenerationConfig(num_beams=10))


class Cut(LogitsProcessor):
    """Takes one token away, as bad_words_ids do."""

    def __call__(self, input_ids, scores):
        return scores.index_fill(1, torch.tensor([DOCIDS[0][0]]), -torch.inf)


def test_a_legal_token_that_was_cut_before_is_told() -> None:
    trie, config = build(DOCIDS), search_config(build(DOCIDS), 4)
    processor = TrieLogitsProcessor(trie, len(PROMPTS[0]), PAD, config)
    with pytest.raises(UserError, match=f"token {DOCIDS[0][0]} is legal, and was cut"):
        found_by(small("llama"), PROMPTS[0], 4, generation_config=config, logits_processor=[Cut(), processor])
    config.suppress_tokens = [DOCIDS[0][0]]
    with pytest.raises(UserError, match=f"token {DOCIDS[0][0]} is legal, and was cut"):
        found_by(small("llama"), PROMPTS[0], 4, generation_config=config, logits_processor=[processor])


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
