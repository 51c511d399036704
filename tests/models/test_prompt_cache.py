"""What is asked of a model before a search: its head and whether it takes trees."""

import pytest
import torch
from decoding.small import DOCIDS, MODELS, PROMPTS, SIZES, TREES, small
from transformers import LlamaConfig, LlamaForCausalLM

from arrange.decoding.beam import beam_search
from arrange.docids.trie import build
from arrange.models.head import head_of
from arrange.models.prompt_cache import CachedContext, PlainContext, open_context
from arrange.models.ranker import with_lora, without_adapters


@pytest.mark.parametrize("name", MODELS)
def test_the_head_is_cut_off_and_trees_are_used_where_they_give_the_same(name: str) -> None:
    head, context = head_of(small(name)), open_context(small(name), PROMPTS)
    assert (head.weight_CH is None) == (name == "cohere")  # it scales its logits
    assert type(context) is (PlainContext if name == "bloom" else CachedContext)
    assert name in TREES or name in ("cohere", "bloom")


def test_adapters_around_the_output_layer_are_seen_after_a_search_without_them() -> None:
    """Training new tokens of a tied model wraps its output layer; loading the model has searched it already."""
    torch.manual_seed(3)
    model, trie = LlamaForCausalLM(LlamaConfig(**SIZES, tie_word_embeddings=True)).eval(), build(DOCIDS)
    before = beam_search(model, PROMPTS, trie, beams=3, batch_size=9)
    adapted = with_lora(model, {"r": 2, "target_modules": "all-linear"}, 1, new=[5])
    within = beam_search(without_adapters(adapted), PROMPTS, trie, beams=3, batch_size=9)  # B is 0: nothing changes
    assert type(model.get_output_embeddings()) is not torch.nn.Linear
    for one, other in zip(before, within, strict=True):
        assert other.documents_K.tolist() == one.documents_K.tolist()


def test_a_model_that_changes_after_a_search_is_seen_as_it_is() -> None:
    torch.manual_seed(3)
    model, trie = LlamaForCausalLM(LlamaConfig(**SIZES)), build(DOCIDS)
    before = beam_search(model, PROMPTS, trie, beams=3, batch_size=9)
    finer = beam_search(model.double(), PROMPTS, trie, beams=3, batch_size=9)
    for one, other in zip(before, finer, strict=True):
        assert other.documents_K.tolist() == one.documents_K.tolist()
        assert other.sums_K == pytest.approx(one.sums_K, abs=1e-4)
    torch.nn.init.zeros_(model.lm_head.weight)
    flat = beam_search(model, PROMPTS, trie, beams=3, batch_size=9)
    assert flat[0].means_K == pytest.approx([-torch.tensor(24.0).log().item()] * 3)
