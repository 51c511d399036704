"""The sections on activation functions refuse at the border what a search would only meet after its work."""

from typing import get_args

import pytest

from arrange.activations.problems.draw import LISTED, RANDOM
from arrange.errors import UserError
from settings import params
from settings.activations import Family


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ({"searches": {"evolution-1": None, "random-1": None}}, "the overrides: searches is {}"),
        ({"fitness": {"rungs": {"test": None}}}, "the overrides: fitness: rungs lacks 'test'"),
        ({"fitness": {"rungs": {"test": {"families": ["radiall"]}}}}, "did you mean radial?"),
        ({"fitness": {"rungs": {"test": {"families": ["feynman"]}}}}, "rungs.test has 'feynman', which a search sees"),
    ],
)
def test_settings_without_a_meaning_are_refused_in_two_lines(overrides, told):
    with pytest.raises(UserError, match="\n") as failure:
        params.effective(params.load(), None, overrides)
    assert told in str(failure.value)


def test_the_families_that_may_be_named_are_those_that_can_be_drawn():
    assert set(get_args(Family)) == RANDOM.keys() | LISTED.keys()
