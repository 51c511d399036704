"""The trie over all docIDs, as flat arrays: N nodes, D documents, M nodes of the branching part.

A document's *place* is its index when the docIDs are sorted by tokens, so the documents below a node are a range of
places. Nodes are numbers, the root is 0, and there are two kinds:

- 0 .. M-1, the branching part: the prefixes of two or more documents, and their children. Numbered breadth first,
  the children of a node by token, so that they are the nodes first_child_M[n] .. end_child_M[n] - 1.
- M .. N-1, the tails: once a prefix belongs to one document, the rest of the docID is a run of tokens. The runs are
  stored one after the other in the order of places. The child of such a node is the next node, until the leaf.

A tail node takes its token and one byte; other nodes take some twenty bytes. An edge needs no number of its own:
the node that it leads to names it.

The arrays are numpy's. torch, which takes seconds to import, is imported by what needs it.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from arrange.docids.layout import lay_out
from arrange.docids.sorting import IntArray, sort_docids
from arrange.errors import UserError
from arrange.files import replacing

if TYPE_CHECKING:
    import torch

    from arrange.docids.torch_trie import TorchTrie

FORMAT, VERSION = "arrange.trie", 2
REMEDY = "build the docIDs again"
INT32_MAX = 2**31 - 1
NAMES = (
    "token_N",
    "leaf_N",
    "first_child_M",
    "end_child_M",
    "first_place_M",
    "end_place_M",
    "tail_start_D",
    "document_D",
)


@dataclass(frozen=True, eq=False)
class Trie:
    """A prefix tree of docIDs; each document is a leaf. Made by `build` or `load`.

    token_N: the token that leads to a node (0 for the root); uint16 where all tokens fit, else int32.
    leaf_N: whether a node ends a docID.
    first_child_M, end_child_M: the range of a node's children; of one that begins a tail, that of its one child.
    first_place_M, end_place_M: the range of places of the documents below a node.
    tail_start_D: the first tail node of the document at a place (that of the next, if it has no tail).
    document_D: the document index at a place.
    max_children_by_depth: the largest number of children of a node at each depth; the root's first, 0 last.
    """

    token_N: IntArray
    leaf_N: npt.NDArray[np.bool_]
    first_child_M: npt.NDArray[np.int32]
    end_child_M: npt.NDArray[np.int32]
    first_place_M: npt.NDArray[np.int32]
    end_place_M: npt.NDArray[np.int32]
    tail_start_D: npt.NDArray[np.int32]
    document_D: npt.NDArray[np.int32]
    max_children_by_depth: tuple[int, ...]
    path: Path | None = None  # the file that it was loaded from, and the checksum in it; see `verify`
    sha256: str | None = None

    def on(self, device: "str | torch.device") -> "TorchTrie":
        """The trie's arrays as tensors; on the CPU they share this trie's memory."""
        import torch

        from arrange.docids.torch_trie import TorchTrie

        tensors = {name: torch.from_numpy(array).to(device) for name, array in self._arrays().items()}
        if tensors["token_N"].device.type != "cpu":  # few kernels for uint16 elsewhere
            tensors["token_N"] = tensors["token_N"].int()
        return TorchTrie(**tensors, max_children_by_depth=self.max_children_by_depth)

    def children(self, node_R: npt.ArrayLike) -> tuple[IntArray, IntArray]:
        """All children of the nodes, in order: (row_C, node_C), where row_C is the index of the parent in node_R."""
        row_C, node_C = self._on_cpu.children(_nodes(node_R))
        return row_C.numpy(), node_C.numpy()

    def is_leaf(self, node_R: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Whether each node ends a docID."""
        return self._on_cpu.is_leaf(_nodes(node_R)).numpy()

    def documents(self, node_R: npt.ArrayLike) -> IntArray:
        """The document index of each leaf; for an inner node, the first document below it."""
        return self._on_cpu.documents(_nodes(node_R)).numpy()

    def first_place(self, node_R: npt.ArrayLike) -> IntArray:
        """The first place of the documents below each node."""
        return self._on_cpu.first_place(_nodes(node_R)).numpy()

    def end_place(self, node_R: npt.ArrayLike) -> IntArray:
        """The end of the range of places of the documents below each node."""
        return self._on_cpu.end_place(_nodes(node_R)).numpy()

    def steps(self, node_R: npt.ArrayLike, token_R: npt.ArrayLike) -> IntArray:
        """The child of each node that a token leads to; -1 where there is none."""
        return self._on_cpu.step(_nodes(node_R), _nodes(token_R)).numpy()

    @cached_property
    def distinct_tokens(self) -> IntArray:
        """The distinct tokens of all docIDs, rising; faster than a sort."""
        seen_V = np.zeros(int(self.token_N[1:].max()) + 1, bool)
        seen_V[self.token_N[1:]] = True
        return np.flatnonzero(seen_V)

    def walk(self, tokens: Sequence[int]) -> int:
        """The node that `tokens` lead to from the root, or -1 where no docID begins so."""
        node = 0
        for token in tokens:
            first, end = self.child_range(node)
            node = first + int(self.token_N[first:end].searchsorted(token))
            if node == end or self.token_N[node] != token:
                return -1
        return node

    def describe(self) -> dict[str, Any]:
        """The trie's shape in plain numbers.

        Depths are docID lengths, end token included; `depth_counts` has the number of docIDs of each, from 0.
        Branching is the number of children of an inner node; `single_child_share` is the share of inner nodes
        that have one. `branching_by_depth` is the mean over the inner nodes of each depth, the root first.
        """
        depth_M, children_M = self._depths(), self.end_child_M - self.first_child_M
        tail_D = np.diff(self.tail_start_D, append=len(self.token_N))
        head_M = self.first_child_M >= len(depth_M)  # of one document: what is below is its tail
        head_depth_D = np.empty_like(tail_D)
        head_depth_D[self.first_place_M[head_M]] = depth_M[head_M]
        depth_D = head_depth_D + tail_D
        depth_B, children_B = depth_M[~head_M], children_M[~head_M]
        # Inner nodes of the tails, heads included, by depth: those begun less those ended. Each has one child.
        size = len(self.max_children_by_depth)
        inner = np.cumsum(np.bincount(head_depth_D, minlength=size) - np.bincount(depth_D, minlength=size))
        single = inner.sum() + (children_B == 1).sum()
        children = inner + np.bincount(depth_B, children_B, minlength=size)
        inner += np.bincount(depth_B, minlength=size)
        bytes_ = sum(array.nbytes for array in self._arrays().values())
        return {
            "documents": len(depth_D),
            "nodes": len(self.token_N),
            "mean_depth": float(depth_D.mean()),
            "max_depth": int(depth_D.max()),
            "root_branching": self.max_children_by_depth[0],
            "mean_branching": float(children.sum() / inner.sum()),
            "max_branching": max(self.max_children_by_depth),
            "single_child_share": float(single / inner.sum()),
            "bytes": bytes_,
            "bytes_per_docid": bytes_ / len(depth_D),
            "branching_by_depth": [float(mean) for mean in children[:-1] / inner[:-1]],
            "depth_counts": np.bincount(depth_D).tolist(),
        }

    def save(self, path: Path) -> None:
        """Write the trie as one safetensors file: same trie, same bytes."""
        arrays = self._arrays()
        header = {
            "format": FORMAT,
            "version": VERSION,
            "max_children_by_depth": self.max_children_by_depth,
            "sha256": _digest(arrays),
        }
        # One metadata key: safetensors writes several in an order that changes from run to run.
        metadata = {"trie": json.dumps(header | {"header_sha256": _header_digest(header, arrays)}, sort_keys=True)}
        with replacing(path) as part:
            save_file(arrays, part, metadata)

    def verify(self) -> None:
        """Read all arrays and compare them with the checksum in the file; `load` checks the header alone.

        Raises UserError if they differ. A trie that was built, not loaded, passes.
        """
        if self.path is not None and _digest(self._arrays()) != self.sha256:
            raise UserError(f"{self.path} is damaged: its contents do not match its checksum", REMEDY)

    def _arrays(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in NAMES}

    @cached_property
    def _on_cpu(self) -> "TorchTrie":
        return self.on("cpu")

    def child_range(self, node: int) -> tuple[int, int]:
        """As `TorchTrie.child_range`, for one node."""
        if node < len(self.first_child_M):
            return int(self.first_child_M[node]), int(self.end_child_M[node])
        return node + 1, node + 2 - int(self.leaf_N[node])

    def _depths(self) -> IntArray:
        """The depth of each node of the branching part."""
        starts = [0, 1]
        while starts[-1] < len(self.first_child_M):
            level = slice(*starts[-2:])
            branches = self.first_child_M[level] < len(self.first_child_M)
            starts.append(int(self.end_child_M[level][branches].max()))
        return np.repeat(np.arange(len(starts) - 1), np.diff(starts))


def build(docid_tokens: Sequence[Sequence[int]] | IntArray, end_token: int | None = None) -> Trie:
    """Build the trie of docIDs; a document's index is its row.

    docid_tokens: the tokens of each docID, as sequences or as the rows of a matrix.
    end_token: is added to every docID, so that none is the beginning of another. If it is not given, that must be so
    already (docIDs end with such a token, or all have one length).

    Raises UserError, naming the rows, for an empty docID, a token outside 0 .. 2^31 - 1, two equal docIDs, or one
    that begins another.

    >>> trie = build([[7, 8, 0], [7, 0], [9, 0]])
    >>> trie.walk([7]), trie.documents([trie.walk([7, 0])]).item(), trie.walk([8])
    (1, 1, -1)
    """
    if isinstance(docid_tokens, np.ndarray):
        documents, length = docid_tokens.shape
        length_D = np.full(documents, length)
        tokens_T: IntArray = docid_tokens.reshape(-1)
    else:
        length_D = np.fromiter(map(len, docid_tokens), np.int64, len(docid_tokens))
        tokens_T = np.fromiter(chain.from_iterable(docid_tokens), np.int64, length_D.sum())
    return build_flat(tokens_T, np.concatenate([[0], np.cumsum(length_D)]), end_token)


def build_flat(tokens_T: IntArray, offsets_D1: IntArray, end_token: int | None = None) -> Trie:
    """As `build`, for docIDs that lie one after the other in one array.

    Document d has the tokens `tokens_T[offsets_D1[d]:offsets_D1[d + 1]]`.

    >>> build_flat(np.array([7, 8, 7]), np.array([0, 2, 3]), end_token=0).walk([7, 0]) > 0
    True
    """
    if end_token is not None:
        tokens_T = np.insert(tokens_T.astype(np.int64), offsets_D1[1:], end_token)
        offsets_D1 = offsets_D1 + np.arange(len(offsets_D1))
    _check(tokens_T, offsets_D1, least=1 if end_token is None else 2)
    tokens_T = tokens_T.astype(np.uint16 if tokens_T.max() < 2**16 else np.int32)
    arrays, max_children_by_depth = lay_out(tokens_T, offsets_D1, *sort_docids(tokens_T, offsets_D1))
    return Trie(**arrays, max_children_by_depth=max_children_by_depth)


def load(path: Path) -> Trie:
    """Open a trie that `Trie.save` wrote. It is memory-mapped: the time does not grow with its size.

    Only the header is checked here (its checksum, and the file's size); `Trie.verify` checks the contents.
    Raises UserError for a file that is missing, cut short, or something else.
    """
    try:
        with safe_open(path, framework="pt") as file:  # "numpy" would read it all
            header = json.loads((file.metadata() or {}).get("trie", "{}"))
            if header.get("format") != FORMAT:
                raise UserError(f"{path} is not a trie", "give the trie.safetensors of a docIDs folder")
            if header.get("version") != VERSION:
                raise UserError(f"{path} is a trie of version {header.get('version')}, not {VERSION}", REMEDY)
            arrays: dict[str, Any] = {name: file.get_tensor(name).numpy() for name in NAMES}
    except (OSError, SafetensorError, ValueError) as error:
        raise UserError(f"{path} cannot be read as a trie: {error}", REMEDY) from error
    if header.pop("header_sha256", None) != _header_digest(header, arrays):
        raise UserError(f"{path} is damaged: its header does not match its checksum", REMEDY)
    return Trie(
        **arrays, max_children_by_depth=tuple(header["max_children_by_depth"]), path=path, sha256=header["sha256"]
    )


def _nodes(node_R: npt.ArrayLike) -> "torch.Tensor":
    import torch

    return torch.from_numpy(np.asarray(node_R, np.int64))


def _check(tokens_T: IntArray, offsets_D1: IntArray, least: int) -> None:
    """Raise UserError unless there are docIDs, each of `least` tokens or more, and all tokens are in range."""
    if len(offsets_D1) < 2:
        raise UserError("there are no docIDs", "give at least one document")
    length_D = np.diff(offsets_D1)
    if length_D.min() < least:
        raise UserError(f"docIDs, row {length_D.argmin()}: no tokens", "give every document a docID")
    if tokens_T.min() < 0 or tokens_T.max() > INT32_MAX:
        wrong = np.flatnonzero((tokens_T < 0) | (tokens_T > INT32_MAX))[0]
        row = np.searchsorted(offsets_D1, wrong, side="right") - 1
        raise UserError(f"docIDs, row {row}: {tokens_T[wrong]} is no token", "tokens are 0 to 2^31 - 1")
    if len(tokens_T) >= INT32_MAX:
        raise UserError(f"docIDs: {len(tokens_T)} tokens are too many", "build tries of less than 2^31 tokens each")


def _digest(arrays: dict[str, npt.NDArray[Any]]) -> str:
    """The SHA-256 of the arrays' bytes, in the order of NAMES."""
    digest = hashlib.sha256()
    for name in NAMES:
        digest.update(arrays[name].data)
    return digest.hexdigest()


def _header_digest(header: dict[str, Any], arrays: dict[str, npt.NDArray[Any]]) -> str:
    """The SHA-256 of the header and of the arrays' types and shapes."""
    kinds = {name: [str(array.dtype), array.shape] for name, array in arrays.items()}
    return hashlib.sha256(json.dumps([header, kinds], sort_keys=True).encode()).hexdigest()
