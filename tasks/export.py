"""Stage `export`: a data set's best ranker by the validation queries, in a folder with all that ranking needs."""

from pathlib import Path
from typing import Any

import polars as pl
import torch
from transformers import PreTrainedTokenizerFast

from arrange.data import tables
from arrange.decoding.rank import rank
from arrange.docids import trie
from arrange.evaluation import measures
from arrange.files import replacing, sha256
from arrange.models import ranker as model
from arrange.serving.exported import Recipe, write
from arrange.training import examples
from settings import params
from settings.sections import Settings, systems
from tasks import stage

VALIDATED = "validation_nDCG@10"
TABLES = ("documents", "queries", "qrels")  # the test split has files of its own


def export(data: str) -> None:
    """models, docids, data/<data>, results/<data> -> exports/<data>; an empty folder for data without a ranker."""
    settings, out = params.read(), Path("exports", data)
    found = {name: validated(data, name, settings) for name, ranker in settings.rankers.items() if ranker.data == data}
    if not found:
        with replacing(out) as part:
            part.mkdir()
        return
    name = max(found, key=lambda each: -1.0 if (value := found[each]) is None else value)
    ranker, prompt = settings.rankers[name], settings.prompt
    folders = Path("data", data), Path("docids", f"{data}-{ranker.docids}"), Path("models", name)
    docids = pl.read_parquet(folders[1] / "docids.parquet")
    documents = tables.read(folders[0], splits=["validation"]).documents
    search = settings.rank.model_dump(include={"beams", "batch_size", "normaliser"})
    recipe = Recipe(**prompt.templates(), score=prompt.score, **search, seed=ranker.seed)
    torch.set_num_threads(settings.rank.threads)
    validation = measured(*folders, docids, recipe)
    write(
        out,
        model=folders[2],
        tokenizer=folders[1] / "tokenizer",
        trie_file=folders[1] / "trie.safetensors",
        documents=docids.join(documents, on="doc_id", how="left", maintain_order="left"),
        validation=validation,
        recipe=recipe,
        card={
            "data": data,
            "ranker": name,
            "validated": found,
            "parameters": parameters(settings, name),
            "sha256": {
                "data": {table: sha256(folders[0] / f"{table}.parquet") for table in TABLES},
                "docids": {file: sha256(folders[1] / file) for file in ("docids.parquet", "trie.safetensors")},
            },
            "metrics": {settings.rank.split: shown(data, name, settings), "validation": means(validation)},
        },
    )


def validated(data: str, name: str, settings: Settings) -> float | None:
    """nDCG@10 of the checkpoint that training kept: the best by its metric, or the last; None if none was validated."""
    history = pl.read_csv(Path("results", data, f"{name}.history.csv"), infer_schema_length=None)
    if VALIDATED not in history.columns:
        return None
    history = history.drop_nulls(VALIDATED)
    arguments = {**settings.finetune.arguments, **settings.rankers[name].arguments}
    if not arguments.get("load_best_model_at_end"):
        return history[VALIDATED][-1]
    metric = arguments.get("metric_for_best_model", "loss").removeprefix("eval_")
    greater = arguments.get("greater_is_better", not metric.endswith("loss"))
    return history.sort(f"validation_{metric}", descending=greater, maintain_order=True)[VALIDATED][0]


def measured(data: Path, catalogue: Path, trained: Path, docids: pl.DataFrame, recipe: Recipe) -> pl.DataFrame:
    """The measures of every validation query, each with its cluster."""
    queries, _, qrels = tables.read(data, splits=["validation"])
    shown = examples.of_split(
        queries,
        qrels,
        docids=docids,
        tokenizer=PreTrainedTokenizerFast.from_pretrained(catalogue / "tokenizer"),
        template=recipe.template,
        query_tokens=recipe.query_tokens,
        candidate=recipe.candidate,
        seed=recipe.seed,
    )
    legal = trie.load(catalogue / "trie.safetensors")
    legal.verify()
    with stage.progress(len(queries), "queries") as reached:
        run = rank(
            model.load(trained),
            shown,
            legal,
            queries["query_id"].to_list(),
            docids["doc_id"].to_list(),
            beams=recipe.beams,
            batch_size=recipe.batch_size,
            normaliser=recipe.normaliser,
            score=recipe.score,
            progress=reached,
        )
    return measures.nearest_documents(qrels).join(measures.evaluate(run, qrels), on="query_id", maintain_order="left")


def parameters(settings: Settings, name: str) -> dict[str, Any]:
    """The parameters that made a ranker."""
    ranker = settings.rankers[name]
    sections = {
        "ranker": ranker,
        "loss": settings.losses[ranker.loss],
        "catalogue": settings.catalogues[f"{ranker.data}-{ranker.docids}"],
        "docids": settings.docids,
        "prompt": settings.prompt,
        "finetune": settings.finetune,
    }
    return {section: values.model_dump(mode="json") for section, values in sections.items()}


def shown(data: str, name: str, settings: Settings) -> dict[str, float]:
    """The means that the tables show of this ranker: to be known, not to choose by."""
    per_query = pl.read_parquet(Path("results", data, "per_query.parquet"))
    system = next(system for system, seeds in systems(settings.rankers, data).items() if name in seeds)
    mine = (pl.col("system") == system) & (pl.col("seed") == settings.rankers[name].seed)
    return means(per_query.filter(mine))


def means(per_query: pl.DataFrame) -> dict[str, float]:
    """The mean over queries of each measure that applies to any."""
    found = per_query.select(measures.MEASURES).mean().row(0, named=True)
    return {measure: mean for measure, mean in found.items() if mean is not None}


if __name__ == "__main__":
    stage.run(export)
