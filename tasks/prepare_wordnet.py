"""Stage `prepare_wordnet`: queries, documents and qrels of the noun hierarchy."""

from pathlib import Path

from arrange.data import tables, wordnet, wordnet_files
from settings import params
from tasks import stage


def prepare_wordnet() -> None:
    """data/raw/wordnet.parquet -> data/wordnet/{documents,queries,qrels}.parquet, and the test split in test/."""
    settings = params.read().prepare_wordnet
    synsets = wordnet_files.load(Path("data/raw/wordnet.parquet"))
    dataset = wordnet.tables(synsets, **settings.model_dump())
    tables.write(dataset, Path("data/wordnet"), wordnet.kinds(synsets, dataset.queries["query_id"]))


if __name__ == "__main__":
    stage.run(prepare_wordnet)
