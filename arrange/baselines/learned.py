"""Learning to rank: what several systems say of a query's documents becomes one score, which boosted trees learn.

The trees predict a document's reciprocal rank in the query's list, 0 without a rank: pointwise regression (Cossock and
Zhang 2006) by gradient boosting (Friedman 2001). They read what each system says of the document, the features below.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import GroupKFold, cross_val_predict

from arrange.baselines.fusion import reciprocal_rank
from arrange.evaluation.measures import nearest_documents
from arrange.evaluation.runs import from_scores

PAIR = ["query_id", "doc_id"]
FOLDS = 5
MISSING = 1e9  # in place of null: scikit-learn's trees refuse a column of nulls alone
K = 1  # of the reciprocal ranks where there are fewer queries: few documents of each system, the first says the most
FEWEST = 50  # queries that trees learn from; fewer teach less than reciprocal ranks know
TREES = {"max_iter": 100, "learning_rate": 0.1, "max_leaf_nodes": 7, "min_samples_leaf": 40}


def features(found: Sequence[pl.DataFrame], depth: int = 100) -> pl.DataFrame:
    """query_id, doc_id, and of each run i: rank_i, score_i, the query's best score best_i, and behind_i, best - score.

    A run that hasn't the document in its first `depth` says null. Sorted by query and document.
    """
    first = [run.filter(pl.col("rank") <= depth) for run in found]
    table = pl.concat([run.select(PAIR) for run in first]).unique()
    for place, run in enumerate(first):
        score, best = pl.col("score"), pl.col("score").max().over("query_id")
        said = run.select(*PAIR, pl.col("rank").cast(pl.Float64), "score", best=best, behind=best - score)
        table = table.join(said.rename({name: f"{name}_{place}" for name in said.columns[2:]}), on=PAIR, how="left")
    return table.sort(PAIR)


def learn(table: pl.DataFrame, qrels: pl.DataFrame) -> HistGradientBoostingRegressor | None:
    """Trees that predict reciprocal ranks from `features`, fitted on all rows; None where these are not `enough`."""
    return _trees().fit(_numbers(table), _targets(table, qrels)) if enough(table, qrels) else None


def ordered(
    trees: HistGradientBoostingRegressor | None, table: pl.DataFrame, found: Sequence[pl.DataFrame]
) -> pl.DataFrame:
    """The run of the table's pairs by what the trees predict; without trees, what was found, by reciprocal ranks."""
    if trees is None:
        return reciprocal_rank(found, k=K)
    return _run(table, trees.predict(_numbers(table)) if len(table) else np.empty(0))


def cross_fitted(table: pl.DataFrame, qrels: pl.DataFrame) -> pl.DataFrame:
    """The run of judged queries, none of them ranked by trees that know its list or one with the same best document.

    The queries are cut into folds; the trees that rank a fold are fitted on the others. Raises ValueError where the
    queries have fewer best documents than there are folds; see `enough`.
    """
    by_query = dict(groups(table, qrels).iter_rows())
    group_P = [by_query[query] for query in table["query_id"]]
    folds = GroupKFold(FOLDS)
    return _run(table, cross_val_predict(_trees(), _numbers(table), _targets(table, qrels), groups=group_P, cv=folds))


def fused(
    found: Sequence[pl.DataFrame], known: Sequence[pl.DataFrame], qrels: pl.DataFrame, *, crossed: bool
) -> pl.DataFrame:
    """Systems' runs as one, by trees fitted on their runs of validation queries, `known`, and the qrels of these.

    crossed: `found` has the validation queries themselves, so they are cross-fitted. By reciprocal ranks where the
    queries are not `enough`.
    """
    table = features(known)
    if crossed and enough(table, qrels):
        return cross_fitted(features(found), qrels)
    return ordered(learn(table, qrels), features(found), found)


def enough(table: pl.DataFrame, qrels: pl.DataFrame) -> bool:
    """Whether the table's queries can teach an order: 50 of them, with a best document in each fold."""
    of_queries = groups(table, qrels)["cluster"]
    return len(of_queries) >= FEWEST and of_queries.n_unique() >= FOLDS


def groups(table: pl.DataFrame, qrels: pl.DataFrame) -> pl.DataFrame:
    """query_id, cluster: that of `measures.nearest_documents` for each query in the table, or "" where it has none."""
    queries = table.select("query_id").unique().sort("query_id")
    named = queries.join(nearest_documents(qrels), on="query_id", how="left", maintain_order="left")
    return named.with_columns(pl.col("cluster").fill_null(""))


def _trees() -> HistGradientBoostingRegressor:
    return HistGradientBoostingRegressor(**TREES, early_stopping=False, random_state=1)


def _numbers(table: pl.DataFrame) -> np.ndarray:
    return table.drop(PAIR).fill_null(MISSING).to_numpy()


def _targets(table: pl.DataFrame, qrels: pl.DataFrame) -> np.ndarray:
    ranked = table.select(PAIR).join(qrels.select(*PAIR, "rank"), on=PAIR, how="left", maintain_order="left")
    return ranked.select((1 / pl.col("rank")).fill_null(0.0)).to_series().to_numpy()


def _run(table: pl.DataFrame, predicted_P: np.ndarray) -> pl.DataFrame:
    return from_scores(table.select(*PAIR, score=pl.Series(predicted_P)), depth=len(table))
