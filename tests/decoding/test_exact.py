"""Best-first search and full scoring against every docID scored alone, and what beam search misses."""

from typing import Any

import numpy as np
import pytest
from decoding.small import DOCIDS, MODELS, PROMPTS, catalogue, small, true_sums

from arrange.decoding.beam import beam_search
from arrange.decoding.exact import best_first
from arrange.decoding.full import score_all
from arrange.decoding.top_documents import TopDocuments, beam_recall
from arrange.docids.trie import build
from arrange.errors import UserError

NORMALISERS = ["vocabulary", "docid_tokens", "children"]
TRIE = build(DOCIDS)


def assert_best(ranking: TopDocuments, sums: list[float], docids: list[list[int]]) -> None:
    """The ranking is the true top of the catalogue."""
    order = sorted(range(len(sums)), key=lambda document: -sums[document])[: len(ranking.documents_K)]
    assert ranking.documents_K.tolist() == order
    assert ranking.sums_K == pytest.approx([sums[document] for document in order], abs=1e-4)
    assert ranking.means_K == pytest.approx([sums[document] / len(docids[document]) for document in order], abs=1e-4)


@pytest.mark.parametrize("normaliser", NORMALISERS)
@pytest.mark.parametrize("name", MODELS)
def test_both_find_the_true_top(name: str, normaliser: str) -> None:
    prompts = PROMPTS[:3]
    wanted = [true_sums(small(name), prompt, DOCIDS, normaliser) for prompt in prompts]
    full = score_all(small(name), prompts, TRIE, k=60, batch_size=2, chunk=7, normaliser=normaliser)
    first = best_first(small(name), prompts, TRIE, k=9, at_once=4, normaliser=normaliser)
    for sums, ranking, exact in zip(wanted, full, first, strict=True):
        assert_best(ranking, sums, DOCIDS)
        assert_best(exact.top, sums, DOCIDS)
        assert len(ranking.documents_K) == len(DOCIDS)
        assert len(exact.top.documents_K) == 9
        assert exact.proven
        outside = 1 - np.exp(sums).sum()
        assert ranking.outside == pytest.approx(outside, abs=1e-5)
        assert exact.top.outside <= outside + 1e-5


@pytest.mark.parametrize("name", MODELS)
def test_children_have_the_temperature_of_the_models_configuration(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, prompts = small(name), PROMPTS[:3]
    monkeypatch.setattr(model.config, "children_temperature", 3.0, raising=False)
    how: Any = {"k": 50, "normaliser": "children"}
    full, first = score_all(model, prompts, TRIE, batch_size=2, chunk=7, **how), best_first(model, prompts, TRIE, **how)
    beam = beam_search(model, prompts, TRIE, beams=50, batch_size=2, normaliser="children")
    for prompt, *rankings in zip(prompts, full, [exact.top for exact in first], beam, strict=True):
        sums = true_sums(model, prompt, DOCIDS, "children", temperature=3.0)
        for ranking in rankings:
            assert_best(ranking, sums, DOCIDS)
    (cold,) = score_all(model, prompts[:1], TRIE, k=50, batch_size=1, normaliser="docid_tokens")
    assert_best(cold, true_sums(model, prompts[0], DOCIDS, "docid_tokens"), DOCIDS)


@pytest.mark.parametrize("chunk", [1, 3, 128])
def test_chunks_change_nothing(chunk: int) -> None:
    docids = catalogue(40, lengths=(1, 3, 6), seed=3)
    for normaliser in NORMALISERS:
        for name in ("mistral", "gemma2"):
            found = score_all(
                small(name), PROMPTS[:2], build(docids), k=5, batch_size=8, chunk=chunk, normaliser=normaliser
            )
            for prompt, ranking in zip(PROMPTS, found, strict=False):
                assert_best(ranking, true_sums(small(name), prompt, docids, normaliser), docids)


def test_a_budget_that_ends_too_early_is_told() -> None:
    whole = best_first(small("llama"), PROMPTS, TRIE, k=5, at_once=1)
    cut = best_first(small("llama"), PROMPTS, TRIE, k=5, at_once=1, budget=6)
    assert [exact.expanded for exact in cut] == [6] * len(PROMPTS)
    assert not any(exact.proven for exact in cut)
    assert all(exact.proven and exact.expanded > 6 for exact in whole)
    enough = best_first(small("llama"), PROMPTS[:1], TRIE, k=5, at_once=1, budget=whole[0].expanded)
    assert enough[0].proven
    less = best_first(small("llama"), PROMPTS[:1], TRIE, k=5, at_once=1, budget=whole[0].expanded - 1)
    assert not less[0].proven


def test_only_prefixes_above_the_last_result_are_expanded_one_by_one() -> None:
    for prompt, exact in zip(PROMPTS, best_first(small("gpt2"), PROMPTS, TRIE, k=3, at_once=1), strict=True):
        prefixes = sorted({tuple(ids[:length]) for ids in DOCIDS for length in range(1, len(ids))})
        above = np.array(true_sums_of_prefixes(prompt, prefixes)) > exact.top.sums_K[-1]
        assert exact.expanded == 1 + above.sum()  # and the root


def true_sums_of_prefixes(prompt: list[int], prefixes: list[tuple[int, ...]]) -> list[float]:
    return true_sums(small("gpt2"), prompt, [list(prefix) for prefix in prefixes], "vocabulary")


def test_fewer_documents_than_asked_for_give_all_of_them() -> None:
    few = build([[5, 2], [5, 6, 2], [7, 2]])
    for exact in best_first(small("llama"), PROMPTS, few, k=10):
        assert exact.proven
        assert sorted(exact.top.documents_K.tolist()) == [0, 1, 2]
    for normaliser in NORMALISERS:
        (exact,) = best_first(small("llama"), PROMPTS[:1], build([[5, 6, 2]]), k=10, normaliser=normaliser)
        (ranking,) = score_all(
            small("llama"), PROMPTS[:1], build([[5, 6, 2]]), k=10, batch_size=1, normaliser=normaliser
        )
        assert_best(exact.top, true_sums(small("llama"), PROMPTS[0], [[5, 6, 2]], normaliser), [[5, 6, 2]])
        assert ranking.sums_K == pytest.approx(exact.top.sums_K, abs=1e-5)


def test_beam_recall_is_the_share_of_the_true_top() -> None:
    true = [
        TopDocuments(np.array(documents), np.zeros(4), np.zeros(4), 0.0) for documents in ([1, 2, 3, 4], [5, 6, 7, 8])
    ]
    found = [TopDocuments(np.array(documents), np.zeros(3), np.zeros(3), 0.0) for documents in ([3, 9, 1], [5, 6, 7])]
    assert beam_recall(found, true).tolist() == [0.5, 0.75]
    with pytest.raises(UserError, match="1 rankings against 2"):
        beam_recall(found[:1], true)


def test_a_wide_beam_misses_nothing_and_a_narrow_one_something() -> None:
    exact = score_all(small("llama"), PROMPTS, TRIE, k=5, batch_size=8)
    wide, narrow = (beam_search(small("llama"), PROMPTS, TRIE, beams=beams, batch_size=8) for beams in (50, 5))
    assert (
        beam_recall([TopDocuments(r.documents_K[:5], r.sums_K[:5], r.means_K[:5], 0) for r in wide], exact).min() == 1
    )
    assert beam_recall(narrow, exact).mean() < 1
