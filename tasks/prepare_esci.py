"""Stage `prepare_esci`: queries, documents and qrels of the ESCI files, whichever source they are from."""

import json
from pathlib import Path

from arrange.data import esci, rows, tables, teacher
from arrange.files import replacing
from arrange.models import vectors
from settings import params
from tasks import stage

RAW = Path("data/raw/products")


def prepare_esci() -> None:
    """data/raw/products -> data/products, with what it is and what was left out in preparation.json."""
    settings = params.read().prepare_esci
    dataset, left_out = esci.tables(
        RAW / esci.EXAMPLES,
        RAW / esci.PRODUCTS,
        locales=settings.locales,
        version=settings.version,
        text=settings.text,
        gains={str(label): gain for label, gain in settings.gains.items()},
        validation=settings.validation,
    )
    name = json.loads(RAW.with_suffix(".json").read_text())["name"]
    if settings.truth == "teacher":
        by = settings.teacher
        vectoriser = vectors.fit(by.name, teacher.texts(dataset), by.dimensions, by.seed)
        dataset, more = teacher.relabel(dataset, vectoriser, by.length, by.deepest)
        left_out, name = [*left_out, *more], f"{name}, ranks by the teacher {by.name}"
    tables.write(dataset, Path("data/products"), esci.groups(dataset))
    with replacing(Path("data/products/preparation.json")) as part:
        part.write_text(json.dumps({"name": name, "left_out": rows.summary(left_out)}, indent=1))
    stage.note("data_source", name)


if __name__ == "__main__":
    stage.run(prepare_esci)
