"""The reports of a run: tables, figures and pages, of rankers and of activation functions."""

from importlib.util import find_spec

from arrange.errors import extra

with extra("report"):  # looked for and not imported: matplotlib is slow, and not every module here draws
    for package in ("jinja2", "markdown_it", "markupsafe", "matplotlib"):
        if find_spec(package) is None:
            raise ModuleNotFoundError(name=package)
