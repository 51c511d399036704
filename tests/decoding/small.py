"""Small random models and catalogues, and the definition of every score: docID by docID, in plain passes."""

import random
from collections.abc import Callable, Sequence
from functools import cache

import torch
from transformers import (
    BloomConfig,
    BloomForCausalLM,
    CohereConfig,
    CohereForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
)

PAD, END, VOCABULARY = 0, 2, 24
IDS = {"eos_token_id": END, "pad_token_id": PAD, "bos_token_id": 1}
SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.3,  # far apart scores
    **IDS,
}
SMALL = {"vocab_size": VOCABULARY, "n_layer": 2, "n_head": 4, "initializer_range": 0.3, **IDS}
GEMMA = {"head_dim": 8, "final_logit_softcapping": 2.0, "query_pre_attn_scalar": 8}
MODELS: dict[str, Callable[[], PreTrainedModel]] = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES)),
    "mistral": lambda: MistralForCausalLM(MistralConfig(**SIZES, sliding_window=4)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SIZES)),
    "gemma2": lambda: Gemma2ForCausalLM(Gemma2Config(**SIZES, **GEMMA, sliding_window=4)),
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(**SMALL, n_embd=16)),
    "cohere": lambda: CohereForCausalLM(CohereConfig(**SIZES, logit_scale=0.5)),  # a scale after its output layer
    "bloom": lambda: BloomForCausalLM(BloomConfig(**SMALL, hidden_size=16)),  # distances instead of positions
}
TREES = ["llama", "mistral", "qwen2", "gemma2", "gpt2"]
Docids = Sequence[Sequence[int]]


@cache
def small(name: str) -> PreTrainedModel:
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return MODELS[name]().eval()


def catalogue(size: int, lengths: Sequence[int], seed: int) -> list[list[int]]:
    """Different docIDs with `lengths` tokens before the end token, in no order."""
    rng, docids = random.Random(seed), set()
    while len(docids) < size:
        docids.add(tuple(rng.randrange(3, 9) for _ in range(rng.choice(lengths))))
    return [[*tokens, END] for tokens in rng.sample(sorted(docids), size)]


def some_prompts(count: int, seed: int = 1) -> list[list[int]]:
    """Prompts of 1 to 9 tokens."""
    rng = random.Random(seed)
    return [[1, *(rng.randrange(3, VOCABULARY) for _ in range(rng.randrange(9)))] for _ in range(count)]


DOCIDS = catalogue(50, lengths=(1, 2, 2, 3, 5), seed=0)
PROMPTS = some_prompts(5)


@torch.no_grad()
def logits(model: PreTrainedModel, tokens: list[int]) -> torch.Tensor:
    return model(torch.tensor([tokens])).logits[0].double()


def legal(docids: Docids, prefix: Sequence[int]) -> list[int]:
    """The next tokens of docIDs that begin so, rising."""
    depth = len(prefix)
    return sorted({ids[depth] for ids in docids if len(ids) > depth and list(ids[:depth]) == list(prefix)})


def step_scores(
    logits_V: torch.Tensor, docids: Docids, prefix: Sequence[int], normaliser: str, temperature: float = 1.0
) -> torch.Tensor:
    """log p of every token after a prefix, by the definition of the normaliser."""
    logits_V = logits_V / temperature
    tokens = {
        "vocabulary": range(VOCABULARY),
        "docid_tokens": sorted({token for ids in docids for token in ids}),
        "children": legal(docids, prefix),
    }[normaliser]
    return logits_V - logits_V[list(tokens)].logsumexp(0)


def true_sums(
    model: PreTrainedModel, prompt: list[int], docids: Docids, normaliser: str, temperature: float = 1.0
) -> list[float]:
    """The summed log-probability of each docID."""
    sums, how = [], (normaliser, temperature)
    for ids in docids:
        logits_TV = logits(model, [*prompt, *ids[:-1]])[len(prompt) - 1 :]
        steps = [step_scores(logits_TV[step], docids, ids[:step], *how)[ids[step]] for step in range(len(ids))]
        sums.append(float(sum(steps)))
    return sums


def beam_by_definition(
    model: PreTrainedModel, prompt: list[int], docids: Docids, beams: int, normaliser: str
) -> list[tuple[int, float]]:
    """Beam search, prefix by prefix: the rule at the top of arrange/decoding/beam.py."""
    growing: list[tuple[list[int], float]] = [([], 0.0)]
    done: list[tuple[list[int], float]] = []
    while growing:
        candidates = []
        for prefix, total in growing:
            scores_V = step_scores(logits(model, [*prompt, *prefix])[-1], docids, prefix, normaliser)
            candidates += [([*prefix, token], total + scores_V[token].item()) for token in legal(docids, prefix)]
        candidates.sort(key=lambda entry: -entry[1])
        done += [entry for entry in candidates[:beams] if entry[0] in docids]
        growing = [entry for entry in candidates if entry[0] not in docids][:beams]
    done.sort(key=lambda entry: -entry[1])
    return [(docids.index(prefix), total) for prefix, total in done[:beams]]
