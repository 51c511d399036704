"""Stage `export`: a data set's best ranker by the validation queries, with the first stage of a learned fusion."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl
import torch

from arrange.baselines.first_stage import FOLDER
from arrange.data import tables
from arrange.decoding.rank import score_of
from arrange.decoding.validation import judged_queries, means, measure
from arrange.docids.catalogue import open_catalogue
from arrange.evaluation import measures
from arrange.files import replacing
from arrange.models import ranker as models
from arrange.serving.card import tabled
from arrange.serving.exported import Recipe, hashes, write
from arrange.serving.fusion import Parts
from arrange.training.history import kept_value
from settings import params
from settings.sections import Settings, systems
from tasks import stage


def export(data: str) -> None:
    """models, docids, {data,results,runs}/<data> -> exports/<data>; an empty folder for data without a ranker."""
    settings, out = params.read(), Path("exports", data)
    validated = validation_scores(data, settings)
    if not validated:
        with replacing(out) as part:
            part.mkdir()
        return
    name = max(validated, key=lambda ranker: -1.0 if (value := validated[ranker]) is None else value)
    ranker, decoding = settings.rankers[name], settings.rank
    prompt = settings.prompt.of(ranker.regime)
    data_folder, catalogue_folder = Path("data", data), Path("docids", f"{data}-{ranker.docids}")
    catalogue, dataset = open_catalogue(catalogue_folder), tables.read(data_folder, splits=["validation"])
    torch.set_num_threads(decoding.threads)
    queries = judged_queries(dataset, catalogue, prompt, ranker.seed, tables.read_about(data_folder))
    model = models.load(Path("models", name))
    score = score_of(model.config, prompt.score)
    with stage.progress(len(queries.query_ids), "queries") as reached:
        measured = measure(model, queries, catalogue, decoding, score, reached)
    validation = measures.nearest_documents(queries.qrels).join(measured, on="query_id", maintain_order="left")
    fused = {entry.second for entry in settings.fusions.values() if entry.learned and entry.first == name}
    first = min(fused & settings.candidates.keys(), default="")
    known = [Path("runs", data, each, stage.VALIDATION) for each in (name, first)]
    [system] = [system for system, entries in systems(settings.rankers, data).items() if name in entries]
    per_query = pl.read_parquet(Path("results", data, "per_query.parquet"))
    write(
        out,
        model=Path("models", name),
        catalogue=catalogue_folder,
        documents=catalogue.docids.join(dataset.documents, on="doc_id", how="left", maintain_order="left"),
        validation=validation,
        adapters=settings.export.adapters,
        beside=Parts(Path("runs", data, first, FOLDER), known, dataset.qrels) if first else None,
        recipe=Recipe(**prompt.templates(), score=score, **decoding.search(), seed=ranker.seed),
        card={
            "data": data,
            "ranker": name,
            "validated": validated,
            "parameters": parameters(settings, name),
            "sha256": hashes(data_folder, catalogue_folder),
            "metrics": tabled(per_query, system, ranker.seed, decoding.split) | {"validation": means(validation)},
        },
    )


def validation_scores(data: str, settings: Settings) -> dict[str, float | None]:
    """nDCG@10 of each ranker of prompt.regime at the checkpoint that training kept; None if it was never validated."""
    scores = {}
    for name, ranker in settings.rankers.items():
        if ranker.data == data and ranker.regime in (None, settings.prompt.regime):
            history = pl.read_csv(Path("results", data, f"{name}.history.csv"), infer_schema_length=None)
            arguments = {**settings.finetune.arguments, **ranker.arguments}
            scores[name] = kept_value(history, "validation_nDCG@10", arguments)
    return scores


def parameters(settings: Settings, name: str) -> dict[str, Any]:
    """The parameters that made a ranker, by section."""
    ranker = settings.rankers[name]
    catalogue = settings.catalogues[f"{ranker.data}-{ranker.docids}"]
    sections: dict[str, Any] = {"ranker": ranker, "loss": settings.losses[ranker.loss], "catalogue": catalogue}
    sections |= {"docids": settings.docids, "prompt": settings.prompt.of(ranker.regime), "finetune": settings.finetune}
    sections["base_model"] = settings.base_models.get(settings.finetune.model.removeprefix("base_models/"))
    return {section: asdict(values) for section, values in sections.items() if values}
