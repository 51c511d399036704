"""The sections on activation functions are refused early where a search would only fail after its work."""

import pytest
from sections import SECTIONS, changed

from arrange.errors import UserError
from settings import params


@pytest.mark.parametrize(
    ("change", "what", "remedy"),
    [
        (("searches", {}), "searches", ""),
        (("searches.random-1.mutators", ["wishes"]), "searches.random-1.mutators", "expression"),
        (("searches.random-1.mutators", []), "searches.random-1.mutators", ""),
        (("fitness.rungs.test",), "fitness.rungs.test", ""),
        (("fitness.rungs.extra", {}), "fitness.rungs.extra", ""),
        (("fitness.rungs.test.families", ["radiall"]), "'radiall'", "radial"),
        (("fitness.rungs.test.families", ["feynman"]), "'feynman'", "families of its own"),
        (("fitness.rungs.first.families", ["noise"]), "first.families has one family", "two or more"),
        (("fitness.rungs.confirm.families", ["noise", "feynman"]), "confirm.families differs", "one order"),
        (("fitness.kept", 1.0), "fitness.kept", ""),
        (("search.members", 1), "search.members", ""),
        (("fitness.ranges.stretch", 1.0), "fitness.ranges.stretch", ""),
        (("fitness.training.depth", 0), "fitness.training.depth", ""),
        (("sandbox.memory", 0.5), "sandbox.memory", ""),
        (("search.parents", "uniform"), "search.parents", ""),
        (("transfer.to", []), "transfer.to", ""),
    ],
    ids=str,
)
def test_settings_without_a_meaning_are_refused_in_two_lines(change, what, remedy):
    with pytest.raises(UserError) as failure:
        params.validate(changed(change), "params.yaml")
    assert what in failure.value.what
    assert remedy in failure.value.remedy


def test_what_the_parameters_may_leave_out():
    settings = params.validate(SECTIONS, "params.yaml")
    assert settings.searches["evolution-1"].mutators == ("expression",)
    assert (settings.llm.seconds, settings.llm.retries) == (120.0, 3)
    assert settings.fitness.rungs["first"].member_steps == 6 * 1 * 1 * 100
    assert settings.fitness.rungs.validate.member_steps == 24 * 2 * 3 * 250
