"""Stage `swap`: the autoregressive ranker with each activation in its feed-forward layers."""

from pathlib import Path
from typing import Any, Literal

import polars as pl
from transformers import PreTrainedTokenizerFast

from arrange.activations.classical import CLASSICAL
from arrange.activations.entrants import programs
from arrange.activations.found import text
from arrange.activations.programs.admission import admit
from arrange.activations.programs.check import compile_program
from arrange.activations.transfer.ranker import Score, Split, ranker_score
from arrange.data import tables
from arrange.docids import trie
from arrange.evaluation.measures import nearest_documents
from arrange.files import replacing
from arrange.models import ranker as model
from arrange.training import examples, losses
from arrange.training.training import Objective
from settings import params
from settings.sections import Settings
from tasks import stage

REFERENCE = "gelu"
SCORES = pl.Schema(
    {"system": pl.String(), "rate": pl.Float64()}
    | dict.fromkeys(("query_id", "cluster"), pl.String())
    | {"nDCG@10": pl.Float64()}
)


def swap() -> None:
    """activations/found/, data/, docids/ -> activations/swapped.parquet: nDCG@10 of each activation and query.

    GELU, which the others are compared with, is always among them. Left out is what is not pointwise: in training a
    statistic of the batch tells a token of those that come after it.
    """
    settings = params.read()
    finalists = pl.read_parquet(Path("activations", "found", "finalists.parquet"))
    sources = {REFERENCE: text(CLASSICAL[REFERENCE])} | programs(settings.swap.of, finalists, settings.swap.found)
    scores = [pl.DataFrame(schema=SCORES)]
    if settings.swap.of:
        bench = workbench(settings)
        clusters = nearest_documents(bench["test"].qrels)
        with stage.progress(len(sources), "activations") as reached:
            for done, (name, source) in enumerate(sources.items(), start=1):
                activation = compile_program(source)
                admitted = admit(activation, settings.sandbox.flops)
                if admitted.pointwise:
                    scores.append(rows(name, ranker_score(activation, admitted, **bench), clusters))
                reached(done, name)
    with replacing(Path("activations", "swapped.parquet")) as part:
        pl.concat(scores).write_parquet(part)


def rows(name: str, score: Score, clusters: pl.DataFrame) -> pl.DataFrame:
    """A score as rows of SCORES; the cluster of a query is as in `measures.nearest_documents`."""
    told = pl.lit(name).alias("system"), pl.lit(score.rate).alias("rate")
    return score.per_query.join(clusters, on="query_id", maintain_order="left").select(
        *told, "query_id", "cluster", "nDCG@10"
    )


def workbench(settings: Settings) -> dict[str, Any]:
    """What all activations share: the lists to learn, the queries to rank, the model's recipe."""
    how, recipe, prompt = settings.swap, settings.finetune, settings.prompt
    catalogue = Path("docids", f"{how.data}-{how.docids}")
    docids = pl.read_parquet(catalogue / "docids.parquet")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(catalogue / "tokenizer")
    shown = {"docids": docids, "tokenizer": tokenizer, "seed": how.seed} | prompt.templates()

    def split(name: Literal["train", "validation", "test"], most: int | None = None) -> Split:
        queries, _, qrels = tables.read(Path("data", how.data), splits=[name])
        queries = queries.head(most or len(queries))
        qrels = qrels.join(queries, on="query_id", how="semi")
        return Split(examples.of_split(queries, qrels, **shown), queries["query_id"].to_list(), qrels)

    learnt, validation, test = split("train"), split("validation", recipe.validation_queries), split("test")
    loss = settings.losses[how.loss]
    weights = [losses.weights(loss.rule, loss.parameters(), ranks_D) for _, ranks_D in learnt.examples.lists]
    template = prompt.templates()["template"]
    positions = examples.context([learnt.examples, validation.examples], tokenizer, template, prompt.query_tokens)
    legal = trie.load(catalogue / "trie.safetensors")
    legal.verify()
    return {
        "make": lambda: model.from_scratch(recipe.scratch, tokenizer, positions, how.seed),
        "lists": learnt.examples,
        "objective": Objective(weights, loss.gamma, loss.normalised, loss.plackett_luce, loss.hinge, loss.margin),
        "validation": validation,
        "test": test,
        "legal": legal,
        "doc_ids": docids["doc_id"].to_list(),
        "rates": how.rates,
        "arguments": {**recipe.arguments, "max_steps": how.steps, "load_best_model_at_end": False},
        "search": settings.rank.model_dump(include={"beams", "batch_size", "normaliser"}) | {"score": prompt.score},
        "seed": how.seed,
        "threads": recipe.threads,
    }


if __name__ == "__main__":
    stage.run(swap)
