"""The settings of terms that more than judged ranks feed: a teacher, a frozen reference, documents the model found.

Each is a part of a loss (`arrange.training.losses`). A weight of 0, or no mined documents, leaves it out. Importable
without torch: a flow checks settings without waiting for it.
"""

from dataclasses import dataclass
from typing import Literal

from arrange.bounds import Count, CountOr0, Positive, PositiveOr0


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """A term on the documents that a teacher scored: see `arrange.training.distillation`.

    temperature: what one nat is in the teacher's scores, for `kl` and `margin_mse`; `ranknet` reads their order alone.
    """

    term: Literal["kl", "ranknet", "margin_mse"] = "kl"
    weight: PositiveOr0 = 0.0
    temperature: Positive = 1.0

    def __post_init__(self) -> None:
        if self.term == "ranknet" and self.temperature != 1.0:
            raise ValueError(
                f"temperature is {self.temperature}, but ranknet reads the teacher's order alone; "
                "leave temperature out, or take kl or margin_mse"
            )


@dataclass(frozen=True, kw_only=True)
class Preference:
    """A term on pairs of a better and a worse document: see `arrange.training.preferences`.

    beta: the slope, per nat. margin: by which the better one is to lead, after `beta`; of `simpo` alone.
    """

    term: Literal["dpo", "simpo"] = "dpo"
    weight: PositiveOr0 = 0.0
    beta: Positive = 0.4
    margin: PositiveOr0 = 0.0

    def __post_init__(self) -> None:
        if self.term == "dpo" and self.margin:
            raise ValueError(
                f"margin is {self.margin}, but dpo has none, its reference says how far; leave it out, or take simpo"
            )


@dataclass(frozen=True, kw_only=True)
class Mined:
    """Documents that the model itself ranks high: see `arrange.training.mining`.

    documents: so many of each query join its list without a rank. every: so many steps pass between two searches.
    """

    documents: CountOr0 = 0
    every: Count = 50


UNTAUGHT, INDIFFERENT, UNMINED = Teacher(), Preference(), Mined()  # what a loss has that names none
