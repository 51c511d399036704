"""Stage `finetune`: train a causal language model to generate the docIDs of a query's documents."""

from functools import partial
from pathlib import Path

import polars as pl

from arrange.data import tables
from arrange.decoding.validation import judged_queries, validate
from arrange.docids.catalogue import open_catalogue
from arrange.files import replacing
from arrange.models import ranker as models
from arrange.training import examples, needs
from arrange.training.training import train
from settings import params
from tasks import stage


def finetune(name: str) -> None:
    """data/<data>, docids/<data>-<docids> -> models/<name>/ and results/<data>/<name>.history.csv."""
    settings = params.read()
    ranker, finetuning = settings.rankers[name], settings.finetune
    prompt = settings.prompt.of(ranker.regime)
    base, arguments = Path(finetuning.model), {**finetuning.arguments, **ranker.arguments}
    needs.check(base, bool(finetuning.lora), arguments.get("save_total_limit", 1))
    catalogue = open_catalogue(Path("docids", f"{ranker.data}-{ranker.docids}"))
    data = Path("data", ranker.data)
    about, most = tables.read_about(data), finetuning.validation_queries
    learnt = judged_queries(tables.read(data, splits=["train"]), catalogue, prompt, ranker.seed, about)
    shown = tables.read(data, splits=["validation"])
    validation = judged_queries(shown, catalogue, prompt, ranker.seed, about, most)
    positions = examples.longest_sequence([learnt.examples, validation.examples], catalogue, prompt)
    model = models.from_base(base, catalogue.tokenizer, positions, ranker.seed)
    for queries in (learnt, validation):
        examples.check_length(queries.examples, model.config.max_position_embeddings, queries.query_ids)
    new = models.new_tokens(base, catalogue.tokenizer) if finetuning.lora else []

    with stage.progress(arguments["max_steps"], "steps") as reached:
        history = train(
            models.with_lora(model, finetuning.lora, ranker.seed, new),
            learnt.examples,
            settings.losses[ranker.loss],
            Path("models", name),
            stage.resumable(),
            arguments=arguments,
            seed=ranker.seed,
            threads=finetuning.threads,
            normaliser=finetuning.normaliser,
            validate=partial(
                validate, queries=validation, catalogue=catalogue, decoding=settings.rank, score=prompt.score
            ),
            progress=reached,
        )
    if not stage.is_main():
        return
    stage.finished()
    with replacing(Path("results", ranker.data, f"{name}.history.csv")) as part:
        pl.DataFrame(history, infer_schema_length=None).write_csv(part)


if __name__ == "__main__":
    stage.run(finetune)
