"""Stage `ranking_report`: what rankers gave, as Markdown with pictures and as an HTML page, with rankings."""

from pathlib import Path

from arrange.files import replacing
from arrange.report import page, rankers_page
from arrange.report.answer import answer
from arrange.report.rankers_page import Conditions, Ranker, loss_of
from arrange.report.results import read_results
from settings import params
from settings.sections import Settings, systems, ways, without_ranker


def ranking_report() -> None:
    """results/, docids/ -> rankings/: report.md with its pictures, report.html, and parts.json for other pages."""
    settings = params.read()
    conditions = Conditions(
        regime=settings.prompt.regime,
        split=settings.rank.split,
        reference=settings.evaluate.reference,
        neighbours=settings.controls.neighbours,
    )
    rankers = {data: rankers_of(settings, data) for data in settings.datasets}
    with replacing(Path("rankings")) as folder:
        folder.mkdir()
        found = {
            data: read_results(Path("results", data), [entry for one in of_data.values() for entry in one.seeds])
            for data, of_data in rankers.items()
        }
        answers = [
            answer(results, ways(settings, data), without_ranker(settings, data)) for data, results in found.items()
        ]
        parts = [*filter(None, answers), rankers_page.this_run(rankers, conditions)]
        for data, of_data in rankers.items():
            results = found[data]
            parts += rankers_page.section(results, of_data, conditions, folder)
            catalogues = [name for name, catalogue in settings.catalogues.items() if catalogue.data == data]
            parts += [rankers_page.catalogue(Path("docids", name), folder) for name in catalogues]
        page.write("Autoregressive ranking", parts, folder)


def rankers_of(settings: Settings, data: str) -> dict[str, Ranker]:
    """The rankers of a data set by their names in tables."""
    rankers = {}
    for system, seeds in systems(settings.rankers, data).items():
        entry = settings.rankers[next(iter(seeds))]
        regime = entry.regime or settings.prompt.regime
        rankers[system] = Ranker(entry.docids, regime, loss_of(settings.losses[entry.loss]), seeds)
    return rankers
