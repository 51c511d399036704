"""Searches over a part of the catalogue give what a trie of that part alone gives."""

import pytest
from decoding.small import DOCIDS, PROMPTS, small, true_sums
from hypothesis import given, settings
from hypothesis import strategies as st

from arrange.decoding.beam import beam_search
from arrange.decoding.exact import best_first
from arrange.decoding.full import score_all
from arrange.docids.subsets import subsets
from arrange.docids.trie import build
from arrange.errors import UserError

TRIE = build(DOCIDS)
ROWS = st.lists(st.integers(0, len(DOCIDS) - 1), unique=True, max_size=20)


@settings(max_examples=15, deadline=None)
@given(
    allowed=st.tuples(ROWS, ROWS, ROWS), beams=st.integers(1, 9), normaliser=st.sampled_from(["vocabulary", "children"])
)
def test_a_part_is_a_catalogue_of_its_own(allowed, beams, normaliser) -> None:
    model, prompts, parts = small("llama"), PROMPTS[:3], subsets(TRIE, allowed)
    found = beam_search(model, prompts, TRIE, beams=beams, batch_size=2, normaliser=normaliser, subsets=parts)
    first = best_first(model, prompts, TRIE, k=beams, normaliser=normaliser, subsets=parts)
    full = score_all(model, prompts, TRIE, k=beams, batch_size=2, chunk=4, normaliser=normaliser, subsets=parts)
    for prompt, rows, beam, exact, all_ in zip(prompts, allowed, found, first, full, strict=True):
        if not rows:
            assert not len(beam.documents_K) + len(exact.top.documents_K) + len(all_.documents_K)
            continue
        docids = [DOCIDS[row] for row in rows]
        (alone,) = beam_search(model, [prompt], build(docids), beams=beams, batch_size=1, normaliser=normaliser)
        assert beam.documents_K.tolist() == [rows[document] for document in alone.documents_K]
        assert beam.sums_K == pytest.approx(alone.sums_K, abs=1e-4)
        assert beam.means_K == pytest.approx(alone.means_K, abs=1e-4)
        assert beam.outside == pytest.approx(alone.outside, abs=1e-4)
        sums = true_sums(model, prompt, docids, normaliser)
        order = sorted(range(len(rows)), key=lambda row: -sums[row])[:beams]
        assert exact.proven
        for ranking in (exact.top, all_):
            assert ranking.documents_K.tolist() == [rows[row] for row in order]
            assert ranking.sums_K == pytest.approx([sums[row] for row in order], abs=1e-4)


def test_docid_tokens_stay_those_of_the_whole_catalogue() -> None:
    rows = [3, 4, 30, 41]
    parts = subsets(TRIE, [rows] * len(PROMPTS))
    found = beam_search(small("gpt2"), PROMPTS, TRIE, beams=9, batch_size=9, normaliser="docid_tokens", subsets=parts)
    for prompt, ranking in zip(PROMPTS, found, strict=True):
        sums = true_sums(small("gpt2"), prompt, DOCIDS, "docid_tokens")
        assert ranking.documents_K.tolist() == sorted(rows, key=lambda row: -sums[row])


def test_a_query_without_a_set_is_refused() -> None:
    model, parts = small("llama"), subsets(TRIE, [[0]])
    with pytest.raises(UserError, match="3 queries, and sets for 1"):
        beam_search(model, PROMPTS[:3], TRIE, beams=2, batch_size=2, subsets=parts)
    with pytest.raises(UserError, match="3 queries, and sets for 1"):
        best_first(model, PROMPTS[:3], TRIE, k=2, subsets=parts)
    with pytest.raises(UserError, match="3 queries, and sets for 1"):
        score_all(model, PROMPTS[:3], TRIE, k=2, batch_size=2, subsets=parts)
