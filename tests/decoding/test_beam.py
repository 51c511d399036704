"""Beam search against its definition in plain passes, and against every docID scored alone."""

import numpy as np
import pytest
import torch
from decoding.small import (
    DOCIDS,
    END,
    MODELS,
    PROMPTS,
    SIZES,
    TREES,
    VOCABULARY,
    beam_by_definition,
    catalogue,
    small,
    some_prompts,
    true_sums,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM

from arrange.decoding.beam import _top, beam_search
from arrange.decoding.top_documents import TopDocuments
from arrange.docids.trie import build
from arrange.errors import UserError

NORMALISERS = ["vocabulary", "docid_tokens", "children"]
TRIE = build(DOCIDS)


def assert_same(found: TopDocuments, wanted: list[tuple[int, float]], tolerance: float = 1e-4) -> None:
    assert found.documents_K.tolist() == [document for document, _ in wanted]
    assert found.sums_K == pytest.approx([total for _, total in wanted], abs=tolerance)


@pytest.mark.parametrize("normaliser", NORMALISERS)
@pytest.mark.parametrize("name", MODELS)
def test_a_beam_as_wide_as_the_catalogue_ranks_it_all_exactly(name: str, normaliser: str) -> None:
    prompts = PROMPTS[:3]
    found = beam_search(small(name), prompts, TRIE, beams=len(DOCIDS), batch_size=2, normaliser=normaliser)
    for prompt, ranking in zip(prompts, found, strict=True):
        sums = true_sums(small(name), prompt, DOCIDS, normaliser)
        assert_same(ranking, sorted(enumerate(sums), key=lambda entry: -entry[1]))
        means = [sums[document] / len(DOCIDS[document]) for document in ranking.documents_K]
        assert ranking.means_K == pytest.approx(means, abs=1e-4)
        assert ranking.outside == pytest.approx(1 - np.exp(sums).sum(), abs=1e-5)


@pytest.mark.parametrize("normaliser", NORMALISERS)
@pytest.mark.parametrize("beams", [1, 2, 6, 17])
def test_a_narrow_beam_follows_the_definition(beams: int, normaliser: str) -> None:
    for name in TREES:
        found = beam_search(small(name), PROMPTS, TRIE, beams=beams, batch_size=5, normaliser=normaliser)
        for prompt, ranking in zip(PROMPTS, found, strict=True):
            assert_same(ranking, beam_by_definition(small(name), prompt, DOCIDS, beams, normaliser))


@pytest.mark.parametrize("normaliser", NORMALISERS)
def test_batches_and_padding_change_nothing(normaliser: str) -> None:
    for name in TREES:
        alone, pairs, together = (
            beam_search(small(name), PROMPTS, TRIE, beams=5, batch_size=size, normaliser=normaliser)
            for size in (1, 2, 99)
        )
        for one, two, all_ in zip(alone, pairs, together, strict=True):
            for other in (two, all_):
                assert_same(other, one.pairs(), tolerance=1e-5)
                assert other.outside == pytest.approx(one.outside, abs=1e-5)


def test_what_is_outside_the_catalogue_is_a_bound_from_below() -> None:
    for prompt, ranking in zip(PROMPTS, beam_search(small("llama"), PROMPTS, TRIE, beams=2, batch_size=5), strict=True):
        inside = np.exp(true_sums(small("llama"), prompt, DOCIDS, "vocabulary")).sum()
        root = 1 - sum(np.exp(true_sums(small("llama"), prompt, [[token] for token in range(3, 9)], "vocabulary")))
        assert root - 1e-5 <= ranking.outside <= 1 - inside + 1e-5


def test_fewer_documents_than_beams_give_fewer_results() -> None:
    few = build([[5, END], [5, 6, END], [7, END]])
    found = beam_search(small("llama"), PROMPTS, few, beams=20, batch_size=3)
    assert [sorted(ranking.documents_K.tolist()) for ranking in found] == [[0, 1, 2]] * len(PROMPTS)
    for single in ([[END]], [[5, 6, 7, END]]):
        found = beam_search(small("llama"), PROMPTS, build(single), beams=2, batch_size=3)
        assert [ranking.documents_K.tolist() for ranking in found] == [[0]] * len(PROMPTS)


def test_equal_scores_are_ordered_by_length_and_then_token() -> None:
    flat = LlamaForCausalLM(LlamaConfig(**SIZES))
    torch.nn.init.zeros_(flat.lm_head.weight)  # every token has probability 1 / V
    docids = [[8, END], [9, 4, END], [3, END], [9, 3, END], [5, END]]
    (ranking,) = beam_search(flat, [[1, 4]], build(docids), beams=5, batch_size=1)
    logv = np.log(VOCABULARY)
    assert_same(ranking, [(2, -2 * logv), (4, -2 * logv), (0, -2 * logv), (3, -3 * logv), (1, -3 * logv)])
    wide = build([[token, END] for token in range(VOCABULARY - 1, 2, -1)])
    for ranking in beam_search(flat, some_prompts(40), wide, beams=6, batch_size=40):
        assert [VOCABULARY - 1 - document for document in ranking.documents_K] == [3, 4, 5, 6, 7, 8]


def test_tails_in_several_passes_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    docids = catalogue(40, lengths=(6, 7), seed=3)
    whole = beam_search(small("mistral"), PROMPTS, build(docids), beams=7, batch_size=5)
    monkeypatch.setattr("arrange.decoding.beam.PACKED", 1)
    for one, other in zip(
        whole, beam_search(small("mistral"), PROMPTS, build(docids), beams=7, batch_size=5), strict=True
    ):
        assert_same(other, one.pairs(), tolerance=1e-5)


@pytest.mark.parametrize("normaliser", NORMALISERS)
def test_a_device_that_is_not_waited_for_gives_the_same(normaliser: str, monkeypatch: pytest.MonkeyPatch) -> None:
    on_host = beam_search(small("gemma2"), PROMPTS, TRIE, beams=7, batch_size=5, normaliser=normaliser)
    monkeypatch.setattr("arrange.decoding.beam._on_host", lambda tensor: False)
    off_host = beam_search(small("gemma2"), PROMPTS, TRIE, beams=7, batch_size=5, normaliser=normaliser)
    for one, other in zip(on_host, off_host, strict=True):
        assert_same(other, one.pairs(), tolerance=1e-5)
        assert other.outside == pytest.approx(one.outside, abs=1e-5)


def test_many_candidates_are_selected_in_the_order_in_which_few_are_sorted(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = torch.tensor(
        [[-1.0, -2.0, -1.0, -torch.inf, 0.0, -0.0, -2.0], [3.0, -0.5, -torch.inf, 3.0, 1e-30, 0.0, 2.0]]
    )
    wanted = [[4, 5, 0, 2, 1, 6, 3], [0, 3, 6, 4, 5, 1, 2]]
    for count in (1, 4, 7, 9):
        few = _top(scores, count).tolist()
        with monkeypatch.context() as patch:
            patch.setattr("arrange.decoding.beam.SORTED", 0)
            assert _top(scores, count).tolist() == few == [order[:count] for order in wanted]


def test_blocks_of_logits_and_single_rows_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    for normaliser in NORMALISERS:
        whole = beam_search(small("gemma2"), PROMPTS, TRIE, beams=7, batch_size=5, normaliser=normaliser)
        with monkeypatch.context() as patch:
            patch.setattr("arrange.decoding.scoring.LOGITS", 50)
            patch.setattr("arrange.decoding.scoring.COPY_COST", 0)
            patch.setattr("arrange.models.head.GATHERED", 50)
            parts = beam_search(small("gemma2"), PROMPTS, TRIE, beams=7, batch_size=5, normaliser=normaliser)
        for one, other in zip(whole, parts, strict=True):
            assert_same(other, one.pairs(), tolerance=1e-5)


DOCID_SETS = st.sets(st.lists(st.integers(3, 7), max_size=4).map(tuple), min_size=1, max_size=12)


@settings(max_examples=25, deadline=None)
@given(bodies=DOCID_SETS, beams=st.integers(1, 14), seed=st.randoms(), normaliser=st.sampled_from(NORMALISERS))
def test_results_are_legal_distinct_and_the_same_in_any_order_of_documents(bodies, beams, seed, normaliser) -> None:
    docids = [[*body, END] for body in sorted(bodies)]
    shuffled = seed.sample(docids, len(docids))
    runs = [
        beam_search(small("llama"), PROMPTS[:2], build(ids), beams=beams, batch_size=2, normaliser=normaliser)
        for ids in (docids, shuffled)
    ]
    for one, other in zip(*runs, strict=True):
        assert [docids[document] for document in one.documents_K] == [shuffled[d] for d in other.documents_K]
        assert one.sums_K.tolist() == other.sums_K.tolist()
        assert len(set(one.documents_K)) == len(one.documents_K) <= min(beams, len(docids))
        assert (np.diff(one.sums_K) <= 0).all()
        assert beams < len(docids) or len(one.documents_K) == len(docids)


def test_nothing_to_rank_and_progress() -> None:
    assert beam_search(small("llama"), [], TRIE, beams=4, batch_size=2) == []
    counts: list[int] = []
    beam_search(small("llama"), PROMPTS, TRIE, beams=4, batch_size=2, progress=counts.append)
    assert counts == [2, 4, 5]


def test_dropout_is_off() -> None:
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**SIZES, attention_dropout=0.5)).train()
    first, second = (beam_search(model, PROMPTS, TRIE, beams=4, batch_size=3) for _ in range(2))
    assert [ranking.pairs() for ranking in first] == [ranking.pairs() for ranking in second]


@pytest.mark.parametrize(
    ("prompts", "beams", "normaliser", "docids", "what"),
    [
        (PROMPTS, 0, "vocabulary", DOCIDS, "0 documents"),
        ([[1], []], 2, "vocabulary", DOCIDS, "prompt 1 is empty"),
        (PROMPTS, 2, "softmax", DOCIDS, "softmax"),
        (PROMPTS, 2, "vocabulary", [[VOCABULARY, END]], f"token {VOCABULARY}"),
    ],
)
def test_mistakes_are_named(prompts, beams, normaliser, docids, what) -> None:
    with pytest.raises(UserError, match=what):
        beam_search(small("llama"), prompts, build(docids), beams=beams, batch_size=2, normaliser=normaliser)
