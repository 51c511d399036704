"""The columns of a packed batch's outputs: the tokens over which they are normalised, and the catalogue's children.

Shapes as in `arrange.training.packing`; C columns, M pairs of an output and a token that may follow there.
"""

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from arrange.docids.trie import Trie
from arrange.models.normaliser import Normaliser

if TYPE_CHECKING:
    from arrange.training.packing import Tries

Ints = NDArray[np.int64]
# The tokens over which the output is normalised, in place of the whole vocabulary: these, rising; or, of a trie, those
# that may follow there.
Legal = NDArray[np.integer] | Trie


def legal_tokens(trie: Trie | None, normaliser: Normaliser) -> Legal | None:
    """What a normaliser of `arrange.models.normaliser` leaves of the vocabulary; None for all of it."""
    if normaliser == "vocabulary":
        return None
    assert trie is not None, f"the normaliser {normaliser} needs the trie of all docIDs"
    return trie if normaliser == "children" else trie.distinct_tokens


def of_legal(legal: Legal, tries: "Tries", token_E: Ints, prefix_N: Ints) -> dict[str, torch.Tensor]:
    """The columns of the output, and of these the legal ones. prefix_N: the edge that ends each output's prefix.

    With a trie the columns are the tokens that may follow one of the prefixes.
    """
    if not isinstance(legal, Trie):
        return tensors(column=legal, edge_column=np.searchsorted(legal, token_E))
    head_M, token_M = _children(legal, tries, prefix_N)
    column_C, column_M = np.unique(token_M, return_inverse=True)
    edge_column_E = np.searchsorted(column_C, token_E)
    return tensors(column=column_C, edge_column=edge_column_E, legal_head=head_M, legal_column=column_M)


def of_siblings(
    catalogue: Trie, column_C: torch.Tensor | None, tries: "Tries", token_E: Ints, head_E: Ints, prefix_N: Ints
) -> dict[str, torch.Tensor]:
    """The children of each output's prefix in the catalogue, and the place of each edge among all of them.

    column_C: the tokens of the output's columns; None for the whole vocabulary.
    """
    head_M, token_M = _children(catalogue, tries, prefix_N)
    radix = int(token_M.max()) + 1
    child_E = np.searchsorted(head_M * radix + token_M, head_E * radix + token_E)  # children are in order of tokens
    column_M = token_M if column_C is None else np.searchsorted(column_C.numpy(), token_M)
    return tensors(child_head=head_M, child_column=column_M, edge_child=child_E)


def _children(catalogue: Trie, tries: "Tries", prefix_N: Ints) -> tuple[Ints, Ints]:
    """All tokens that may follow the N prefixes in the catalogue: (head_M, token_M), head_M of the N, both rising."""
    node_E = np.zeros(len(tries.token_E) + 1, np.int64)  # in the catalogue's trie; the last one, -1, is its root
    for depth in range(int(tries.depth_E.max()) + 1):
        (at,) = np.nonzero(tries.depth_E == depth)
        node_E[at] = catalogue.steps(node_E[tries.parent_E[at]], tries.token_E[at])
    head_M, child_M = catalogue.children(node_E[prefix_N])
    return head_M.astype(np.int64), catalogue.token_N[child_M].astype(np.int64)


def tensors(**arrays: NDArray) -> dict[str, torch.Tensor]:
    """Arrays as int64 tensors."""
    return {name: torch.from_numpy(np.ascontiguousarray(array, dtype=np.int64)) for name, array in arrays.items()}
