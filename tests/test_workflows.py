"""What a fork's CI and its commit hooks run: the Makefile's commands, and nothing else."""

import re
import subprocess
import tomllib
from itertools import product
from pathlib import Path

import pytest
import yaml

WORKFLOWS = sorted(Path(".github/workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z-]+):", Path("Makefile").read_text(), re.MULTILINE))


def jobs(path):
    return yaml.safe_load(path.read_text())["jobs"]


def steps(path):
    """All steps, once for each cell of their job's matrix, with its values in them."""
    for job in jobs(path).values():
        matrix = job.get("strategy", {}).get("matrix", {})
        for cell in product(*matrix.values()):
            values = dict(zip(matrix, cell, strict=True))
            for step in job["steps"]:
                text = yaml.safe_dump(step)
                for name, value in values.items():
                    text = text.replace(f"${{{{ matrix.{name} }}}}", value)
                yield yaml.safe_load(text)


def test_there_is_one_for_each_purpose():
    assert [path.stem for path in WORKFLOWS] == ["audit", "dependencies", "docs", "lint", "tests"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_step_is_an_action_by_its_major_version_or_a_target_of_the_makefile(path):
    found = list(steps(path))
    for step in found:
        if "uses" in step:
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"])
        else:
            target = re.fullmatch(r"make ([a-z-]+)", step["run"])
            assert target, step
            assert target[1] in TARGETS
    assert any("run" in step for step in found)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_can_only_read_and_ends(path):
    assert yaml.safe_load(path.read_text())["permissions"] == {"contents": "read"}
    assert all(job["timeout-minutes"] <= 90 for job in jobs(path).values())


def test_tests_run_on_every_python_and_system_that_the_readme_names():
    matrix = jobs(Path(".github/workflows/tests.yml"))["tests"]["strategy"]["matrix"]
    allowed = tomllib.loads(Path("pyproject.toml").read_text())["project"]["requires-python"]
    first, behind = map(int, re.fullmatch(r">=3\.(\d+),<3\.(\d+)", allowed).groups())
    assert matrix["python"] == [f"3.{minor}" for minor in range(first, behind)]
    assert {system.split("-")[0] for system in matrix["os"]} == {"ubuntu", "macos"}


def test_what_is_to_come_without_a_change_comes_each_week():
    for name in ("audit", "dependencies"):
        text = Path(f".github/workflows/{name}.yml").read_text()
        assert re.search(r'schedule: \[\{cron: "\d+ \d+ \* \* 1"\}\]', text)


def test_hooks_are_those_of_make_lint():
    """The hooks get the changed files, make lint all of them."""
    (repository,) = yaml.safe_load(Path(".pre-commit-config.yaml").read_text())["repos"]
    hooks = [hook["entry"].replace(" --force-exclude", "") for hook in repository["hooks"]]
    said = subprocess.run(["make", "--dry-run", "lint"], capture_output=True, text=True, check=True).stdout
    commands = re.findall(r"^\.venv/bin/python -m (?:ruff|mypy).*$", said, re.MULTILINE)
    assert hooks == [command.removesuffix(" .") for command in commands]


def test_make_docs_and_the_library_tests_are_there():
    said = subprocess.run(["make", "--dry-run", "docs", "test-newest"], capture_output=True, text=True, check=True)
    folders = re.search(r'-m "not slow" (.*?)\s*\\?$', said.stdout, re.MULTILINE)[1].split()
    assert {Path(folder).name for folder in folders} == {
        path.parent.name for path in Path("arrange").glob("*/__init__.py")
    }
    assert all(Path(folder).is_dir() for folder in folders)
    assert all(Path(name).is_file() for name in re.findall(r"tests/test_\w+\.py", said.stdout))


@pytest.mark.parametrize("path", sorted(Path(".github/ISSUE_TEMPLATE").glob("*.md")), ids=lambda path: path.stem)
def test_an_issue_template_has_a_name_and_says_what_it_is_for(path):
    front = yaml.safe_load(path.read_text().split("---\n")[1])
    assert front.keys() == {"name", "about"}


def test_the_changelog_has_versions_the_newest_first():
    versions = re.findall(
        r"^## (\d+)\.(\d+)\.(\d+) \((?:unreleased|\d{4}-\d\d-\d\d)\)$", Path("CHANGELOG.md").read_text(), re.M
    )
    assert len(versions) > 1
    assert versions == sorted(versions, key=lambda version: [*map(int, version)], reverse=True)
