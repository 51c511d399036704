"""The sections of params.yaml as typed, frozen settings; tasks/params.py reads them."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Whole = Annotated[int, Field(strict=True)]  # neither "400" nor true
CONTROLS = ("neighbours", "popularity", "random")  # the systems beside those that `losses` names

Count = Annotated[int, Field(gt=0, strict=True)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


# a part of stages' names, of paths and of the parameter name losses.<loss>, which a dot would split
LossName = Annotated[str, Field(pattern=r"^[\w-]+$")]


class Matrix(Section):
    data: Annotated[tuple[Literal["wordnet"], ...], Field(min_length=1)]
    loss: Annotated[tuple[LossName, ...], Field(min_length=1)]


class DownloadWordnet(Section):
    sources: tuple[Literal["folder", "installed", "princeton", "debian"], ...]
    url: str
    sha256: dict[str, tuple[str, ...]]


class PrepareWordnet(Section):
    root: str
    text: Literal["lemmas_gloss", "lemmas", "lemma"]
    split: Literal["parent", "query"]
    validation: Share
    test: Share


class Docids(Section):
    vocabulary_size: Annotated[int, Field(ge=300, strict=True)]


class Ntp(Section):
    rule: Literal["ntp"]


class Item(Section):
    rule: Literal["item"]
    alpha: Annotated[float, Field(ge=0)]


Loss = Annotated[Ntp | Item, Field(discriminator="rule")]
RULES: dict[str, type[Section]] = {"ntp": Ntp, "item": Item}


class Finetune(Section):
    seed: Whole
    threads: Count
    hidden_size: Count
    layers: Count
    heads: Count
    prompt_tokens: Annotated[int, Field(ge=3, strict=True)]
    steps: Count
    batch_size: Count
    learning_rate: Positive
    warmup: Share
    weight_decay: Annotated[float, Field(ge=0)]

    @model_validator(mode="after")
    def heads_divide(self) -> "Finetune":
        if self.hidden_size % (2 * self.heads):
            raise ValueError(f"hidden_size {self.hidden_size} is no multiple of 2 x heads ({self.heads})")
        return self


class Rank(Section):
    threads: Count
    beams: Count
    batch_size: Count


class Controls(Section):
    seed: Whole
    neighbours: Count


class Evaluate(Section):
    seed: Whole
    resamples: Count


class Settings(Section):
    """All sections; the names are those of params.yaml."""

    matrix: Matrix
    download_wordnet: DownloadWordnet
    prepare_wordnet: PrepareWordnet
    docids: Docids
    losses: dict[str, Loss]
    finetune: Finetune
    rank: Rank
    controls: Controls
    evaluate: Evaluate

    @model_validator(mode="after")
    def losses_are_defined(self) -> "Settings":
        for name in self.matrix.loss:
            if name not in self.losses:
                raise ValueError(f"matrix.loss names {name!r}, which losses lacks (it has {', '.join(self.losses)})")
            if name in CONTROLS:
                raise ValueError(f"matrix.loss names {name!r}, which is a control's name")
        return self
