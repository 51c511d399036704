"""Search diagnostics against their definitions, docID by docID."""

import math
from itertools import product

import pytest
import torch
from decoding.small import DOCIDS, END, PAD, PROMPTS, SIZES, small, true_sums
from transformers import LlamaConfig, LlamaForCausalLM

from arrange.decoding.diagnostics import diagnose
from arrange.docids import trie

HOW = {"batch_size": 2, "normaliser": "vocabulary", "end_token_id": END, "pad_token_id": PAD}


def test_a_beam_as_wide_as_the_catalogue_misses_nothing_and_knows_the_mass_outside():
    model = small("llama")
    found = diagnose(model, PROMPTS, trie.build(DOCIDS), beams=len(DOCIDS), **HOW)
    outside = [1 - sum(map(math.exp, true_sums(model, prompt, DOCIDS, "vocabulary"))) for prompt in PROMPTS]
    assert found["queries"] == len(PROMPTS)
    assert (found["beam_recall"], found["proven"]) == (1, 1)
    assert found["outside"] == pytest.approx(sum(outside) / len(outside), abs=1e-5)


def test_a_narrow_beam_misses_some_and_an_unconstrained_one_says_what_is_no_docid():
    found = diagnose(small("llama"), PROMPTS, trie.build(DOCIDS[:10]), beams=3, **HOW)
    assert 0 < found["beam_recall"] <= 1
    assert found["proven"] == 1
    assert 0 < found["invalid_share"] <= 1
    assert 0 < found["invalid_mass"] < 1


def test_a_model_that_knows_nothing_finds_no_docid_within_the_budget_and_still_gets_diagnostics():
    model = LlamaForCausalLM(LlamaConfig(**SIZES))
    torch.nn.init.zeros_(model.lm_head.weight)  # all tokens alike: 9,724 prefixes are likelier than any docID
    docids = [[*tokens, 3, END] for tokens in product(range(3, 24), repeat=3)]
    found = diagnose(model, PROMPTS[:1], trie.build(docids), beams=2, **HOW)
    assert (found["beam_recall"], found["proven"]) == (None, 0)
    # 3 of 24 tokens begin no docID; then the two beams' prefixes, 24^-1 to 24^-4 each, lose 3, 3, 23 and 23 of theirs
    lost = 3 + 2 * (3 / 24 + 3 / 24**2 + 23 / 24**3 + 23 / 24**4)
    assert found["outside"] == pytest.approx(lost / 24, abs=1e-6)
