"""Beam search against plain forward passes (no cache, no padding) and Hugging Face's `generate`."""

import random
from collections.abc import Sequence

import pytest
import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from arrange.docids.trie import build
from arrange.ranking.decode import beam_search

PAD, END, VOCABULARY = 0, 2, 24
SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.3,  # far apart scores
    "eos_token_id": END,
    "pad_token_id": PAD,
}
GPT2 = {"vocab_size": VOCABULARY, "n_embd": 16, "n_layer": 2, "n_head": 4, "initializer_range": 0.3}
MODELS = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES)),
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(**GPT2, eos_token_id=END, pad_token_id=PAD)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SIZES, head_dim=8)),
    "mistral, sliding window": lambda: MistralForCausalLM(MistralConfig(**SIZES, sliding_window=4)),
}


def catalogue(size: int, lengths: Sequence[int], seed: int) -> list[list[int]]:
    """Different docIDs with `lengths` tokens before the end token, in no order."""
    rng, docids = random.Random(seed), set()
    while len(docids) < size:
        docids.add(tuple(rng.randrange(3, 9) for _ in range(rng.choice(lengths))))
    return [[*tokens, END] for tokens in rng.sample(sorted(docids), size)]


def some_prompts(count: int, seed: int = 1) -> list[list[int]]:
    rng = random.Random(seed)
    return [[1, *(rng.randrange(3, VOCABULARY) for _ in range(rng.randrange(9)))] for _ in range(count)]


DOCIDS = catalogue(50, lengths=(1, 2, 2, 3, 5), seed=0)
PROMPTS = some_prompts(7)


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    return MODELS[request.param]().eval()


@torch.no_grad()
def next_log_probabilities(model: PreTrainedModel, tokens: list[int]) -> torch.Tensor:
    return model(torch.tensor([tokens])).logits[0].double().log_softmax(-1)


def score(model: PreTrainedModel, prompt: list[int], docid: list[int]) -> float:
    """The summed log-probability of one docID: one plain pass."""
    logp_TV = next_log_probabilities(model, prompt + docid[:-1])
    return sum(logp_TV[len(prompt) - 1 + step, token].item() for step, token in enumerate(docid))


def slow_beam_search(model: PreTrainedModel, prompt: list[int], docids: list[list[int]], beams: int) -> list:
    """The definition, prefix by prefix."""
    beam: list[tuple[list[int], float]] = [([], 0.0)]
    while any(prefix not in docids for prefix, _ in beam):
        pool = [(prefix, total) for prefix, total in beam if prefix in docids]
        for prefix, total in beam:
            if prefix not in docids:
                logp_V = next_log_probabilities(model, prompt + prefix)[-1]
                legal = {ids[len(prefix)] for ids in docids if ids[: len(prefix)] == prefix}
                pool += [([*prefix, token], total + logp_V[token].item()) for token in legal]
        beam = sorted(pool, key=lambda entry: -entry[1])[:beams]
    return [(docids.index(prefix), total) for prefix, total in beam]


def assert_same(found: list[tuple[int, float]], wanted: list[tuple[int, float]], tolerance: float = 1e-4) -> None:
    assert [document for document, _ in found] == [document for document, _ in wanted]
    assert [total for _, total in found] == pytest.approx([total for _, total in wanted], abs=tolerance)


def test_a_beam_as_wide_as_the_catalogue_ranks_it_all_exactly(model: PreTrainedModel) -> None:
    found = beam_search(model, PROMPTS, build(DOCIDS), len(DOCIDS), batch_size=4, pad_token_id=PAD)
    for prompt, ranking in zip(PROMPTS, found, strict=True):
        scores = [score(model, prompt, docid) for docid in DOCIDS]
        assert_same(ranking, sorted(enumerate(scores), key=lambda entry: -entry[1]))


@pytest.mark.parametrize("beams", [1, 2, 6, 17])
def test_a_narrow_beam_follows_the_definition(model: PreTrainedModel, beams: int) -> None:
    found = beam_search(model, PROMPTS, build(DOCIDS), beams, batch_size=7, pad_token_id=PAD)
    for prompt, ranking in zip(PROMPTS, found, strict=True):
        assert_same(ranking, slow_beam_search(model, prompt, DOCIDS, beams))
        assert len({document for document, _ in ranking}) == len(ranking) == beams


def test_batches_and_padding_change_nothing(model: PreTrainedModel) -> None:
    alone, pairs, together, other_pad = (
        beam_search(model, PROMPTS, build(DOCIDS), 5, batch_size, pad_token_id)
        for batch_size, pad_token_id in [(1, PAD), (2, PAD), (99, PAD), (99, 7)]
    )
    for rankings in zip(alone, pairs, together, other_pad, strict=True):
        for ranking in rankings[1:]:
            assert_same(ranking, rankings[0], tolerance=1e-5)


def huggingface_ranking(model: PreTrainedModel, prompt: list[int], docids: list[list[int]], beams: int) -> list:
    """`generate` held to the catalogue by a prefix function."""

    def legal(_: int, tokens: torch.Tensor) -> list[int]:
        prefix = tokens[len(prompt) :].tolist()
        return [ids[len(prefix)] for ids in docids if ids[: len(prefix)] == prefix and len(ids) > len(prefix)] or [PAD]

    output = model.generate(
        torch.tensor([prompt]),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
        prefix_allowed_tokens_fn=legal,
        num_beams=beams,
        num_return_sequences=beams,
        max_new_tokens=max(map(len, docids)),
        length_penalty=0.0,
        do_sample=False,
        output_scores=True,
        return_dict_in_generate=True,
    )
    found = []
    for tokens, total in zip(output.sequences.tolist(), output.sequences_scores.tolist(), strict=True):
        docid = tokens[len(prompt) :]
        found.append((docids.index(docid[: docid.index(END) + 1]), total))
    return found


def test_generate_agrees_where_all_docids_are_equally_long(model: PreTrainedModel) -> None:
    docids = catalogue(60, lengths=[3], seed=2)  # none ends early, so both keep the same beam at every step
    found = beam_search(model, PROMPTS, build(docids), 5, batch_size=8, pad_token_id=PAD)
    for prompt, ranking in zip(PROMPTS, found, strict=True):
        assert_same(ranking, huggingface_ranking(model, prompt, docids, 5))


def test_generate_agrees_where_the_beam_holds_everything(model: PreTrainedModel) -> None:
    found = beam_search(model, PROMPTS[:3], build(DOCIDS), len(DOCIDS), batch_size=8, pad_token_id=PAD)
    for prompt, ranking in zip(PROMPTS, found, strict=False):
        assert_same(ranking[:10], huggingface_ranking(model, prompt, DOCIDS, len(DOCIDS))[:10])


@pytest.fixture(scope="module")
def llama() -> PreTrainedModel:
    torch.manual_seed(0)
    return MODELS["llama"]()


def test_fewer_documents_than_beams_give_fewer_results(llama: PreTrainedModel) -> None:
    found = beam_search(llama, PROMPTS, build([[5, END], [5, 6, END], [7, END]]), 20, 3, PAD)
    assert [sorted(document for document, _ in ranking) for ranking in found] == [[0, 1, 2]] * len(PROMPTS)
    assert [len(ranking) for ranking in beam_search(llama, PROMPTS, build([[END]]), 2, 3, PAD)] == [1] * len(PROMPTS)


def test_equal_scores_are_ordered_by_length_and_then_token() -> None:
    flat = MODELS["llama"]()
    torch.nn.init.zeros_(flat.lm_head.weight)  # every token has probability 1 / V
    docids = [[8, END], [9, 4, END], [3, END], [9, 3, END], [5, END]]
    (ranking,) = beam_search(flat, [[1, 4]], build(docids), 5, 1, PAD)
    logv = torch.tensor(float(VOCABULARY)).log().item()
    assert_same(ranking, [(2, -2 * logv), (4, -2 * logv), (0, -2 * logv), (3, -3 * logv), (1, -3 * logv)])
    assert [document for document, _ in beam_search(flat, [[1, 4]], build(docids), 3, 1, PAD)[0]] == [2, 4, 0]
    wide = build([[token, END] for token in range(VOCABULARY - 1, 2, -1)])
    for ranking in beam_search(flat, some_prompts(40), wide, 6, 40, PAD):
        assert [VOCABULARY - 1 - document for document, _ in ranking] == [3, 4, 5, 6, 7, 8]


def test_nothing_to_rank_and_progress(llama: PreTrainedModel) -> None:
    assert beam_search(llama, [], build(DOCIDS), 4, 2, PAD) == []
    counts: list[int] = []
    beam_search(llama, PROMPTS, build(DOCIDS), 4, 3, PAD, progress=counts.append)
    assert counts == [3, 6, 7]


def test_dropout_is_off() -> None:
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**SIZES, attention_dropout=0.5)).train()
    first, second = (beam_search(model, PROMPTS, build(DOCIDS), 4, 3, PAD) for _ in range(2))
    assert first == second
