"""`make reproduce`: conditions in, verdicts out; the commands here are real ones, and small."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from flows.reproduce import CONDITIONS, Condition, find, holds, read

PROJECT = Path(__file__).parents[1]
ABOUT = {"hardware": "any", "date": "2026-11-21", "seconds": 1}


def condition(**values):
    return Condition(**{"command": "true", "metric": ["a"], "expected": 1, "tolerance": 0.5, **ABOUT, **values})


def done(output, code=0):
    return subprocess.CompletedProcess([], code, stdout=output)


def printing(text):
    """A command that prints this and says on stderr that it ran."""
    script = f"import sys; sys.stderr.write('ran '); print('''{text}''')"
    return f'{shlex.quote(sys.executable)} -c "{script}"'.replace("\n", "\\n")


def reproduce(folder, conditions, *words):
    (folder / "reproduce.yaml").write_text(yaml.safe_dump(conditions, sort_keys=False))
    command = [sys.executable, "-m", "flows.reproduce", *words]
    env = {"PYTHONPATH": str(PROJECT), "COLUMNS": "300", "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("value", "it_holds"), [(0.5, True), (1.5, True), (1.51, False), (0.49, False), ("no number", False)]
)
def test_a_condition_holds_up_to_its_tolerance_and_never_without_a_number(value, it_holds):
    assert holds(value, condition()) is it_holds


def test_the_number_is_in_the_last_line_or_in_a_file_of_the_folder_that_the_run_reports(tmp_path):
    assert find(condition(metric=["a", "b"]), done('words\n{"a": {"b": 3}}\n')) == 3
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "metrics.json").write_text('{"a": 4}')
    (tmp_path / "dvc.yaml").touch()
    reported = done(f"Report: {tmp_path}/reports/report.html\nNext: ...")
    assert find(condition(file="results/metrics.json"), reported) == 4


@pytest.mark.parametrize("output", ["", "words", "{}", '{"a": null}', '{"a": {"b": 1}}', "[1, 2]"])
def test_where_there_is_no_number_the_finding_says_so(output):
    assert "no number" in str(find(condition(), done(output)))


def test_both_numbers_are_shown_and_one_failure_is_the_exit_code(tmp_path):
    output = printing(json.dumps({"a": 2, "b": 7}).replace('"', '\\"'))
    base = {"command": output, **ABOUT}
    good = {**base, "metric": ["a"], "expected": 2.25, "tolerance": 0.25}
    bad = {**base, "metric": ["b"], "expected": 5, "tolerance": 1}
    ended = reproduce(tmp_path, {"good": good, "bad": bad})
    rows = [[cell.strip() for cell in line.split("│")] for line in ended.stdout.splitlines() if "│" in line]
    assert [[row[1], *row[3:6]] for row in rows] == [["good", "2.25 ± 0.25", "2", "OK"], ["bad", "5 ± 1", "7", "FAIL"]]
    assert ended.returncode == 1
    assert ended.stderr == "ran "  # one command, run once
    assert reproduce(tmp_path, {"good": good, "bad": bad}, "good").returncode == 0


def test_a_command_that_fails_is_a_failure_whatever_it_printed(tmp_path):
    failing = {"command": "sh -c 'echo {}; exit 3'", "metric": ["a"], "expected": 0, "tolerance": 1, **ABOUT}
    ended = reproduce(tmp_path, {"it": failing})
    assert ended.returncode == 1
    assert "the command failed (exit 3)" in ended.stdout


def test_a_command_that_is_not_there_is_a_failure_too(tmp_path):
    missing = {"command": "no-such-command", "metric": ["a"], "expected": 0, "tolerance": 1, **ABOUT}
    assert "the command failed (exit 127)" in reproduce(tmp_path, {"it": missing}).stdout


def test_a_name_that_is_not_there_is_told_in_two_lines(tmp_path):
    ended = reproduce(
        tmp_path, {"it": {"command": "true", "metric": ["a"], "expected": 0, "tolerance": 1, **ABOUT}}, "x"
    )
    assert ended.stderr.splitlines() == ["reproduce.yaml has no condition 'x'", "it has it"]


def test_the_published_conditions_are_the_numbers_of_the_committed_results():
    """What reproduce.yaml expects of a `make run` stands in docs/results, to the digits that it gives."""
    newest = json.loads(sorted((PROJECT / "docs" / "results").glob("*-quickstart.json"))[-1].read_text())
    for name, expected in read(PROJECT / CONDITIONS).items():
        if expected.command == "make run" and expected.file.endswith("/metrics.json"):
            found = newest["metrics"][Path(expected.file).parent.name]
            for key in expected.metric:
                found = found[key]
            assert expected.expected == pytest.approx(found, abs=5e-4), name
