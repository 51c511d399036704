"""The wheel and the sdist: they build, and in an environment of their own the library and its command work."""

import os
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
UV = [sys.executable, "-m", "uv"]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The wheel and the sdist of what git tracks here; the wheel is built from the sdist."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, tracked.split("\0")):
        if (PROJECT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((PROJECT / name).read_bytes())
    subprocess.run([*UV, "build", "--quiet", "--out-dir", str(out), str(source)], check=True)
    return out


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """The command of an environment that has the wheel and what it needs; torch is that of the tests, by a link."""
    home = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run([*UV, "venv", "--quiet", "--python", sys.executable, str(home)], check=True)
    [packages] = home.glob("lib/python*/site-packages")
    torch = distribution("torch")
    for name in {file.parts[0] for file in torch.files or () if file.parts[0] not in ("..", "bin")}:
        (packages / name).symlink_to(torch.locate_file(name))
    [wheel] = built.glob("*.whl")
    python = home / "bin" / "python"
    subprocess.run([*UV, "pip", "install", "--quiet", "--python", str(python), str(wheel)], check=True)
    return home / "bin"


@pytest.mark.slow
def test_both_hold_the_library_its_data_and_nothing_else(built):
    [wheel], [sdist] = built.glob("*.whl"), built.glob("*.tar.gz")
    names = zipfile.ZipFile(wheel).namelist()
    tracked = subprocess.run(["git", "ls-files", "arrange"], cwd=PROJECT, capture_output=True, text=True).stdout.split()
    assert {name for name in names if ".dist-info/" not in name} == {*tracked}
    with tarfile.open(sdist) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    assert {*tracked, "pyproject.toml", "README.md", "LICENSE"} <= packed


@pytest.mark.slow
def test_an_empty_environment_with_the_wheel_finetunes_ranks_and_says_which_extra_is_missing(installed, tmp_path):
    script = """
import arrange
ranker = arrange.finetune({"a dog": ["dog"], "a cat": ["cat"]}, folder="animals", steps=20)
print(ranker.rank(["a cat"], k=1)[0][0].doc_id)
try:
    import arrange.report.page
except arrange.UserError as error:
    print(error)
"""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [installed / "python", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "cat"
    assert done.stdout.splitlines()[-1] == 'pip install "arrange[report]"'
    words = [installed / "arrange", "rank", "animals", "a cat", "-k", "1", "--json"]
    ranked = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert '"doc_id": "cat"' in ranked.stdout, ranked.stderr
