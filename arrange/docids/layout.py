"""From sorted docIDs to the arrays of a trie; `arrange.docids.trie` describes them.

D documents in the order of their tokens (places), T tokens of all docIDs, N nodes, M of the branching part.
"""

from typing import Any

import numpy as np

from arrange.docids.sorting import IntArray


def lay_out(
    tokens_T: IntArray, offsets_D1: IntArray, order_D: IntArray, shared_D: IntArray
) -> tuple[dict[str, Any], tuple[int, ...]]:
    """The arrays of `Trie` by name, and the largest number of children at each depth.

    `order_D` and `shared_D`: what `sort_docids` returns. One pass over the documents per depth of the branching part.
    """
    start_D, length_D = offsets_D1[order_D], np.diff(offsets_D1)[order_D]
    # The head of a document is its shortest prefix that no other document has; its tail is the rest of the docID.
    head_depth_D = np.maximum(shared_D, np.append(shared_D[1:], 0)) + 1
    tail_D = length_D - head_depth_D
    branching = 1 + int((head_depth_D - shared_D).sum())
    tail_start_D1 = branching + np.concatenate([[0], np.cumsum(tail_D)])
    nodes = int(tail_start_D1[-1])

    token_N = np.zeros(nodes, tokens_T.dtype)
    token_N[branching:] = tokens_T[
        np.repeat(start_D + head_depth_D - tail_start_D1[:-1], tail_D) + np.arange(branching, nodes)
    ]
    first_child_M, end_child_M, first_place_M, end_place_M = np.zeros((4, branching), np.int32)
    end_place_M[0] = len(order_D)
    max_children = np.ones(length_D.max() + 1, np.int64)
    max_children[-1] = 0
    level, node = slice(0, 1), 1
    for depth in range(1, head_depth_D.max() + 1):
        begin_P = np.flatnonzero(shared_D < depth)  # here begins a node, or the tail of a document
        not_tail_P = head_depth_D[begin_P] >= depth
        first_P, end_P = begin_P[not_tail_P], np.append(begin_P[1:], len(order_D))[not_tail_P]
        before_D1 = np.zeros(len(order_D) + 1, np.int32)  # nodes of this depth that begin before each place
        before_D1[first_P + 1] = 1
        before_D1.cumsum(out=before_D1)
        first_child_M[level] = node + before_D1[first_place_M[level]]
        end_child_M[level] = node + before_D1[end_place_M[level]]
        max_children[depth - 1] = (end_child_M[level] - first_child_M[level]).max()
        level, node = slice(node, node + len(first_P)), node + len(first_P)
        first_place_M[level], end_place_M[level] = first_P, end_P
        token_N[level] = tokens_T[start_D[first_P] + depth - 1]

    head_D = 1 + np.flatnonzero(end_place_M[1:] - first_place_M[1:] == 1)
    place_D = first_place_M[head_D]
    first_child_M[head_D] = tail_start_D1[place_D]
    end_child_M[head_D] = tail_start_D1[place_D] + (tail_D[place_D] > 0)
    leaf_N = np.zeros(nodes, bool)
    leaf_N[head_D] = tail_D[place_D] == 0
    leaf_N[tail_start_D1[1:][tail_D > 0] - 1] = True
    arrays = {
        "token_N": token_N,
        "leaf_N": leaf_N,
        "first_child_M": first_child_M,
        "end_child_M": end_child_M,
        "first_place_M": first_place_M,
        "end_place_M": end_place_M,
        "tail_start_D": tail_start_D1[:-1].astype(np.int32),
        "document_D": order_D.astype(np.int32),
    }
    return arrays, tuple(max_children.tolist())
