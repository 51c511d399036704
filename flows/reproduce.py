"""The published numbers, checked: runs the conditions of reproduce.yaml and says OK or FAIL, with both numbers.

python -m flows.reproduce [CONDITION ...]
A condition names a command, a number that it must give within a tolerance, and where that number is: in a file of the
run's folder (what the command reports as `Report: ...`), or in the JSON document on the command's last line.
"""

import argparse
import datetime
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import yaml
from annotated_types import Ge, Gt, MinLen
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.table import Table

from arrange.errors import UserError

CONDITIONS = Path("reproduce.yaml")
console = Console(highlight=False)


@dataclass(frozen=True)
class Condition:
    """One published number."""

    command: str
    metric: Annotated[tuple[str, ...], MinLen(1)]  # the keys that lead to the number
    expected: float
    tolerance: Annotated[float, Ge(0)]
    hardware: str
    date: datetime.date
    seconds: Annotated[float, Gt(0)]
    file: str | None = None  # in the run's folder; none: the last line of the output


Finding = float | str  # the number that a condition's command gave, or why there is none


def holds(finding: Finding, condition: Condition) -> bool:
    """Whether the number is the published one, to the condition's tolerance."""
    return not isinstance(finding, str) and abs(finding - condition.expected) <= condition.tolerance


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="CONDITION", help="conditions to check (default: all)")
    words = parser.parse_args()
    try:
        conditions = read(CONDITIONS)
        if unknown := sorted(set(words.names) - conditions.keys()):
            raise UserError(f"{CONDITIONS} has no condition {unknown[0]!r}", f"it has {', '.join(conditions)}")
    except UserError as error:
        sys.exit(str(error))
    chosen = {name: conditions[name] for name in words.names or conditions}
    findings = reproduce(chosen)
    console.print(as_table(chosen, findings))
    sys.exit(not all(holds(finding, chosen[name]) for name, finding in findings.items()))


def read(path: Path) -> dict[str, Condition]:
    """The conditions by name."""
    try:
        return TypeAdapter(dict[str, Condition]).validate_python(yaml.safe_load(path.read_text()), extra="forbid")
    except ValidationError as failure:
        error = failure.errors()[0]
        where = ".".join(map(str, error["loc"]))
        raise UserError(f"{path}: {where}: {error['msg']}", "see the conditions beside it") from None


def reproduce(conditions: Mapping[str, Condition]) -> dict[str, Finding]:
    """Run each command once, whatever number of conditions look at it."""
    outputs: dict[str, subprocess.CompletedProcess[str]] = {}
    for command in dict.fromkeys(condition.command for condition in conditions.values()):
        console.print(f"runs: {command}", markup=False)
        started = time.monotonic()
        outputs[command] = subprocess.run(command, shell=True, stdout=subprocess.PIPE, text=True)
        console.print(f"      {time.monotonic() - started:.0f} s", markup=False)
    return {name: find(condition, outputs[condition.command]) for name, condition in conditions.items()}


def find(condition: Condition, done: subprocess.CompletedProcess[str]) -> Finding:
    """The condition's number in what its command left."""
    if done.returncode:
        return f"the command failed (exit {done.returncode})"
    lines = done.stdout.strip().splitlines() or [""]
    try:
        value: Any = json.loads((run_folder(lines) / condition.file).read_text() if condition.file else lines[-1])
        for key in condition.metric:
            value = value[key]
        return float(value)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"no number: {type(error).__name__} {error}"


def run_folder(lines: Sequence[str]) -> Path:
    """The folder that a flow worked in, from its line `Report: <folder>/...`; this one where there is none."""
    reports = [Path(line.removeprefix("Report:").strip()) for line in lines if line.startswith("Report:")]
    return next((folder for report in reports for folder in report.parents if (folder / "dvc.yaml").exists()), Path())


def as_table(conditions: Mapping[str, Condition], findings: Mapping[str, Finding]) -> Table:
    """Both numbers of each condition, and OK or FAIL."""
    table = Table("condition", "command", "published", "here", "")
    for name, condition in conditions.items():
        finding = findings[name]
        here = finding if isinstance(finding, str) else f"{finding:g}"
        verdict = "[green]OK[/]" if holds(finding, condition) else "[red]FAIL[/]"
        table.add_row(name, condition.command, f"{condition.expected:g} ± {condition.tolerance:g}", here, verdict)
    return table


if __name__ == "__main__":
    main()
