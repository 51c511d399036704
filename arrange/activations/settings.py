"""The knobs of the search for activation functions: one frozen dataclass for each section of params.yaml.

This module imports neither torch nor the rest of the room, so that a flow can read its settings quickly. The bounds of
the fields are checked by `settings/`, which reads params.yaml. What fields say of each other is checked here.
"""

from dataclasses import dataclass, field, fields
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, MinLen

from arrange.activations.mutators import MutatorSet
from arrange.activations.problems.families import FAMILIES
from arrange.bounds import Count, CountOr0, Counts, Positive, PositiveOr0, Rates, Seed, Seeds, ShareAbove0

Arm = Literal["evolution", "random"]
Group = Literal["found", "classical", "mined"]  # of activations that are compared
Target = Literal["held_out", "digits", "tabular"]  # what activations are transferred to


@dataclass(frozen=True)
class SearchEntry:
    """One search: an entry of `searches`."""

    arm: Arm  # evolution, or the control: independent samples of the same mutators
    seed: Seed
    mutators: Annotated[tuple[MutatorSet, ...], MinLen(1)] = ("expression",)


@dataclass(frozen=True)
class Search:
    """The size of a search. Its seed and its arm are in its `SearchEntry`."""

    budget: Count  # member-steps, re-tests included: no generation starts at or beyond it
    candidates: Count  # the search ends at this number of candidates, seeds included
    generation_size: Count
    elites: Count  # of each side: the best in each family of problems first, then the best of all
    shown: Count  # elites that a mutator sees
    attempts: Count  # to get a usable program for one place of a generation
    confirmed: Count  # candidates of a generation that are measured again, on the other side's families
    members: Annotated[int, Ge(2)]  # of the portfolio, GELU included; one joins in each equal part of the budget


@dataclass(frozen=True)
class Ranges:
    """The points of a problem: how many, where they lie, and the noise on the training targets."""

    train: Count  # points
    valid: Count
    ood: Count  # points outside of the training box
    stretch: Annotated[float, Gt(1)]  # how far the test box reaches, in units of the training box
    noise: PositiveOr0  # standard deviation on training targets, in units of the targets' standard deviation
    limit: Positive  # standard deviations of the training targets that no target may exceed


@dataclass(frozen=True)
class NetworkTraining:
    """The networks that measure an activation: `depth` hidden layers of `width`, trained by Adam."""

    width: Count
    depth: Count
    warmup: Count  # steps
    clip: Positive  # of a network's gradient norm


@dataclass(frozen=True)
class Rung:
    """One level of measurement: how many networks are trained for a candidate, how long, and on what."""

    problems: Count
    seeds: Count
    steps: Count
    rates: Rates  # learning rates; validation points pick the best one
    families: Annotated[tuple[str, ...], MinLen(1)]  # of problems, see arrange/activations/problems/families.py

    @property
    def member_steps(self) -> int:
        """What the rung costs: networks trained x steps."""
        return self.problems * self.seeds * len(self.rates) * self.steps


@dataclass(frozen=True)
class Rungs:
    """The levels of measurement. `first` uses some of the problems of `search`; the others have their own.

    A search has two sides: every second family, and the others. It measures a candidate on one side (`first`,
    `search`) and again on the other side (`confirm`).
    """

    first: Rung  # a cheap look, after which the best of a generation go on
    search: Rung  # gives the fitness that candidates compare by
    confirm: Rung  # every candidate passes it before it becomes an elite
    validate: Rung  # of all searched families: grows each search's portfolio from its finalists
    test: Rung  # families of problems that no search sees

    def __post_init__(self) -> None:
        for name in self.names():
            for family in self[name].families:
                if family not in FAMILIES:
                    raise ValueError(f"{name}.families has {family!r}; take some of {', '.join(FAMILIES)}")
        if len(self.first.families) < 2:
            raise ValueError("first.families has one family; give two or more, since each side has every second one")
        for name in ("search", "confirm"):
            if self[name].families != self.first.families:
                raise ValueError(f"{name}.families differs from first.families; give both one list in one order")
        searched = {family for name in self.names() if name != "test" for family in self[name].families}
        if seen := sorted(searched.intersection(self.test.families)):
            raise ValueError(f"test.families has {seen[0]!r}, which a search sees; give the test families of its own")

    def __getitem__(self, name: str) -> Rung:
        rung: Rung = getattr(self, name)
        return rung

    @classmethod
    def names(cls) -> list[str]:
        """The rungs' names, the cheapest first."""
        return [each.name for each in fields(cls)]


@dataclass(frozen=True)
class Fitness:
    """All that the fitness of an activation depends on, except for the seed."""

    ranges: Ranges
    training: NetworkTraining
    kept: ShareAbove0  # of a generation's candidates: they go on from the rung `first` to the rung `search`
    rungs: Rungs


@dataclass(frozen=True)
class Sandbox:
    """The processes that run candidates, and what one job may use."""

    workers: Count  # processes of one search; they change the time and nothing else
    flops: Positive  # that an activation may cost per element
    cpu: Count  # seconds of CPU time
    wall: Positive  # seconds
    memory: Count  # megabytes, on top of what the process uses before the job


@dataclass(frozen=True)
class Llm:
    """An endpoint that speaks OpenAI's protocol, what is asked of it, and what it may cost in one currency."""

    url: str  # up to and with /v1
    model: str
    key_variable: str  # the environment variable that holds the key; empty: no key is sent
    temperature: PositiveOr0
    max_tokens: Count  # of an answer
    price_in: PositiveOr0  # of a million tokens
    price_out: PositiveOr0
    calls: CountOr0  # the budget of one search: answers and failures, not repeated attempts
    money: PositiveOr0  # no call is made that could exceed it
    request: dict[str, Any] = field(default_factory=dict)  # more fields of the request; null takes one away
    seconds: Positive = 120.0  # for one attempt, from the request to the last byte of the answer
    retries: CountOr0 = 3  # of an attempt that was refused

    def __post_init__(self) -> None:
        given = {name: value for name, value in self.request.items() if value is not None}
        for name in ("model", "temperature", "max_tokens"):
            if name in given:
                raise ValueError(f"request.{name} would replace llm.{name}; set that one, or null here to send none")
        if "messages" in given or given.get("stream"):
            name = "messages" if "messages" in given else "stream"
            raise ValueError(f"request.{name} leaves no question or no answer to read; take it out")
        if given.get("n", 1) != 1:
            raise ValueError("request.n is paid for and one answer is read; search.generation_size says how many")
        most = given.get("max_completion_tokens", 1)
        if not isinstance(most, int) or isinstance(most, bool) or not 0 < most <= self.max_tokens:
            raise ValueError(
                f"request.max_completion_tokens is {most!r}; give at most llm.max_tokens, which bounds the cost"
            )

    def cost(self, tokens_in: int, tokens_out: int) -> float:
        """The price of so many tokens."""
        return (tokens_in * self.price_in + tokens_out * self.price_out) / 1e6


@dataclass(frozen=True)
class Select:
    """How the portfolios of searches are chosen, on fresh problems."""

    finalists: Count  # of each search
    seed: Seed


@dataclass(frozen=True)
class Networks:
    """The networks of the transfer tests: hidden layers, Adam with warm-up and cosine, batches with replacement."""

    hidden: Counts
    steps: Count
    batch: Count
    warmup: Count  # steps
    rates: Rates
    seeds: Seeds


@dataclass(frozen=True)
class Transfer:
    """The tests of portfolios and of single activations on what no search saw."""

    to: Annotated[tuple[Target, ...], MinLen(1)]
    known: tuple[str, ...]  # functions that are measured beside the portfolios' members: of `search.evolve.KNOWN`
    seed: Seed
    resamples: Count  # of the bootstrap
    networks: Networks


@dataclass(frozen=True)
class Swap:
    """The autoregressive ranker with other activations in its feed-forward layers."""

    of: tuple[Group, ...]  # found: the members of all portfolios
    known: tuple[str, ...]  # functions that take part beside the groups; without both no ranker is trained
    data: str
    docids: str
    loss: str
    seeds: Seeds  # the rate is picked for each of them, and so is a portfolio's member
    steps: Count
    rates: Rates

    def __post_init__(self) -> None:
        if len({*self.seeds}) < len(self.seeds):
            raise ValueError(f"seeds has one seed twice: {', '.join(map(str, self.seeds))}; give each of them once")
