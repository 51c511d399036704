"""Who is re-tested and who becomes an elite, by hand."""

from dataclasses import replace

from activations.small import elite

from arrange.activations.evaluation import GRID, Admitted, Evaluation
from arrange.activations.search.candidates import Candidate, Slot
from arrange.activations.search.selection import measure, migrate, retest, select_elites

ELITES = [elite(1, "a", 0.5), elite(2, "b", 0.3)]
PLACES = 2


def candidates(*scores, island=0, reason=""):
    """Candidates 11, 12 ... with these scores on the search's problems, each another line; None: not measured yet."""
    return [
        Candidate(
            11 + place,
            Slot(1, place, 0),
            island,
            f"p{place}",
            f"p{place}",
            "told",
            admitted=None if score is None else line(1 + place),
            fitness=score,
            reason=reason,
        )
        for place, score in enumerate(scores)
    ]


def line(slope):
    return Admitted(1.0, True, 1.0, tuple(slope * GRID))


def nothing(canonical):
    """What was measured before in a search that begins."""


class Told:
    """Evaluations by a table; remembers what it was asked."""

    def __init__(self, **fitness):
        self.fitness, self.asked = fitness, []

    def __call__(self, sources, name):
        self.asked += [(name, source) for source in sources]
        return [Evaluation(self.fitness[source], "", "", 10, line(1.0)) for source in sources]


def after(new, evaluate, islands=(ELITES,), retested=()):
    """The ids and the confirmed fitness of the elites after a generation."""
    new = retest(new, islands, retested, PLACES, evaluate)
    return [
        [(elite.id, elite.confirmed) for elite in select_elites(elites, new, island, PLACES)]
        for island, elites in enumerate(islands)
    ]


def test_only_those_that_would_hold_a_place_are_retested():
    evaluate = Told(p2=0.35)
    assert after(candidates(0.4, 0.2, 0.6), evaluate) == [[(1, 0.5), (13, 0.35)]]
    assert evaluate.asked == [("confirm", "p2")]  # 0.6 and the incumbent's 0.5 are ahead of 0.4


def test_a_false_positive_does_not_become_an_elite():
    assert after(candidates(9.0), Told(p0=0.1)) == [[(1, 0.5), (2, 0.3)]]


def test_the_incumbent_stays_when_the_newcomer_only_equals_it():
    assert after(candidates(9.0), Told(p0=0.3)) == [[(1, 0.5), (2, 0.3)]]


def test_a_newcomer_without_a_score_in_the_retest_is_none():
    assert after(candidates(9.0), Told(p0=None)) == [[(1, 0.5), (2, 0.3)]]


def test_what_was_retested_before_is_not_again():
    evaluate = Told()
    assert after(candidates(9.0), evaluate, retested=[("p0", None)]) == [[(1, 0.5), (2, 0.3)]]
    assert evaluate.asked == []


def test_an_island_takes_its_own_candidates_and_seeds_compete_everywhere():
    islands = (ELITES, [elite(3, "c", 0.7)])
    assert after(candidates(0.9, island=1), Told(p0=0.8), islands) == [
        [(1, 0.5), (2, 0.3)],
        [(11, 0.8), (3, 0.7)],
    ]
    assert after(candidates(0.9, island=None), Told(p0=0.8), islands) == [
        [(11, 0.8), (1, 0.5)],
        [(11, 0.8), (3, 0.7)],
    ]


def test_what_has_a_reason_already_is_not_measured():
    evaluate = Told(p0=0.2)
    refused = [replace(one, id=21) for one in candidates(None, reason="unusable")]
    measured = measure(candidates(None) + refused, evaluate, nothing)
    assert [(one.id, one.fitness, one.admitted) for one in measured] == [(11, 0.2, line(1.0)), (21, None, None)]
    assert evaluate.asked == [("search", "p0")]


def test_a_program_that_was_measured_before_gets_the_same_values_and_costs_nothing():
    known = elite(5, "p2", 0.9)
    known = replace(known, fitness=0.4, admitted=line(2.0), member_steps=10)
    first, second, third = candidates(None, None, None)
    new = [first, second, third, replace(second, id=21), replace(third, id=22)]
    evaluate = Told(p0=0.2, p1=0.3)
    measured = measure(new, evaluate, {"p2": known}.get)
    assert evaluate.asked == [("search", "p0"), ("search", "p1")]
    assert [one.id for one in measured] == [11, 12, 13, 21, 22]
    assert [one.fitness for one in measured] == [0.2, 0.3, 0.4, 0.3, 0.4]
    assert [one.member_steps for one in measured] == [10, 10, 0, 0, 0]
    assert [one.confirmed for one in measured] == [None] * 5


def test_a_function_that_was_retested_under_another_text_is_not_again():
    evaluate = Told()
    twice, minus = ("2 * p0", line(2)), ("-p0", line(-1))
    assert after(candidates(9.0), evaluate, retested=[minus, twice]) == [[(1, 0.5), (2, 0.3)]]
    assert after(candidates(9.0), Told(p0=0.7), retested=[twice]) == [[(11, 0.7), (1, 0.5)]]


def test_the_best_of_each_island_goes_round_and_has_to_win_a_place():
    nine, five, seven, six, one = (elite(n, f"e{n}", n / 10) for n in (9, 5, 7, 6, 1))
    assert migrate([[nine, five], [seven, six], [one]], 2) == [[nine, five], [nine, seven], [seven, one]]


def test_an_elite_that_is_there_already_does_not_travel():
    shared, second, third = elite(1, "a", 0.9), elite(2, "b", 0.5), elite(3, "c", 0.1)
    twin = replace(shared, id=9)
    assert migrate([[shared, second], [twin, third]], 3) == [[shared, second, third], [twin, second, third]]


def test_one_island_stays_as_it_was():
    assert migrate([ELITES], PLACES) == [ELITES]


def test_an_empty_island_sends_nothing():
    assert migrate([[], [elite(1, "a", 0.2)]], PLACES) == [[elite(1, "a", 0.2)], [elite(1, "a", 0.2)]]
