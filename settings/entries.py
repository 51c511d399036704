"""The sections and entries that chain stages: catalogues, rankers, fusions, rerankings, the sweep, the comparison."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from annotated_types import MinLen
from pydantic import AfterValidator, Field

from arrange.bounds import Count, Exponent, PositiveOr0, Seed, Seeds, ShareAbove0
from arrange.docids.schemes import Scheme
from arrange.models.vectors import VectoriserSettings
from arrange.training.settings import Augmented, Regime


def having(settings: Any, *attributes: str) -> dict[str, Any]:
    """All sections and entries of sections that have these attributes, by name: rankers.wordnet-item, swap ..."""
    named: dict[str, Any] = {}
    for section, values in vars(settings).items():
        entries = values if isinstance(values, dict) else {}
        named |= {section: values} | {f"{section}.{name}": entry for name, entry in entries.items()}
    return {name: each for name, each in named.items() if all(hasattr(each, attribute) for attribute in attributes)}


def fits_into_a_path(name: str) -> str:
    if len(name.encode()) > 200:
        raise ValueError(f"its name has {len(name.encode())} bytes, and becomes that of files; 200 will do")
    return name


# a part of stages' names, of files' names (at most 255 bytes), and of parameters' such as losses.<loss>, split by dots
Name = Annotated[str, Field(pattern=r"^[\w-]+$"), AfterValidator(fits_into_a_path)]


@dataclass(frozen=True)
class CatalogueEntry:
    """The docIDs of a data set: by an entry of docids.schemes."""

    data: Name
    docids: Name


@dataclass(frozen=True)
class RankerEntry:
    """A model to finetune: on a catalogue, with a loss, from a seed.

    arguments: go over those of `finetune`; so does augmented. regime: goes over that of `prompt`.
    """

    data: Name
    docids: Name
    loss: Name
    seed: Seed
    arguments: dict[str, Any] = field(default_factory=dict)
    regime: Regime | None = None
    augmented: Augmented | None = None


@dataclass(frozen=True)
class FusionEntry:
    """Two systems of a data set as one: the names of their folders in runs/<data>.

    learned: boosted trees, fitted on the validation queries, in place of reciprocal ranks; of rankers and first stages.
    """

    data: Name
    first: Name
    second: Name
    learned: bool = False

    def __post_init__(self) -> None:
        if self.first == self.second:
            raise ValueError(f"second is {self.second!r} too; name two different systems")


@dataclass(frozen=True)
class RerankedEntry:
    """The first `depth` documents of the run file `first`, ranked anew by a ranker.

    docids: the ranker's. first: a run of the pipeline, or a file of the user's, in parquet or TREC's format.
    """

    data: Name
    docids: Name
    ranker: Name
    first: str
    depth: Count

    def __post_init__(self) -> None:
        if not self.of_pipeline and (not Path(self.first).is_absolute() or "\0" in self.first):
            what = f"first {self.first!r} is no run of the pipeline and no absolute path"
            raise ValueError(f"{what}; give runs/{self.data}/bm25/run.parquet or the like, or the path of your file")

    @property
    def of_pipeline(self) -> re.Match[str] | None:
        """The data set and the folder's name of `first`, if it is a run of the pipeline."""
        return re.fullmatch(r"runs/([\w-]+)/([\w-]+)/run\.parquet", self.first)


@dataclass(frozen=True)
class Docids:
    """How documents get their docIDs. vocabulary_size: of the tokenizer that is trained for a model from scratch."""

    vocabulary_size: Annotated[int, Field(ge=300)]
    vectoriser: VectoriserSettings
    schemes: dict[Name, Annotated[Scheme, Field(discriminator="scheme")]]


@dataclass(frozen=True)
class Evaluate:
    """The bootstrap and the permutation test, and the system that others are tested against."""

    seed: Seed
    resamples: Count
    reference: str


@dataclass(frozen=True)
class Sweep:
    """A grid of losses: `combined` over alpha x beta and over gamma, `geometric` over rho."""

    data: Name
    docids: Name
    seeds: Seeds
    alpha: tuple[Exponent, ...]
    beta: tuple[Exponent, ...]
    gamma: tuple[PositiveOr0, ...]
    rho: tuple[ShareAbove0, ...]


@dataclass(frozen=True)
class Compare:
    """Losses and entries of `docids.schemes` to compare at equal steps: a ranker for each of them and each seed."""

    data: Name
    docids: Annotated[tuple[Name, ...], MinLen(1)]
    losses: Annotated[tuple[Name, ...], MinLen(1)]
    seeds: Seeds
