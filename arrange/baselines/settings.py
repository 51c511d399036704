"""The settings of baselines and controls. Importable without torch: a flow checks settings without waiting for it.

A baseline is an entry of params.yaml: the data set that it ranks, a catalogue of that data set, and a kind.
"""

from dataclasses import dataclass
from typing import Literal

from arrange.bounds import Count, CountOr0, Positive, PositiveOr0, Seed, Share


@dataclass(frozen=True, kw_only=True)
class FitBaseline:
    """How dual and cross encoders are trained, small or pretrained; see `arrange.baselines.fitting`.

    warmup: a share of the steps.
    alpha: the lists' weights are r^-alpha. temperature: of the dual encoder's softmax.
    negatives: documents that are drawn for each query of a cross encoder.
    """

    steps: Count
    batch_size: Count
    learning_rate: Positive
    warmup: Share
    threads: Count
    alpha: PositiveOr0
    temperature: Positive
    negatives: Count


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """What the entries of all kinds have.

    docids: the catalogue whose tokenizer a small query encoder uses. model: the folder of a base model; for `dual` and
    `cross` one with random weights.
    """

    data: str
    docids: str
    model: str
    seed: Seed


@dataclass(frozen=True, kw_only=True)
class Dual(Baseline):
    """A small dual encoder, trained from random weights. width: numbers of a vector."""

    kind: Literal["dual"] = "dual"
    width: Count


@dataclass(frozen=True, kw_only=True)
class Cross(Baseline):
    """A small cross encoder over the vectors of query and document, trained from random weights."""

    kind: Literal["cross"] = "cross"
    width: Count


@dataclass(frozen=True, kw_only=True)
class Pretrained(Baseline):
    """What the entries with a pretrained transformer have.

    max_tokens: longer texts are cut. steps: 0 uses the transformer as it is.
    """

    max_tokens: Count
    steps: CountOr0
    learning_rate: Positive


@dataclass(frozen=True, kw_only=True)
class Encoder(Pretrained):
    """A dual encoder that begins with a pretrained encoder's vectors, of queries and of documents."""

    kind: Literal["encoder"] = "encoder"


@dataclass(frozen=True, kw_only=True)
class Reranker(Pretrained):
    """A pretrained transformer that reads a query with a document. It ranks the `first` documents of BM25 anew.

    batch_size, negatives: queries of a step, and documents drawn for each of them, in place of those of `FitBaseline`:
    a pass for every listed and drawn document costs far more than with a small cross encoder.
    """

    kind: Literal["reranker"] = "reranker"
    first: Count
    batch_size: Count
    negatives: Count


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """What a first stage finds for every query of a data set: the first documents of some systems.

    systems: `bm25`, `neighbours` (the vote of the control), and sentence encoders, which are folders of base models.
    depth: how many documents each of them gives.
    """

    data: str
    systems: list[str]
    depth: Count

    def __post_init__(self) -> None:
        if not self.systems:
            raise ValueError("systems is empty; give e.g. [bm25]")
        for name in self.encoders:
            if "/" not in name:
                raise ValueError(f"systems has {name!r}; give bm25, neighbours or the folder of a base model")

    @property
    def encoders(self) -> list[str]:
        """The folders of its sentence encoders."""
        return [name for name in self.systems if name not in ("bm25", "neighbours")]


BaselineEntry = Dual | Cross | Encoder | Reranker


@dataclass(frozen=True, kw_only=True)
class Controls:
    """seed: of the random order. neighbours: training queries that vote."""

    seed: Seed
    neighbours: Count
