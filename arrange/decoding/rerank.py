"""Reranking: a model scores the documents that another system found, a first stage such as BM25.

All candidates of a query are scored in full, in one packed pass. Beam search restricted to them would be cheaper for
very many of them, but it may lose some on the way; here none is lost, and the order is that of the model.
"""

from collections.abc import Callable

import polars as pl
from transformers import PreTrainedModel

from arrange.decoding.rank import rank_lists
from arrange.docids.catalogue import Catalogue
from arrange.errors import UserError
from arrange.evaluation import runs
from arrange.models.normaliser import Normaliser
from arrange.training.examples import check_length, of_queries
from arrange.training.settings import Prompt


def rerank(
    model: PreTrainedModel,
    queries: pl.DataFrame,
    first: pl.DataFrame,
    catalogue: Catalogue,
    prompt: Prompt,
    *,
    source: str,
    depth: int,
    seed: int,
    normaliser: Normaliser,
    progress: Callable[[int], object] = lambda done: None,
) -> pl.DataFrame:
    """The run of a model over the first `depth` documents that the run `first` has for each query, all of them.

    queries: query_id and text. A query that `first` lacks gets no documents. In the regime `in_context` the prompt
    shows the candidates, in an order by `seed`. source: what errors call `first`.
    Raises UserError if no query is in `first`, a document has no docID, or the candidates don't fit into the prompt.
    """
    candidates = first.filter(pl.col("rank") <= depth).join(queries, on="query_id", how="semi", maintain_order="left")
    check_candidates(candidates, first, catalogue, source)
    asked = queries.join(candidates, on="query_id", how="semi", maintain_order="left")
    doc_ids = catalogue.docids["doc_id"].to_list()
    if asked.is_empty():
        return runs.make_run([], [], doc_ids, depth=depth)
    unjudged = candidates.select("query_id", "doc_id", rank=pl.lit(None, pl.Int32))
    examples = of_queries(asked, unjudged, catalogue, prompt, seed)
    query_ids = asked["query_id"].to_list()
    remedy = f"rerank fewer candidates: depth is {depth}; or take a model with a longer context"
    check_length(examples, model.config.max_position_embeddings, query_ids, remedy)
    # one query at a time: so many candidates fill a pass
    lists = rank_lists(model, examples, 1, prompt.score, progress, normaliser=normaliser)
    return runs.make_run(query_ids, lists, doc_ids, depth=depth)


def check_candidates(candidates: pl.DataFrame, first: pl.DataFrame, catalogue: Catalogue, source: str) -> None:
    """Raise UserError unless the candidates of `first` are documents with docIDs, of some of the queries."""
    if candidates.is_empty() and not first.is_empty():
        what = f"{source}: none of the queries to rank is in it; its first one is {first['query_id'][0]!r}"
        raise UserError(what, "give a run over the queries of the split that rank.split names")
    unknown = candidates.join(catalogue.docids, on="doc_id", how="anti", maintain_order="left")
    if len(unknown):
        query_id, doc_id = unknown.row(0)[:2]
        what = f"{source}: {len(unknown)} documents have no docID, the first {doc_id!r} of query {query_id!r}"
        raise UserError(what, "give a run over the documents of the data set")
