from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from arrange.docids.trie import NAMES, Trie, build, load
from arrange.errors import UserError

END = 0
# Few tokens and short docIDs: many share prefixes, and many begin one another (before the end token).
catalogues = st.lists(
    st.lists(st.integers(1, 4), max_size=5).map(lambda tokens: [*tokens, END]),
    min_size=1,
    max_size=30,
    unique_by=tuple,
)
BY_HAND = [[7, 8, END], [7, END], [9, END], [7, 8, 5, END]]


def oracle(docids: list[list[int]]) -> dict:
    """The trie as a dict of dicts; under the last token, the document."""
    root: dict = {}
    for document, tokens in enumerate(docids):
        node = root
        for token in tokens[:-1]:
            node = node.setdefault(token, {})
        node[tokens[-1]] = document
    return root


def as_dict(trie: Trie, node: int = 0) -> dict | int:
    """The arrays read back into the oracle's form, children in the order of the arrays."""
    if trie.document_N[node] >= 0:
        assert trie.first_child_N1[node] == trie.first_child_N1[node + 1]
        return int(trie.document_N[node])
    children = range(trie.first_child_N1[node], trie.first_child_N1[node + 1])
    return {int(trie.token_N[child]): as_dict(trie, child) for child in children}


def arrays(trie: Trie) -> list[list[int]]:
    return [getattr(trie, name).tolist() for name in NAMES]


def test_arrays_by_hand() -> None:
    trie = build(BY_HAND)
    # depth:                  0   1     2        3     4
    assert trie.token_N.tolist() == [-1, 7, 9, END, 8, END, END, 5, END]
    assert trie.first_child_N1.tolist() == [1, 3, 5, 6, 6, 8, 8, 8, 9, 9]
    assert trie.document_N.tolist() == [-1, -1, -1, 1, -1, 2, 0, -1, 3]
    assert all(getattr(trie, name).dtype == np.int32 for name in NAMES)


def test_description_by_hand() -> None:
    assert build(BY_HAND).describe() == {
        "documents": 4,
        "nodes": 9,
        "mean_depth": (3 + 2 + 2 + 4) / 4,
        "max_depth": 4,
        "root_branching": 2,
        "mean_branching": 8 / 5,  # inner nodes: the root, 7, 9, 7 8, 7 8 5
        "max_branching": 2,
        "single_child_share": 2 / 5,
        "bytes": 4 * (9 + 10 + 9),
        "branching_by_depth": [2.0, 1.5, 2.0, 1.0],
    }


@given(catalogues)
def test_the_trie_is_the_oracles(docids: list[list[int]]) -> None:
    assert as_dict(build(docids)) == oracle(docids)


@given(catalogues)
def test_nodes_are_breadth_first_and_children_sorted(docids: list[list[int]]) -> None:
    trie = build(docids)
    prefixes = sorted({tuple(ids[:n]) for ids in docids for n in range(len(ids) + 1)}, key=lambda p: (len(p), p))
    assert [trie.walk(prefix) for prefix in prefixes] == list(range(len(trie.token_N)))


@given(catalogues, st.lists(st.integers(0, 5), max_size=6))
def test_walk_finds_prefixes_and_nothing_else(docids: list[list[int]], tokens: list[int]) -> None:
    known = any(ids[: len(tokens)] == tokens for ids in docids)
    assert (build(docids).walk(tokens) >= 0) == known


@given(catalogues, st.randoms(use_true_random=False))
def test_the_order_of_the_documents_changes_their_numbers_alone(docids: list[list[int]], random) -> None:
    order = list(range(len(docids)))
    random.shuffle(order)
    trie, shuffled = build(docids), build([docids[document] for document in order])
    assert arrays(trie)[:2] == arrays(shuffled)[:2]
    renumbered = [order[document] if document >= 0 else -1 for document in shuffled.document_N.tolist()]
    assert renumbered == trie.document_N.tolist()


@given(catalogues)
def test_description_counts_what_the_oracle_holds(docids: list[list[int]]) -> None:
    numbers = build(docids).describe()
    prefixes = {tuple(ids[:n]) for ids in docids for n in range(len(ids) + 1)}
    assert (numbers["documents"], numbers["nodes"]) == (len(docids), len(prefixes))
    assert numbers["max_depth"] == max(map(len, docids)) == len(numbers["branching_by_depth"])
    assert numbers["mean_depth"] == pytest.approx(sum(map(len, docids)) / len(docids))
    inner = len(prefixes) - len(docids)
    assert numbers["mean_branching"] == pytest.approx((len(prefixes) - 1) / inner)


@given(docids=catalogues)
def test_saved_and_loaded_is_the_same_and_so_are_the_bytes(tmp_path_factory, docids: list[list[int]]) -> None:
    folder = tmp_path_factory.mktemp("trie")
    trie = build(docids)
    trie.save(folder / "a")
    loaded = load(folder / "a")
    assert arrays(loaded) == arrays(trie)
    loaded.save(folder / "b")
    assert (folder / "a").read_bytes() == (folder / "b").read_bytes()


@pytest.mark.parametrize(
    ("docids", "message"),
    [
        ([], "no docIDs"),
        ([[1, 0], [], [2, 0]], "row 1: no tokens"),
        ([[1, 0], [2, -1, 0]], "row 1: -1 is no token"),
        ([[2**31, 0], [1, 0]], f"row 0: {2**31} is no token"),
        ([[3, 0], [1, 2, 0], [4, 0], [1, 2, 0]], "rows 1 and 3: the two are equal"),
        ([[3, 0]] * 2, "rows 0 and 1: the two are equal"),
        ([[3, 5, 1], [9], [3, 5]], "rows 0 and 2: one begins the other"),
    ],
)
def test_docids_that_make_no_trie_are_refused_by_row(docids: list[list[int]], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(docids)


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b[:20], lambda b: b"", lambda b: b[:-1] + b"\x7f"])
def test_a_damaged_file_is_refused(tmp_path: Path, damage) -> None:
    path = tmp_path / "trie.safetensors"
    build(BY_HAND).save(path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=r"trie\.safetensors"):
        load(path)


def test_foreign_missing_and_newer_files_are_refused(tmp_path: Path) -> None:
    foreign, newer = tmp_path / "model.safetensors", tmp_path / "newer"
    save_file({"weight": np.zeros(3)}, foreign)
    save_file({}, newer, {"trie": '{"format": "arrange.trie", "version": 2}'})
    for path, message in [
        (foreign, "is not a trie"),
        (newer, "version 2, not 1"),
        (tmp_path / "none", "cannot be read"),
        (tmp_path, "cannot be read"),
    ]:
        with pytest.raises(UserError, match=message):
            load(path)


def test_a_hundred_thousand_docids_agree_with_walks() -> None:
    rng = np.random.default_rng(0)
    tokens_DL = np.unique(rng.integers(1, 500, (100_000, 4)), axis=0)
    docids = [[*ids, END] for ids in tokens_DL.tolist()]
    trie = build(docids)
    for document in rng.integers(0, len(docids), 300).tolist():
        assert trie.document_N[trie.walk(docids[document])] == document
    assert trie.describe()["documents"] == len(docids)
