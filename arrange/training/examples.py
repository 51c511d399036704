"""From queries and judged lists to batches: the order of the queries, their prompts, their documents and weights.

There are two regimes. In `corpus` the prompt holds the query alone. In `in_context` it holds the query's judged
documents too, and the model ranks these candidates. Training draws their order anew each time; where queries are
ranked it follows from the seed, the query and the candidates alone, so that all who rank show the same. Candidates of
a first stage may be shown in its order instead, which says much about them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from arrange.docids.catalogue import Catalogue
from arrange.docids.tokens import Prompt, encode_prompts, literal
from arrange.docids.trie import Trie
from arrange.errors import UserError
from arrange.models.normaliser import Normaliser
from arrange.training import settings
from arrange.training.columns import legal_tokens
from arrange.training.losses import ListLoss, Weights
from arrange.training.packing import DocidTokens, Lists, docid_tokens, pack

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from arrange.training.mixing import Mix

Item = tuple[int, int | None]  # a query's row, and the place of this example in the training; None for ranking
JudgedList = tuple[NDArray[np.int64], NDArray[np.float64]]


@dataclass(frozen=True)
class Examples:
    """What batches are packed from; `prompts` and `lists` have one entry per query.

    lists: rows of the document table and their ranks, nan for judged negatives.
    candidate: the tokens before and behind each candidate's docID in the prompt; None leaves candidates out.
    seed: of the candidates' order.
    trie: of all docIDs; only normalisers other than `vocabulary` need it.
    teacher: a teacher's scores of each list, nan where it has none; None without a teacher.
    """

    prompts: Sequence[Prompt]
    lists: Sequence[JudgedList]
    docids: DocidTokens
    pad_token_id: int
    candidate: tuple[list[int], list[int]] | None = None
    seed: int = 0
    trie: Trie | None = None
    teacher: Sequence[NDArray[np.float64]] | None = None


def judged_lists(query_ids: pl.Series, qrels: pl.DataFrame, doc_ids: pl.Series) -> list[JudgedList]:
    """The judged list of each of `query_ids`, in that order: (rows_D, ranks_D).

    Every query must have judgements, and every judged document must be among `doc_ids`.
    """
    rows = pl.DataFrame({"doc_id": doc_ids}).with_row_index("row")
    lists = (
        pl.DataFrame({"query_id": query_ids})
        .join(qrels, on="query_id", how="left", maintain_order="left_right")
        .join(rows, on="doc_id", how="left", maintain_order="left")
        .group_by("query_id", maintain_order=True)
        .agg("row", "rank")
    )
    return [
        (row.to_numpy().astype(np.int64), rank.cast(pl.Float64).fill_null(np.nan).to_numpy())
        for row, rank in zip(lists["row"], lists["rank"], strict=True)
    ]


class Order(Dataset[Item]):
    """The queries in the order in which training sees them: epochs, each a fresh permutation of all.

    mix: augmented examples, behind the queries, that take some of the `count` places.
    """

    def __init__(self, queries: int, count: int, seed: int, mix: "Mix | None" = None) -> None:
        rng = np.random.default_rng(seed)
        augmented_N = mix.places(count) if mix else np.zeros(count, bool)
        of_queries = int(count - augmented_N.sum())
        epochs = [rng.permutation(queries) for _ in range(-(-of_queries // queries))]
        self.query_N = np.full(count, queries)
        self.query_N[~augmented_N] = np.concatenate([*epochs, np.empty(0, np.int64)])[:of_queries]
        if mix:
            self.query_N[augmented_N] += mix.draw(count - of_queries, seed)

    def __len__(self) -> int:
        return len(self.query_N)

    def __getitem__(self, place: int) -> Item:
        return int(self.query_N[place]), place


def prompt_of(examples: Examples, query: int, place: int | None = None) -> list[int]:
    """The tokens of a query's prompt.

    The order of its candidates, if it has any, is drawn by the seed and the `place` in the training; without a place by
    the seed and the query's tokens, from the candidates in the order of the document table.
    """
    head, tail = examples.prompts[query]
    if examples.candidate is None:
        return [*head, *tail]
    before, behind = examples.candidate
    key = (examples.seed, *head) if place is None else (examples.seed, place)
    rows_D = examples.lists[query][0]
    rows_D = np.random.default_rng(key).permutation(np.sort(rows_D) if place is None else rows_D)
    tokens = [examples.docids.tokens_DT[row, : examples.docids.length_D[row] - 1].tolist() for row in rows_D]
    return [*head, *(id_ for docid in tokens for id_ in (*before, *docid, *behind)), *tail]


def with_ranked_documents(examples: Examples) -> Examples:
    """The examples of the queries that have a document with a rank."""
    kept = [query for query, (_, ranks_D) in enumerate(examples.lists) if np.isfinite(ranks_D).any()]
    prompts, lists = [examples.prompts[query] for query in kept], [examples.lists[query] for query in kept]
    return replace(examples, prompts=prompts, lists=lists)


def list_weights(examples: Examples, loss: ListLoss) -> list[Weights]:
    """The weights of each query's documents under a loss."""
    return [loss.weights(ranks_D) for _, ranks_D in examples.lists]


def with_unranked(examples: Examples, rows: Mapping[int, NDArray[np.int64]]) -> Examples:
    """The examples, with documents of some queries joined to their lists: without a rank or a teacher's score.

    rows: of the document table, by the query's row. A document that is in the list already keeps its rank.
    """
    assert examples.candidate is None, "the prompt would show what joins the list"
    lists, teacher = list(examples.lists), list(examples.teacher or [])
    for query, rows_K in rows.items():
        rows_D, ranks_D = lists[query]
        new_K = rows_K[~np.isin(rows_K, rows_D)]
        nan_K = np.full(len(new_K), np.nan)
        lists[query] = np.concatenate([rows_D, new_K]), np.concatenate([ranks_D, nan_K])
        if teacher:
            teacher[query] = np.concatenate([teacher[query], nan_K])
    return replace(examples, lists=lists, teacher=teacher or None)


def batch(
    items: Sequence[Item],
    examples: Examples,
    weights: Sequence[Weights] | None = None,
    *,
    gamma: float = 1.0,
    normalised: bool = True,
    negatives: bool = True,
    siblings: bool = False,
    normaliser: Normaliser = "vocabulary",
) -> dict[str, torch.Tensor]:
    """Pack the queries of `items`: what `packing.pack` returns, and `rank_D` and `query_B` (rows of the queries).

    With a teacher `teacher_D` too, its scores.

    weights: of every query's documents (`list_weights`); None for no edge weights. gamma, normalised: see
    `losses.ListLoss`. negatives: keep judged negatives among the documents, which only terms on whole docIDs need.
    Without them edges that have no target are left out too, unless `siblings` are wanted: the children in the
    catalogue of all prefixes, which `arrange.training.prefix` needs. normaliser: of the tokens' log-probabilities.
    """
    queries = [query for query, _ in items]
    kept = [examples.lists[q][1] > 0 if not negatives else slice(None) for q in queries]  # nan is not above 0
    rows = [examples.lists[q][0][keep] for q, keep in zip(queries, kept, strict=True)]
    lists = Lists(np.repeat(np.arange(len(items)), [len(row_D) for row_D in rows]), np.concatenate(rows))
    if weights is not None:
        of_queries = [Weights(*(log_D[keep] for log_D in weights[q])) for q, keep in zip(queries, kept, strict=True)]
        lists = lists._replace(weights=Weights(*(np.concatenate(logs) for logs in zip(*of_queries, strict=True))))
    prompts = [prompt_of(examples, query, place) for query, place in items]
    packed = pack(
        prompts,
        examples.docids,
        lists,
        examples.pad_token_id,
        gamma=gamma,
        normalised=normalised,
        whole=negatives or siblings,
        legal=legal_tokens(examples.trie, normaliser),
        siblings=examples.trie if siblings else None,
    )
    ranks_D = np.concatenate([examples.lists[q][1][keep] for q, keep in zip(queries, kept, strict=True)])
    if (teacher := examples.teacher) is not None:
        scores_D = np.concatenate([teacher[q][keep] for q, keep in zip(queries, kept, strict=True)])
        packed["teacher"] = torch.from_numpy(scores_D.astype(np.float32))
    return packed | {"rank": torch.from_numpy(ranks_D.astype(np.float32)), "query": torch.tensor(queries)}


def longest_sequence(splits: Sequence[Examples], tokenizer: "PreTrainedTokenizerFast", prompt: settings.Prompt) -> int:
    """How many tokens the longest sequence has, prompt and docID: of these splits' queries, and of any later query.

    A later query has at most `query_tokens`, and no more candidates than one of these, but perhaps the longest docIDs.
    """
    [(head, tail)] = encode_prompts(tokenizer, prompt.template, [""], 0)
    longest_docid = max(int(examples.docids.length_D.max()) for examples in splits)
    candidates = 0
    if around := around_docid(tokenizer, prompt.templates()["candidate"]):
        most = max(len(rows_D) for examples in splits for rows_D, _ in examples.lists)
        candidates = most * (sum(map(len, around)) + longest_docid - 1)
    lengths = (_length(examples, query) for examples in splits for query in range(len(examples.prompts)))
    return max(len(head) + prompt.query_tokens + candidates + len(tail) + longest_docid, *lengths)


FEWER = "show fewer query tokens or candidates (section prompt), or take a model with a longer context"


def check_length(examples: Examples, limit: int, query_ids: Sequence[str], remedy: str = FEWER) -> None:
    """Raise UserError, naming the query, where prompt and docID are longer than the model's context of `limit`."""
    for query, query_id in enumerate(query_ids):
        tokens = _length(examples, query)
        if tokens > limit:
            raise UserError(
                f"query {query_id}: prompt and docID have {tokens} tokens, the model's context {limit}", remedy
            )


def _length(examples: Examples, query: int) -> int:
    """Of the prompt with the longest docID that may follow it: of all documents, or of the candidates."""
    rows_D = slice(None) if examples.candidate is None else examples.lists[query][0]
    return len(prompt_of(examples, query)) + int(examples.docids.length_D[rows_D].max(initial=0))


def of_queries(
    queries: pl.DataFrame, qrels: pl.DataFrame, catalogue: Catalogue, prompt: settings.Prompt, seed: int = 0
) -> Examples:
    """The examples of some queries (query_id, text), with prompts of the regime. `seed`: see `Examples`."""
    templates = prompt.templates()
    return Examples(
        encode_prompts(catalogue.tokenizer, templates["template"], queries["text"].to_list(), prompt.query_tokens),
        judged_lists(queries["query_id"], qrels, catalogue.docids["doc_id"]),
        docid_tokens(catalogue.docids["tokens"].to_list()),
        catalogue.tokenizer.pad_token_id,
        around_docid(catalogue.tokenizer, templates["candidate"]),
        seed,
        catalogue.trie,
    )


def around_docid(tokenizer: "PreTrainedTokenizerFast", candidate: str | None) -> tuple[list[int], list[int]] | None:
    """The tokens before and behind "{docid}" in the template of a candidate; None for no template."""
    if candidate is None:
        return None
    before, _, behind = candidate.partition("{docid}")
    return literal(tokenizer, before), literal(tokenizer, behind)
