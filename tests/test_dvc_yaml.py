"""dvc.yaml against the code: what a stage imports, reads and runs is what it declares.

`python tests/test_dvc_yaml.py` prints the library modules that each stage must list.
"""

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
CONVENTIONS = {"arrange/errors.py", "arrange/files.py"}  # no result depends on them
TOOLS = {"prefect", "mlflow", "dvc"}


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
    return frozenset(names)


@cache
def named(path: Path) -> frozenset[str]:
    """What the strings of a module may name of a module that it has imported elsewhere: `package.module:function`."""
    strings = (node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant))
    entries = (re.fullmatch(r"([a-z_]+(?:\.[a-z_]+)+)(?::[a-z_]+)?", text) for text in strings if isinstance(text, str))
    return frozenset(entry[1] for entry in entries if entry)


def local_files(names: frozenset[str], root: Path, package: str) -> set[str]:
    """The files of `package` that these names stand for, with the `__init__.py` of their packages, if not empty."""
    found = set()
    for name in names:
        parts = name.split(".")
        if parts[0] == package:
            inits = [Path(*parts[:depth], "__init__.py") for depth in range(1, len(parts) + 1)]
            found |= {str(path) for path in [Path(*parts).with_suffix(".py"), *inits] if (root / path).exists()}
    return {path for path in found if not path.endswith("__init__.py") or has_code(root / path)}


def has_code(path: Path) -> bool:
    """Whether a module does more than describe itself."""
    body = ast.parse(path.read_text()).body
    return any(not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in body)


def library_modules(start: str, root: Path = PROJECT, package: str = "arrange") -> list[str]:
    """The modules of the library that `start` imports or names, directly or through another of its modules."""
    found, waiting = set(), [start]
    while waiting:
        path = root / waiting.pop()
        new = local_files(imported(path) | named(path), root, package) - found
        found |= new
        waiting += sorted(new)
    return sorted(found - CONVENTIONS)


def dependencies(stage: str) -> set[str]:
    """The code that a stage depends on according to dvc.yaml."""
    return {path for path in STAGES[stage]["deps"] if path.endswith(".py")}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_declares_the_code_that_it_imports(stage):
    body = f"tasks/{stage}.py"
    assert dependencies(stage) == {body, *library_modules(body)}


def test_imports_are_followed_through_modules_names_and_packages(tmp_path):
    files = {
        "start.py": "from lib.a import one, two\nimport numpy\n",
        "lib/__init__.py": "",
        "lib/a.py": "from lib.sub import b\n",  # a module out of a package
        "lib/sub/__init__.py": '"""Only words."""\n',
        "lib/sub/b.py": "def late():\n    import lib.c, lib.sub.started\n",  # inside of a function
        "lib/c.py": "from lib.coded import constant\nimport lib.a\n",  # back again: a circle
        "lib/sub/started.py": 'ENTRY = "lib.entry:fit"\ncommand = ["-m", "lib.template"]\n',  # in another process
        "lib/entry.py": "import lib.deep\n",
        "lib/template.py": '"""Like lib.unused, but only in words."""\n',
        "lib/deep.py": "",
        "lib/coded/__init__.py": "constant = 1\n",
        "lib/unused.py": "",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    expected = ["a", "c", "coded/__init__", "deep", "entry", "sub/b", "sub/started", "template"]
    assert library_modules("start.py", tmp_path, "lib") == [f"lib/{name}.py" for name in expected]


def test_what_runs_in_the_sandbox_alone_is_followed():
    sandboxed = {"fitness/training", "programs/admission", "programs/cost", "sandbox/template", "sandbox/work"}
    assert {f"arrange/activations/{name}.py" for name in sandboxed} <= set(library_modules("tasks/search.py"))


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_runs_the_module_of_its_name_with_the_item_that_it_is_for(stage):
    words = {"${datasets}": " ${item}", None: ""}.get(DECLARED[stage].get("foreach"), " ${key}")
    assert STAGES[stage]["cmd"] == f"python -m tasks.{stage}{words}"
    task = next(
        node
        for node in ast.parse((PROJECT / f"tasks/{stage}.py").read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name == stage
    )
    required = task.args.args[: len(task.args.args) - len(task.args.defaults)]
    assert len(required) == bool(words)


def test_every_task_is_a_stage_and_imports_no_other_ones_body():
    helpers = {
        "__init__",
        "mining",
        "params",
        "register",
        "section",
        "service",
        "settings",
        "sources",
        "stage",
        "store",
    }
    assert {path.stem for path in (PROJECT / "tasks").glob("*.py")} - helpers == set(STAGES)
    others = {f"tasks.{stage}" for stage in STAGES}
    assert not [stage for stage in STAGES if imported(PROJECT / f"tasks/{stage}.py") & others]


def named_params(stage: str) -> list[list[str]]:
    """The paths of the parameters that a stage depends on, templates standing for every item."""
    items = PARAMS.get(DECLARED[stage].get("foreach", "")[2:-1], [])
    losses = [item["loss"] for item in items.values() if "loss" in item] if isinstance(items, dict) else []
    names = [
        name.replace("${key}", key).replace("${item.loss}", loss).replace("${swap.loss}", PARAMS["swap"]["loss"])
        for name in STAGES[stage].get("params", [])
        for key in items or ["${key}"]
        for loss in losses or ["${item.loss}"]
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
    assert PARAMS.keys() - {"presets", "sweep"} == named | gone_through
    assert {path[1] for path in named_params("finetune") if path[0] == "losses"} <= PARAMS["losses"].keys()


# Reading a parameter in this way counts: `settings.rank.beams`, `settings.losses`, `params.read().controls`.
# What a function gets as `settings: Settings` or assigns from `params.read()` is the whole file.
@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage != "track"])
def test_a_stage_names_the_sections_that_its_body_reads(stage):
    tree = ast.parse((PROJECT / f"tasks/{stage}.py").read_text())
    read = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr in PARAMS
        and ast.unparse(node.value) in {"settings", "params.read()"}
    }
    gone_through = {DECLARED[stage].get("foreach", "")[2:-1]}  # an item of it is named: rankers.${key}
    assert read - gone_through == {path[0] for path in named_params(stage)} - gone_through


SOURCES = sorted([*PROJECT.glob("arrange/**/*.py"), *PROJECT.glob("tasks/*.py")])


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_a_module_keeps_to_its_floor(path):
    floor = path.relative_to(PROJECT).parts[0]
    recording = path.name in {"track.py", "register.py", "service.py"}
    forbidden = {"flows"} | (TOOLS if not recording else {"prefect"})
    forbidden |= {"tasks"} if floor == "arrange" else set()
    assert not {name.split(".")[0] for name in imported(path)} & forbidden


def test_the_library_loads_none_of_the_tools_even_through_others():
    modules = [
        ".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__")
        for path in SOURCES
        if path.is_relative_to(PROJECT / "arrange")
    ]
    script = "import importlib, json, sys; [importlib.import_module(name) for name in sys.argv[1:]]; "
    script += "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", script, *modules], cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stdout))
    assert "arrange" in loaded
    assert not loaded & {*TOOLS, "tasks", "flows"}


if __name__ == "__main__":
    modules = {stage: library_modules(f"tasks/{stage}.py") for stage in STAGES}
    print(yaml.safe_dump(modules, sort_keys=False))
