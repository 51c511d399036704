"""The sections of params.yaml on activation functions: searches, how candidates are measured, transfer."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from settings.types import Address, AtLeast0, Count, Name, Options, Positive, Scheme, Section, Variable, Whole


class Searching(Section):
    arm: Literal["evolution", "random"]
    seed: Whole
    mutators: Annotated[tuple[Literal["expression", "llm"], ...], Field(min_length=1)] = ("expression",)


class Ranges(Section):
    train: Count
    valid: Count
    ood: Count
    stretch: Annotated[float, Field(gt=1)]
    noise: AtLeast0
    limit: Positive


class Training(Section):
    width: Count
    depth: Count
    warmup: Count
    clip: Positive


Family = Literal["polynomials", "harmonics", "feynman", "rational", "radial", "chirp", "piecewise", "feynman_test"]


class Rung(Section):
    problems: Count
    seeds: Count
    steps: Count
    rates: Annotated[tuple[Positive, ...], Field(min_length=1)]
    families: Annotated[tuple[Family, ...], Field(min_length=1)]


class Fitness(Section):
    ranges: Ranges
    training: Training
    screen: float
    rungs: dict[Literal["first", "search", "confirm", "validate", "test"], Rung]

    @model_validator(mode="after")
    def rungs_are_all_there(self) -> "Fitness":
        if missing := [name for name in ("first", "search", "confirm", "validate", "test") if name not in self.rungs]:
            raise ValueError(f"rungs lacks {missing[0]!r}; add it")
        seen = {family for name, rung in self.rungs.items() if name != "test" for family in rung.families}
        if both := sorted(seen & {*self.rungs["test"].families}):
            raise ValueError(
                f"rungs.test has {both[0]!r}, which a search sees; the final test needs families of its own"
            )
        return self


class Sandbox(Section):
    workers: Count
    flops: Positive
    cpu: Count
    wall: Positive
    memory: Count


class Search(Section):
    budget: Count
    candidates: Count
    generation_size: Count
    elites: Count
    shown: Count
    attempts: Count
    parents: Literal["uniform", "weighted", "rank", "best"]
    archive: bool
    novelty: bool
    bandit: bool
    islands: Count
    migration_every: Count


class Llm(Section):
    url: Address
    model: str
    key_variable: Variable
    temperature: AtLeast0
    max_tokens: Count
    price_in: AtLeast0
    price_out: AtLeast0
    calls: Annotated[int, Field(ge=0, strict=True)]
    money: AtLeast0
    request: Options


class Select(Section):
    finalists: Count
    seed: Whole


class Networks(Section):
    hidden: Annotated[tuple[Count, ...], Field(min_length=1)]
    steps: Count
    batch: Count
    warmup: Count
    rates: Annotated[tuple[Positive, ...], Field(min_length=1)]
    seeds: Annotated[tuple[Whole, ...], Field(min_length=1)]


class Transfer(Section):
    to: tuple[Literal["held_out", "digits", "tabular"], ...]
    found: Count
    seed: Whole
    resamples: Count
    networks: Networks


class Swap(Section):
    of: tuple[Literal["found", "classical", "mined"], ...]
    found: Count
    data: Name
    docids: Scheme
    loss: Name
    seed: Whole
    steps: Count
    rates: Annotated[tuple[Positive, ...], Field(min_length=1)]
