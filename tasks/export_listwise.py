"""Stage `export_listwise`: a listwise reranker in a folder with all that reranking needs, but for its first stage."""

from dataclasses import asdict
from pathlib import Path

import polars as pl

from arrange.data import tables
from arrange.decoding.rank import score_of
from arrange.decoding.validation import means
from arrange.docids.catalogue import open_catalogue
from arrange.models import ranker as models
from arrange.serving.exported import Recipe, hashes, write
from arrange.training.history import kept_value
from settings import params


def export_listwise(name: str) -> None:
    """models/<name>, docids, data/<data>, results/<data> -> exports/<name>."""
    settings = params.read()
    entry, prompt = settings.listwise[name], settings.prompt.of("in_context")
    data, results, model = Path("data", entry.data), Path("results", entry.data), Path("models", name)
    catalogue_folder = Path("docids", f"{entry.data}-{entry.docids}")
    docids, documents = open_catalogue(catalogue_folder).docids, tables.read(data, splits=["validation"]).documents
    history = pl.read_csv(results / f"{name}.history.csv", infer_schema_length=None)
    arguments = {**settings.finetune.arguments, **entry.arguments}
    tabled = pl.read_parquet(results / "per_query.parquet").filter(system=name.removeprefix(f"{entry.data}-"))
    score = score_of(models.load(model).config, prompt.score)
    base = settings.finetune.model if entry.base.startswith("models/") else entry.base  # of the ranker it started from
    sections = {
        "ranker": entry,
        "loss": settings.losses[entry.loss],
        "catalogue": settings.catalogues[f"{entry.data}-{entry.docids}"],
        "docids": settings.docids,
        "prompt": prompt,
        "finetune": settings.finetune,
        "base_model": settings.base_models.get(base.removeprefix("base_models/")),
    }
    write(
        Path("exports", name),
        model=model,
        catalogue=catalogue_folder,
        documents=docids.join(documents, on="doc_id", how="left", maintain_order="left"),
        adapters=settings.export.adapters,
        recipe=Recipe(**prompt.templates(), score=score, **settings.rank.search(), seed=entry.seed, in_order=True),
        card={
            "data": entry.data,
            "ranker": name,
            "validated": {name: kept_value(history, "validation_nDCG@10", arguments)},
            "parameters": {section: asdict(values) for section, values in sections.items() if values},
            "sha256": hashes(data, catalogue_folder),
            "metrics": {settings.rank.split: means(tabled)},
        },
    )
