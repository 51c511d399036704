"""Stage `prepare_own`: queries, documents and qrels of a folder of the user's."""

import json
from pathlib import Path

from arrange.data import own, rows, tables
from arrange.files import replacing
from settings import params
from tasks import stage


def prepare_own(name: str) -> None:
    """The folder that params.yaml names -> data/<name>, with what was left out in preparation.json."""
    settings = params.read().own[name]
    dataset, left_out = own.tables(Path(settings.folder), settings.validation, settings.test)
    tables.write(dataset, Path("data", name))
    with replacing(Path("data", name, "preparation.json")) as part:
        part.write_text(json.dumps({"name": f"own data ({name})", "left_out": rows.summary(left_out)}, indent=1))
    stage.note("data_source", f"own data ({Path(settings.folder).name})")


if __name__ == "__main__":
    stage.run(prepare_own)
