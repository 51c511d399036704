"""The settings of ranking with a model. Importable without torch: a flow checks settings without waiting for it."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le

from arrange.bounds import Count, CountOr0, Positive, Seed, WholeShare
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


@dataclass(frozen=True, kw_only=True)
class Intersective:
    """How n-grams score documents; see `arrange.decoding.intersective`, which defines alpha and beta.

    frequent: n-grams with more places than this find no documents; they only count in those that others find.
    """

    alpha: Positive
    beta: WholeShare
    frequent: Count


@dataclass(frozen=True, kw_only=True)
class Ngrams(Intersective):
    """A ranker whose docIDs are all n-grams of the documents' texts (SEAL).

    data: the data set. docids: the catalogue of it whose tokenizer is used. length: of the longest n-grams, in tokens.
    samples: n-grams that a training query has of each of its documents. temperature: of the draw; see
    `arrange.training.ngrams`. loss, seed, arguments: as a ranker's.
    """

    data: str
    docids: str
    loss: str
    seed: Seed
    length: Annotated[int, Ge(2), Le(100)]
    samples: Count
    temperature: Positive
    arguments: dict[str, Any] = field(default_factory=dict)
