"""Stage `activations_report`: what the searches found and how it transferred, as a page with pictures."""

from pathlib import Path

from arrange.files import replacing
from arrange.report import activations_page, page
from settings import params


def activations_report() -> None:
    """activations/ -> activations/report/: report.md with its pictures, and report.html with all in one."""
    settings = params.read()
    made = Path("activations")
    resampling = {"draws": settings.evaluate.resamples, "seed": settings.evaluate.seed}
    with replacing(made / "report") as folder:
        folder.mkdir(parents=True)
        parts = [
            activations_page.about(settings.fitness),
            *activations_page.searches(made, settings.searches, folder),
            *activations_page.transferred(made, folder),
            *activations_page.swapped(made, settings.swap, **resampling),
        ]
        page.write("Activation functions", parts, folder)
