"""Who takes part: the best few, and the winner of each search wherever it stands."""

import polars as pl

from arrange.activations.classical import CLASSICAL
from arrange.activations.entrants import programs
from arrange.activations.mined import MINED

FINALISTS = pl.DataFrame({"name": list("abcde"), "source": list("ABCDE"), "winner": [True, False, False, True, False]})


def test_the_count_best_and_each_winner_take_part():
    assert programs(["found"], FINALISTS, 2) == {"a": "A", "b": "B", "d": "D"}
    assert programs(["found"], FINALISTS, 0) == {"a": "A", "d": "D"}
    assert list(programs(["found"], FINALISTS, 9)) == list("abcde")
    assert programs(["found"], FINALISTS.clear(), 2) == {}


def test_groups_take_part_as_they_are_asked_for():
    assert list(programs(["mined", "found"], FINALISTS, 1)) == [*MINED, "a", "d"]
    assert list(programs(["classical"], FINALISTS, 1)) == list(CLASSICAL)
    assert programs([], FINALISTS, 1) == {}
