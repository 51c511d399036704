"""Stage `finetune`: a causal language model that learns to spell the docIDs of a query's documents."""

from functools import partial
from pathlib import Path

import polars as pl
from transformers import PreTrainedTokenizerFast

from arrange.data import tables
from arrange.docids.tokens import encode_prompts
from arrange.files import replacing
from arrange.ranking import examples, losses, model
from arrange.ranking.train import train
from tasks import params, stage
from tasks.settings import Finetune


def finetune(data: str, loss: str) -> None:
    """data/<data>, docids/<data> -> models/<data>/<loss>/ and results/<data>/<loss>.history.csv."""
    settings = params.read()
    recipe, rule = settings.finetune, settings.losses[loss]
    docids = pl.read_parquet(Path("docids", data, "docids.parquet"))
    tokenizer = PreTrainedTokenizerFast.from_pretrained(Path("docids", data, "tokenizer"))
    docid_tokens = docids["tokens"].to_list()
    dataset = tables.read(Path("data", data))

    def split(name: str) -> tuple[list[list[int]], list[examples.List]]:
        queries = dataset.queries.filter(split=name)
        prompts = encode_prompts(tokenizer, queries["text"].to_list(), recipe.prompt_tokens)
        return prompts, examples.ranked_lists(queries["query_id"], dataset.qrels, docids["doc_id"])

    prompts, lists = split("train")
    weigh = partial(losses.weights, rule.rule, rule.model_dump(exclude={"rule"}))
    weighted = [(rows, weigh(ranks)) for rows, ranks in lists]
    validation_prompts, validation_lists = split("validation")
    count = recipe.steps * recipe.batch_size
    with stage.progress(recipe.steps, "steps") as reached:
        history = train(
            new_model(tokenizer, recipe, recipe.prompt_tokens + max(map(len, docid_tokens))),
            examples.training_examples(prompts, docid_tokens, weighted, count, recipe.seed),
            partial(examples.collate, pad_token_id=tokenizer.pad_token_id),
            Path("models", data, loss),
            validation=examples.best_examples(validation_prompts, docid_tokens, validation_lists),
            steps=recipe.steps,
            batch_size=recipe.batch_size,
            learning_rate=recipe.learning_rate,
            warmup=recipe.warmup,
            weight_decay=recipe.weight_decay,
            seed=recipe.seed,
            threads=recipe.threads,
            log_every=10,
            evaluate_every=max(1, recipe.steps // 5),
            progress=lambda step, metrics: reached(step),
        )
    with replacing(Path("results", data, f"{loss}.history.csv")) as part:
        pl.DataFrame(history, infer_schema_length=None).write_csv(part)


def new_model(tokenizer: PreTrainedTokenizerFast, recipe: Finetune, positions: int) -> model.PreTrainedModel:
    """A model with random weights, of the recipe's shape, for this tokenizer."""
    return model.from_scratch(
        vocabulary_size=len(tokenizer),
        hidden_size=recipe.hidden_size,
        layers=recipe.layers,
        heads=recipe.heads,
        max_positions=positions,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        seed=recipe.seed,
    )


if __name__ == "__main__":
    stage.run(finetune)
