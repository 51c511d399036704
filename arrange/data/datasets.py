"""The sources of data sets. To add one: a module with its settings and their `prepare`, and its class here."""

from arrange.data.esci import Esci
from arrange.data.esci_sources import DownloadEsci
from arrange.data.folder import Folder
from arrange.data.tables import Prepared
from arrange.data.wordnet import Wordnet
from arrange.data.wordnet_sources import DownloadWordnet

__all__ = ["DownloadEsci", "DownloadWordnet", "Source", "prepare"]
Source = Wordnet | Esci | Folder


def prepare(name: str, settings: Source) -> Prepared:
    """Read the raw files of a data set and make its tables. `name` is that of its entry in params.yaml.

    Each source declares its settings as a dataclass: `source` (its own name, a Literal), `raw` (the path of the raw
    file or folder) and what else it needs. `prepare(name)` of that dataclass does the work.
    """
    return settings.prepare(name)
