"""A notebook without Jupyter: its code cells are run, and what they print and show is compared or written.

python tests/notebook.py docs/tour.ipynb: writes the outputs anew.
"""

import ast
import io
import json
import sys
from contextlib import redirect_stdout
from pathlib import Path


def code_cells(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def outputs(notebook):
    """The outputs of each code cell as a notebook stores them, after running all in order."""
    scope, found = {"__name__": "__main__"}, []
    for number, cell in enumerate(code_cells(notebook), 1):
        printed, shown = run("".join(cell["source"]), scope)
        stream = {"output_type": "stream", "name": "stdout", "text": printed.splitlines(keepends=True)}
        result = {"output_type": "execute_result", "execution_count": number, "metadata": {}}
        result["data"] = {"text/plain": shown.splitlines(keepends=True)}
        found.append([stream] * bool(printed) + [result] * bool(shown))
    return found


def run(source, scope):
    """What a cell prints, and its last expression as Python shows it; "" for None."""
    tree, printed, shown = ast.parse(source), io.StringIO(), None
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    with redirect_stdout(printed):
        exec(compile(tree, "<cell>", "exec"), scope)
        if last is not None:
            shown = eval(compile(ast.Expression(last.value), "<cell>", "eval"), scope)
    return printed.getvalue(), "" if shown is None else repr(shown)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    content = json.loads(path.read_text())
    for number, (cell, new) in enumerate(zip(code_cells(content), outputs(content), strict=True), 1):
        cell.update(outputs=new, execution_count=number)
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
