from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from arrange.docids.sorting import sort_docids
from arrange.docids.trie import NAMES, Trie, build, build_flat, load
from arrange.errors import UserError

END = 0
# Few tokens and short docIDs: many share prefixes, and many begin one another (before the end token).
catalogues = st.lists(
    st.lists(st.integers(1, 4), max_size=5).map(lambda tokens: [*tokens, END]),
    min_size=1,
    max_size=30,
    unique_by=tuple,
)
# Tokens of 31 bits: the sort takes two at a time, so that it needs several passes.
large = st.lists(
    st.lists(st.sampled_from([1, 2, 2**31 - 2, 2**31 - 1]), max_size=8).map(lambda tokens: [*tokens, END]),
    min_size=1,
    max_size=60,
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
    """The trie read back into the oracle's form, children in the order of the arrays."""
    children = trie.children([node])[1].tolist()
    if trie.is_leaf([node]).item():
        assert not children
        return trie.documents([node]).item()
    tokens = trie.token_N[children].tolist()
    assert tokens == sorted(tokens)
    return {token: as_dict(trie, child) for token, child in zip(tokens, children, strict=True)}


def arrays(trie: Trie) -> list:
    return [*(getattr(trie, name).tolist() for name in NAMES), trie.max_children_by_depth]


def flat(docids: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """All tokens one after the other, and where each docID begins."""
    return np.concatenate(docids), np.cumsum([0, *map(len, docids)])


def prefixes(docids: list[list[int]]) -> dict[tuple[int, ...], list[list[int]]]:
    """Every prefix, and the docIDs that begin with it."""
    found: dict = {}
    for ids in docids:
        for length in range(len(ids) + 1):
            found.setdefault(tuple(ids[:length]), []).append(ids)
    return found


def test_arrays_by_hand() -> None:
    trie = build(BY_HAND)
    # places: 7 END (document 1), 7 8 END (0), 7 8 5 END (3), 9 END (2)
    # the branching part by depth: 0 | 1     | 2       | 3       ; then the tails of 7 8 5 and of 9
    assert trie.token_N.tolist() == [0, 7, 9, END, 8, END, 5, END, END]
    assert trie.leaf_N.tolist() == [False, False, False, True, False, True, False, True, True]
    assert trie.first_child_M.tolist() == [1, 3, 8, 7, 5, 7, 7]
    assert trie.end_child_M.tolist() == [3, 5, 9, 7, 7, 7, 8]
    assert trie.first_place_M.tolist() == [0, 0, 3, 0, 1, 1, 2]
    assert trie.end_place_M.tolist() == [4, 3, 4, 1, 3, 2, 3]
    assert trie.tail_start_D.tolist() == [7, 7, 7, 8]
    assert trie.document_D.tolist() == [1, 0, 3, 2]
    assert trie.max_children_by_depth == (2, 2, 2, 1, 0)


def test_description_by_hand() -> None:
    size = 9 * (2 + 1) + 7 * 4 * 4 + 4 * (4 + 4)  # 9 nodes, 7 of the branching part, 4 documents
    assert build(BY_HAND).describe() == {
        "documents": 4,
        "nodes": 9,
        "mean_depth": (3 + 2 + 2 + 4) / 4,
        "max_depth": 4,
        "root_branching": 2,
        "mean_branching": 8 / 5,  # inner nodes: the root, 7, 9, 7 8, 7 8 5
        "max_branching": 2,
        "single_child_share": 2 / 5,
        "bytes": size,
        "bytes_per_docid": size / 4,
        "branching_by_depth": [2.0, 1.5, 2.0, 1.0],
        "depth_counts": [0, 0, 2, 1, 1],
    }


@given(st.one_of(catalogues, large))
def test_the_trie_is_the_oracles(docids: list[list[int]]) -> None:
    assert as_dict(build(docids)) == oracle(docids)


@given(st.one_of(catalogues, large))
def test_the_sort_is_pythons(docids: list[list[int]]) -> None:
    order, shared = sort_docids(*flat(docids))
    assert [docids[document] for document in order] == sorted(docids)
    for place in range(1, len(docids)):
        pair = zip(docids[order[place - 1]], docids[order[place]], strict=False)
        assert shared[place] == [a == b for a, b in pair].index(False)


@given(catalogues)
def test_the_branching_part_is_breadth_first_and_the_tails_follow(docids: list[list[int]]) -> None:
    below = prefixes(docids)
    branching = [p for p, ids in below.items() if not p or len(ids) > 1 or len(below[p[:-1]]) > 1 or len(p) == 1]
    tails = sorted(set(below) - set(branching))
    trie = build(docids)
    assert len(trie.first_child_M) == len(branching)
    in_order = sorted(branching, key=lambda prefix: (len(prefix), prefix)) + tails
    assert [trie.walk(prefix) for prefix in in_order] == list(range(len(trie.token_N)))


@given(catalogues)
def test_the_documents_below_a_node_are_its_places(docids: list[list[int]]) -> None:
    trie, in_order = build(docids), sorted(docids)
    for prefix, ids in prefixes(docids).items():
        node = [trie.walk(prefix)]
        assert in_order[trie.first_place(node).item() : trie.end_place(node).item()] == sorted(ids)


@given(catalogues, st.lists(st.integers(0, 5), max_size=6))
def test_walk_finds_prefixes_and_nothing_else(docids: list[list[int]], tokens: list[int]) -> None:
    known = any(ids[: len(tokens)] == tokens for ids in docids)
    assert (build(docids).walk(tokens) >= 0) == known


@given(catalogues, st.randoms(use_true_random=False))
def test_the_order_of_the_documents_changes_their_numbers_alone(docids: list[list[int]], random) -> None:
    order = list(range(len(docids)))
    random.shuffle(order)
    trie, shuffled = build(docids), build([docids[document] for document in order])
    renumbered = [order[document] for document in shuffled.document_D.tolist()]
    assert renumbered == trie.document_D.tolist()
    shuffled.document_D[:] = renumbered
    assert arrays(trie) == arrays(shuffled)


@given(catalogues)
def test_the_tensors_ask_for_the_same_children_padded_or_not(docids: list[list[int]]) -> None:
    trie = build(docids)
    there = trie.on("cpu")
    for depth, width in enumerate(trie.max_children_by_depth):
        node_R = torch.tensor([trie.walk(prefix) for prefix in prefixes(docids) if len(prefix) == depth])
        row_C, node_C = there.children(node_R)
        assert row_C.bincount(minlength=1).max() == width
        node_RW, legal_RW = there.children_padded(node_R, width)
        assert node_RW[legal_RW].tolist() == node_C.tolist()
        assert legal_RW.nonzero()[:, 0].tolist() == row_C.tolist()
        assert not node_RW[~legal_RW].any()
        assert there.tokens(node_C).tolist() == trie.token_N[node_C.numpy()].tolist()


@given(catalogues, st.lists(st.lists(st.integers(0, 5), min_size=6, max_size=6), min_size=1, max_size=5))
def test_steps_of_many_rows_are_walks(docids: list[list[int]], rows: list[list[int]]) -> None:
    trie = build(docids)
    node_R = torch.zeros(len(rows), dtype=torch.int64)
    for length, token_R in enumerate(torch.tensor(rows).T, start=1):
        node_R = trie.on("cpu").step(node_R, token_R)
        assert node_R.tolist() == [trie.walk(row[:length]) for row in rows]


@given(catalogues)
def test_description_counts_what_the_oracle_holds(docids: list[list[int]]) -> None:
    numbers = build(docids).describe()
    below = prefixes(docids)
    inner = len(below) - len(docids)
    assert (numbers["documents"], numbers["nodes"]) == (len(docids), len(below))
    assert numbers["max_depth"] == max(map(len, docids)) == len(numbers["branching_by_depth"])
    assert numbers["mean_depth"] == pytest.approx(sum(map(len, docids)) / len(docids))
    assert numbers["mean_branching"] == pytest.approx((len(below) - 1) / inner)
    assert numbers["depth_counts"] == np.bincount([len(ids) for ids in docids]).tolist()
    nodes = [sum(len(prefix) == depth for prefix in below) for depth in range(numbers["max_depth"] + 1)]
    inner_nodes = [all_ - leaves for all_, leaves in zip(nodes, numbers["depth_counts"], strict=True)]
    by_depth = [after / before for before, after in zip(inner_nodes[:-1], nodes[1:], strict=True)]
    assert numbers["branching_by_depth"] == pytest.approx(by_depth)
    only = sum(len({ids[: len(p) + 1][-1] for ids in below[p]}) == 1 for p in below if list(p) not in docids)
    assert numbers["single_child_share"] == pytest.approx(only / inner)


@given(catalogues)
def test_lists_flat_arrays_and_an_added_end_token_give_the_same(docids: list[list[int]]) -> None:
    trie = build(docids)
    tokens_T, offsets_D1 = flat(docids)
    assert arrays(trie) == arrays(build_flat(tokens_T.astype(np.uint8), offsets_D1))
    if [END] not in docids:
        assert arrays(trie) == arrays(build([ids[:-1] for ids in docids], end_token=END))


def test_a_matrix_is_read_by_rows() -> None:
    rows = [[3, 1, 2], [3, 1, 1], [0, 0, 0]]
    assert arrays(build(np.array(rows))) == arrays(build(rows))
    assert arrays(build(np.array(rows, order="F"))) == arrays(build(rows))


@pytest.mark.parametrize(("token", "dtype"), [(2**16 - 1, np.uint16), (2**16, np.int32), (2**31 - 1, np.int32)])
def test_tokens_take_two_bytes_where_they_fit(token: int, dtype) -> None:
    trie = build([[token, END], [1, token, END]])
    assert trie.token_N.dtype == dtype
    assert trie.documents([trie.walk([token, END]), trie.walk([1, token, END])]).tolist() == [0, 1]
    assert trie.walk([token + 1]) == -1


@settings(max_examples=30)
@given(docids=catalogues)
def test_saved_and_loaded_is_the_same_and_so_are_the_bytes(tmp_path_factory, docids: list[list[int]]) -> None:
    folder = tmp_path_factory.mktemp("trie")
    trie = build(docids)
    trie.save(folder / "a")
    loaded = load(folder / "a")
    loaded.verify()
    assert arrays(loaded) == arrays(trie)
    assert as_dict(loaded) == oracle(docids)
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
        ([[2**31 - 1] * 9] * 2, "rows 0 and 1: the two are equal"),
        ([[3, 5, 1], [9], [3, 5]], "rows 0 and 2: one begins the other"),
        ([[5] * 9, [5] * 70], "rows 0 and 1: one begins the other"),
    ],
)
def test_docids_that_make_no_trie_are_refused_by_row(docids: list[list[int]], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(docids)


def test_an_added_end_token_hides_no_empty_docid_and_no_duplicate() -> None:
    for docids, message in [([[3], []], "row 1: no tokens"), ([[3], [3]], "the two are equal")]:
        with pytest.raises(UserError, match=message):
            build(docids, end_token=END)
    with pytest.raises(UserError, match="-1 is no token"):
        build([[3]], end_token=-1)


def saved(tmp_path: Path) -> tuple[Path, bytes]:
    path = tmp_path / "trie.safetensors"
    build(BY_HAND).save(path)
    return path, path.read_bytes()


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b[:20], lambda b: b"", lambda b: b + b"\0"])
def test_a_file_of_another_size_is_refused(tmp_path: Path, damage) -> None:
    path, contents = saved(tmp_path)
    path.write_bytes(damage(contents))
    with pytest.raises(UserError, match=r"trie\.safetensors"):
        load(path)


def test_a_change_of_any_byte_of_the_header_is_refused(tmp_path: Path) -> None:
    path, contents = saved(tmp_path)
    header = 8 + int.from_bytes(contents[:8], "little")
    for at in range(header):
        path.write_bytes(contents[:at] + bytes([contents[at] ^ 1]) + contents[at + 1 :])
        with pytest.raises(UserError, match=r"trie\.safetensors"):
            load(path)


def test_a_change_of_any_byte_of_the_contents_is_told_by_verify(tmp_path: Path) -> None:
    path, contents = saved(tmp_path)
    header = 8 + int.from_bytes(contents[:8], "little")
    for at in range(header, len(contents)):
        path.write_bytes(contents[:at] + bytes([contents[at] ^ 1]) + contents[at + 1 :])
        damaged = load(path)  # which has read the header alone
        with pytest.raises(UserError, match=r"trie\.safetensors is damaged"):
            damaged.verify()


def test_foreign_missing_and_newer_files_are_refused(tmp_path: Path) -> None:
    foreign, newer = tmp_path / "model.safetensors", tmp_path / "newer"
    save_file({"weight": np.zeros(3)}, foreign)
    save_file({}, newer, {"trie": '{"format": "arrange.trie", "version": 3}'})
    for path, message in [
        (foreign, "is not a trie"),
        (newer, "version 3, not 2"),
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
        assert trie.documents([trie.walk(docids[document])]) == [document]
    assert trie.describe()["documents"] == len(docids)
