"""The audit of a search: its numbers are those of definitions, docID by docID."""

import math

import pytest
from decoding.small import DOCIDS, END, PAD, PROMPTS, small, true_sums

from arrange.decoding.audit import audit
from arrange.docids import trie

HOW = {"batch_size": 2, "normaliser": "vocabulary", "end_token_id": END, "pad_token_id": PAD}


def test_a_beam_as_wide_as_the_catalogue_misses_nothing_and_knows_the_mass_outside():
    model = small("llama")
    found = audit(model, PROMPTS, trie.build(DOCIDS), beams=len(DOCIDS), **HOW)
    outside = [1 - sum(map(math.exp, true_sums(model, prompt, DOCIDS, "vocabulary"))) for prompt in PROMPTS]
    assert found["queries"] == len(PROMPTS)
    assert (found["beam_recall"], found["proven"]) == (1, 1)
    assert found["outside"] == pytest.approx(sum(outside) / len(outside), abs=1e-5)


def test_a_narrow_beam_misses_some_and_an_unconstrained_one_says_what_is_no_docid():
    found = audit(small("llama"), PROMPTS, trie.build(DOCIDS[:10]), beams=3, **HOW)
    assert 0 < found["beam_recall"] <= 1
    assert found["proven"] == 1
    assert 0 < found["invalid_share"] <= 1
    assert 0 < found["invalid_mass"] < 1
