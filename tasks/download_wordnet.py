"""Stage `download_wordnet`: the dictionary files of WordNet 3.0, from the first source that has them."""

from pathlib import Path

from arrange.data import wordnet_sources
from tasks import params, stage


def download_wordnet() -> None:
    """sources -> data/raw/wordnet/{data,index}.noun, checked."""
    settings = params.read().download_wordnet
    source = wordnet_sources.fetch(
        settings.sources, Path("data/raw/wordnet"), settings.sha256, settings.url, Path("state/downloads")
    )
    stage.note("data_source", f"WordNet 3.0 ({source})")


if __name__ == "__main__":
    stage.run(download_wordnet)
