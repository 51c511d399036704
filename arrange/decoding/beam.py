"""Beam search over the docIDs of a trie: every result is a document of the catalogue.

The rule is that of Hugging Face's `generate` with `length_penalty=0`. Of a step's candidates, those among the K best
that end a docID become results; the K best of the others go on. So finished docIDs take no beam from those that still
grow. When every beam is a prefix of one document only, nothing is left to choose: what remains of these docIDs (their
tails) is scored in one pass.

B queries, K beams, S slots (prefixes that still grow, at most K a query), W children of a slot, C = S x W candidates,
A tokens appended to the prompts so far, T tokens of the longest tail, F finished docIDs. A slot without a prefix has
the score -inf and its node is a leaf.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedModel

from arrange.decoding.scoring import Scorer
from arrange.decoding.top_documents import TopDocuments, top_documents
from arrange.docids.subsets import Subsets
from arrange.docids.torch_trie import TorchTrie
from arrange.docids.trie import Trie
from arrange.errors import UserError
from arrange.models.normaliser import Normaliser
from arrange.models.prompt_cache import Context, open_context

SORTED = 2**10  # so many scores are sorted rather than selected from
PACKED = 2**24  # entries of an attention mask that tails may take at a time


def beam_search(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    trie: Trie,
    *,
    beams: int,
    batch_size: int,
    normaliser: Normaliser = "vocabulary",
    subsets: Subsets | None = None,
    progress: Callable[[int], object] = lambda done: None,
) -> list[TopDocuments]:
    """Rank documents for each prompt: at most `beams`, best first.

    model: a causal language model (AutoModelForCausalLM); put into evaluation mode.
    prompts: tokens without padding, none of them empty.
    normaliser: what a token's log-probability is normalised over; see `arrange.decoding.scoring`.
    subsets: the documents that each query may have; None for all.
    progress: called after each batch with the number of queries done so far.

    The result is certain to be the true top `beams` only if the beam is as wide as the catalogue; otherwise compare it
    with `arrange.decoding.exact`. Ties go to the docID that ends first, then to the better prefix, then to the lower
    token. A catalogue smaller than the beam gives fewer results.
    Raises UserError for no beams, an empty prompt, a query without a subset, an unknown normaliser, or a trie with
    tokens that the model doesn't have.

    >>> beam_search(model, [[1, 5, 3]], trie, beams=2, batch_size=8)[0].pairs()  # doctest: +SKIP
    [(17, -0.4), (3, -1.9)]
    """
    check_search(prompts, beams, subsets)
    model.eval()
    search = BeamSearch(Scorer(model, trie, normaliser), trie.on(model.device), subsets, beams)
    by_length = sorted(range(len(prompts)), key=lambda query: len(prompts[query]))  # least padding
    top_of: dict[int, TopDocuments] = {}
    for start in range(0, len(prompts), batch_size):
        batch = by_length[start : start + batch_size]
        with torch.inference_mode():
            results = search.run(open_context(model, [prompts[query] for query in batch]), batch)
        top_of.update(zip(batch, results, strict=True))
        progress(start + len(batch))
    return [top_of[query] for query in range(len(prompts))]


def check_search(prompts: Sequence[Sequence[int]], documents: int, subsets: Subsets | None = None) -> None:
    """Raise UserError for an empty prompt, a search for no documents, or a query without a subset if there are some."""
    if documents < 1:
        raise UserError(f"a search for {documents} documents", "give a number above 0")
    empty = [query for query, prompt in enumerate(prompts) if not len(prompt)]
    if empty:
        raise UserError(
            f"prompt {empty[0]} is empty",
            "begin every prompt with a token, for example the tokenizer's beginning token",
        )
    if subsets is not None:
        subsets.check(len(prompts))


class Prefixes(NamedTuple):
    """Prefixes of each query that still grow, all equally long, B x S: their nodes and summed log-probabilities."""

    node_BS: Tensor
    score_BS: Tensor


class Finished(NamedTuple):
    """Whole docIDs of each query, best first, B x F: their leaves, summed log-probabilities and lengths."""

    node_BF: Tensor
    score_BF: Tensor
    length_BF: Tensor

    def merge(self, others: "Finished", count: int) -> "Finished":
        """The `count` best of both; of equal scores these before the others."""
        both = Finished(*(torch.cat(pair, 1) for pair in zip(self, others, strict=True)))
        best_BF = _top(both.score_BF, count)
        return Finished(*(field.gather(1, best_BF) for field in both))


@dataclass(frozen=True)
class BeamSearch:
    """The search, with all that stays the same from batch to batch."""

    scorer: Scorer
    trie: TorchTrie
    subsets: Subsets | None
    beams: int

    def run(self, context: Context, queries: Sequence[int]) -> list[TopDocuments]:
        """Search for one batch; `queries`: their numbers in `subsets`."""
        state_BSH, device = context.last_BH[:, None], context.last_BH.device
        query_B = torch.tensor(queries, device=device)
        root_B1 = torch.zeros_like(query_B)[:, None]
        slots, done = Prefixes(root_B1, root_B1.float()), self.nothing(len(queries), device)
        outside_B = torch.zeros(len(queries), device=device)
        sees_BSA = torch.zeros(len(queries), 1, 0, dtype=torch.bool, device=device)
        for depth in range(len(self.trie.max_children_by_depth) - 1):
            if depth and self._only_tails(slots, depth):
                ends = self._tails(context, slots, depth, sees_BSA)
                outside_B += slots.score_BS.exp().sum(1) - ends.score_BF.exp().sum(1)
                done = done.merge(ends, self.beams)
                break
            if depth:
                sees_BSA = with_themselves(sees_BSA)
                depth_1 = torch.full((1,), depth - 1, device=device)
                state_BSH = context.extend(self.trie.tokens(slots.node_BS), depth_1, sees_BSA)
            candidates, width = self.candidates(slots, state_BSH, query_B, depth)
            outside_B += slots.score_BS.exp().sum(1) - candidates.score_BS.exp().sum(1)
            done, slots, parent_BS = self.choose(done, candidates, width, depth)
            sees_BSA = sees_BSA.gather(1, parent_BS[..., None].expand(-1, -1, sees_BSA.shape[2]))
        if self.scorer.normaliser == "children":
            outside_B.zero_()  # it is 0 but for rounding
        return _results(done, outside_B, self.trie)

    def nothing(self, queries: int, device: torch.device) -> Finished:
        """No finished docIDs."""
        node_B0 = torch.zeros(queries, 0, dtype=torch.int64, device=device)
        return Finished(node_B0, node_B0.float(), node_B0)

    def candidates(self, slots: Prefixes, state_BSH: Tensor, query_B: Tensor, depth: int) -> tuple[Prefixes, int]:
        """All children of the slots, B x C, and W: how many places each slot has among them."""
        node_BSW, legal_BSW = self._children(slots.node_BS, depth)
        if self.subsets is not None:
            legal_BSW &= self.subsets.allowed(node_BSW, query_B[:, None, None].expand_as(node_BSW))
            node_BSW = self._leaf_where(~legal_BSW, node_BSW)
        token_RW, legal_RW = self.trie.tokens(node_BSW).flatten(0, 1), legal_BSW.flatten(0, 1)
        logp_RW = self.scorer.padded(state_BSH.flatten(0, 1), token_RW, legal_RW)
        score_BSW = slots.score_BS[..., None] + logp_RW.view_as(node_BSW)
        return Prefixes(node_BSW.flatten(1), score_BSW.flatten(1)), node_BSW.shape[2]

    def choose(self, done: Finished, candidates: Prefixes, width: int, depth: int) -> tuple[Finished, Prefixes, Tensor]:
        """The finished docIDs, the next slots and their parents, B x S."""
        node_BC, score_BC = candidates
        ends_BC = self.trie.is_leaf(node_BC) & (score_BC > -torch.inf)
        if not _on_host(ends_BC) or ends_BC.any():
            best_BK = _top(score_BC, self.beams)
            ended_BK = score_BC.masked_fill(~ends_BC, -torch.inf).gather(1, best_BK)
            length_BK = torch.full_like(best_BK, depth + 1)
            done = done.merge(Finished(node_BC.gather(1, best_BK), ended_BK, length_BK), self.beams)
            score_BC = score_BC.masked_fill(ends_BC, -torch.inf)
        next_BS = _top(score_BC, self.beams)
        if _on_host(next_BS):  # drop the slots that no query needs
            alive_BS = score_BC.gather(1, next_BS) > -torch.inf
            next_BS = next_BS[:, : max(1, int(alive_BS.sum(1).max()))]
        return done, Prefixes(node_BC.gather(1, next_BS), score_BC.gather(1, next_BS)), next_BS // width

    def _leaf_where(self, dead_X: Tensor, node_X: Tensor) -> Tensor:
        return node_X.masked_fill(dead_X, len(self.trie.token_N) - 1)  # the last node is a leaf

    def _children(self, node_BS: Tensor, depth: int) -> tuple[Tensor, Tensor]:
        """The children of nodes and which are real, B x S x W. W: the most children of these nodes or this depth."""
        first_BS, end_BS = self.trie.child_range(node_BS)
        width = self.trie.max_children_by_depth[depth]
        if _on_host(node_BS):
            width = max(1, int((end_BS - first_BS).max()))
        node_BSW = first_BS[..., None] + torch.arange(width, device=node_BS.device)
        legal_BSW = node_BSW < end_BS[..., None]
        return self._leaf_where(~legal_BSW, node_BSW), legal_BSW

    def _only_tails(self, slots: Prefixes, depth: int) -> bool:
        """Whether nothing is left to choose. On a GPU the depth decides: looking at the nodes would wait for it."""
        if not _on_host(slots.node_BS):
            return max(self.trie.max_children_by_depth[depth:]) == 1
        below_BS = self.trie.end_place(slots.node_BS) - self.trie.first_place(slots.node_BS)
        return bool((below_BS == 1).all())

    def _tails(self, context: Context, slots: Prefixes, depth: int, sees_BSA: Tensor) -> Finished:
        """The slots' docIDs, when each slot has one only. The slots are not appended to the context yet."""
        path, more = [slots.node_BS], []
        for _ in range(depth, len(self.trie.max_children_by_depth) - 1):
            child_BS, end_BS = self.trie.child_range(path[-1])
            more.append(child_BS < end_BS)
            path.append(torch.where(more[-1], child_BS, path[-1]))
        path_BSU, more_BST = torch.stack(path, 2), torch.stack(more, 2)
        length_BS, score_BS = depth + more_BST.sum(2), slots.score_BS
        if self.scorer.normaliser != "children":  # with `children` an only child has probability 1
            more_BST &= score_BS[..., None] > -torch.inf
            score_BS = score_BS + self._tail_scores(context, depth - 1, path_BSU, more_BST, sees_BSA)
        return Finished(path_BSU[..., -1], score_BS, length_BS)

    def _tail_scores(
        self, context: Context, first: int, path_BSU: Tensor, more_BST: Tensor, sees_BSA: Tensor
    ) -> Tensor:
        """The summed log-probability of each path after its first node, B x S. U = T + 1 nodes; more_BST: real ones."""
        if _on_host(more_BST):
            longest = int(more_BST.sum(2).max())
            path_BSU, more_BST = path_BSU[..., : longest + 1], more_BST[..., :longest]
        queries, slots, steps = more_BST.shape
        token_BSU, logp_BST = self.trie.tokens(path_BSU), torch.zeros(more_BST.shape, device=more_BST.device)
        at_once = max(1, PACKED // max(1, queries * steps * (sees_BSA.shape[2] + slots * steps)))
        for start in range(0, slots if steps else 0, at_once):
            these = slice(start, start + at_once)
            logp_BST[:, these] = self._chain_scores(
                context, first, token_BSU[:, these], more_BST[:, these], sees_BSA[:, these]
            )
        return logp_BST.sum(2)

    def _chain_scores(
        self, context: Context, first: int, token_BSU: Tensor, more_BST: Tensor, sees_BSA: Tensor
    ) -> Tensor:
        """The log-probability of each token but the first (0: no token), B x S x T. The context is left as it was."""
        _, slots, steps = more_BST.shape
        depth_Q = torch.arange(first, first + steps, device=more_BST.device).repeat(slots)
        state_BQH = context.extend(token_BSU[..., :-1].flatten(1), depth_Q, _chains(sees_BSA, steps))
        context.forget(slots * steps)
        state_RH, token_R1 = state_BQH[more_BST.flatten(1)], token_BSU[..., 1:][more_BST][:, None]
        logp_R1 = self.scorer.padded(state_RH, token_R1, torch.ones_like(token_R1, dtype=torch.bool))
        return torch.zeros(more_BST.shape, device=more_BST.device).masked_scatter(more_BST, logp_R1)


def _on_host(tensor: Tensor) -> bool:
    """Whether its values can be read without waiting for a device."""
    return tensor.device.type == "cpu"


def with_themselves(before_BSA: Tensor) -> Tensor:
    """What S tokens see: of the A tokens before them as given, and each itself. B x S x (A + S)."""
    self_SS = torch.eye(before_BSA.shape[1], dtype=torch.bool, device=before_BSA.device)
    return torch.cat([before_BSA, self_SS.expand(len(before_BSA), -1, -1)], 2)


def _chains(before_BSA: Tensor, steps: int) -> Tensor:
    """What the Q tokens of S chains see: what their chain sees, and the chain up to themselves. B x Q x (A + Q)."""
    queries, slots, _ = before_BSA.shape
    one_TT = torch.ones(steps, steps, dtype=torch.bool, device=before_BSA.device).tril()
    own_QQ = torch.block_diag(*[one_TT] * slots) if slots else one_TT[:0]
    before_BQA = before_BSA.repeat_interleave(steps, 1)
    return torch.cat([before_BQA, own_QQ.expand(queries, -1, -1)], 2)


def _top(score_BC: Tensor, count: int) -> Tensor:
    """The places of the highest scores, highest first; of equal scores the first place first."""
    if score_BC.numel() <= SORTED:
        return score_BC.sort(dim=1, descending=True, stable=True).indices[:, :count]
    # `topk` is faster for many scores, but its order of ties is undefined. So score and place become one integer.
    bits_BC = (score_BC + 0.0).view(torch.int32)  # -0.0 becomes 0.0
    # Floats as integers of the same order: negative floats count from the other end.
    order_BC = torch.where(bits_BC < 0, bits_BC ^ 0x7FFFFFFF, bits_BC).long()
    places = score_BC.shape[1]
    key_BC = (order_BC << 32) + torch.arange(places - 1, -1, -1, device=score_BC.device)
    key_BK = key_BC.topk(min(count, places), dim=1).values
    return places - 1 - (key_BK & 0xFFFFFFFF)


def _results(done: Finished, outside_B: Tensor, trie: TorchTrie) -> list[TopDocuments]:
    """The finished docIDs of each query, on the host. Only here the search waits for a GPU."""
    document_BF, outsides = trie.documents(done.node_BF).cpu(), outside_B.tolist()
    score_BF, length_BF = done.score_BF.cpu(), done.length_BF.cpu()
    counts = (score_BF > -torch.inf).sum(1).tolist()
    return [
        top_documents(document_BF[query, :count], score_BF[query, :count], length_BF[query, :count], outsides[query])
        for query, count in enumerate(counts)
    ]
