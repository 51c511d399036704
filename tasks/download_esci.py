"""Stage `download_esci`: the two ESCI files: the official ones, somebody's in their schema, or a generated sample."""

from pathlib import Path

from arrange.data import esci_sources
from records import store
from settings import params
from tasks import stage


def download_esci() -> None:
    """source -> data/raw/products/: the two files, and origin.json, which says what to call numbers from them."""
    settings = params.read().download_esci
    folder = store.home() / Path(settings.folder).expanduser()
    name, url = esci_sources.get(settings, folder, Path("data/raw/products"), stage.folder())
    if url:
        stage.note("address", url)
    stage.note("data_source", name)
