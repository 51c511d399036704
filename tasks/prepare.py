"""Stage `prepare`: queries, documents and qrels of a data set."""

from pathlib import Path

from arrange.data import datasets, tables
from settings import params
from tasks import stage


def prepare(name: str) -> None:
    """The raw files that the entry datasets.<name> names -> data/<name>/: the tables, and about.json."""
    dataset, about, groups = datasets.prepare(name, params.read().datasets[name])
    tables.write(dataset, Path("data", name), groups, about)
    if about.source:
        stage.note("data_source", about.source)
