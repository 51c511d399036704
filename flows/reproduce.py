"""The published numbers, checked: runs the conditions of reproduce.yaml and says OK or FAIL, with both numbers.

python -m flows.reproduce [CONDITION ...] [--list]
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
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from rich.console import Console
from rich.table import Table

from arrange.errors import UserError

CONDITIONS = Path("reproduce.yaml")
console = Console(highlight=False)


class Condition(BaseModel):
    """One published number."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: str
    file: str | None = None  # in the run's folder; none: the last line of the output
    metric: Annotated[tuple[str, ...], Field(min_length=1)]  # the keys that lead to the number
    expected: float
    tolerance: Annotated[float, Field(ge=0)]
    hardware: str
    date: datetime.date
    seconds: Annotated[float, Field(gt=0)]


@dataclass(frozen=True)
class Finding:
    """What a condition's command gave: the number, or why there is none."""

    value: float | None
    problem: str = ""

    def holds(self, condition: Condition) -> bool:
        """Whether the number is the published one, to the condition's tolerance."""
        return self.value is not None and abs(self.value - condition.expected) <= condition.tolerance


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="CONDITION", help="conditions to check (default: all)")
    parser.add_argument("--list", action="store_true", help="show the conditions and run nothing")
    words = parser.parse_args()
    try:
        conditions = chosen(read(CONDITIONS), words.names)
    except UserError as error:
        sys.exit(str(error))
    findings = {} if words.list else reproduce(conditions)
    console.print(as_table(conditions, findings))
    sys.exit(not all(finding.holds(conditions[name]) for name, finding in findings.items()))


def read(path: Path) -> dict[str, Condition]:
    """The conditions by name."""
    try:
        return {name: Condition.model_validate(entry) for name, entry in yaml.safe_load(path.read_text()).items()}
    except ValidationError as failure:
        error = failure.errors()[0]
        where = ".".join(map(str, error["loc"]))
        raise UserError(f"{path}: {where}: {error['msg']}", "see the conditions beside it") from None


def chosen(conditions: Mapping[str, Condition], names: Sequence[str]) -> dict[str, Condition]:
    """The named conditions, all if none is named."""
    if unknown := sorted(set(names) - conditions.keys()):
        raise UserError(f"{CONDITIONS} has no condition {unknown[0]!r}", f"it has {', '.join(conditions)}")
    return {name: conditions[name] for name in names or conditions}


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
        return Finding(None, f"the command failed (exit {done.returncode})")
    lines = done.stdout.strip().splitlines() or [""]
    try:
        found: Any = json.loads((run_folder(lines) / condition.file).read_text() if condition.file else lines[-1])
        for key in condition.metric:
            found = found[key]
        return Finding(float(found))
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Finding(None, f"no number: {type(error).__name__} {error}")


def run_folder(lines: Sequence[str]) -> Path:
    """The folder that a flow worked in, from its line `Report: <folder>/...`."""
    reports = [line.removeprefix("Report:").strip() for line in lines if line.startswith("Report:")]
    above = Path(reports[-1]).parents if reports else []
    return next((folder for folder in above if (folder / "dvc.yaml").exists()), Path())


def as_table(conditions: Mapping[str, Condition], findings: Mapping[str, Finding]) -> Table:
    """Both numbers of each condition, and OK or FAIL."""
    table = Table()
    for name in ("condition", "command", "published", "here", ""):
        table.add_column(name, justify="right" if name == "here" else "left")
    for name, condition in conditions.items():
        published = f"{condition.expected:g} ± {condition.tolerance:g}"
        table.add_row(name, condition.command, published, *verdict(condition, findings.get(name)))
    return table


def verdict(condition: Condition, finding: Finding | None) -> tuple[str, str]:
    """The number found, and the word on it."""
    if finding is None:
        return "", f"{condition.seconds:g} s on {condition.hardware}"
    here = finding.problem if finding.value is None else f"{finding.value:g}"
    return here, "[green]OK[/]" if finding.holds(condition) else "[red]FAIL[/]"


if __name__ == "__main__":
    main()
