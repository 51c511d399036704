"""The packed pass, first half: prompts and the tries of their lists as one batch of token rows.

A row is a prompt, then the trie of the query's docIDs in preorder (a node before its children). The model reads the
inner nodes only: a leaf is the last token of a docID, so nothing follows it. In preorder the nodes below a node are an
interval. So one number per token tells which tokens see it: token k is seen by the tokens k .. end[k] - 1.

B queries, D documents of all their lists, T tokens of the longest docID, L tokens of the longest row,
N tokens of all rows at which the model's output is needed, E edges (children of those N, to be predicted).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from arrange.docids.trie import Trie
from arrange.models.normaliser import Normaliser
from arrange.training.losses import Weights

Ints = NDArray[np.int64]


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


@dataclass(frozen=True, eq=False)
class Legal:
    """The tokens over which the output is normalised, instead of the whole vocabulary. Made by `legal_tokens`.

    token_C: the tokens of docIDs, rising. trie: the catalogue's; only tokens that may follow there count. None: all of
    token_C do.
    """

    token_C: NDArray[np.integer]
    trie: Trie | None


def legal_tokens(trie: Trie | None, normaliser: Normaliser) -> Legal | None:
    """What a normaliser of `arrange.models.normaliser` leaves of the vocabulary; None for all of it."""
    if normaliser == "vocabulary":
        return None
    assert trie is not None, f"the normaliser {normaliser} needs the trie of all docIDs"
    return Legal(trie.distinct_tokens, trie if normaliser == "children" else None)


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
    legal: "Legal | None" = None,
    siblings: Trie | None = None,
) -> dict[str, torch.Tensor]:
    """One batch for the packed pass: int64 tensors, the weights float32.

    whole: keep every edge, for the log-probabilities of all documents; else only the edges that have a target.

    Returns, of the rows: input_ids_BL, position_ids_BL, end_BL (see above). Of the outputs: head_N (b * L + l of
    the tokens that have edges), edge_head_E (which of the N), edge_token_E, edge_query_E, and, if `lists` has weights,
    edge_weight_E. Of the documents, in the order given, if `whole`: path_DT (their edges, -1 where a docID is
    shorter) and document_query_D. legal: see `Legal`; it adds column_C, edge_column_E and, if it has a trie,
    legal_head_P and legal_column_P, the P pairs of an output and a token that may follow there. siblings: the
    catalogue's trie; it adds the same pairs as child_head_P and child_column_P, and edge_child_E (the edges' own).
    """
    trie = tries(docids, lists.query_D, lists.row_D)
    prompt_B = np.array([len(prompt) for prompt in prompts])
    inner_B = np.bincount(trie.query_E, trie.inner_E, len(prompts)).astype(np.int64)
    width = int((prompt_B + inner_B).max())
    rows = _rows(prompts, prompt_B, trie, width, pad_token_id)
    # A node's place in its row is behind the prompt and the inner nodes before it; the root is the prompt's last token.
    before_E: Ints = np.cumsum(trie.inner_E) - trie.inner_E
    first_B = np.cumsum(inner_B) - inner_B
    place_E = trie.query_E * width + prompt_B[trie.query_E] + before_E - first_B[trie.query_E]
    root_E = trie.query_E * width + prompt_B[trie.query_E] - 1
    predictor_E = np.where(trie.parent_E >= 0, place_E[trie.parent_E], root_E)
    keep_E = np.ones(len(predictor_E), bool)
    outputs = {}
    if lists.weights is not None:
        weight_E = edge_weights(trie, lists.query_D, lists.weights, gamma, normalised)
        keep_E = keep_E if whole else weight_E > 0
        outputs["edge_weight"] = torch.from_numpy(weight_E[keep_E].astype(np.float32))
    head_N, first_N, edge_head_E = np.unique(predictor_E[keep_E], return_index=True, return_inverse=True)
    outputs |= _tensors(
        head=head_N, edge_head=edge_head_E, edge_token=trie.token_E[keep_E], edge_query=trie.query_E[keep_E]
    )
    prefix_N = trie.parent_E[keep_E][first_N]
    if legal is not None:
        outputs |= _legal(legal, trie, trie.token_E[keep_E], prefix_N)
    if siblings is not None:
        outputs |= _siblings(siblings, legal, trie, trie.token_E[keep_E], edge_head_E, prefix_N)
    documents = _tensors(path=trie.path_DT, document_query=lists.query_D) if whole else {}
    return rows | outputs | documents


def _legal(legal: Legal, tries_: Tries, token_E: Ints, prefix_N: Ints) -> dict[str, torch.Tensor]:
    """The columns of the output, and of these the legal ones. prefix_N: the edge that ends each output's prefix."""
    columns = {"column": legal.token_C, "edge_column": np.searchsorted(legal.token_C, token_E)}
    if legal.trie is None:
        return _tensors(**columns)
    head_P, token_P = _children(legal.trie, tries_, prefix_N)
    return _tensors(**columns, legal_head=head_P, legal_column=np.searchsorted(legal.token_C, token_P))


def _siblings(
    catalogue: Trie, legal: Legal | None, tries_: Tries, token_E: Ints, head_E: Ints, prefix_N: Ints
) -> dict[str, torch.Tensor]:
    """The children of each output's prefix in the catalogue, and the place of each edge among all of them."""
    head_P, token_P = _children(catalogue, tries_, prefix_N)
    radix = int(token_P.max()) + 1
    child_E = np.searchsorted(head_P * radix + token_P, head_E * radix + token_E)  # children are in order of tokens
    column_P = token_P if legal is None else np.searchsorted(legal.token_C, token_P)
    return _tensors(child_head=head_P, child_column=column_P, edge_child=child_E)


def _children(catalogue: Trie, tries_: Tries, prefix_N: Ints) -> tuple[Ints, Ints]:
    """All tokens that may follow the N prefixes in the catalogue: (head_P, token_P), head_P of the N, both rising."""
    node_E = np.zeros(len(tries_.token_E) + 1, np.int64)  # in the catalogue's trie; the last one, -1, is its root
    for depth in range(int(tries_.depth_E.max()) + 1):
        (at,) = np.nonzero(tries_.depth_E == depth)
        node_E[at] = catalogue.steps(node_E[tries_.parent_E[at]], tries_.token_E[at])
    head_P, child_P = catalogue.children(node_E[prefix_N])
    return head_P.astype(np.int64), catalogue.token_N[child_P].astype(np.int64)


def _rows(
    prompts: Sequence[Sequence[int]], prompt_B: Ints, trie: Tries, width: int, pad_token_id: int
) -> dict[str, torch.Tensor]:
    """Token ids, positions and ends of the rows: prompt, inner nodes, padding (which sees itself alone)."""
    slot_L = np.arange(width)
    prompt_BL = slot_L < prompt_B[:, None]
    inner_B = np.bincount(trie.query_E, trie.inner_E, len(prompts)).astype(np.int64)
    length_B = prompt_B + inner_B
    node_BL = ~prompt_BL & (slot_L < length_B[:, None])
    ids_BL = np.full(prompt_BL.shape, pad_token_id)
    ids_BL[prompt_BL] = np.concatenate([np.asarray(prompt) for prompt in prompts])
    ids_BL[node_BL] = trie.token_E[trie.inner_E]
    position_BL = np.where(prompt_BL, slot_L, 0)
    position_BL[node_BL] = (prompt_B[trie.query_E] + trie.depth_E)[trie.inner_E]
    end_BL = np.where(prompt_BL, length_B[:, None], slot_L + 1)
    inner_before_E1 = np.concatenate([[0], np.cumsum(trie.inner_E)])
    first_B = np.cumsum(inner_B) - inner_B
    end_E = inner_before_E1[trie.end_E] - first_B[trie.query_E] + prompt_B[trie.query_E]
    end_BL[node_BL] = end_E[trie.inner_E]
    return _tensors(input_ids=ids_BL, position_ids=position_BL, end=end_BL)


def _tensors(**arrays: NDArray) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(np.ascontiguousarray(array, dtype=np.int64)) for name, array in arrays.items()}
