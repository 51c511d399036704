import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from arrange.docids.subsets import Subsets, subset, subsets
from arrange.docids.trie import Trie, build
from arrange.errors import UserError

END = 0
# DocIDs, and a few sets of their documents (some of which may be empty).
catalogues = st.lists(
    st.lists(st.integers(1, 3), max_size=5).map(lambda tokens: [*tokens, END]), min_size=1, max_size=20, unique_by=tuple
)
with_sets = catalogues.flatmap(
    lambda docids: st.tuples(
        st.just(docids), st.lists(st.lists(st.integers(0, len(docids) - 1)), min_size=1, max_size=5)
    )
)
BY_HAND = [[7, 8, END], [7, END], [9, END], [7, 8, 5, END]]


def legal_walks(trie: Trie, allowed: Subsets | None, query: int, node: int = 0) -> dict | int:
    """What can be spelled, as a dict of dicts; under the last token, the document."""
    if trie.is_leaf([node]).item():
        return trie.documents([node]).item()
    children = torch.from_numpy(trie.children([node])[1])
    if allowed is not None:
        children = children[allowed.allowed(children, torch.full_like(children, query))]
    return {int(trie.token_N[child]): legal_walks(trie, allowed, query, child) for child in children.tolist()}


def renumbered(walks: dict | int, documents: list[int]) -> dict | int:
    if isinstance(walks, int):
        return documents[walks]
    return {token: renumbered(below, documents) for token, below in walks.items()}


@given(with_sets)
def test_a_sub_trie_is_the_trie_of_the_subset(case: tuple[list[list[int]], list[list[int]]]) -> None:
    docids, sets = case
    trie = build(docids)
    together = subsets(trie, sets)
    for query, chosen in enumerate(sets):
        documents = sorted(set(chosen))
        expected = {}
        if documents:
            expected = renumbered(legal_walks(build([docids[d] for d in documents]), None, 0), documents)
        assert legal_walks(trie, together, query) == expected
        assert legal_walks(trie, subset(trie, chosen), query) == expected


@given(with_sets)
def test_every_node_of_every_query_at_once(case: tuple[list[list[int]], list[list[int]]]) -> None:
    docids, sets = case
    trie = build(docids)
    nodes = {tuple(ids[:n]): trie.walk(ids[:n]) for ids in docids for n in range(len(ids) + 1)}
    expected = [
        [any(tuple(docids[document][: len(prefix)]) == prefix for document in chosen) for prefix in nodes]
        for chosen in sets
    ]
    node_N, query_Q = torch.tensor(list(nodes.values())), torch.arange(len(sets))
    node_QN, query_QN = node_N.expand(len(sets), -1), query_Q[:, None].expand(-1, len(nodes))
    assert subsets(trie, sets).allowed(node_QN, query_QN).tolist() == expected


def test_queries_share_sets() -> None:
    trie = build(BY_HAND)
    seven, nine = trie.walk([7]), trie.walk([9])
    three = subsets(trie, [[2], [0, 3]], set_of_query=[1, 0, 1])
    node, query = torch.tensor([seven, nine] * 3), torch.tensor([0, 0, 1, 1, 2, 2])
    assert three.allowed(node, query).tolist() == [True, False, False, True, True, False]


def test_thousands_of_queries_agree_with_python_sets() -> None:
    random = np.random.default_rng(0)
    docids = [[*row, END] for row in np.unique(random.integers(1, 12, (3000, 4)), axis=0).tolist()]
    trie = build(docids)
    sets = [random.choice(len(docids), random.integers(0, 20), replace=False) for _ in range(2000)]
    node = torch.from_numpy(random.integers(0, len(trie.token_N), 4000))
    query = torch.from_numpy(random.integers(0, len(sets), 4000))
    below = [trie.document_D[f:e] for f, e in zip(trie.first_place(node), trie.end_place(node), strict=True)]
    expected = [bool(set(sets[q]) & set(d)) for q, d in zip(query.tolist(), below, strict=True)]
    assert subsets(trie, sets).allowed(node, query).tolist() == expected
    assert 0 < sum(expected) < 4000


@pytest.mark.parametrize(
    ("sets", "set_of_query", "message"),
    [
        ([[0], [4]], None, "set 1: document 4 of a trie of 4"),
        ([[-1]], None, "set 0: document -1"),
        ([[0]], [0, 1], "query 1: set 1 of 1"),
    ],
)
def test_unknown_documents_and_sets_are_refused(sets, set_of_query, message: str) -> None:
    with pytest.raises(UserError, match=message):
        subsets(build(BY_HAND), sets, set_of_query)
