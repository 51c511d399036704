"""The settings of ranking with a model. Importable without torch: a flow checks settings without waiting for it."""

from dataclasses import dataclass
from typing import Any, Literal

from arrange.bounds import Count, CountOr0
from arrange.models.normaliser import Normaliser


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How queries are ranked by beam search.

    split: the queries to rank. beams: the width of the search, and the number of documents found.
    batch_size: queries at a time. normaliser: what a token's log-probability is normalised over.
    diagnosed: for so many queries exact and unconstrained searches are made too, to see what beam search missed.
    """

    split: Literal["validation", "test"]
    threads: Count
    beams: Count
    batch_size: Count
    normaliser: Normaliser
    diagnosed: CountOr0

    def search(self) -> dict[str, Any]:
        """beams, batch_size and normaliser, as keyword arguments of the searches."""
        return {"beams": self.beams, "batch_size": self.batch_size, "normaliser": self.normaliser}
