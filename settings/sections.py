"""`Settings`: the sections of params.yaml. Most are dataclasses of the library, which declares its own knobs.

settings/entries.py declares the others. What the sections say of each other is checked here.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from annotated_types import MinLen
from pydantic import Field

from arrange.activations.settings import Fitness, Llm, Sandbox, Search, SearchEntry, Select, Swap, Transfer
from arrange.augmentation.settings import Augment
from arrange.base_models.settings import BaseModel
from arrange.baselines.settings import BaselineEntry, Candidates, Controls, FitBaseline
from arrange.data.datasets import DownloadEsci, DownloadWordnet, Source
from arrange.decoding.settings import Decoding, Ngrams
from arrange.models.vectors import TFIDF_SVD
from arrange.serving.settings import Export
from arrange.training.losses import Loss
from arrange.training.settings import NO_TEACHER, Finetune, Prompt
from settings.entries import (
    CatalogueEntry,
    Compare,
    Docids,
    Evaluate,
    FusionEntry,
    Name,
    RankerEntry,
    RerankedEntry,
    Sweep,
    having,
)
from settings.explain import nearest

CONTROLS = ("random", "root_first", "copy", "neighbours", "popularity", "bm25")  # systems of every data set
LEARNED = " (learned, so a ranker or an entry of candidates)"


@dataclass(frozen=True)
class Settings:
    """All sections; the names are those of params.yaml."""

    base_models: Annotated[dict[Name, Annotated[BaseModel, Field(discriminator="source")]], MinLen(1)]
    datasets: Annotated[dict[Name, Annotated[Source, Field(discriminator="source")]], MinLen(1)]
    catalogues: Annotated[dict[Name, CatalogueEntry], MinLen(1)]
    rankers: Annotated[dict[Name, RankerEntry], MinLen(1)]
    download_wordnet: DownloadWordnet
    download_esci: DownloadEsci
    augment: Augment
    docids: Docids
    prompt: Prompt
    losses: dict[Name, Annotated[Loss, Field(discriminator="rule")]]
    finetune: Finetune
    rank: Decoding
    export: Export
    baselines: dict[Name, Annotated[BaselineEntry, Field(discriminator="kind")]]
    fit_baseline: FitBaseline
    candidates: dict[Name, Candidates]
    ngram: dict[Name, Ngrams]
    fusions: dict[Name, FusionEntry]
    reranked: dict[Name, RerankedEntry]
    controls: Controls
    evaluate: Evaluate
    sweep: Sweep
    compare: Compare
    searches: Annotated[dict[Name, SearchEntry], MinLen(1)]
    fitness: Fitness
    sandbox: Sandbox
    search: Search
    llm: Llm
    select: Select
    transfer: Transfer
    swap: Swap

    def __post_init__(self) -> None:
        for where, folder in base_folders(self):
            check_base(where, folder, self.base_models)
        for where, name, valid in references(self):
            if name not in valid:
                raise ValueError(f"{where} is {name!r}, which is not there; {nearest(name, valid)}")
        for name, catalogue in self.catalogues.items():
            if name != (wanted := f"{catalogue.data}-{catalogue.docids}"):
                raise ValueError(
                    f"catalogues.{name} has {catalogue.docids} docIDs of {catalogue.data}; name it {wanted}"
                )
        for data in self.datasets:
            check_systems(self, data)
        check_terms(self)


def base_folders(settings: Settings) -> Iterator[tuple[str, str]]:
    """Every parameter that is the folder of a base model: where it stands, and the folder."""
    yield "finetune.model", settings.finetune.model
    for name, entry in settings.baselines.items():
        yield f"baselines.{name}.model", entry.model
    for name, first_stage in settings.candidates.items():
        yield from ((f"candidates.{name}.systems", folder) for folder in first_stage.encoders)
    if settings.augment.generated:
        yield "augment.generated.model", settings.augment.generated.model
    if settings.docids.vectoriser.name != TFIDF_SVD:
        yield "docids.vectoriser.name", settings.docids.vectoriser.name


def check_base(where: str, folder: str, entries: Mapping[str, BaseModel]) -> None:
    """Raise ValueError unless the folder is that of an entry, or one elsewhere, with its whole path."""
    name = folder.removeprefix("base_models/")
    if Path(folder).is_absolute() or (folder.startswith("base_models/") and name in entries):
        return
    what = f"{where} is {folder!r}, which is neither base_models/<an entry> nor a folder's whole path"
    if "/" in folder and not folder.startswith("base_models/"):
        entry = f"base_models.my_model={{source: hub, name: {folder}}}"
        raise ValueError(f"{what}; for a model of the hub set {entry} and name it base_models/my_model")
    raise ValueError(f"{what}; {nearest(folder, [f'base_models/{each}' for each in entries])}")


def references(settings: Settings) -> Iterator[tuple[str, str, list[str]]]:
    """Every parameter that names something: where it stands, the name, and the names that are there."""
    datasets, catalogues = list(settings.datasets), list(settings.catalogues)
    for name, catalogue in settings.catalogues.items():
        yield f"catalogues.{name}.docids", catalogue.docids, list(settings.docids.schemes)
    for where, entry in having(settings, "data").items():
        yield f"{where}.data", entry.data, datasets
    for where, entry in having(settings, "docids").items():
        if isinstance(entry.docids, str) and f"{entry.data}-{entry.docids}" not in catalogues:
            of_data = [each.docids for each in settings.catalogues.values() if each.data == entry.data]
            yield f"{where}.docids (a catalogue of {entry.data})", entry.docids, of_data
    for where, entry in having(settings, "loss").items():
        yield f"{where}.loss", entry.loss, list(settings.losses)
    table = settings.finetune.teacher.table
    if table.startswith("candidates/"):
        entry_of_table = table.removeprefix("candidates/").removesuffix(".parquet")
        yield "finetune.teacher.table (an entry of candidates)", entry_of_table, list(settings.candidates)
    for place, docids in enumerate(settings.compare.docids):
        yield f"compare.docids.{place}", docids, list(settings.docids.schemes)
    for place, loss in enumerate(settings.compare.losses):
        yield f"compare.losses.{place}", loss, list(settings.losses)
    yield from references_to_runs(settings)
    everywhere = [system for data in datasets for system in all_systems(settings, data)]
    yield "evaluate.reference", settings.evaluate.reference, everywhere


def rankers_of(settings: Settings, data: str, docids: str) -> list[str]:
    """The rankers of a catalogue."""
    return [name for name, each in settings.rankers.items() if (each.data, each.docids) == (data, docids)]


def references_to_runs(settings: Settings) -> Iterator[tuple[str, str, list[str]]]:
    """As `references`, of what fusions and rerankings begin with."""
    for name, fusion in settings.fusions.items():
        of, valid = "", run_folders(settings, fusion.data)
        if fusion.learned:  # from the validation queries, which only these rank
            of, valid = LEARNED, of_data(fusion.data, settings.rankers, settings.candidates)
        for key in ("first", "second"):
            yield f"fusions.{name}.{key}{of}", getattr(fusion, key), valid
    for name, entry in settings.reranked.items():
        same = rankers_of(settings, entry.data, entry.docids)
        yield f"reranked.{name}.ranker (one of {entry.data}-{entry.docids})", entry.ranker, same
        if entry.of_pipeline:
            data, system = entry.of_pipeline.groups()
            yield f"reranked.{name}.first (its data set)", data, [entry.data]
            yield f"reranked.{name}.first (a run of {data})", system, run_folders(settings, data)


def run_folders(settings: Settings, data: str) -> list[str]:
    """The folders in runs/<data>: one for each entry that ranks it, and for each control."""
    return [*of_data(data, settings.rankers), *unseeded(settings, data), *CONTROLS]


def unseeded(settings: Settings, data: str) -> list[str]:
    """The entries that rank a data set and are systems of their own, whatever their seeds."""
    first_stages = settings.candidates, settings.baselines
    return of_data(data, *first_stages, settings.ngram, settings.fusions, settings.reranked)


def of_data(data: str, *sections: Mapping[str, Any]) -> list[str]:
    """The names of the sections' entries that are of a data set."""
    return [name for section in sections for name, entry in section.items() if entry.data == data]


def all_systems(settings: Settings, data: str) -> list[str]:
    """The systems of a data set's tables: rankers, first stages, fusions, controls ..."""
    others = [name.removeprefix(f"{data}-") for name in unseeded(settings, data)]
    return [*systems(settings.rankers, data), *others, *CONTROLS]


def ways(settings: Settings, data: str) -> dict[str, list[str]]:
    """The systems of a data set's tables by how they use a ranker: alone, fused, or to rerank BM25's run.

    Rankers of another regime than the run's stay out: who is given the documents to order can't be compared with BM25,
    which finds them.
    """
    regime = settings.prompt.regime
    rankers = {name: each for name, each in settings.rankers.items() if (each.regime or regime) == regime}
    of_bm25 = f"runs/{data}/bm25/run.parquet"
    fused = {name: {each.first, each.second} for name, each in settings.fusions.items() if each.data == data}
    again = [name for name, each in settings.reranked.items() if each.data == data and each.first == of_bm25]
    made, found_first = {*of_data(data, rankers), *again}, {*settings.candidates}
    found = {
        "a ranker": [*systems(rankers, data)],
        "a ranker fused with BM25": [name for name, two in fused.items() if "bm25" in two and two & made],
        "a ranker fused with a first stage": [name for name, two in fused.items() if two & found_first and two & made],
        "a ranker that reranks BM25's documents": again,
    }
    return {way: [name.removeprefix(f"{data}-") for name in names] for way, names in found.items()}


def without_ranker(settings: Settings, data: str) -> list[str]:
    """The systems of a data set's tables that need no ranker: first stages, encoders, fusions of these."""
    rankers = {*of_data(data, settings.rankers, settings.reranked, settings.ngram)}
    for name, each in settings.fusions.items():
        if rankers & {each.first, each.second}:
            rankers.add(name)
    return [name.removeprefix(f"{data}-") for name in unseeded(settings, data) if name not in rankers]


def systems(rankers: Mapping[str, RankerEntry], data: str) -> dict[str, dict[str, int]]:
    """The rankers of a data set by system: those that differ in their seed alone are one. Name -> entry -> seed.

    A system has the name of its entries, without the data set in front and the seed behind: wordnet-item and
    wordnet-item-2, of the seed 2, are the system `item` of wordnet.
    """
    by_system: dict[str, dict[str, int]] = {}
    for name, ranker in rankers.items():
        if ranker.data == data:
            system = name.removeprefix(f"{data}-").removesuffix(f"-{ranker.seed}")
            by_system.setdefault(system, {})[name] = ranker.seed
    return by_system


def check_systems(settings: Settings, data: str) -> None:
    """Raise ValueError unless the systems of a data set have names of their own, and one recipe in all their seeds."""
    for system, count in Counter(all_systems(settings, data)).items():
        if count > 1:
            raise ValueError(f"two systems of {data} are called {system}; give one of the entries another name")
    for system, entries in systems(settings.rankers, data).items():
        first, *others = entries
        for name in others:
            if replace(settings.rankers[name], seed=entries[first]) != settings.rankers[first]:
                problem = f"rankers.{name} and rankers.{first} are both the system {system}, and differ"
                raise ValueError(f"{problem} in more than the seed; give one another name")
        if len(set(entries.values())) < len(entries):
            raise ValueError(f"the rankers {', '.join(entries)} are one system; give each a seed of its own")


def check_terms(settings: Settings) -> None:
    """Raise ValueError where a loss has a part that a ranker's table, its regime, n-grams or the swap can't give it."""
    table = settings.finetune.teacher.table
    for key, ngrams in settings.ngram.items():
        loss, where = settings.losses[ngrams.loss], f"ngram.{key}.loss is {ngrams.loss!r}"
        if loss.teacher.weight or loss.mined.documents or loss.terms.prefix.weight:
            what = f"{where}, which needs a teacher, mined documents or the docIDs' siblings, and n-grams have none"
            raise ValueError(f"{what}; name a loss without `teacher`, `mined` and `terms.prefix`")
    for place, entry in having(settings, "loss", "arguments").items():
        loss, where = settings.losses[entry.loss], f"{place}.loss is {entry.loss!r}"
        regime = settings.prompt.of(getattr(entry, "regime", None)).regime
        if loss.teacher.weight and table == NO_TEACHER:
            what = (
                f"{where}, which learns from a teacher, but finetune.teacher.table is {table}, a run without documents"
            )
            raise ValueError(f"{what}; name candidates/<entry>.parquet, or the whole path of a run file")
        if loss.mined.documents and regime == "in_context":
            what = f"{where}, which mines documents, but the regime is in_context, whose prompts show all candidates"
            raise ValueError(f"{what}; take the regime corpus, or a loss without `mined`")
    loss = settings.losses[settings.swap.loss]
    if loss.teacher.weight or loss.mined.documents:
        what = f"swap.loss is {settings.swap.loss!r}, which has a teacher or mined documents, and a swap gives it none"
        raise ValueError(f"{what}; name a loss without `teacher` and `mined`")
