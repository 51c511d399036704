"""The README's results table, made from the newest committed metrics, RESULTS.md's conditions: python -m docs.tables

`docs/results/<date>-<what>.json` is the metrics.json of a run, with the machine and the command that gave it.
`python -m docs.tables --commit-results "8-core ..."` adds one from results/ in this checkout.
"""

import argparse
import json
import subprocess
import time
from pathlib import Path

import yaml

from arrange.report.rankers import Metrics, markdown_table
from settings import params
from tasks.report import describe

README = Path("README.md")
DATED = Path("RESULTS.md")
CONDITIONS = Path("reproduce.yaml")
RESULTS = Path("docs/results")
MEASURES = ("nDCG@10", "overlap@1", "overlap@3", "R@10", "tau_b", "prior")
TIERS = ("nDCG@10", "judged@10", "R@10", "AP", "pairs", "prior")
BEGIN, END = "<!-- results: made by docs/tables.py -->", "<!-- end of results -->"  # in both files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commit-results", metavar="HARDWARE", help="the machine that results/ comes from")
    hardware = parser.parse_args().commit_results
    if hardware:
        add_results(hardware)
    README.write_text(with_table(README.read_text(), table()))
    DATED.write_text(with_table(DATED.read_text(), conditions()))


def add_results(hardware: str) -> None:
    """Copy this checkout's metrics to docs/results, with what a reader must know beside them."""
    settings = params.read()
    content = {
        "date": time.strftime("%Y-%m-%d"),
        "command": "make run",
        "hardware": hardware,
        "commit": subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip(),
        "settings": {data: describe(data, settings) for data in settings.datasets},
        "metrics": {data: json.loads(Path("results", data, "metrics.json").read_text()) for data in settings.datasets},
    }
    path = RESULTS / f"{content['date']}-quickstart.json"
    path.write_text(json.dumps(content, indent=1) + "\n")


def with_table(text: str, table: str) -> str:
    """A page with its results section made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def conditions() -> str:
    """What `make reproduce` checks, as Markdown."""
    lines = ["| condition | command | expected | tolerance | on | seconds | date |", "|---" * 7 + "|"]
    for name, each in yaml.safe_load(CONDITIONS.read_text()).items():
        facts = (
            f"{each['expected']:g}",
            f"{each['tolerance']:g}",
            each["hardware"],
            f"{each['seconds']:g}",
            each["date"],
        )
        lines.append(f"| {name} | `{each['command']}` | {' | '.join(map(str, facts))} |")
    return "\n".join(lines)


def table() -> str:
    """The newest results as Markdown, a table for each data set."""
    found = json.loads(sorted(RESULTS.glob("*-quickstart.json"))[-1].read_text())
    tables = [
        f"{found['settings'][data]}\n\n{markdown_table(metrics, measures_of(metrics))}"
        for data, metrics in found["metrics"].items()
    ]
    head = (
        f"`{found['command']}`, {found['date']}, {found['hardware']}; one seed; "
        "means over the test queries with 95% intervals."
    )
    return "\n\n".join([head, *tables])


def measures_of(metrics: Metrics) -> tuple[str, ...]:
    """The columns: those of tiers where gains are labels, those of ranks elsewhere."""
    tiers = next(iter(metrics.values()))["nDCG(dcg='exp-log2')@10"]["mean"] is not None
    return TIERS if tiers else MEASURES


if __name__ == "__main__":
    main()
