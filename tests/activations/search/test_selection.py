"""Who is re-tested and who becomes an elite, by hand."""

from activations.search.target import settings

from arrange.activations.evaluation import GRID, Admitted, Evaluation
from arrange.activations.search.archive import Entry
from arrange.activations.search.database import Candidate
from arrange.activations.search.identity import Identity
from arrange.activations.search.proposals import Proposal, Slot
from arrange.activations.search.selection import elect, measure, retest

SEARCH = settings(elites=2)
POPULATION = [Entry(1, "a", Identity("a"), 0.5, (0, 0)), Entry(2, "b", Identity("b"), 0.3, (0, 0))]


def candidates(*scores, island=0, reason=""):
    """Candidates 11, 12 ... with these scores on the search's problems, each another line; None: not measured yet."""
    return {
        11 + place: Candidate(
            Slot(1, place, 0),
            island,
            Proposal(f"p{place}", "told"),
            f"p{place}",
            searched=None if score is None else evaluation(score, slope=1 + place),
            reason=reason,
        )
        for place, score in enumerate(scores)
    }


def evaluation(fitness, slope=1.0):
    return Evaluation(fitness, "", "", 10, Admitted(1.0, True, 1.0, tuple(slope * GRID)))


def nothing(canonical):
    """What a search has measured that begins."""


class Told:
    """Evaluations by a table; remembers what it was asked."""

    def __init__(self, **fitness):
        self.fitness, self.asked = fitness, []

    def __call__(self, sources, name):
        self.asked += [(name, source) for source in sources]
        return [evaluation(self.fitness[source]) for source in sources]


def after(fresh, evaluate, populations=(POPULATION,), retested=(), search=SEARCH):
    fresh = retest(fresh, populations, retested, search, evaluate)
    return [
        [(entry.id, entry.fitness) for entry in elect(population, fresh, island, search)]
        for island, population in enumerate(populations)
    ]


def test_only_those_that_would_hold_a_place_are_retested():
    evaluate = Told(p2=0.35)
    assert after(candidates(0.4, 0.2, 0.6), evaluate) == [[(1, 0.5), (13, 0.35)]]
    assert evaluate.asked == [("confirm", "p2")]  # 0.6 and the incumbent's 0.5 are ahead of 0.4


def test_a_fluke_does_not_become_an_elite():
    assert after(candidates(9.0), Told(p0=0.1)) == [[(1, 0.5), (2, 0.3)]]


def test_the_incumbent_stays_when_the_newcomer_only_equals_it():
    assert after(candidates(9.0), Told(p0=0.3)) == [[(1, 0.5), (2, 0.3)]]


def test_a_newcomer_without_a_score_in_the_retest_is_none():
    assert after(candidates(9.0), Told(p0=None)) == [[(1, 0.5), (2, 0.3)]]


def test_what_was_retested_before_is_not_again():
    evaluate = Told()
    assert after(candidates(9.0), evaluate, retested=[Identity("p0")]) == [[(1, 0.5), (2, 0.3)]]
    assert evaluate.asked == []


def test_an_island_elects_its_own_and_seeds_stand_everywhere():
    populations = (POPULATION, [Entry(3, "c", Identity("c"), 0.7, (0, 0))])
    assert after(candidates(0.9, island=1), Told(p0=0.8), populations) == [
        [(1, 0.5), (2, 0.3)],
        [(11, 0.8), (3, 0.7)],
    ]
    assert after(candidates(0.9, island=None), Told(p0=0.8), populations) == [
        [(11, 0.8), (1, 0.5)],
        [(11, 0.8), (3, 0.7)],
    ]


def test_with_an_archive_a_cell_has_one_place():
    search = settings(archive=True)
    fresh = candidates(0.1, -0.4)  # in the cell (1, 0), where nobody is
    assert after(fresh, Told(p0=-0.2), search=search) == [[(1, 0.5), (11, -0.2)]]


def test_what_was_refused_or_judged_before_is_not_measured():
    evaluate = Told(p0=0.2)
    fresh = candidates(None) | {20 + k: c for k, c in candidates(None, reason="duplicate").items()}
    measured = measure(fresh, evaluate, nothing)
    assert [measured[11].searched, measured[31].searched] == [evaluation(0.2), None]
    assert measure(candidates(0.7), evaluate, nothing) == candidates(0.7)
    assert evaluate.asked == [("search", "p0")]


def test_a_repeat_is_told_what_its_first_was_and_costs_nothing():
    known = Evaluation(0.4, "", "", 0, evaluation(0).admitted)
    fresh = candidates(None, None, None)
    fresh |= {21: fresh[12], 22: fresh[13]}  # p1 and p2 again
    evaluate = Told(p0=0.2, p1=0.3)
    found = measure(fresh, evaluate, {"p2": known}.get)
    assert evaluate.asked == [("search", "p0"), ("search", "p1")]
    assert [found[number].searched.fitness for number in (11, 12, 13, 21, 22)] == [0.2, 0.3, 0.4, 0.3, 0.4]
    assert [found[number].searched.member_steps for number in (11, 12, 13, 21, 22)] == [10, 10, 0, 0, 0]


def test_a_function_that_was_retested_under_another_text_is_not_again():
    evaluate = Told()
    twice = Identity("2 * p0", tuple(2 * GRID))
    assert after(candidates(9.0), evaluate, retested=[Identity("-p0", tuple(-GRID)), twice]) == [[(1, 0.5), (2, 0.3)]]
    assert after(candidates(9.0), Told(p0=0.7), retested=[twice]) == [[(11, 0.7), (1, 0.5)]]
