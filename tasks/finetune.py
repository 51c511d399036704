"""Stage `finetune`: a causal language model that learns to spell the docIDs of a query's documents."""

from pathlib import Path

import polars as pl
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from arrange.data import tables
from arrange.decoding.rank import common_loss, rank
from arrange.docids import trie
from arrange.evaluation import measures
from arrange.files import replacing
from arrange.models import ranker as model
from arrange.training import examples, losses
from arrange.training.training import Objective, train
from settings import params
from settings.sections import Finetune, Loss
from tasks import stage

VALIDATED = ("nDCG@10", "overlap@3", "R@10")


def finetune(name: str) -> None:
    """data/<data>, docids/<catalogue> -> models/<name>/ and results/<data>/<name>.history.csv."""
    settings = params.read()
    ranker, recipe, prompt = settings.rankers[name], settings.finetune, settings.prompt
    catalogue = Path("docids", f"{ranker.data}-{ranker.docids}")
    docids = pl.read_parquet(catalogue / "docids.parquet")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(catalogue / "tokenizer")
    train_queries, _, train_qrels = tables.read(Path("data", ranker.data), splits=["train"])
    queries, _, qrels = tables.read(Path("data", ranker.data), splits=["validation"])
    queries = queries.head(recipe.validation_queries)
    qrels = qrels.join(queries, on="query_id", how="semi")
    shown = {"docids": docids, "tokenizer": tokenizer, "seed": ranker.seed} | prompt.templates()
    lists = examples.of_split(train_queries, train_qrels, **shown)
    validation = examples.of_split(queries, qrels, **shown)

    template = prompt.templates()["template"]
    positions = examples.context([lists, validation], tokenizer, template, prompt.query_tokens)
    untrained = new_model(tokenizer, recipe, ranker.seed, positions)
    examples.check_length(lists, untrained.config.max_position_embeddings, train_queries["query_id"].to_list())
    how = settings.rank.model_dump(include={"beams", "batch_size", "normaliser"}) | {"score": prompt.score}
    legal = trie.load(catalogue / "trie.safetensors")
    legal.verify()

    def validate(trained: PreTrainedModel) -> dict[str, float]:
        ids = queries["query_id"].to_list(), docids["doc_id"].to_list()
        run = rank(trained, validation, legal, *ids, **how)
        values = measures.evaluate(run, qrels).select(pl.col(VALIDATED).mean()).row(0, named=True)
        return {"loss": common_loss(trained, validation, settings.rank.batch_size)} | values

    arguments = {**recipe.arguments, **ranker.arguments}
    with stage.progress(arguments.get("max_steps", 0), "steps") as reached:
        history = train(
            model.with_lora(untrained, recipe.lora, ranker.seed) if recipe.lora else untrained,
            lists,
            objective(settings.losses[ranker.loss], lists),
            Path("models", name),
            stage.resumable(),
            arguments=arguments,
            seed=ranker.seed,
            threads=recipe.threads,
            validate=validate,
            progress=reached,
        )
    if not stage.is_main():
        return
    stage.finished()
    with replacing(Path("results", ranker.data, f"{name}.history.csv")) as part:
        pl.DataFrame(history, infer_schema_length=None).write_csv(part)


def objective(loss: Loss, lists: examples.Examples) -> Objective:
    """What the settings of a loss ask of the queries' lists."""
    weights = [losses.weights(loss.rule, loss.parameters(), ranks_D) for _, ranks_D in lists.lists]
    return Objective(weights, loss.gamma, loss.normalised, loss.plackett_luce, loss.hinge, loss.margin)


def new_model(tokenizer: PreTrainedTokenizerFast, recipe: Finetune, seed: int, positions: int) -> PreTrainedModel:
    """The model to train: random weights in the recipe's shape, or one by name."""
    if recipe.model != "scratch":
        return model.by_name(recipe.model, tokenizer, seed)
    return model.from_scratch(recipe.scratch, tokenizer, positions, seed)


if __name__ == "__main__":
    stage.run(finetune)
