"""The sections of params.yaml on data sets: where they come from, what is made of them."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from settings.types import Address, Count, Part, Section, Share, Whole


class DownloadWordnet(Section):
    sources: tuple[Literal["folder", "installed", "princeton", "debian"], ...]
    url: Address
    sha256: dict[str, tuple[str, ...]]


class PrepareWordnet(Section):
    root: str
    text: Literal["lemmas_gloss", "masked", "lemmas", "lemma"]
    split: Literal["parent", "subtree", "query"]
    validation: Part
    test: Share
    negatives: Annotated[int, Field(ge=0, strict=True)]
    seed: Whole


class OfficialFile(Section):
    bytes: Count
    sha256: str


class DownloadEsci(Section):
    source: Literal["sample", "path", "official"]
    folder: str
    urls: tuple[Address, ...]
    files: dict[str, OfficialFile]
    products: Annotated[int, Field(ge=200, le=2_000_000, strict=True)]
    seed: Whole


class Teacher(Section):
    name: str
    dimensions: Count
    seed: Whole
    length: Count
    deepest: Count


class PrepareEsci(Section):
    locales: Annotated[tuple[str, ...], Field(min_length=1)]
    version: Literal["small", "large"]
    text: Annotated[tuple[str, ...], Field(min_length=1)]
    gains: dict[Literal["E", "S", "C", "I"], Annotated[int, Field(ge=0, strict=True)]]
    validation: Part
    truth: Literal["labels", "teacher"]
    teacher: Teacher

    @model_validator(mode="after")
    def gains_are_whole(self) -> "PrepareEsci":
        if len(self.gains) < 4:
            raise ValueError(f"gains has {', '.join(self.gains)}; it needs E, S, C and I")
        return self


class Own(Section):
    folder: str
    validation: Part = 0.05
    test: Share = 0.1

    @model_validator(mode="after")
    def folder_is_found_from_anywhere(self) -> "Own":
        if not Path(self.folder).is_absolute() or "\0" in self.folder:
            raise ValueError(f"folder {self.folder!r} isn't an absolute path; `make run DATA=...` takes any")
        return self
