"""The command `arrange`, and the names that the package gives at its top."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import small_export

import arrange
from arrange import command
from arrange.serving.exported import load

PROJECT = Path(__file__).parents[1]


def run(*words, cwd=PROJECT, **env):
    done = subprocess.run(
        [sys.executable, "-m", "arrange", *words],
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(PROJECT), **env},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr


def test_the_package_and_its_docids_need_no_torch_and_its_help_neither():
    script = """
import sys
import arrange
from arrange import command
trie = arrange.build_trie(["dog", "dogfish", "cat"])
assert trie.walk([*b"cat", 256]) > 0 > trie.walk(b"cow")
try:
    command.main([])
except SystemExit as end:
    assert end.code == 0
print(*{"torch", "transformers", "sklearn", "matplotlib", "ir_measures"} & sys.modules.keys())
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == ""


def test_every_short_name_is_there_and_no_other():
    assert {name for name in arrange.__all__ if callable(getattr(arrange, name))} == {*arrange.__all__}
    assert {*arrange.__all__} <= {*dir(arrange)}
    with pytest.raises(AttributeError, match="no attribute 'finetuned'"):
        arrange.finetuned  # noqa: B018


def test_rank_ranks(tmp_path, capsys):
    folder = small_export.write(tmp_path / "animals")
    command.main(["rank", str(folder), "a dog", "-k", "2", "--json"])
    [wanted] = load(folder).rank(["a dog"], 2)
    assert [each["doc_id"] for each in json.loads(capsys.readouterr().out)] == [one.doc_id for one in wanted]


def test_a_reader_that_leaves_early_is_no_error(tmp_path):
    words = [sys.executable, "-m", "arrange", "rank", str(small_export.write(tmp_path / "animals")), "a dog"]
    with subprocess.Popen(words, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()  # long before it prints: it imports torch first
        told = process.stderr.read()
    assert "BrokenPipeError" not in told
    assert process.returncode == 0


def test_help_names_every_subcommand_and_each_has_its_own(capsys):
    with pytest.raises(SystemExit):
        command.main(["--help"])
    told = capsys.readouterr().out
    for name, one in command.SUBCOMMANDS.items():
        assert re.search(rf"^    {name} +{re.escape(one.about)}$", told, re.MULTILINE)
        with pytest.raises(SystemExit) as end:
            command.main([name, "--help"])
        assert end.value.code == 0
        assert capsys.readouterr().out.startswith(f"usage: arrange {name} ")


def test_the_examples_of_the_help_are_commands():
    for line in re.findall(r"^  arrange (.*)$", command.EPILOG, re.MULTILINE):
        assert line.split()[0] in command.SUBCOMMANDS


def test_a_shell_completes_subcommands_options_and_flows(capsys):
    with pytest.raises(SystemExit):
        command.main(["--print-completion", "bash"])
    script = capsys.readouterr().out
    complete = "COMP_WORDS=(arrange {words}); COMP_CWORD={place}; COMPREPLY=(); _shtab_arrange; echo ${{COMPREPLY[@]}}"
    cases = {"r": {"rank", "run"}, "search --bu": {"--budget"}, "run co": {"compare"}}
    for words, wanted in cases.items():
        asked = f"{script}\n" + complete.format(words=words, place=len(words.split()))
        done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True)
        assert {*done.stdout.split()} == wanted, done.stderr


def test_run_outside_of_a_checkout_says_where_the_pipeline_is(tmp_path):
    code, _, told = run("run", "--preset", "tiny", cwd=tmp_path)
    assert (code, len(told.splitlines())) == (1, 2)
    assert "is no checkout of arrange" in told
    assert "clone the repository" in told


def test_run_in_a_checkout_is_the_flow_with_its_options():
    code, _, told = run("run", "sweep", "--preset", "nosuch")
    assert code == 1
    assert told.splitlines()[-2] == "there is no preset 'nosuch' in params.yaml"


def test_run_without_the_tools_says_what_has_them(tmp_path):
    (tmp_path / "dvc.yaml").touch()
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "__main__.py").touch()
    hidden = "from arrange import checkout\ncheckout.find_spec = lambda tool: None if tool == 'dvc' else tool\n"
    hidden += "from arrange import command\ncommand.main(['run'])"
    done = subprocess.run(
        [sys.executable, "-c", hidden], cwd=tmp_path, env={"PYTHONPATH": str(PROJECT)}, capture_output=True, text=True
    )
    assert (
        done.stderr
        == f"{sys.executable} has no dvc\nstart the run by `make run`, which makes .venv with the pinned tools\n"
    )


@pytest.mark.parametrize(
    ("package", "module", "extra"),
    [
        ("ir_measures", "arrange.evaluation.measures", "evaluation"),
        ("bm25s", "arrange.baselines.bm25", "evaluation"),
        ("matplotlib", "arrange.report.figures", "report"),
        ("jinja2", "arrange.report.page", "report"),
        ("pyarrow", "arrange.data.esci_sample", "data"),
    ],
)
def test_a_module_without_its_extra_says_so_in_two_lines(package, module, extra):
    """The package is hidden as one that isn't installed is: no finder knows it."""
    script = f"""
import sys
class Hidden:
    def find_spec(self, name, *_):
        if name.partition(".")[0] == {package!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hidden())
from arrange.errors import UserError
try:
    import {module}
except UserError as error:
    assert isinstance(error, ImportError)
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True)
    told = f'the package {package} is not installed\npip install "arrange[{extra}]"\n'
    assert (done.stdout, done.stderr) == (told, "")
