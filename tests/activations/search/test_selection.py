"""Who is refused, who is re-tested, who becomes an elite and who joins, by hand."""

from dataclasses import replace
from math import exp

import pytest
from activations.small import elite
from activations.small import search as settings

from arrange.activations.evaluation import GRID, REFERENCE, Admitted, Evaluation, Measurement
from arrange.activations.search.candidates import SEED, Candidate, Slot
from arrange.activations.search.joining import Join, join, rounds_due
from arrange.activations.search.selection import measure, refuse, retest, score, select_elites

FAMILIES = (("a", "c"), ("b", "d"))  # of the sides


def cubic(c, k=1.0, scale=1.0):
    """scale f(k x), f(x) = x + c x^2 + x^3 / 10."""
    x = k * GRID
    return Admitted(1.0, True, 1.0, tuple((scale * (x + c * x**2 + 0.1 * x**3)).tolist()))


def candidates(*scores, side=0, reason=""):
    """Candidates 11, 12 ... with these gains on the search's problems; None: not measured yet."""
    return [
        Candidate(11 + place, Slot(1, place, 0), side, f"p{place}", f"p{place}", "told", fitness=score, reason=reason)
        for place, score in enumerate(scores)
    ]


def measured(side, *gains):
    """What a network measured that validation picks wherever it gains, by family of the side."""
    return tuple(
        Measurement("confirm", f"{family} 0", family, 0, 0.1, 0.0, -1.0 if gain else 1.0, exp(-gain))
        for family, gain in zip(FAMILIES[side], gains, strict=True)
    )


class Told:
    """Evaluations by a table; remembers what it was asked."""

    def __init__(self, admitted=None, measured=None, **fitness):
        self.fitness, self.admitted, self.measured, self.asked = fitness, admitted or {}, measured or {}, []

    def __call__(self, sources, name, side=None, portfolio=(REFERENCE,)):
        self.asked.append((name, side, tuple(sources)))
        gelu = measured(side or 0, 0.0, 0.0)
        return [
            Evaluation(
                *(self.fitness.get(source), "" if source in self.admitted or name != "admit" else "shape", ""),
                *(0 if name == "admit" or source == REFERENCE else 10, self.admitted.get(source)),
                gelu if source == REFERENCE else self.measured.get((source, side), ()),
            )
            for source in sources
        ]


def reasons(found):
    return [(one.id, one.reason, one.detail) for one in found]


def test_known_functions_earlier_ones_and_twins_are_refused_at_no_cost():
    curves = {"p0": cubic(0.1), "p1": cubic(0.2), "p2": cubic(0.3), "p3": cubic(0.1)}
    evaluate = Told(admitted=curves)
    scaled = cubic(0.1, k=0.5, scale=-3.0)
    found = refuse(candidates(*[None] * 5), evaluate, {"wavy": ("wavy", scaled)}, {7: ("seven", cubic(0.3))})
    assert reasons(found) == [
        (11, "known", "it is wavy, up to scale and sign"),  # -3 f(x / 2), f of p0 and of p3
        (12, "", ""),
        (13, "duplicate", "it is candidate 7"),
        (14, "known", "it is wavy, up to scale and sign"),
        (15, "shape", ""),
    ]
    assert evaluate.asked == [("admit", None, ("p0", "p1", "p2", "p3", "p4"))]
    assert [one.member_steps for one in found] == [0] * 5
    twins = refuse(candidates(None, None), Told(admitted={"p0": cubic(0.1), "p1": cubic(0.1)}), {}, {})
    assert reasons(twins) == [(11, "", ""), (12, "duplicate", "it is candidate 11")]


def test_a_search_may_begin_with_a_known_function():
    """Also with one function at two scales."""
    seeds = [replace(one, mutator=SEED) for one in candidates(None, None, None)]
    evaluate = Told(admitted={"p0": cubic(0.1), "p1": cubic(0.1, 2.0)})
    assert [one.reason for one in refuse(seeds, evaluate, {"it": ("p0", None)}, {})] == ["", "", "shape"]


def test_what_has_a_reason_already_is_not_asked_for():
    evaluate = Told(p0=0.2, admitted={"p0": cubic(0.1)})
    refused = [replace(one, id=21) for one in candidates(None, reason="unusable")]
    both = refuse(candidates(None) + refused, evaluate, {}, {})
    found = measure(both, evaluate, [REFERENCE])
    assert [(one.id, one.fitness, one.reason) for one in found] == [(11, 0.2, ""), (21, None, "unusable")]
    assert evaluate.asked == [("admit", None, ("p0",)), ("search", 0, ("p0",))]
    assert measure(refused, evaluate, [REFERENCE]) == refused


def test_the_best_that_gain_something_are_retested_on_the_other_side():
    for side in (0, 1):
        evaluate = Told(p0=0.3, p3=-0.1)
        found = retest(candidates(0.4, 0.2, None, 0.9, -0.1, side=side), evaluate, [REFERENCE], 2)
        assert evaluate.asked == [("confirm", 1 - side, ("p3", "p0"))]
        assert [one.confirmed for one in found] == [0.3, None, None, -0.1, None]
        assert [one.member_steps for one in found] == [10, 0, 0, 10, 0]
    evaluate = Told()
    assert retest(candidates(-0.1, 0.0), evaluate, [REFERENCE], 2) == candidates(-0.1, 0.0)
    assert evaluate.asked == []


def retested(id, *gains, side=0):
    one = elite(id, f"e{id}")
    return replace(one, side=side, measurements=tuple(("confirm", each) for each in measured(1 - side, *gains)))


GELU = {REFERENCE: measured(1, 0.0, 0.0)}


def test_a_gain_is_that_to_the_portfolio_of_today():
    one, two = retested(1, 0.5, 0.0), retested(2, 0.3, 0.4)
    first, second = score([one, two], GELU)
    assert first.gains == pytest.approx({"b": 0.5, "d": 0.0})
    assert second.gains == pytest.approx({"b": 0.3, "d": 0.4})
    assert (first.gain, second.gain) == pytest.approx((0.25, 0.35))
    with_two = GELU | {"e2": tuple(one for _, one in two.measurements)}
    assert [one.gain for one in score([one, two], with_two)] == [0.0, 0.0]  # validation ties go to the older member
    assert score([elite(3, "c", 0.5)], GELU) == []  # no measurements


def ids(scored, places):
    return [one.id for one in select_elites(scored, places)]


def test_the_best_of_each_family_stays_and_then_the_best_of_all():
    specialist, even, second, poor = (
        retested(1, 0.9, 0.0),
        retested(2, 0.6, 0.6),
        retested(3, 0.5, 0.5),
        retested(4, 0.1, 0.0),
    )
    scored = score([specialist, even, second, poor], GELU)
    assert ids(scored, 2) == [2, 1]
    assert ids(scored, 3) == [2, 1, 3]
    assert ids(scored, 9) == [2, 1, 3, 4]
    assert ids(scored, 1) == [2]
    assert ids([], 3) == []


def test_the_older_of_equals_is_the_elite():
    assert ids(score([retested(5, 0.5, 0.5), retested(4, 0.5, 0.5)], GELU), 1) == [4]


def test_rounds_are_equal_parts_of_the_budget():
    _, search = settings(budget=300, members=4)
    assert [rounds_due(steps, search, False) for steps in (0, 99, 100, 199, 200, 299, 300, 999)] == [
        *(0, 0, 1, 1, 2, 2, 3, 3)
    ]
    assert rounds_due(0, search, True) == 3


def test_the_best_over_all_families_joins():
    """One is better on the side where it was confirmed, two on all four families."""
    one, two, three = retested(1, 0.8, 0.8), retested(2, 0.5, 0.5), retested(3, 0.1, 0.1, side=1)
    other = {
        ("e1", 0): measured(0, 0.1, 0.1),
        ("e2", 0): measured(0, 0.7, 0.7),
        ("e3", 1): measured(1, 0.3, 0.3),
    }
    evaluate = Told(measured=other)
    found = join(4, [one, two, three], [], evaluate)
    assert [(each.round, each.candidate.id, each.joined) for each in found] == [
        *((4, 1, False), (4, 2, True), (4, 3, False))
    ]
    assert [round(each.gain, 9) for each in found] == [0.45, 0.6, 0.2]
    assert [each.member_steps for each in found] == [10, 10, 10]


def test_three_of_each_side_try_at_most_and_nobody_joins_who_gains_nothing():
    waiting = [retested(id, 0.1 * id, 0.0) for id in range(1, 6)]
    lost = {(f"e{id}", 0): measured(0, -1.0, -1.0) for id in range(1, 6)}
    found = join(0, waiting, [], Told(measured=lost))
    assert [each.candidate.id for each in found] == [5, 4, 3]
    assert not any(each.joined for each in found)
    assert join(0, [retested(1, 0.0, 0.0)], [], Told()) == []


def test_a_contender_without_a_score_does_not_join():
    assert join(0, [retested(1, 0.5, 0.5)], [], Told()) == [Join(0, retested(1, 0.5, 0.5), None, 10, False)]
