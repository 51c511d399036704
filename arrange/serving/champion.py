"""Whether a new ranker, the challenger, is better than the champion: a paired test on the validation queries."""

from dataclasses import dataclass

import polars as pl

from arrange.errors import UserError
from arrange.evaluation.statistics import differences

LEVEL = 0.05


@dataclass(frozen=True)
class Comparison:
    """The mean difference of a measure, challenger minus champion, its 95% interval, p-value and number of queries."""

    difference: float
    low: float
    high: float
    p: float
    queries: int

    @property
    def is_better(self) -> bool:
        """Whether the challenger is better, by a difference that is significant at the level 0.05."""
        return self.difference > 0 and self.p < LEVEL


def compare(challenger: pl.DataFrame, champion: pl.DataFrame, measure: str = "nDCG@10") -> Comparison:
    """Compare two exported rankers by their tables validation.parquet (query_id, cluster, measures).

    Queries are paired by their ids. The test permutes the signs of whole clusters: see `statistics.differences`.
    Raises UserError unless both tables have the same queries in the same clusters.
    """
    keys = ["query_id", "cluster"]
    if not challenger.select(keys).sort(keys).equals(champion.select(keys).sort(keys)):
        raise UserError("the two rankers were validated on different queries", "validate both on the same ones")
    systems = {"challenger": challenger, "champion": champion}
    columns = (pl.lit(name).alias("system") for name in systems)
    per_query = pl.concat(
        table.select(column, "query_id", measure) for table, column in zip(systems.values(), columns, strict=True)
    )
    row = differences(per_query, "champion", challenger.select(keys)).row(0, named=True)
    return Comparison(**{name: row[name] for name in Comparison.__dataclass_fields__})
