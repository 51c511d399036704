"""Stage `evaluate`: measure every run of a data set against the qrels of the split that the tables show."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

from arrange.data import tables
from arrange.data.coverage import coverage
from arrange.evaluation import evaluation
from arrange.files import replacing
from settings import params
from settings.sections import CONTROLS, of_data, systems


def evaluate(data: str) -> None:
    """runs/<data>, data/<data> -> results/<data>: {metrics,judged,coverage}.json, tables as parquet, about.json."""
    settings = params.read()
    source, results = Path("data", data), Path("results", data)
    first_stages = settings.candidates, settings.baselines
    others = of_data(data, *first_stages, settings.ngram, settings.fusions, settings.reranked)
    found = evaluation.evaluate(
        systems(settings.rankers, data) | {name.removeprefix(f"{data}-"): {name: 0} for name in (*others, *CONTROLS)},
        Path("runs", data),
        tables.read(source, splits=[settings.rank.split]),
        tables.read_groups(source),
        tables.read(source, splits=["train"]).qrels,
        reference=settings.evaluate.reference,
        draws=settings.evaluate.resamples,
        seed=settings.evaluate.seed,
    )
    found.write(results)
    shown = coverage(tables.read(source, splits=tables.SPLITS), settings.rank.split)
    with replacing(results / "coverage.json") as part:
        part.write_text(json.dumps(asdict(shown), indent=1))
    with replacing(results / "about.json") as part:
        shutil.copyfile(source / "about.json", part)  # so that reports depend on results alone
