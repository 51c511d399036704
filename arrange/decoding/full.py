"""The score of every document: exact under every normaliser, one packed pass over the (sub-)trie.

The trie goes through the model in chunks of neighbouring documents. Each chunk is a tree behind the prompts' cache; the
cache is left as it was.

B queries, D documents of a chunk, M inner nodes above them (the root not counted), N edges, to be scored.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from arrange.decoding.beam import check_search
from arrange.decoding.query_trie import QueryTrie
from arrange.decoding.scoring import Scorer
from arrange.decoding.top_documents import TopDocuments, top_documents
from arrange.docids.subsets import Subsets
from arrange.docids.trie import Trie
from arrange.models.normaliser import Normaliser
from arrange.models.prompt_cache import Context, grown, open_context


def score_all(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    trie: Trie,
    *,
    k: int,
    batch_size: int,
    chunk: int = 128,
    normaliser: Normaliser = "vocabulary",
    subsets: Subsets | None = None,
    progress: Callable[[int], object] = lambda done: None,
) -> list[TopDocuments]:
    """The true k best documents of each prompt, in order; equal sums in the order of the docIDs' tokens.

    chunk: documents in a pass. The attention's cost grows with the square of their tokens.
    `outside` is exact here: one minus the mass of all documents that the query may have.
    Other arguments and errors as `arrange.decoding.beam.beam_search`; with `subsets`, queries are scored one by one.
    """
    check_search(prompts, k, subsets)
    model.eval()
    on_device = trie.on(model.device)
    scorer = Scorer(model, trie, normaliser)
    size = batch_size if subsets is None else 1
    results: list[TopDocuments] = []
    for start in range(0, len(prompts), size):
        batch = prompts[start : start + size]
        with torch.inference_mode():
            results += _score(open_context(model, batch), scorer, QueryTrie(on_device, subsets, start), k, chunk)
        progress(start + len(batch))
    return results


def _score(context: Context, scorer: Scorer, legal: QueryTrie, k: int, chunk: int) -> list[TopDocuments]:
    """The best k of all documents, for each query of the context."""
    trees = (_tree(legal, scorer.normaliser, place_D) for place_D in legal.places().split(chunk))
    parts = [_score_tree(context, scorer, legal, tree) for tree in trees]
    node_D, length_D, sum_DB = map(torch.cat, zip(*parts, strict=True))
    trie, sum_BD = legal.trie, sum_DB.T
    in_order_D = trie.first_place(node_D).argsort()
    results = []
    for sum_D in sum_BD:
        best_K = in_order_D[sum_D[in_order_D].argsort(descending=True, stable=True)[:k]]
        outside = 0.0 if scorer.normaliser == "children" else 1 - sum_D.double().exp().sum().item()
        documents_K = trie.documents(node_D[best_K])
        results.append(top_documents(documents_K, sum_D[best_K], length_D[best_K], outside))
    return results


@dataclass(frozen=True)
class _Tree:
    """The part of a trie above some documents, breadth first.

    node_M, depth_M, sees_MM: its inner nodes, as `Context.extend` takes them. edge_M: the edge that leads to each.
    row_N, node_N, decided_N: its edges: the inner node where each starts (0 the root, m + 1 node m), the node to which
    it leads, and whether only one document, one of the chunk, is at or below that node.
    """

    node_M: Tensor
    depth_M: Tensor
    sees_MM: Tensor
    edge_M: Tensor
    row_N: Tensor
    node_N: Tensor
    decided_N: Tensor


def _tree(legal: QueryTrie, normaliser: Normaliser, place_D: Tensor) -> _Tree:
    """The tree above the documents at these places (rising). For `children` it has all edges of its inner nodes."""
    device = place_D.device
    frontier_R = row_R = torch.zeros(1, dtype=torch.int64, device=device)
    sees_MM = torch.zeros(0, 0, dtype=torch.bool, device=device)
    inner: list[tuple[Tensor, Tensor, Tensor]] = []
    edges: list[tuple[Tensor, Tensor, Tensor]] = []
    edge_count = 0
    while len(frontier_R):
        parent_N, node_N = legal.children(frontier_R)
        here_N = _any_between(place_D, legal.trie.first_place(node_N), legal.trie.end_place(node_N))
        if normaliser != "children":
            parent_N, node_N, here_N = parent_N[here_N], node_N[here_N], here_N[here_N]
        decided_N = legal.is_decided(node_N, normaliser)
        edges.append((row_R[parent_N], node_N, here_N & decided_N))
        next_N = (here_N & ~decided_N).nonzero()[:, 0]
        frontier_R = node_N[next_N]
        inner.append((frontier_R, torch.full_like(frontier_R, len(inner)), next_N + edge_count))
        sees_MM = grown(sees_MM, row_R[parent_N[next_N]] - 1)
        row_R = torch.arange(len(sees_MM) - len(frontier_R), len(sees_MM), device=device) + 1
        edge_count += len(node_N)
    node_M, depth_M, edge_M = map(torch.cat, zip(*inner, strict=True))
    return _Tree(node_M, depth_M, sees_MM, edge_M, *map(torch.cat, zip(*edges, strict=True)))


def _score_tree(context: Context, scorer: Scorer, legal: QueryTrie, tree: _Tree) -> tuple[Tensor, Tensor, Tensor]:
    """The documents of a tree: the nodes that decide them, D, their docIDs' lengths, D, and sums, D x B."""
    state_BRH = context.last_BH[:, None]
    queries, inner = len(state_BRH), len(tree.node_M)
    if inner:
        token_BM = legal.trie.tokens(tree.node_M).expand(queries, -1)
        state_BMH = context.extend(token_BM, tree.depth_M, tree.sees_MM.expand(queries, -1, -1))
        context.forget(inner)
        state_BRH = torch.cat([state_BRH, state_BMH], 1)
    token_N, path_MM = legal.trie.tokens(tree.node_N), tree.sees_MM.float()
    sums = []
    for state_RH in state_BRH:
        logp_N = scorer.ragged(state_RH, tree.row_N, token_N)
        # The sum down to an inner node is over the edges to all that it sees: its ancestors and itself.
        before_R = torch.nn.functional.pad(path_MM @ logp_N[tree.edge_M], (1, 0))
        sums.append((before_R[tree.row_N] + logp_N)[tree.decided_N])
    node_D = tree.node_N[tree.decided_N]
    depth_R = torch.nn.functional.pad(tree.depth_M + 1, (1, 0))
    return node_D, depth_R[tree.row_N[tree.decided_N]] + 1 + legal.steps_to_leaf(node_D), torch.stack(sums, 1)


def _any_between(place_D: Tensor, first_N: Tensor, end_N: Tensor) -> Tensor:
    """Whether any of the places (rising) lies in each range."""
    return torch.searchsorted(place_D, first_N) < torch.searchsorted(place_D, end_N)
