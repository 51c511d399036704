import re
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arrange.activations.mutators.answers import (
    ANSWER_CHARACTERS,
    DIVIDER,
    FENCE,
    REPLACE,
    SEARCH,
    _parts,
    patched,
    rewritten,
)
from arrange.activations.search.candidates import Unusable

EXAMPLES = settings(max_examples=100, deadline=None)

PROGRAM = "def activation(x):\n    return torch.sin(x)\n"
SOURCE = "def activation(x):\n    y = torch.tanh(x)\n    z = y * y\n    return z + x\n"


def fenced(code: str, language: str = "python") -> str:
    return f"Here it is:\n```{language}\n{code}```\nIt is smooth."


def block(search: str, replacement: str) -> str:
    return f"<<<<<<< SEARCH\n{search}=======\n{replacement}>>>>>>> REPLACE\n"


@pytest.mark.parametrize(
    "answer",
    [
        PROGRAM,
        "I suggest:\n\n" + PROGRAM,
        fenced(PROGRAM),
        fenced(PROGRAM, ""),
        fenced(PROGRAM, "py title=activation"),
        fenced(PROGRAM).replace("\n", "\r\n"),
        fenced("import torch\nimport torch.nn.functional as F\n\n\n" + PROGRAM),
        fenced("def activation(x):\n    return x\n") + fenced(PROGRAM),
        "<think>\n" + fenced("def activation(x):\n    return x\n") + "</think>\n" + fenced(PROGRAM),
        fenced(PROGRAM) + fenced("activation(torch.ones(3))\n"),
        "1. A sine:\n   ```python\n   def activation(x):\n       return torch.sin(x)\n   ```\n",
    ],
)
def test_the_last_program_of_an_answer_is_found(answer):
    assert rewritten(answer) == PROGRAM


@pytest.mark.parametrize("answer", ["", "I can't.", "```python\n```", fenced("lambda x: x\n"), "```python\n" + PROGRAM])
def test_an_answer_without_a_whole_program_is_unusable(answer):
    with pytest.raises(Unusable, match=r"^no code$"):
        rewritten(answer)


@pytest.mark.parametrize("read", [rewritten, lambda answer: patched(SOURCE, answer)])
def test_a_huge_answer_is_unusable(read):
    assert read(PROGRAM.ljust(ANSWER_CHARACTERS)) == PROGRAM
    with pytest.raises(Unusable, match=r"^too long$"):
        read(PROGRAM.ljust(ANSWER_CHARACTERS + 1))


@pytest.mark.parametrize(
    "search",
    ["    z = y * y\n", "z = y * y\n", "\tz = y * y\n", "\n    z = y * y  \n\n", "      z = y * y\n"],
    ids=["as it is", "not indented", "a tab", "blank lines around", "too deep"],
)
def test_a_block_replaces_lines_equal_but_for_the_space_around_them(search):
    indent = search.strip("\n")[: -len(search.strip("\n").lstrip())]
    answer = f"Smaller:\n```\n{block(search, f'{indent}z = 2 * y{chr(10)}')}```\n"
    assert patched(SOURCE, answer) == SOURCE.replace("y * y", "2 * y")


@pytest.mark.parametrize("tab", ["    ", "\t"])
def test_what_replaces_is_moved_as_a_whole(tab):
    answer = block("z = y * y\n", f"for _ in range(2):\n{tab}y = y * y\nz = y\n")
    wanted = "    for _ in range(2):\n        y = y * y\n    z = y\n"
    for source in (SOURCE, SOURCE.replace("    ", tab)):
        assert patched(source, answer) == SOURCE.replace("    z = y * y\n", wanted)


def test_blocks_are_applied_in_turn_and_the_first_match_counts():
    source = "def activation(x):\n    x = x + 1\n    x = x + 1\n    return x\n"
    answer = block("x = x + 1\n", "x = x * 2\n") + "and\n" + block("x = x * 2\nx = x + 1\n", "x = x - 3\n")
    assert patched(source, answer) == "def activation(x):\n    x = x - 3\n    return x\n"


def test_lines_can_be_taken_out():
    assert patched(SOURCE, block("    y = torch.tanh(x)\n", "")) == SOURCE.replace("    y = torch.tanh(x)\n", "")


@pytest.mark.parametrize("search", ["    w = y * y\n", "", "\n\n", SOURCE + "    return x\n"])
def test_a_block_whose_lines_are_not_there_is_unusable(search):
    with pytest.raises(Unusable, match=r"^no such lines$"):
        patched(SOURCE, block(search, "    z = 1\n"))


def test_a_whole_program_is_taken_where_a_change_was_asked_for():
    assert patched(SOURCE, fenced(PROGRAM)) == PROGRAM


LINES = [
    "```",
    "```python",
    "def activation(x):",
    "    return x",
    "z = y * y",
    "<<<<<<< SEARCH",
    "=======",
    ">>>>>>> REPLACE",
]
PIECES = st.sampled_from("\n\r\t #\u2028\x00ß") | st.sampled_from(LINES).map("{}\n".format)


@EXAMPLES
@given(st.lists(PIECES, max_size=30).map("".join))
def test_any_text_is_a_program_or_unusable(answer):
    for read in (rewritten, lambda answer: patched(SOURCE, answer)):
        with suppress(Unusable):
            assert read(answer).endswith("\n")


BLOCKS = re.compile(  # says the same as the parser, and takes cubic time
    r"^[ \t]*<{5,} ?SEARCH[ \t]*\n(.*?)^[ \t]*={5,}[ \t]*\n(.*?)^[ \t]*>{5,} ?REPLACE", re.MULTILINE | re.DOTALL
)
FENCED = re.compile(r"^[ \t]*```[^\n]*\n(.*?)^[ \t]*```", re.MULTILINE | re.DOTALL)


@EXAMPLES
@given(st.lists(PIECES | st.sampled_from(LINES[5:]).map("{}\n".format), max_size=20).map("".join))
def test_the_parser_finds_what_the_expressions_find(answer):
    assert [tuple(parts) for parts in _parts(answer, SEARCH, DIVIDER, REPLACE)] == BLOCKS.findall(answer)
    assert [part for (part,) in _parts(answer, FENCE, FENCE)] == FENCED.findall(answer)


def test_each_line_of_an_answer_is_matched_once():
    """The answer that took the expression eleven seconds at 8,000 characters: openings and middles without an end."""
    seen = []

    class Counted:
        def __init__(self, pattern):
            self.pattern = pattern

        def fullmatch(self, line):
            seen.append(line)
            return self.pattern.fullmatch(line)

    marks = [Counted(pattern) for pattern in (SEARCH, DIVIDER, REPLACE)]
    answer = "<<<<< SEARCH\n=====\n" * 2400
    assert list(_parts(answer, *marks)) == []
    assert len(seen) == len(answer.split("\n"))


def test_indents_do_not_grow_from_block_to_block():
    deep = block("return z + x\n", "\t" * 2000 + "return x\n") + block("return x\n", "a\n" * 9000)
    with pytest.raises(Unusable, match=r"^too long$"):
        patched(SOURCE, deep)


@EXAMPLES
@given(st.integers(0, 3), st.integers(1, 4), st.sampled_from(["", "  ", "        "]))
def test_replacing_lines_by_themselves_changes_nothing(first, count, margin):
    same = "".join(f"{margin}{line}\n" for line in SOURCE.splitlines()[first : first + count])
    assert patched(SOURCE, block(same, same)) == SOURCE
