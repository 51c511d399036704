"""Stage `download_wordnet`: the noun synsets of WordNet 3.0, from the first source that has its files."""

from pathlib import Path
from tempfile import TemporaryDirectory

from arrange.data import wordnet_files, wordnet_sources
from settings import params
from tasks import stage


def download_wordnet() -> None:
    """sources -> data/raw/wordnet.parquet: all noun synsets; the same table, whatever the source."""
    settings = params.read().download_wordnet
    cache = stage.folder()  # for unfinished downloads
    with TemporaryDirectory(dir=cache) as scratch:
        files = Path(scratch, "files")
        source = wordnet_sources.fetch(settings.sources, files, settings.sha256, settings.url, cache)
        wordnet_files.save(wordnet_files.read(files), Path("data/raw/wordnet.parquet"))
    stage.note("data_source", f"WordNet 3.0 ({source})")
