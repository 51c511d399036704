"""The notebook of docs/ shows what its cells give."""

import json
from pathlib import Path

import notebook

TOUR = Path("docs/tour.ipynb")


def test_the_tour_shows_what_its_cells_give():
    committed = json.loads(TOUR.read_text())
    assert [cell["outputs"] for cell in notebook.code_cells(committed)] == notebook.outputs(committed)


def test_the_tour_is_a_notebook_in_the_format_that_jupyter_reads():
    committed = json.loads(TOUR.read_text())
    assert (committed["nbformat"], committed["nbformat_minor"]) == (4, 5)
    cells = committed["cells"]
    assert len({cell["id"] for cell in cells}) == len(cells)
    for cell in cells:
        code = {"execution_count", "outputs"} if cell["cell_type"] == "code" else set()
        assert cell.keys() == {"cell_type", "id", "metadata", "source"} | code
    assert [cell["execution_count"] for cell in notebook.code_cells(committed)] == [1, 2, 3, 4, 5, 6, 7]
