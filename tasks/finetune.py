"""Stage `finetune`: train a causal language model to generate the docIDs of a query's documents."""

from pathlib import Path

from arrange.data import augmented, tables
from arrange.decoding import finetuning
from arrange.decoding.validation import judged_queries
from arrange.docids.catalogue import open_catalogue
from arrange.training.mixing import Mix
from settings import params
from tasks import stage


def finetune(name: str) -> None:
    """data, augment and docids of the ranker's data set -> models/<name>/ and results/<data>/<name>.history.csv."""
    settings = params.read()
    ranker = settings.rankers[name]
    prompt = settings.prompt.of(ranker.regime)
    catalogue = open_catalogue(Path("docids", f"{ranker.data}-{ranker.docids}"))
    data = Path("data", ranker.data)
    train, validation = tables.read(data, splits=["train"]), tables.read(data, splits=["validation"])
    about, most = tables.read_about(data), settings.finetune.validation_queries
    more, wanted = None, ranker.augmented or settings.finetune.augmented
    if wanted and prompt.regime == "corpus":
        table = augmented.read(Path("augment", f"{ranker.data}.parquet"), catalogue.docids["doc_id"], wanted.origins)
        more = table, Mix(table["weight"].to_numpy(), wanted.first, wanted.last)
    history = finetuning.finetune(
        Path("models", name),
        judged_queries(train, catalogue, prompt, ranker.seed, about),
        judged_queries(validation, catalogue, prompt, ranker.seed, about, most),
        catalogue,
        prompt,
        settings.losses[ranker.loss],
        settings.finetune,
        settings.rank,
        checkpoints=stage.resumable(),
        arguments=ranker.arguments,
        seed=ranker.seed,
        augmented=more,
        progress=stage.progress,
    )
    if stage.is_main():
        stage.write_history(history, Path("results", ranker.data, f"{name}.history.csv"))
        stage.finished()
