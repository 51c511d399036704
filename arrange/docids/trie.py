"""The trie over all docIDs, as three flat arrays.

Nodes are numbered breadth first, the children of a node by falling position in that order: sorted by
token. So the children of node n are the nodes first_child_N1[n] .. first_child_N1[n + 1] - 1, and an
edge needs no number of its own: it is named by the node that it leads to.
D documents, N nodes, L tokens of the longest docID.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from arrange.errors import UserError
from arrange.files import replacing

FORMAT, VERSION = "arrange.trie", 1
NAMES = ("token_N", "first_child_N1", "document_N")

IntArray = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Trie:
    """A prefix tree of docIDs; each document is a leaf.

    token_N: the token that leads to a node (-1 for the root, node 0).
    first_child_N1: where a node's children begin; they end where the next node's begin.
    document_N: the document index of a leaf, -1 for an inner node.
    """

    token_N: IntArray
    first_child_N1: IntArray
    document_N: IntArray

    def walk(self, tokens: Sequence[int]) -> int:
        """The node that `tokens` lead to from the root, or -1 where no docID begins so."""
        node = 0
        for token in tokens:
            first, end = self.first_child_N1[node : node + 2]
            node = first + np.searchsorted(self.token_N[first:end], token)
            if node == end or self.token_N[node] != token:
                return -1
        return int(node)

    def level_starts(self) -> list[int]:
        """The first node of each depth, from the root (depth 0), and N at the end."""
        starts = [0, 1]
        while starts[-1] < len(self.token_N):
            starts.append(int(self.first_child_N1[starts[-1]]))
        return starts

    def describe(self) -> dict[str, Any]:
        """The trie's shape in plain numbers.

        Depths are docID lengths, end token included. Branching is the number of children of an inner
        node; `single_child_share` is the share of inner nodes that have one. `branching_by_depth` is
        the mean over the inner nodes of each depth, the root first.
        """
        starts = self.level_starts()
        depth_N = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        children_N = np.diff(self.first_child_N1)
        inner_N = children_N > 0
        depth_D, children_I = depth_N[~inner_N], children_N[inner_N]
        by_depth = np.bincount(depth_N[inner_N], children_I) / np.bincount(depth_N[inner_N])
        return {
            "documents": len(depth_D),
            "nodes": len(depth_N),
            "mean_depth": float(depth_D.mean()),
            "max_depth": int(depth_D.max()),
            "root_branching": int(children_N[0]),
            "mean_branching": float(children_I.mean()),
            "max_branching": int(children_I.max()),
            "single_child_share": float((children_I == 1).mean()),
            "bytes": sum(getattr(self, name).nbytes for name in NAMES),
            "branching_by_depth": [float(mean) for mean in by_depth],
        }

    def save(self, path: Path) -> None:
        """Write the trie as one safetensors file: same trie, same bytes."""
        arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in NAMES}
        header = {"format": FORMAT, "version": VERSION, "sha256": _digest(arrays)}
        # One metadata key: safetensors writes several in an order that changes from run to run.
        metadata = {"trie": json.dumps(header, sort_keys=True)}
        with replacing(path) as part:
            save_file(arrays, part, metadata)


def build(docid_tokens: Sequence[Sequence[int]]) -> Trie:
    """Build the trie of docIDs; a document's index is its row.

    Each docID ends with the end token, so that none is the beginning of another.
    Raises UserError, naming the rows, for an empty docID, a token outside 0 .. 2^31 - 1, two equal docIDs, or
    one that begins another. Sorts the padded token matrix, D x L of int32; no Python loop over nodes.

    >>> trie = build([[7, 8, 0], [7, 0], [9, 0]])
    >>> trie.walk([7]), trie.document_N[trie.walk([7, 0])].item(), trie.walk([8])
    (1, 1, -1)
    """
    tokens_DL, length_D = _padded(docid_tokens)
    order_D = np.lexsort(tokens_DL.T[::-1])
    tokens_DL, length_D = tokens_DL[order_D], length_D[order_D]
    new_DL = _begins_node(tokens_DL, length_D, order_D)
    # Down the columns, the running count of new prefixes is the breadth-first number of each row's node.
    node_LD = np.cumsum(new_DL.T).reshape(new_DL.T.shape)
    parent_LD = np.vstack([np.zeros_like(node_LD[:1]), node_LD[:-1]])
    nodes = int(node_LD[-1, -1]) + 1
    children_N = np.bincount(parent_LD[new_DL.T], minlength=nodes)
    document_N = np.full(nodes, -1, np.int32)
    document_N[node_LD[length_D - 1, np.arange(len(order_D))]] = order_D
    return Trie(
        token_N=np.concatenate([[-1], tokens_DL.T[new_DL.T]]).astype(np.int32),
        first_child_N1=np.concatenate([[1], 1 + np.cumsum(children_N)]).astype(np.int32),
        document_N=document_N,
    )


def load(path: Path) -> Trie:
    """Read a trie that `Trie.save` wrote.

    Raises UserError for a file that is missing, cut short, changed, or something else.
    """
    remedy = "build the docIDs again"
    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {}).get("trie", "{}"))
            if header.get("format") != FORMAT:
                raise UserError(f"{path} is not a trie", "give the trie.safetensors of a docIDs folder")
            if header.get("version") != VERSION:
                raise UserError(f"{path} is a trie of version {header.get('version')}, not {VERSION}", remedy)
            arrays = {name: file.get_tensor(name) for name in NAMES}
    except (OSError, SafetensorError, ValueError) as error:
        raise UserError(f"{path} cannot be read as a trie: {error}", remedy) from error
    if _digest(arrays) != header.get("sha256"):
        raise UserError(f"{path} is damaged: its contents do not match its checksum", remedy)
    return Trie(**arrays)


def _padded(docid_tokens: Sequence[Sequence[int]]) -> tuple[IntArray, npt.NDArray[np.int64]]:
    """The docIDs as a matrix, padded with -1 (which sorts first), and their lengths."""
    length_D = np.fromiter(map(len, docid_tokens), np.int64, len(docid_tokens))
    if not len(length_D):
        raise UserError("there are no docIDs", "give at least one document")
    if not length_D.all():
        raise UserError(f"docIDs, row {length_D.argmin()}: no tokens", "give every document a docID")
    flat = np.fromiter(chain.from_iterable(docid_tokens), np.int64, length_D.sum())
    wrong = np.flatnonzero((flat < 0) | (flat > np.iinfo(np.int32).max))
    if len(wrong):
        row = np.searchsorted(length_D.cumsum(), wrong[0], side="right")
        raise UserError(f"docIDs, row {row}: {flat[wrong[0]]} is no token", "tokens are 0 to 2^31 - 1")
    tokens_DL = np.full((len(length_D), length_D.max()), -1, np.int32)
    tokens_DL[np.arange(length_D.max()) < length_D[:, None]] = flat
    return tokens_DL, length_D


def _begins_node(
    tokens_DL: IntArray, length_D: npt.NDArray[np.int64], order_D: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Which entries of the sorted matrix are the first with their prefix.

    Raises UserError for a docID that equals or begins the next one: its end is no leaf of its own.
    """
    differs_DL = np.ones(tokens_DL.shape, bool)
    differs_DL[1:] = np.logical_or.accumulate(tokens_DL[1:] != tokens_DL[:-1], axis=1)
    shared_D = tokens_DL.shape[1] - differs_DL[1:].sum(axis=1)  # tokens in common with the row before
    swallowed = np.flatnonzero(shared_D >= length_D[:-1])
    if len(swallowed):
        at = swallowed[0]
        rows = "rows {} and {}".format(*sorted(order_D[at : at + 2]))
        if shared_D[at] == tokens_DL.shape[1]:
            raise UserError(f"docIDs, {rows}: the two are equal", "give the documents different docIDs")
        raise UserError(f"docIDs, {rows}: one begins the other", "end every docID with the end token")
    return differs_DL & (np.arange(tokens_DL.shape[1]) < length_D[:, None])


def _digest(arrays: dict[str, IntArray]) -> str:
    """The SHA-256 of the arrays' bytes, in the order of NAMES."""
    digest = hashlib.sha256()
    for name in NAMES:
        digest.update(arrays[name].tobytes())
    return digest.hexdigest()
