"""The wheel and the sdist build, and hold what they should."""

import subprocess
import sys
import tarfile
import zipfile
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


@pytest.mark.slow
def test_both_hold_the_library_its_data_and_nothing_else(built):
    [wheel], [sdist] = built.glob("*.whl"), built.glob("*.tar.gz")
    names = zipfile.ZipFile(wheel).namelist()
    tracked = subprocess.run(["git", "ls-files", "arrange"], cwd=PROJECT, capture_output=True, text=True).stdout.split()
    assert {name for name in names if ".dist-info/" not in name} == {*tracked}
    with tarfile.open(sdist) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    assert {*tracked, "pyproject.toml", "README.md", "LICENSE"} <= packed
