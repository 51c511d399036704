"""The packed pass, first half: prompts and the tries of their lists as one batch of token rows.

A row is a prompt, then the trie of the query's docIDs in preorder (a node before its children). The model reads the
inner nodes only: a leaf is the last token of a docID, so nothing follows it. In preorder the nodes below a node are an
interval. So one number per token tells which tokens see it: token k is seen by the tokens k .. end[k] - 1.

A list may be of any length. A mask has the square of a row's length, so a long trie is cut into several rows: runs of
nodes in preorder, each behind the prompt and the ancestors of its first node. No token sees anything else, so nothing
changes in what it computes. Rows of unequal length go through the model one after the other, in passes.

B queries, R rows (one or more of each query), D documents of all lists, T tokens of the longest docID, L tokens of the
longest row, N tokens of all rows at which the model's output is needed, E edges (children of those N, to be predicted).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from arrange.docids.trie import Trie
from arrange.training import columns
from arrange.training.columns import Ints, tensors
from arrange.training.losses import Weights

ROW = 1024  # nodes of a trie in one row; behind a longer prompt as many as that has tokens
AREA = 2**22  # numbers of a pass's mask, rows x length^2; a single row may have more


class DocidTokens(NamedTuple):
    """The tokens of all docIDs as a matrix. Made once, by `docid_tokens`."""

    tokens_DT: Ints  # padded with -1
    length_D: Ints
    place_D: Ints  # of each docID when all are sorted


class Lists(NamedTuple):
    """The documents of B queries, one list after the other."""

    query_D: Ints  # 0 .. B - 1, rising
    row_D: Ints  # rows of the docIDs
    weights: Weights | None = None  # each of shape D


class Tries(NamedTuple):
    """The tries of B lists. An edge is named by the node it leads to; nodes are in preorder, query after query."""

    query_E: Ints
    token_E: Ints
    depth_E: Ints  # 0 for a child of the root
    parent_E: Ints  # the edge to the parent node, -1 at the root
    end_E: Ints  # the first node that is not below it, or it
    inner_E: NDArray[np.bool_]  # whether the node has children
    path_DT: Ints  # the edges of each document, padded with -1; documents in the order given


def docid_tokens(docids: Sequence[Sequence[int]]) -> DocidTokens:
    """The matrix of docIDs (end tokens included) of which `pack` takes rows."""
    length_D = np.array([len(tokens) for tokens in docids])
    tokens_DT = np.full((len(length_D), length_D.max()), -1)
    tokens_DT[np.arange(length_D.max()) < length_D[:, None]] = np.concatenate([np.array(ids) for ids in docids])
    place_D = np.empty(len(length_D), np.int64)
    place_D[np.lexsort(tokens_DT.T[::-1])] = np.arange(len(length_D))
    return DocidTokens(tokens_DT, length_D, place_D)


def tries(docids: DocidTokens, query_D: Ints, row_D: Ints) -> Tries:
    """The trie of each query's documents, for all queries at once.

    A docID that is in a list twice is one leaf. No docID may begin another one; the end token ensures that.
    """
    order_D = np.argsort(query_D * len(docids.place_D) + docids.place_D[row_D], kind="stable")
    query_S, row_S = query_D[order_D], row_D[order_D]  # S: the documents sorted
    tokens_ST, length_S = docids.tokens_DT[row_S], docids.length_D[row_S]
    width = int(length_S.max(initial=1))
    tokens_ST = tokens_ST[:, :width]
    is_token_ST = np.arange(width) < length_S[:, None]
    # A row begins a node in each column where it differs from the row before, in this column or further left.
    differs_ST = np.ones(tokens_ST.shape, bool)
    differs_ST[1:] = (tokens_ST[1:] != tokens_ST[:-1]) | (query_S[1:] != query_S[:-1])[:, None]
    np.logical_or.accumulate(differs_ST, axis=1, out=differs_ST)
    new_ST = differs_ST & is_token_ST
    number_ST = np.cumsum(new_ST.ravel()).reshape(new_ST.shape) - 1
    edge_ST = np.maximum.accumulate(np.where(new_ST, number_ST, -1), axis=0)  # numbers rise down a column
    parent_ST = np.concatenate([np.full((len(edge_ST), 1), -1), edge_ST[:, :-1]], axis=1)
    at = np.nonzero(new_ST)
    path_DT = np.empty_like(edge_ST)
    path_DT[order_D] = np.where(is_token_ST, edge_ST, -1)
    return Tries(
        query_E=query_S[at[0]],
        token_E=tokens_ST[at],
        depth_E=at[1],
        parent_E=parent_ST[at],
        end_E=_ends(differs_ST, number_ST[:, -1])[at],
        inner_E=at[1] < length_S[at[0]] - 1,
        path_DT=path_DT,
    )


def _ends(differs_ST: NDArray[np.bool_], last_S: Ints) -> Ints:
    """The number of the first node that is not below the node of each row and column."""
    rows = len(last_S)
    begins_ST = np.where(differs_ST, np.arange(rows)[:, None], rows)
    # The next row that begins another node in this column.
    next_ST = np.minimum.accumulate(np.vstack([begins_ST[1:], np.full_like(begins_ST[:1], rows)])[::-1], axis=0)[::-1]
    return last_S[next_ST - 1] + 1


def edge_weights(trie: Tries, query_D: Ints, weights: Weights, gamma: float, normalised: bool) -> NDArray[np.float64]:
    """W(v)^gamma * y_v(c) of each edge v -> c: see `arrange.training.losses`. Shape E.

    Per query they sum to the sum of W(v)^gamma over its nodes. If not `normalised`, all are times sum_d lambda_d.
    """
    document_P, depth_P = np.nonzero(trie.path_DT >= 0)
    child_P = trie.path_DT[document_P, depth_P]
    edges, queries = len(trie.token_E), int(query_D.max()) + 1
    node_E = np.where(trie.parent_E >= 0, trie.parent_E, edges + trie.query_E)  # roots behind the edges
    node_P = node_E[child_P]
    lambda_P = np.exp(weights.node_D)[document_P]
    total_Q = np.bincount(query_D, np.exp(weights.node_D), queries)
    share_N = np.bincount(node_P, lambda_P, edges + queries)
    share_E = share_N[node_E] / total_Q[trie.query_E]
    # Relative to the best document below the node, because mu itself may be too small for a float.
    log_mu_P = weights.target_D[document_P]
    best_N = np.full(edges + queries, -np.inf)
    np.maximum.at(best_N, node_P, log_mu_P)
    best_P = best_N[node_P]
    mu_P = np.where(best_P > -np.inf, np.exp(log_mu_P - np.where(best_P > -np.inf, best_P, 0.0)), 0.0)
    below_N = np.bincount(node_P, mu_P, edges + queries)[node_E]
    target_E = np.bincount(child_P, mu_P, edges) / np.where(below_N > 0, below_N, 1.0)
    node_weight_E = np.where(share_E > 0, share_E**gamma, 0.0)
    return node_weight_E * target_E * (1.0 if normalised else total_Q[trie.query_E])


def pack(
    prompts: Sequence[Sequence[int]],
    docids: DocidTokens,
    lists: Lists,
    pad_token_id: int,
    *,
    gamma: float = 1.0,
    normalised: bool = True,
    whole: bool = True,
    legal: columns.Legal | None = None,
    siblings: Trie | None = None,
    row: int = ROW,
    area: int = AREA,
) -> dict[str, torch.Tensor]:
    """One batch for the packed pass: int64 tensors, the weights float32.

    whole: keep every edge, for the log-probabilities of all documents; else only the edges that have a target.
    row, area: how long rows and how large passes may be; they change memory and time, and no result.

    Returns, of the rows: input_ids_RL, position_ids_RL, end_RL (see above). Of the passes: pass_P3, for each its rows,
    their length and its outputs, as counts of what is next. Of the outputs: head_N (r * L + l of the tokens
    that have edges), edge_head_E (which of the N), edge_token_E, edge_query_E, and, if `lists` has weights,
    edge_weight_E. Of the documents, in the order given, if `whole`: path_DT (their edges, -1 where a docID is
    shorter) and document_query_D. queries: B. legal: see `arrange.training.columns`; it adds column_C, edge_column_E
    and, if it is a trie, legal_head_M and legal_column_M, the M pairs of an output and a token that may follow there.
    siblings: the catalogue's trie; it adds the same pairs as child_head_M and child_column_M, and edge_child_E (the
    edges' own).
    """
    trie = tries(docids, lists.query_D, lists.row_D)
    prompt_B = np.array([len(prompt) for prompt in prompts])
    rows = cut_into_rows(trie, prompt_B, row, area)
    # The place of an inner node is where its row has it, not a copy of it. A root is the prompt's last token.
    width = int(rows.length_R.max())
    place_E = np.zeros(len(trie.token_E), np.int64)
    own_K = ~rows.is_copy_K
    place_E[rows.edge_K[own_K]] = rows.row_K[own_K] * width + rows.slot_K[own_K]
    root_B = rows.first_row_B * width + prompt_B - 1
    predictor_E = np.where(trie.parent_E >= 0, place_E[trie.parent_E], root_B[trie.query_E])
    keep_E = np.ones(len(predictor_E), bool)
    outputs = {}
    if lists.weights is not None:
        weight_E = edge_weights(trie, lists.query_D, lists.weights, gamma, normalised)
        keep_E = keep_E if whole else weight_E > 0
        outputs["edge_weight"] = torch.from_numpy(weight_E[keep_E].astype(np.float32))
    head_N, first_N, edge_head_E = np.unique(predictor_E[keep_E], return_index=True, return_inverse=True)
    ends_P = np.cumsum(rows.pass_P)
    heads_P = np.diff(np.searchsorted(head_N, ends_P * width), prepend=0)
    length_P = np.maximum.reduceat(rows.length_R, ends_P - rows.pass_P)
    outputs |= tensors(
        **{"pass": np.stack([rows.pass_P, length_P, heads_P], axis=1)},
        head=head_N,
        edge_head=edge_head_E,
        edge_token=trie.token_E[keep_E],
        edge_query=trie.query_E[keep_E],
    )
    outputs["queries"] = torch.tensor(len(prompts))
    prefix_N = trie.parent_E[keep_E][first_N]
    if legal is not None:
        outputs |= columns.of_legal(legal, trie, trie.token_E[keep_E], prefix_N)
    if siblings is not None:
        outputs |= columns.of_siblings(
            siblings, outputs.get("column"), trie, trie.token_E[keep_E], edge_head_E, prefix_N
        )
    documents = tensors(path=trie.path_DT, document_query=lists.query_D) if whole else {}
    return _filled(prompts, prompt_B, trie, rows, pad_token_id) | outputs | documents


class Rows(NamedTuple):
    """How the inner nodes of B tries stand in R rows, K times in all: a row repeats the ancestors of its first node."""

    query_R: Ints
    length_R: Ints
    first_row_B: Ints  # of each query; its prompt predicts the children of the root there
    pass_P: Ints  # how many rows each pass has
    row_K: Ints
    slot_K: Ints
    edge_K: Ints  # which edge leads to the node
    end_K: Ints  # the slot behind what is below the node, in its row
    is_copy_K: NDArray[np.bool_]


def cut_into_rows(trie: Tries, prompt_B: Ints, row: int, area: int) -> Rows:
    """Rows of at most `row` inner nodes (behind a longer prompt, of as many as that has tokens), and their passes."""
    inner_E: Ints = np.flatnonzero(trie.inner_E)
    count_B = np.bincount(trie.query_E[inner_E], minlength=len(prompt_B))
    first_B = np.cumsum(count_B) - count_B
    parts_B = np.maximum(1, -(-count_B // np.maximum(row, prompt_B)))
    query_R = np.repeat(np.arange(len(prompt_B)), parts_B)
    part_R = np.arange(len(query_R)) - (np.cumsum(parts_B) - parts_B)[query_R]
    # a query's nodes are shared out evenly among its rows
    start_R = first_B[query_R] + part_R * count_B[query_R] // parts_B[query_R]
    stop_R = first_B[query_R] + (part_R + 1) * count_B[query_R] // parts_B[query_R]
    above_R = [_ancestors(trie, inner_E[start]) if part else [] for start, part in zip(start_R, part_R, strict=True)]
    copies_R = np.array([len(above) for above in above_R])
    length_R = prompt_B[query_R] + copies_R + stop_R - start_R
    order_R, pass_P = passes(length_R, area)
    query_R, start_R, stop_R, copies_R, length_R = (
        each[order_R] for each in (query_R, start_R, stop_R, copies_R, length_R)
    )
    edges = [[*above_R[r], *inner_E[start:stop]] for r, start, stop in zip(order_R, start_R, stop_R, strict=True)]
    edge_K = np.array([edge for of_row in edges for edge in of_row], np.int64)
    nodes_R = copies_R + stop_R - start_R
    row_K = np.repeat(np.arange(len(order_R)), nodes_R)
    place_K = np.arange(len(row_K)) - (np.cumsum(nodes_R) - nodes_R)[row_K]
    begin_K = (prompt_B[query_R] + copies_R)[row_K]  # the slot of the row's first own node
    # inner nodes before the end of what is below, of those in the row
    end_K = np.searchsorted(inner_E, trie.end_E[edge_K])
    first_row_B = np.empty(len(prompt_B), np.int64)
    first_row_B[query_R[part_R[order_R] == 0]] = np.flatnonzero(part_R[order_R] == 0)
    return Rows(
        query_R=query_R,
        length_R=length_R,
        first_row_B=first_row_B,
        pass_P=pass_P,
        row_K=row_K,
        slot_K=prompt_B[query_R][row_K] + place_K,
        edge_K=edge_K,
        end_K=begin_K + np.minimum(end_K, stop_R[row_K]) - start_R[row_K],
        is_copy_K=place_K < copies_R[row_K],
    )


def _ancestors(trie: Tries, edge: int) -> list[int]:
    """The edges on the way from the root to the node of `edge`, without that one."""
    above: list[int] = []
    while (edge := int(trie.parent_E[edge])) >= 0:
        above.append(edge)
    return above[::-1]


def passes(length_R: Ints, area: int) -> tuple[Ints, Ints]:
    """The order of the rows, and how many of them, one after the other, go through the model together.

    Rows that fit into one pass stay in their order. Otherwise the shorter come first, so that few are padded much.

    >>> passes(np.array([3, 9, 2, 9]), area=100)
    (array([2, 0, 1, 3]), array([2, 1, 1]))
    """
    if len(length_R) * int(length_R.max()) ** 2 <= area:
        return np.arange(len(length_R)), np.array([len(length_R)])
    order_R = np.argsort(length_R, kind="stable")
    counts = [0]
    for length in length_R[order_R].tolist():
        if counts[-1] and (counts[-1] + 1) * length**2 > area:
            counts.append(0)
        counts[-1] += 1
    return order_R, np.array(counts)


def _filled(
    prompts: Sequence[Sequence[int]], prompt_B: Ints, trie: Tries, rows: Rows, pad_token_id: int
) -> dict[str, torch.Tensor]:
    """Token ids, positions and ends of the rows: prompt, nodes, padding (which sees itself alone)."""
    slot_L = np.arange(int(rows.length_R.max()))
    prompt_R = prompt_B[rows.query_R]
    prompt_RL = slot_L < prompt_R[:, None]
    at = rows.row_K, rows.slot_K
    ids_RL = np.full(prompt_RL.shape, pad_token_id)
    ids_RL[prompt_RL] = np.concatenate([np.asarray(prompts[query]) for query in rows.query_R])
    ids_RL[at] = trie.token_E[rows.edge_K]
    position_RL = np.where(prompt_RL, slot_L, 0)
    position_RL[at] = prompt_R[rows.row_K] + trie.depth_E[rows.edge_K]
    end_RL = np.where(prompt_RL, rows.length_R[:, None], slot_L + 1)
    end_RL[at] = rows.end_K
    return tensors(input_ids=ids_RL, position_ids=position_RL, end=end_RL)
