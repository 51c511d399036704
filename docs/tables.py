"""The tables and the picture of README, RESULTS.md and docs/measures.md: python -m docs.tables

They are made from the newest committed results.

`docs/results/<date>-<what>.json` has the metrics of a run, with the machine and the command that gave them.
`python -m docs.tables --commit-results "8-core ..."` adds one from results/ in this checkout.
"""

import argparse
import json
import subprocess
import time
from pathlib import Path
from typing import Any

import yaml

from arrange.data.tables import read_about
from arrange.evaluation import prior
from arrange.evaluation.measures import MEASURES
from arrange.formats import markdown
from arrange.report import figures
from arrange.report.rankers_page import kinds
from arrange.report.tables import definitions_table, measures_table
from settings import params
from settings.sections import systems

README = Path("README.md")
DATED = Path("RESULTS.md")
CONDITIONS = Path("reproduce.yaml")
RESULTS = Path("docs/results")
PAGE = Path("docs/measures.md")
PICTURE = RESULTS / "ndcg.png"
# README's table: so many rankers, as many of the best other systems, and those of the data set's measures
SYSTEMS, SHOWN = 3, ("nDCG@10", "overlap@3", "R@10", "tau_b")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commit-results", metavar="HARDWARE", help="the machine that results/ comes from")
    hardware = parser.parse_args().commit_results
    if hardware:
        add_results(hardware)
    README.write_text(with_table(with_table(README.read_text(), table()), definitions(), "measures"))
    DATED.write_text(with_table(DATED.read_text(), dated()))
    PAGE.write_text(f"# Measures\n\n{definitions_table([*MEASURES, *prior.DEFINITIONS])}\n")
    draw()


def add_results(hardware: str) -> None:
    """Copy this checkout's metrics to docs/results, with what a reader must know beside them."""
    settings = params.read()
    abouts = {data: read_about(Path("results", data)) for data in settings.datasets}
    content = {
        "date": time.strftime("%Y-%m-%d"),
        "command": "make run",
        "hardware": hardware,
        "commit": subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip(),
        "settings": {data: " ".join(filter(None, (about.title, about.note))) for data, about in abouts.items()},
        "measures": {data: about.measures for data, about in abouts.items()},
        "rankers": {data: list(systems(settings.rankers, data)) for data in settings.datasets},
        "metrics": {data: json.loads(Path("results", data, "metrics.json").read_text()) for data in settings.datasets},
    }
    path = RESULTS / f"{content['date']}-quickstart.json"
    path.write_text(json.dumps(content, indent=1) + "\n")


def newest() -> dict[str, Any]:
    """The newest results; the first of their data sets is README's."""
    content: dict[str, Any] = json.loads(sorted(RESULTS.glob("*-quickstart.json"))[-1].read_text())
    return content


def with_table(text: str, table: str, name: str = "results", by: str = "docs/tables.py") -> str:
    """A page with the table between its two marks of this name made anew; the page itself if it has no such marks."""
    begin, end = f"<!-- {name}: made by {by} -->", f"<!-- end of {name} -->"
    before, mark, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n{table}\n{end}{after}" if mark else text


def table() -> str:
    """README's table: rankers of the first data set and the best of its other systems."""
    content = newest()
    data, metrics = next(iter(content["metrics"].items()))
    rankers = [system for system in metrics if system in content["rankers"][data]]
    others = sorted(metrics.keys() - {*rankers}, key=lambda system: -metrics[system]["nDCG@10"]["mean"])
    rows = {system: metrics[system] for system in [*rankers[:SYSTEMS], *others[:SYSTEMS]]}
    return f"{origin(content)}\n\n{content['settings'][data]}\n\n{measures_table(rows, shown(content))}"


def shown(content: dict[str, Any]) -> list[str]:
    """The columns of README's table."""
    return [name for name in next(iter(content["measures"].values())) if name in SHOWN]


def dated() -> str:
    """RESULTS.md's tables: what `make reproduce` checks, and all systems of all data sets."""
    content = newest()
    parts = [
        f"{content['settings'][data]}\n\n{measures_table(metrics, [*content['measures'][data], 'prior'])}"
        for data, metrics in content["metrics"].items()
    ]
    return "\n\n".join([conditions(), origin(content), *parts])


def origin(content: dict[str, Any]) -> str:
    """How the numbers of these results came about."""
    run = f"`{content['command']}`, {content['date']}, {content['hardware']}"
    return f"{run}; one seed; means over the test queries with 95% intervals."


def definitions() -> str:
    """What the columns of README's table mean."""
    return definitions_table(shown(newest()))


def draw() -> None:
    """README's picture: nDCG@10 of all systems of the first data set."""
    content = newest()
    data, metrics = next(iter(content["metrics"].items()))
    figures.plot_measure(metrics, "nDCG@10", PICTURE, kinds(metrics, content["rankers"][data]))


def conditions() -> str:
    """What `make reproduce` checks."""
    names = ("command", "expected", "tolerance", "hardware", "seconds", "date")
    rows = []
    for name, each in yaml.safe_load(CONDITIONS.read_text()).items():
        facts = {key: f"{each[key]:g}" if isinstance(each[key], int | float) else str(each[key]) for key in names}
        rows.append([name, f"`{facts.pop('command')}`", *facts.values()])
    return markdown(["condition", "command", "expected", "tolerance", "on", "seconds", "date"], rows)


if __name__ == "__main__":
    main()
