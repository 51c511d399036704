"""Stage `report`: what a run gave, as Markdown with pictures and as one HTML page, with rankings to look at."""

from pathlib import Path

from arrange.files import replacing
from arrange.report import page, rankers_page
from arrange.report.rankers_page import Conditions, Ranker, loss_of
from arrange.report.results import read_results
from settings import params
from settings.sections import Settings, systems
from tasks import stage


def report() -> None:
    """results/, docids/, activations/report/ -> reports/: report.md with its pictures, and report.html."""
    settings = params.read()
    conditions = Conditions(
        regime=settings.prompt.regime,
        split=settings.rank.split,
        reference=settings.evaluate.reference,
        neighbours=settings.controls.neighbours,
    )
    rankers = {data: rankers_of(settings, data) for data in settings.datasets}
    with replacing(Path("reports")) as folder:
        folder.mkdir()
        parts = [rankers_page.this_run(rankers, conditions)]
        for data, of_data in rankers.items():
            results = read_results(Path("results", data), [entry for one in of_data.values() for entry in one.seeds])
            parts += rankers_page.section(results, of_data, conditions, folder)
            catalogues = [name for name, catalogue in settings.catalogues.items() if catalogue.data == data]
            parts += [rankers_page.catalogue(Path("docids", name), folder) for name in catalogues]
        parts.append(page.included(Path("activations", "report"), folder))
        page.write("Autoregressive ranking", parts, folder)


def rankers_of(settings: Settings, data: str) -> dict[str, Ranker]:
    """The rankers of a data set by their names in tables."""
    rankers = {}
    for system, seeds in systems(settings.rankers, data).items():
        entry = settings.rankers[next(iter(seeds))]
        regime = entry.regime or settings.prompt.regime
        rankers[system] = Ranker(entry.docids, regime, loss_of(settings.losses[entry.loss]), seeds)
    return rankers


if __name__ == "__main__":
    stage.run(report)
