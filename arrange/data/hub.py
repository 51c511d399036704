"""Data sets of the Hugging Face hub, and those that `datasets` has saved, as folders that `arrange.data.folder` reads.

    documents   a configuration (of the hub) or a saved data set called documents, corpus or collection
    queries     queries or topics
    qrels       qrels or default, as the hub's retrieval data sets have it; a split for each fold

Files are read as data: a repository's code is neither fetched nor run.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from arrange.base_models.hub import explained, snapshot
from arrange.data.own_files import FOLDS
from arrange.errors import UserError
from arrange.files import replacing

SCHEME = "hf://datasets/"
NAMES = {
    "documents": ("documents", "corpus", "collection"),
    "queries": ("queries", "topics"),
    "qrels": ("qrels", "default"),
}
SAVED = ("state.json", "dataset_dict.json")  # what `save_to_disk` leaves of a data set, and of one with splits
WANTED = ("README.md", "*.parquet", "*.arrow", "*.jsonl", "*.json", "*.csv", "*.tsv", "*.gz")


def folder_of(place: str, into: Path) -> Path:
    """The folder of queries, documents and qrels that a place stands for.

    place: hf://datasets/owner/name, with @revision if not the newest, or a folder. A folder that `datasets` has saved
    and a data set of the hub are written into a folder of `into`, as parquet; any other folder is taken as it is.
    Raises UserError where they can't be had, or a table is missing.

    >>> folder_of("my/folder", Path("data/raw"))
    PosixPath('my/folder')
    """
    if place.startswith(SCHEME):
        name, _, revision = place.removeprefix(SCHEME).partition("@")
        source = snapshot(name, revision or "main", WANTED, "data set", "dataset")
        with explained(f"data set {name!r} of the hub"), TemporaryDirectory(prefix="datasets-") as scratch:
            return _written(into / name.replace("/", "_"), *_of_repository(source, scratch))
    source = Path(place)
    places = (".", *(name for names in NAMES.values() for name in names))
    if not any((source / name / file).is_file() for name in places for file in SAVED):
        return source
    with explained(f"the saved data sets in {source}"):
        return _written(into / source.resolve().name, *_saved(source))


def _of_repository(source: Path, scratch: str) -> tuple[list[str], Callable[[str], Any]]:
    """The names of a repository's configurations, and what reads one."""
    import datasets  # here: it takes seconds to import

    datasets.disable_progress_bars()
    names = datasets.get_dataset_config_names(str(source))
    return names, lambda name: datasets.load_dataset(str(source), name, cache_dir=scratch)


def _saved(source: Path) -> tuple[list[str], Callable[[str], Any]]:
    """The names of the data sets that `save_to_disk` has written into a folder, and what reads one."""
    import datasets

    datasets.disable_progress_bars()
    files = [path for file in SAVED for path in source.glob(f"*/{file}")]
    return sorted({path.parent.name for path in files}), lambda name: datasets.load_from_disk(source / name)


def _written(folder: Path, names: list[str], read: Callable[[str], Any]) -> Path:
    """The folder with a parquet file for each table, or for each fold of it."""
    with replacing(folder) as part:
        part.mkdir()
        for table, choices in NAMES.items():
            name = next((choice for choice in choices if choice in names), None)
            if name is None:
                there = ", ".join(names) or "nothing"
                raise UserError(f"there are no {table}: it has {there}", f"call one {' or '.join(choices)}")
            for fold, rows in _folds(read(name)).items():
                rows.to_parquet(part / ".".join([table, *[fold] * bool(fold), "parquet"]))
    return folder


def _folds(found: Any) -> Mapping[str, Any]:
    """The rows of a table by fold; "" for one that has no folds."""
    if not isinstance(found, dict):
        return {"": found}
    if {*found} <= FOLDS.keys():
        return found
    from datasets import concatenate_datasets

    return {"": concatenate_datasets(list(found.values()))}
