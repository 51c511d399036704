"""Stage `report`: the reports on rankers and on activation functions as one."""

from pathlib import Path

from arrange.files import replacing
from arrange.report import page


def report() -> None:
    """rankings/, activations/report/ -> reports/: report.md with its pictures, and report.html."""
    with replacing(Path("reports")) as folder:
        folder.mkdir()
        activations = page.included(Path("activations", "report"), folder)
        page.write("Autoregressive ranking", [*page.parts_of(Path("rankings"), folder), activations], folder)
