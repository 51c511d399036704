"""Stage `finetune`: train a causal language model to generate the docIDs of a query's documents."""

from pathlib import Path

from arrange.data import tables
from arrange.decoding import finetuning
from arrange.decoding.validation import judged_queries
from arrange.docids.catalogue import open_catalogue
from settings import params
from tasks import stage


def finetune(name: str) -> None:
    """data/<data>, docids/<data>-<docids> -> models/<name>/ and results/<data>/<name>.history.csv."""
    settings = params.read()
    ranker = settings.rankers[name]
    prompt = settings.prompt.of(ranker.regime)
    catalogue = open_catalogue(Path("docids", f"{ranker.data}-{ranker.docids}"))
    train, validation = (tables.read(Path("data", ranker.data), splits=[split]) for split in ("train", "validation"))
    history = finetuning.finetune(
        Path("models", name),
        judged_queries(train, catalogue, prompt, ranker.seed),
        judged_queries(validation, catalogue, prompt, ranker.seed, settings.finetune.validation_queries),
        catalogue,
        prompt,
        settings.losses[ranker.loss],
        settings.finetune,
        settings.rank,
        checkpoints=stage.resumable(),
        arguments=ranker.arguments,
        seed=ranker.seed,
        progress=stage.progress,
    )
    if stage.is_main():
        stage.write_history(history, Path("results", ranker.data, f"{name}.history.csv"))
        stage.finished()


if __name__ == "__main__":
    stage.run(finetune)
