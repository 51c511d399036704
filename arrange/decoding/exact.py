"""Exact top k by best-first search over the trie, with a budget.

It is cheap if the model puts most of its probability on few documents. `arrange.decoding.full` scores all documents, at
the same cost for any model.
E prefixes expanded at a time, N candidates or open prefixes, A tokens appended so far.
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


@dataclass(frozen=True)
class ExactSearch:
    """The top documents, whether they are proven to be the true ones, and how many prefixes were expanded for it."""

    top: TopDocuments
    proven: bool
    expanded: int


def best_first(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    trie: Trie,
    *,
    k: int,
    budget: int = 2_000,
    at_once: int = 32,
    normaliser: Normaliser = "vocabulary",
    subsets: Subsets | None = None,
    progress: Callable[[int], object] = lambda done: None,
) -> list[ExactSearch]:
    """The k best documents of each prompt, in order, proven where the budget suffices.

    A docID's log-probability is at most that of each of its prefixes. So the open prefixes are expanded best first,
    `at_once` in one pass, until no open prefix is above the k-th document found. After `budget` prefixes of a query the
    search ends with what it has, `proven=False`. A tie at the k-th place may be broken either way.
    Other arguments and errors as `arrange.decoding.beam.beam_search`; queries are searched one by one.
    """
    check_search(prompts, k, subsets)
    model.eval()
    on_device = trie.on(model.device)
    scorer = Scorer(model, trie, normaliser)
    results = []
    for query, prompt in enumerate(prompts):
        with torch.inference_mode():
            search = _BestFirst(scorer, QueryTrie(on_device, subsets, query), k)
            results.append(search.run(open_context(model, [prompt]), budget, at_once))
        progress(query + 1)
    return results


@dataclass
class _Nodes:
    """Prefixes: their nodes, summed log-probabilities, lengths, and their parents among the appended tokens."""

    node_N: Tensor
    score_N: Tensor
    length_N: Tensor
    parent_N: Tensor  # -1 for the prompt itself

    def take(self, which: Tensor) -> "_Nodes":
        return _Nodes(*(field[which] for field in self._fields()))

    def join(self, other: "_Nodes") -> "_Nodes":
        return _Nodes(*(torch.cat(pair) for pair in zip(self._fields(), other._fields(), strict=True)))

    def _fields(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.node_N, self.score_N, self.length_N, self.parent_N


class _BestFirst:
    """The search for one query."""

    def __init__(self, scorer: Scorer, legal: QueryTrie, k: int) -> None:
        self.scorer, self.legal, self.trie, self.k = scorer, legal, legal.trie, k
        self.outside = 0.0

    def run(self, context: Context, budget: int, at_once: int) -> ExactSearch:
        device = context.last_BH.device
        zero_1 = torch.zeros(1, dtype=torch.int64, device=device)
        open_, done = self._expand(_Nodes(zero_1, zero_1.float(), zero_1, zero_1 - 1), context.last_BH, zero_1 - 1)
        expanded, sees_AA = 1, torch.zeros(0, 0, dtype=torch.bool, device=device)
        while True:
            done = done.take(done.score_N.argsort(descending=True, stable=True)[: self.k])
            if len(done.score_N) == self.k:
                open_ = open_.take(open_.score_N > done.score_N[-1])
            count = min(at_once, len(open_.score_N), budget - expanded)
            if count <= 0:
                return ExactSearch(self._top(done), not len(open_.score_N), expanded)
            best = torch.zeros_like(open_.node_N, dtype=torch.bool)
            best[open_.score_N.topk(count).indices] = True
            nodes, open_ = open_.take(best), open_.take(~best)
            sees_AA = grown(sees_AA, nodes.parent_N)
            state_EH = context.extend(self.trie.tokens(nodes.node_N)[None], nodes.length_N - 1, sees_AA[None, -count:])
            children, finished = self._expand(nodes, state_EH[0], torch.arange(count, device=device) + expanded - 1)
            open_, done, expanded = open_.join(children), done.join(finished), expanded + count

    def _expand(self, nodes: _Nodes, state_EH: Tensor, place_E: Tensor) -> tuple[_Nodes, _Nodes]:
        """The inner children of nodes, and those that end a docID. place_E: the nodes' own places in the context."""
        row_N, node_N = self.legal.children(nodes.node_N)
        logp_N = self.scorer.ragged(state_EH, row_N, self.trie.tokens(node_N))
        children = _Nodes(node_N, nodes.score_N[row_N] + logp_N, nodes.length_N[row_N] + 1, place_E[row_N])
        if self.scorer.normaliser != "children":
            self.outside += float(nodes.score_N.exp().sum() - children.score_N.exp().sum())
        over_N = self.legal.is_decided(node_N, self.scorer.normaliser)
        return children.take(~over_N), children.take(over_N)

    def _top(self, done: _Nodes) -> TopDocuments:
        length_N = done.length_N + self.legal.steps_to_leaf(done.node_N)
        return top_documents(self.trie.documents(done.node_N), done.score_N, length_N, self.outside)
