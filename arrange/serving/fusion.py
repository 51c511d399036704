"""An exported ranker beside a first stage: what both find, in the order that validation queries taught.

An export's folder `first_stage` has the files of `arrange.baselines.first_stage.write`, and of the validation queries
known.parquet, what the trees read of the documents that both found, and judged.parquet, the true ranks.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError
from sklearn.ensemble import HistGradientBoostingRegressor

from arrange.baselines import first_stage, learned
from arrange.baselines.first_stage import FirstStage
from arrange.decoding.rank import ScoredRows
from arrange.errors import UserError
from arrange.evaluation.runs import make_run, read_run
from arrange.serving.exported import FIRST_STAGE, REMEDY


@dataclass(frozen=True, eq=False)
class Parts:
    """What a fusion is made of.

    folder: what `first_stage.write` has written. known: the files of the ranker's and the first stage's runs of the
    validation queries. qrels: of these queries.
    """

    folder: Path
    known: Sequence[Path]
    qrels: pl.DataFrame


def write(parts: Parts, export: Path) -> None:
    """Write the folder `first_stage` into an export's new folder."""
    shutil.copytree(parts.folder, export / FIRST_STAGE)
    learned.features([*map(read_run, parts.known)]).write_parquet(export / FIRST_STAGE / "known.parquet")
    parts.qrels.select("query_id", "doc_id", "rank").write_parquet(export / FIRST_STAGE / "judged.parquet")


@dataclass(frozen=True, eq=False)
class Fusion:
    """A first stage, and what teaches its fusion with a ranker: see the module."""

    first: FirstStage
    known: pl.DataFrame
    qrels: pl.DataFrame

    @cached_property
    def trees(self) -> HistGradientBoostingRegressor | None:
        """What the validation queries have taught; None if they are too few."""
        return learned.learn(self.known, self.qrels)

    def order(self, queries: Sequence[str], ranked: Sequence[ScoredRows]) -> list[list[tuple[str, float]]]:
        """For each query the ids and scores, best first, of what the ranker (`ranked`) and the first stage found.

        A score is the predicted reciprocal rank; or a sum of reciprocal ranks where nothing could be taught.
        """
        ids = [str(number) for number in range(len(queries))]
        doc_ids = self.first.documents["doc_id"].to_list()
        of_ranker = make_run(ids, ranked, doc_ids, depth=max(map(len, ranked), default=0))
        found = [of_ranker, self.first.rank(pl.DataFrame({"query_id": ids, "text": queries}))]
        run = learned.ordered(self.trees, learned.features(found), found)
        scored = run.group_by("query_id", maintain_order=True).agg("doc_id", "score")
        of_query = {query: list(zip(docs, scores, strict=True)) for query, docs, scores in scored.iter_rows()}
        return [of_query.get(query, []) for query in ids]


def load(export: Path, documents: pl.DataFrame) -> Fusion:
    """The fusion in an export, over its documents. Raises UserError as `first_stage.load` does."""
    folder = export / FIRST_STAGE
    first = first_stage.load(folder, documents.select("doc_id", "text"))
    try:
        known, qrels = (pl.read_parquet(folder / f"{name}.parquet") for name in ("known", "judged"))
    except (OSError, PolarsError) as error:
        raise UserError(f"{folder} can't be read: {error}", REMEDY) from None
    return Fusion(first, known, qrels)
