"""Stage `download_esci`: the two ESCI files: the official ones, somebody's in their schema, or a generated sample."""

import json
from pathlib import Path

from arrange.data import esci_sample, esci_sources
from arrange.errors import UserError
from records import store
from settings import params
from tasks import stage

OUT = Path("data/raw/products")


def download_esci() -> None:
    """source -> data/raw/products/*.parquet, and what to call numbers from it: data/raw/products.json."""
    settings = params.read().download_esci
    folder = store.home() / Path(settings.folder).expanduser() if settings.folder else None
    files = {name: esci_sources.Official(**entry.model_dump()) for name, entry in settings.files.items()}
    name = "ESCI"
    if settings.source == "sample":
        name = f"sample of {settings.products:,} generated products (no ESCI score)"
        esci_sample.write(OUT, settings.products, settings.seed)
    elif settings.source == "path":
        if folder is None:
            raise UserError("download_esci.source is path, and download_esci.folder is empty", "name the folder")
        name = "own files in the schema of ESCI (no ESCI score)"
        esci_sources.from_folder(folder, OUT)
    elif folder is not None:
        esci_sources.from_folder(folder, OUT, files)
    else:
        url = esci_sources.from_urls(settings.urls, OUT, files, stage.folder())
        stage.note("address", url)
    OUT.with_suffix(".json").write_text(json.dumps({"name": name}))
    stage.note("data_source", name)


if __name__ == "__main__":
    stage.run(download_esci)
