"""The exported ranker of the tests in this folder."""

import pytest
import small_export

from arrange.serving import exported


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return small_export.write(tmp_path_factory.mktemp("exports") / "animals")


@pytest.fixture(scope="module")
def ranker(folder):
    return exported.load(folder)
