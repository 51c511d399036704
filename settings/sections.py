"""The sections of params.yaml as typed, frozen settings; settings/params.py reads them."""

import re
from collections.abc import Mapping
from itertools import combinations
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from settings.activations import Fitness, Llm, Sandbox, Search, Searching, Select, Swap, Transfer
from settings.data import DownloadEsci, DownloadWordnet, Own, PrepareEsci, PrepareWordnet
from settings.types import AtLeast0, Count, Name, Options, Positive, Scheme, Section, Share, Whole

BUILT_IN = ("wordnet", "products")  # data sets that the project makes
TAKEN = {*BUILT_IN, "raw"}  # folders of data/ that are no user's
CONTROLS = ("random", "root_first", "copy", "neighbours", "popularity")  # the systems beside those that `losses` names


class Catalogue(Section):
    data: Name
    docids: Scheme
    options: dict[str, Whole] = Field({})  # over those of the scheme in `docids`


class Ranker(Section):
    data: Name
    docids: Scheme
    loss: Name
    seed: Whole
    arguments: Options = Field({})  # over those of `finetune`


class Vectoriser(Section):
    name: str
    dimensions: Count
    seed: Whole


class Docids(Section):
    tokenizer: str
    vocabulary_size: Annotated[int, Field(ge=300, strict=True)]
    vectoriser: Vectoriser
    schemes: dict[Scheme, dict[str, Whole]]


class Prompt(Section):
    regime: Literal["corpus", "in_context"]
    corpus: str
    in_context: str
    candidate: str
    query_tokens: Count
    score: Literal["sum", "mean"]

    def templates(self) -> dict[str, Any]:
        """What the regime's prompts are made from."""
        in_context = self.regime == "in_context"
        return {
            "template": self.in_context if in_context else self.corpus,
            "candidate": self.candidate if in_context else None,
            "query_tokens": self.query_tokens,
        }

    @model_validator(mode="after")
    def templates_have_their_fields(self) -> "Prompt":
        places = {
            "corpus": (self.corpus, ["{query}"]),
            "in_context": (self.in_context, ["{query}", "{candidates}"]),
            "candidate": (self.candidate, ["{docid}"]),
        }
        for name, (template, fields) in places.items():
            if re.findall(r"{\w*}", template) != fields:
                raise ValueError(f"{name} is {template!r}; it needs {' and '.join(fields)}, in this order, once each")
        return self


Exponent = Annotated[float, Field(ge=0, allow_inf_nan=True)]  # .inf in YAML: all weight on the best


class LossOf(Section):
    """What every loss has: see `Objective` in arrange/training/training.py."""

    gamma: AtLeast0 = 1.0
    normalised: bool = True
    plackett_luce: AtLeast0 = 0.0
    hinge: AtLeast0 = 0.0
    margin: AtLeast0 = 0.3

    def parameters(self) -> dict[str, float]:
        """The rule's own parameters."""
        return {name: getattr(self, name) for name in type(self).model_fields.keys() - COMMON}


COMMON = {*LossOf.model_fields, "rule"}


class Ntp(LossOf):
    rule: Literal["ntp"]


class Item(LossOf):
    rule: Literal["item"]
    alpha: Exponent


class Stepwise(LossOf):
    rule: Literal["stepwise"]


class Token(LossOf):
    rule: Literal["token"]
    beta: Exponent


class Combined(LossOf):
    rule: Literal["combined"]
    alpha: Exponent
    beta: Exponent


class Geometric(LossOf):
    rule: Literal["geometric"]
    rho: Annotated[float, Field(gt=0, lt=1)]


Loss = Annotated[Ntp | Item | Stepwise | Token | Combined | Geometric, Field(discriminator="rule")]


class Finetune(Section):
    model: str
    scratch: Options
    lora: Options | None = None
    threads: Count
    validation_queries: Count
    arguments: Options

    @model_validator(mode="after")
    def steps_are_counted(self) -> "Finetune":
        if not isinstance(steps := self.arguments.get("max_steps"), int) or steps < 1:
            raise ValueError(f"arguments.max_steps is {steps!r}; give a whole number above 0")
        return self


class Bm25(Section):
    kind: Literal["bm25"]
    data: Name
    docids: Scheme


class Vectors(Section):
    kind: Literal["dual", "cross"]
    data: Name
    docids: Scheme
    width: Count
    seed: Whole


class Named(Section):
    kind: Literal["encoder", "pairs"]
    data: Name
    docids: Scheme
    model: str
    max_tokens: Count
    first: Count
    steps: Annotated[int, Field(ge=0, strict=True)]
    learning_rate: Positive
    seed: Whole


Baseline = Annotated[Bm25 | Vectors | Named, Field(discriminator="kind")]


class FitBaseline(Section):
    scratch: Options
    steps: Count
    batch_size: Count
    learning_rate: Positive
    warmup: Share
    threads: Count
    alpha: AtLeast0
    temperature: Positive
    negatives: Count


class Rank(Section):
    split: Literal["validation", "test"]
    threads: Count
    beams: Count
    batch_size: Count
    normaliser: Literal["vocabulary", "docid_tokens", "children"]
    audited: Annotated[int, Field(ge=0, strict=True)]


class Sweep(Section):
    data: Name
    docids: Scheme
    seeds: Annotated[tuple[Whole, ...], Field(min_length=1)]
    alpha: tuple[Exponent, ...]
    beta: tuple[Exponent, ...]
    gamma: tuple[AtLeast0, ...]
    rho: tuple[Annotated[float, Field(gt=0, lt=1)], ...]


class Controls(Section):
    seed: Whole
    neighbours: Count


class Evaluate(Section):
    seed: Whole
    resamples: Count
    reference: str


class Settings(Section):
    """All sections; the names are those of params.yaml."""

    datasets: Annotated[tuple[Name, ...], Field(min_length=1)]
    catalogues: Annotated[dict[Name, Catalogue], Field(min_length=1)]
    rankers: Annotated[dict[Name, Ranker], Field(min_length=1)]
    download_wordnet: DownloadWordnet
    prepare_wordnet: PrepareWordnet
    download_esci: DownloadEsci
    prepare_esci: PrepareEsci
    own: dict[Name, Own]
    docids: Docids
    prompt: Prompt
    losses: dict[Name, Loss]
    finetune: Finetune
    rank: Rank
    baselines: dict[Name, Baseline]
    fit_baseline: FitBaseline
    controls: Controls
    evaluate: Evaluate
    sweep: Sweep
    searches: Annotated[dict[Name, Searching], Field(min_length=1)]
    fitness: Fitness
    sandbox: Sandbox
    search: Search
    llm: Llm
    select: Select
    transfer: Transfer
    swap: Swap

    @model_validator(mode="after")
    def rankers_are_defined(self) -> "Settings":
        there = {*BUILT_IN, *self.own}
        if unknown := sorted({*self.datasets} - there):
            raise ValueError(f"datasets names {unknown[0]!r}; there are {', '.join(sorted(there))}")
        for name, catalogue in self.catalogues.items():
            if name != (wanted := f"{catalogue.data}-{catalogue.docids}"):
                raise ValueError(
                    f"catalogues.{name} has {catalogue.docids} docIDs of {catalogue.data}; name it {wanted}"
                )
        for name, ranker in self.rankers.items():
            if ranker.loss not in self.losses:
                known = ", ".join(self.losses)
                raise ValueError(f"rankers.{name} names the loss {ranker.loss!r}, which losses lacks (it has {known})")
        if self.swap.of and self.swap.loss not in self.losses:
            raise ValueError(f"swap.loss is {self.swap.loss!r}, which losses lacks (it has {', '.join(self.losses)})")
        return self

    @model_validator(mode="after")
    def runs_have_catalogues_and_folders_of_their_own(self) -> "Settings":
        if built_in := sorted(TAKEN & self.own.keys()):
            raise ValueError(f"own.{built_in[0]} has the name of a data set that is there; give it another")
        made = {(catalogue.data, catalogue.docids) for catalogue in self.catalogues.values()}
        taken = set(CONTROLS)  # each writes runs/<data>/<name>
        for section, entries in (("rankers", self.rankers), ("baselines", self.baselines)):
            for name, entry in entries.items():
                if (entry.data, entry.docids) not in made:
                    raise ValueError(f"{section}.{name} needs {entry.data}-{entry.docids}, which catalogues lacks")
                if name in taken:
                    whose = "a control's" if name in CONTROLS else "a ranker's"
                    raise ValueError(f"{section}.{name} has {whose} name")
                taken.add(name)
        return self

    @model_validator(mode="after")
    def systems_are_of_one_recipe_and_of_several_seeds(self) -> "Settings":
        for (one, first), (other, second) in combinations(self.rankers.items(), 2):
            if (first.data, first.docids, first.loss) != (second.data, second.docids, second.loss):
                continue
            both = f"rankers.{one} and rankers.{other} have the same data, docids and loss"
            if first.arguments != second.arguments:
                raise ValueError(f"{both}, but other arguments; give one a loss of another name, for a row of its own")
            if first.seed == second.seed:
                raise ValueError(f"{both}, and the same seed; give one another seed, or remove it")
        return self

    @model_validator(mode="after")
    def systems_have_names_of_their_own(self) -> "Settings":
        entries = [*self.rankers.values(), *self.baselines.values()]
        for data in dict.fromkeys(entry.data for entry in entries):
            taken = dict.fromkeys(CONTROLS, "a control")
            for system, entry in self.rows(data):
                if system in taken:
                    raise ValueError(
                        f"{entry} and {taken[system]} would both be {system} in the tables of {data}; "
                        "give the loss (of a ranker) or the baseline another name"
                    )
                taken[system] = entry
        return self

    def rows(self, data: str) -> list[tuple[str, str]]:
        """The systems of a data set's tables beside the controls, each with the entry that it comes from."""
        rankers = [(name, f"rankers.{next(iter(runs))}") for name, runs in systems(self.rankers, data).items()]
        baselines = [name for name, baseline in self.baselines.items() if baseline.data == data]
        return rankers + [(name.removeprefix(f"{data}-"), f"baselines.{name}") for name in baselines]


def systems(rankers: Mapping[str, Ranker], data: str) -> dict[str, dict[str, int]]:
    """The systems of a data set: rankers that differ in their seed alone are one. Name -> ranker -> seed.

    A system is named by its loss, and by its docIDs too where the data set's rankers have several schemes.
    """
    mine = {name: ranker for name, ranker in rankers.items() if ranker.data == data}
    several = len({ranker.docids for ranker in mine.values()}) > 1
    found: dict[str, dict[str, int]] = {}
    for name, ranker in mine.items():
        system = f"{ranker.docids} {ranker.loss}" if several else ranker.loss
        found.setdefault(system, {})[name] = ranker.seed
    return found
