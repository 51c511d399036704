"""The wheel and the sdist build, hold what they should, and install into an empty environment."""

import json
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
UV = [sys.executable, "-m", "uv"]
WITHOUT_TORCH = ("annotated-types", "numpy", "polars", "safetensors", "shtab")  # of what the library needs
DOCIDS = """
import json, sys
import arrange.docids
trie = arrange.build_trie(["dog", "dogfish", "cat"])
found = [trie.walk(b"dogf") > 0, trie.walk(b"cow")]
print(json.dumps([arrange.__file__, found, sorted({"torch", "transformers"} & sys.modules.keys())]))
"""


@pytest.fixture(scope="module")
def index():
    """Skips where the package index can't be reached: a build fetches setuptools."""
    asked = subprocess.run([*UV, "pip", "compile", "-"], input="setuptools>=77", capture_output=True, text=True)
    if asked.returncode:
        pytest.skip(f"no package index: {asked.stderr.strip()[-200:]}")


@pytest.fixture(scope="module")
def built(index, tmp_path_factory):
    """The wheel and the sdist of what git tracks here; the wheel is built from the sdist."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, tracked.split("\0")):
        if (PROJECT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((PROJECT / name).read_bytes())
    subprocess.run([*UV, "build", "--quiet", "--out-dir", str(out), str(source)], check=True)
    return out


@pytest.mark.slow
def test_both_hold_the_library_its_data_and_nothing_else(built):
    [wheel], [sdist] = built.glob("*.whl"), built.glob("*.tar.gz")
    names = zipfile.ZipFile(wheel).namelist()
    tracked = subprocess.run(["git", "ls-files", "arrange"], cwd=PROJECT, capture_output=True, text=True).stdout.split()
    assert {name for name in names if ".dist-info/" not in name} == {*tracked}
    with tarfile.open(sdist) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    assert {*tracked, "pyproject.toml", "README.md", "LICENSE"} <= packed


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """The programs of an environment with the wheel and a part of its dependencies, torch not among these."""
    home, [wheel] = tmp_path_factory.mktemp("installed") / "environment", built.glob("*.whl")
    subprocess.run([*UV, "venv", "--quiet", "--python", sys.executable, str(home)], check=True)
    needed = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["dependencies"]
    some = [each for each in needed if re.match(r"[a-z-]+", each)[0] in WITHOUT_TORCH]
    assert len(some) == len(WITHOUT_TORCH)
    into = [*UV, "pip", "install", "--quiet", "--python", str(home / "bin/python")]
    subprocess.run([*into, *some], check=True)
    subprocess.run([*into, "--no-deps", str(wheel)], check=True)
    return home / "bin"


@pytest.mark.slow
def test_docids_and_the_command_work_in_an_empty_environment_without_torch(installed, tmp_path):
    done = subprocess.run(
        [installed / "python", "-c", DOCIDS], cwd=tmp_path, stdout=subprocess.PIPE, text=True, check=True
    )
    file, found, slow = json.loads(done.stdout)
    assert Path(file).is_relative_to(installed.parent)
    assert (Path(file).parent / "py.typed").is_file()
    assert (found, slow) == ([True, -1], [])
    helped = subprocess.run(
        [installed / "arrange", "--help"], cwd=tmp_path, stdout=subprocess.PIPE, text=True, check=True
    )
    assert {"rank", "serve", "push", "search", "run"} <= set(helped.stdout.split())


@pytest.mark.slow
def test_the_sdist_installs_as_well(built, tmp_path):
    [sdist] = built.glob("*.tar.gz")
    target = ["--target", str(tmp_path / "there"), "--python", sys.executable, "--no-deps"]
    subprocess.run([*UV, "pip", "install", "--quiet", *target, str(sdist)], check=True)
    tracked = subprocess.run(["git", "ls-files", "arrange"], cwd=PROJECT, capture_output=True, text=True).stdout.split()
    assert all((tmp_path / "there" / name).is_file() for name in tracked)
