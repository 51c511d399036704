"""The command `python -m arrange.serving.rank`."""

import json
import subprocess
import sys

import pytest

from arrange.serving import exported, rank
from arrange.serving.exported import Ranked


def test_json_has_what_the_library_gives(folder, capsys):
    rank.main([str(folder), "a dog", "-k", "3", "--beams", "8", "--among", "d1", "d5", "d7", "d2", "--json"])
    [expected] = exported.load(folder).rank(["a dog"], 3, beams=8, among=["d1", "d5", "d7", "d2"])
    assert [Ranked(**found) for found in json.loads(capsys.readouterr().out)] == expected


def test_ids_may_be_given_one_at_a_time_so_that_one_may_start_with_a_dash():
    asked = rank.parser().parse_args(["folder", "a dog", "--among=-1", "--among", "d1", "d5", "--among=--k"])
    assert asked.among == ["-1", "d1", "d5", "--k"]


def test_a_terminal_shows_a_line_for_each_document(folder):
    words = [sys.executable, "-m", "arrange.serving.rank", str(folder), "a dog", "-k", "3"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    [expected] = exported.load(folder).rank(["a dog"], 3)
    assert done.stdout == rank.table(expected, 80) + "\n"


def test_columns_are_as_wide_as_their_content_and_texts_as_the_terminal():
    found = [Ranked("a", "one\n two", -0.5), Ranked("long-id", "x" * 30, -123.4567)] + [Ranked("b", "t", -200.0)] * 8
    lines = rank.table(found, 41).splitlines()
    assert lines[0] == " 1    -0.500  a        one two"
    assert lines[1] == " 2  -123.457  long-id  " + "x" * 17 + "…"
    assert len(lines[1]) == 41
    assert lines[9] == "10  -200.000  b        t"
    assert rank.table(found[:2], 5).splitlines()[1].endswith("  xxxxxxxxx…")  # never narrower than ten
    assert rank.table([], 80) == ""


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["nowhere", "dog"], "nowhere is no exported ranker: it has no export.json\ngive the folder of one"),
        (["FOLDER", ""], "query 0 is ''\ngive it a text"),
        (
            ["FOLDER", "caf\udce9"],
            "query 0 isn't UTF-8: 'caf\\udce9'\nwrite it in UTF-8",
        ),  # Latin-1 on the command line
        (["FOLDER", "dog", "--among", "cat"], "1 of 1 ids are of no document, the first 'cat'\nleave them out"),
    ],
)
def test_mistakes_are_two_lines_and_exit_code_1(folder, words, what):
    with pytest.raises(SystemExit) as end:
        rank.main([str(folder) if word == "FOLDER" else word for word in words])
    assert end.value.code == what
