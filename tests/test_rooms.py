"""The rooms of the project: who imports whom, and that dvc.yaml names what a stage imports, reads and runs."""

import ast
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).parents[1]
DECLARED = yaml.safe_load((PROJECT / "dvc.yaml").read_text())["stages"]
STAGES = {name: stage.get("do", stage) for name, stage in DECLARED.items()}  # without the `foreach` around some
PARAMS = yaml.safe_load((PROJECT / "params.yaml").read_text())
# a room imports the rooms before it and none behind it
FLOORS = (
    "base_models",
    "models",
    "data",
    "docids",
    "evaluation",
    "training",
    "decoding",
    "baselines",
    "augmentation",
    "activations",
    "serving",
    "report",
)
TOP = {"__init__.py", "__main__.py", "command.py", "checkout.py"}  # on top of all rooms; none of these knows them
NO_DEPENDENCY = {"arrange/errors.py", "arrange/files.py", "arrange/bounds.py", "arrange/formats.py"}
TOOLS = {"prefect", "mlflow", "dvc"}
SOURCES = sorted(
    path for room in ("arrange", "settings", "records", "tasks") for path in PROJECT.glob(f"{room}/**/*.py")
)


@cache
def imported(path: Path) -> frozenset[str]:
    """Dotted names that a module imports, wherever in it; of `from x import y` both x and x.y."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import, which this test doesn't follow"
            names.add(str(node.module))
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            # what another process runs: "package.module:function"
            names.update(re.findall(r"^(arrange(?:\.[a-z_]+)+)(?::[a-z_]+)?$", node.value))
    return frozenset(names)


def modules(names: frozenset[str]) -> set[str]:
    """The files of the library that dotted names stand for."""
    paths = (Path(*name.split(".")) for name in names if name.split(".")[0] == "arrange")
    return {str(path.with_suffix(".py")) for path in paths if (PROJECT / path).with_suffix(".py").exists()}


def reached(path: str) -> set[str]:
    """The library's modules that a module imports, directly or not."""
    found: set[str] = set()
    waiting = [path]
    while waiting:
        new = modules(imported(PROJECT / waiting.pop())) - found
        found |= new
        waiting += new
    return found


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage != "track"])
def test_a_stage_depends_on_its_body_and_on_the_rooms_that_it_imports(stage):
    body = f"tasks/{stage}.py"
    rooms = {"/".join(path.split("/")[:2]) for path in reached(body)} - NO_DEPENDENCY
    declared = {path for path in STAGES[stage]["deps"] if path.split("/")[0] in {"tasks", "arrange"}}
    assert declared == {body, *rooms}


def test_what_runs_in_the_sandbox_alone_is_followed():
    assert {"arrange/activations/fitness/training.py", "arrange/activations/sandbox/template.py"} <= reached(
        "tasks/search.py"
    )


def test_an_edit_of_the_decoder_leaves_bm25_current():
    assert not {"arrange/models", "arrange/decoding"} & set(STAGES["controls"]["deps"])


@pytest.mark.parametrize(
    "path", sorted(PROJECT.glob("arrange/**/*.py")), ids=lambda path: str(path.relative_to(PROJECT))
)
def test_imports_go_down_only(path):
    room = path.relative_to(PROJECT).parts[1]
    below = FLOORS[: FLOORS.index(room)] if room in FLOORS else ()  # the foundation imports no room
    if room in TOP:
        below = FLOORS
    rooms = {module.split("/")[1] for module in modules(imported(path))} & {*FLOORS}
    assert rooms <= {room, *below}
    assert room in TOP or not modules(imported(path)) & {f"arrange/{name}" for name in TOP}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_the_tools_stay_on_their_floor(path):
    floor = path.relative_to(PROJECT).parts[0]
    forbidden = {
        "arrange": {*TOOLS, "settings", "records", "tasks", "flows"},
        "settings": {*TOOLS, "records", "tasks", "flows"},
        "records": {"prefect", "flows"},
        "tasks": {*TOOLS, "flows"},
    }[floor]
    assert not {name.split(".")[0] for name in imported(path)} & forbidden


def test_the_library_loads_none_of_the_tools_even_through_others():
    names = [
        ".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__")
        for path in PROJECT.glob("arrange/**/*.py")
    ]
    assert not loaded_by(names) & {*TOOLS, "settings", "tasks", "flows"}


def test_settings_load_without_torch():
    """A flow starts without it, and every stage that needs none."""
    assert not loaded_by(["settings.params"]) & {"torch", "transformers", "sklearn"}


def loaded_by(names):
    """The packages that are there after these modules were imported in a process of their own."""
    script = "import importlib, json, sys; [importlib.import_module(name) for name in sys.argv[1:]]; "
    script += "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", script, *names], cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_runs_the_module_of_its_name_with_the_item_that_it_is_for(stage):
    words = " ${key}" if "foreach" in DECLARED[stage] else ""
    assert STAGES[stage]["cmd"] == f"python -m tasks {stage}{words}"
    task = next(
        node
        for node in ast.parse((PROJECT / f"tasks/{stage}.py").read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name == stage
    )
    required = task.args.args[: len(task.args.args) - len(task.args.defaults)]
    assert len(required) == bool(words)


def test_every_task_is_a_short_stage_and_imports_no_other_one():
    bodies = {
        path.stem: path
        for path in (PROJECT / "tasks").glob("*.py")
        if path.stem not in {"__init__", "__main__", "stage"}
    }
    assert bodies.keys() == STAGES.keys()
    assert {name: lines for name, path in bodies.items() if (lines := path.read_text().count("\n")) > 90} == {}
    assert not [name for name, path in bodies.items() if imported(path) & {f"tasks.{stage}" for stage in STAGES}]


def named_params(stage: str) -> list[list[str]]:
    """The paths of the parameters that a stage depends on, templates standing for every item."""
    items = PARAMS.get(DECLARED[stage].get("foreach", "")[2:-1], {})
    names = [
        re.sub(r"\$\{item\.(\w+)\}", lambda match, item=item: str(item[match[1]]), name.replace("${key}", key))
        for name in (name.replace("${swap.loss}", PARAMS["swap"]["loss"]) for name in STAGES[stage].get("params", []))
        for key, item in (items or {"${key}": {}}).items()
        if items or "${item" not in name
    ]
    return [name.split(".") for name in dict.fromkeys(names) if "$" not in name]


@pytest.mark.parametrize("stage", STAGES)
def test_params_that_a_stage_names_exist(stage):
    for path in named_params(stage):
        section = PARAMS
        for key in path:
            assert key in section, f"{stage} names {'.'.join(path)}"
            section = section[key]


def test_every_section_is_named_by_a_stage_or_gone_through():
    named = {path[0] for stage in STAGES for path in named_params(stage)}
    gone_through = {stage["foreach"][2:-1] for stage in DECLARED.values() if "foreach" in stage}
    assert PARAMS.keys() - {"presets", "sweep", "compare"} == named | gone_through


def sections_read(tree: ast.AST) -> set[str]:
    """Sections that code reads: `settings.rank.beams`, `params.read().controls`, those of functions that it calls."""
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr in PARAMS]
    read = {node.attr for node in attributes if ast.unparse(node.value) in {"settings", "params.read()"}}
    calls = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    return read.union(*(sections_read(SHARED[name]) for name in calls & SHARED.keys()))


SHARED = {
    node.name: node
    for node in ast.parse((PROJECT / "settings/sections.py").read_text()).body
    if isinstance(node, ast.FunctionDef)
}


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage != "track"])
def test_a_stage_names_the_sections_that_its_body_reads(stage):
    read = sections_read(ast.parse((PROJECT / f"tasks/{stage}.py").read_text()))
    gone_through = {DECLARED[stage].get("foreach", "")[2:-1]}  # an item of it is named: rankers.${key}
    named = {name.split(".")[0] for name in STAGES[stage].get("params", [])}
    assert read - gone_through == named - gone_through


def test_the_graph_is_short():
    assert (PROJECT / "dvc.yaml").read_text().count("\n") <= 300
