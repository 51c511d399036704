"""The stage `report` run for real, on small results written by hand."""

from pathlib import Path

import pytest
from small_results import write_project

from tasks.ranking_report import ranking_report
from tasks.report import report


@pytest.fixture(scope="session")
def reports(tmp_path_factory):
    """The folder that the stage has written."""
    home = tmp_path_factory.mktemp("report")
    write_project(home)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        ranking_report()
        report()
        once = {path.name: path.read_bytes() for path in Path("reports").iterdir()}
        ranking_report()
        report()
    assert {path.name: path.read_bytes() for path in (home / "reports").iterdir()} == once  # the same bytes
    return home / "reports"
