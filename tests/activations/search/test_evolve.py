"""Whole searches of a cheap real objective: budget, false positives, the control, sides, the growing portfolio."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from activations.search.target import SEEDED, STEPS, judged, objective, program, run
from activations.small import elite
from activations.small import search as settings

from arrange.activations.evaluation import REFERENCE
from arrange.activations.mutators.expression import expression_mutators
from arrange.activations.search.candidates import Proposal, Slot, Unusable
from arrange.activations.search.evolve import draw_parents
from arrange.activations.search.export import tables

MUTATORS = expression_mutators()


def searched(path, evaluate=objective, mutators=MUTATORS, **changes):
    run(path, settings(**changes), mutators, evaluate)
    return tables(path)


def test_the_search_finds_a_better_complement_than_its_seeds(tmp_path):
    found = searched(tmp_path / "one.db", candidates=150)
    best = found["generations"]["confirmed"].drop_nulls()
    assert best.is_sorted()
    assert best[-1] > best[0]


def test_no_generation_starts_beyond_the_budget_and_all_that_was_spent_is_counted(tmp_path):
    spent = Counter()

    def evaluate(sources, name, *more):
        evaluations = objective(sources, name, *more)
        spent[name] += sum(evaluation.member_steps for evaluation in evaluations)
        return evaluations

    generations = searched(tmp_path / "one.db", evaluate, budget=900, candidates=10**6)["generations"]
    steps = generations["member_steps"].to_list()
    assert steps[-1] >= 900 > steps[-2]
    assert steps[-1] == spent["search"] + spent["confirm"]
    assert spent["confirm"] > 0 == spent["admit"]
    assert spent["search"] % STEPS["search"] == spent["confirm"] % STEPS["confirm"] == 0


@pytest.mark.parametrize("cap", [5, 7, 8, 30])
def test_the_cap_in_candidates_is_exact_and_seeds_count(tmp_path, cap):
    found = searched(tmp_path / "one.db", candidates=cap)
    assert found["generations"]["candidates"].to_list()[-1] == cap
    assert found["candidates"].select("generation", "place").unique().height == cap


@pytest.mark.parametrize("arm", ["evolution", "random"])
def test_no_function_is_measured_twice_and_no_known_one_at_all(arm, tmp_path):
    """Generation 1: a known function, a new one, it in other words and at another scale. 2: the same four."""
    texts = ("F.mish(3 * x)", "torch.sin(3 * x) + x", "x + (x * 3).sin()", "torch.sin(x) + x / 3")

    def told(parents, rng, slot):
        return Proposal(program(texts[slot.place]))

    changes = {"arm": arm, "candidates": len(SEEDED) + 8, "generation_size": 4}
    found = searched(tmp_path / "one.db", mutators={"told": told}, **changes)
    candidates = found["candidates"].filter(pl.col("generation") > 0)
    new = len(SEEDED) + 2
    assert candidates["reason"].to_list() == [*("known", "", "duplicate", "duplicate"), "known", *["duplicate"] * 3]
    assert set(candidates.filter(reason="duplicate")["detail"]) == {f"it is candidate {new}"}
    assert set(candidates.filter(reason="known")["detail"]) == {"it is mish, up to scale and sign"}
    assert candidates.filter(pl.col("id") != new)["member_steps"].sum() == 0


def test_generations_are_proposed_on_one_side_and_retested_on_the_other(tmp_path):
    asked = []

    def evaluate(sources, name, side=None, portfolio=()):
        asked.append((name, side, tuple(sources)))
        return objective(sources, name, side, portfolio)

    found = searched(tmp_path / "one.db", evaluate, candidates=60)
    rows = found["candidates"].select("source", "generation", "fitness", "confirm_reason").rows()
    for source, generation, fitness, retested in rows:
        if fitness is not None:
            assert {side for name, side, sources in asked if name == "search" and source in sources} == {generation % 2}
        if retested is not None:
            assert any(name == "confirm" and side == 1 - generation % 2 and source in s for name, side, s in asked)
    families = (
        found["measurements"]
        .filter(set="confirm")
        .join(found["candidates"].select("id", "side"), left_on="candidate", right_on="id")
    )
    assert set(families.filter(side=0)["family"]) == {"wave", "bent"}
    assert set(families.filter(side=1)["family"]) == {"mish", "bell"}


def test_the_portfolio_grows_in_equal_parts_of_the_budget_and_fitness_is_the_gain_to_it(tmp_path):
    found = searched(tmp_path / "one.db", budget=1200, candidates=10**6)
    joins, candidates = found["joins"], found["candidates"]
    joined = joins.filter(joined=1).sort("round")
    assert joined["round"][0] == 0
    ends = dict(found["generations"].select("generation", "member_steps").iter_rows())
    for round, generation in joins.select("round", "generation").unique().iter_rows():
        assert ends[generation - 1] < 600 * (round + 1) <= ends[generation]
    sources = dict(candidates.select("id", "source").iter_rows())
    for row in candidates.filter(pl.col("fitness").is_not_null()).iter_rows(named=True):
        earlier = joined.filter(pl.col("generation") < row["generation"])["candidate"]
        portfolio = (REFERENCE, *(sources[id] for id in earlier))
        assert row["fitness"] == judged(row["source"], "search", row["side"], portfolio).fitness


def test_a_member_adds_less_the_second_time(tmp_path):
    """Whoever joined gains nothing any more, so it makes room among the elites of a family."""
    found = searched(tmp_path / "one.db", budget=1200, candidates=10**6)
    first = found["joins"].filter(joined=1, round=0)["candidate"].item()
    assert first not in found["joins"].filter(round=1)["candidate"]


def lucky_sines(sources, name, side=None, portfolio=(REFERENCE,)):
    """Whoever has a sine looks far better than it is on the search's problems."""
    is_lucky = [name == "search" and "sin" in source for source in sources]
    return [
        replace(one, fitness=one.fitness + 9) if luck and one.fitness is not None else one
        for one, luck in zip(objective(sources, name, side, portfolio), is_lucky, strict=True)
    ]


def test_only_what_was_confirmed_decides_who_may_join(tmp_path):
    found = searched(tmp_path / "one.db", lucky_sines, candidates=80)
    candidates = found["candidates"].filter(pl.col("confirmed") > 0)  # all to GELU: the only round ends with the search
    assert candidates.filter(pl.col("fitness") > 5).height > 10
    tried = found["joins"].filter(round=0)
    for side in (0, 1):
        of_side = candidates.filter(side=side).sort("confirmed", "id", descending=[True, False])
        assert set(of_side["id"].head(3)) <= set(tried["candidate"])
    assert tried.height == 6
    assert tried.filter(joined=1)["gain"].item() == tried["gain"].max()


def test_parents_are_elites_of_the_generation_before_of_both_sides(tmp_path):
    found = searched(tmp_path / "one.db", lucky_sines, candidates=120)
    sides = dict(found["candidates"].select("id", "side").iter_rows())
    mixed = 0
    for generation, parents in found["candidates"].select("generation", "parents").iter_rows():
        assert set(parents) <= set(found["elites"].filter(generation=generation - 1)["candidate"])
        mixed += len({sides[parent] for parent in parents}) == 2
    assert mixed > 0


def sources(found):
    return found["candidates"].filter(pl.col("generation") > 0)["source"].to_list()


def inverted(sources, name, side=None, portfolio=(REFERENCE,)):
    return [
        replace(one, fitness=-one.fitness) if name == "search" and one.fitness is not None else one
        for one in objective(sources, name, side, portfolio)
    ]


def test_the_random_control_ignores_what_came_before(tmp_path):
    one = searched(tmp_path / "one.db", arm="random")
    two = searched(tmp_path / "two.db", inverted, arm="random")
    assert sources(one) == sources(two)
    assert one["candidates"]["parents"].list.len().sum() == 0
    assert one["candidates"]["confirmed"].is_not_null().sum() > 4  # re-tested like the other arm's
    assert sources(searched(tmp_path / "three.db")) != sources(searched(tmp_path / "four.db", inverted))


def test_samples_of_the_control_are_the_mutators_own(tmp_path):
    control = settings(arm="random")
    run(tmp_path / "one.db", control, {"random": MUTATORS["random"]})
    expected = []
    for number in range(60 - len(SEEDED)):
        slot = Slot(1 + number // 8, number % 8, 0)
        rng = np.random.default_rng([3, slot.generation, slot.place, 0])
        rng.integers(1)  # the choice of the mutator
        expected.append(MUTATORS["random"]([], rng, slot).source)
    assert sources(tables(tmp_path / "one.db")) == expected


def threaded(sources, name, *more):
    """Four workers that finish in any order."""
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda source: objective([source], name, *more)[0], sources))


def test_the_number_of_workers_makes_no_difference(tmp_path):
    one, four = searched(tmp_path / "one.db"), searched(tmp_path / "four.db", threaded)
    for name, table in one.items():
        assert table.equals(four[name])


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return sources(searched(tmp_path_factory.mktemp("plain") / "one.db"))


@pytest.mark.parametrize(
    "changes",
    [{"confirmed": 1}, {"shown": 1}, {"elites": 2}, {"seed": 4}],
    ids=str,
)
def test_each_setting_changes_the_search(changes, plain, tmp_path):
    assert sources(searched(tmp_path / "one.db", **changes)) != plain


def test_unusable_answers_are_counted_and_tried_again(tmp_path):
    drawn = []

    def moody(parents, rng, slot):
        drawn.append(rng.random())
        if slot.attempt < 1 + slot.place % 3:
            raise Unusable("no code in it")
        return Proposal("def activation(x): return torch.sin(x) / 3")

    found = searched(tmp_path / "one.db", mutators={"moody": moody}, candidates=len(SEEDED) + 3, generation_size=3)
    tried = found["candidates"].filter(generation=1)
    assert tried["place"].to_list() == [0, 0, 1, 1, 1, 2, 2, 2]
    assert tried["reason"].to_list() == ["unusable", "known", "unusable", "unusable", "known", *["unusable"] * 3]
    assert set(tried.filter(reason="unusable")["detail"]) == {"no code in it"}
    assert len(set(drawn)) == 8  # every attempt has random numbers of its own
    assert set(tried["mutator"]) == {"moody"}


class Heard:
    """A mutator that writes down what it hears, in turn."""

    def __init__(self):
        self.heard = []

    def prepare(self, parents, slot):
        self.heard.append(("prepare", slot, parents))

    def __call__(self, parents, rng, slot):
        self.heard.append(("propose", slot, parents))
        if slot.place % 2 > slot.attempt:
            raise Unusable("odd")
        return MUTATORS["subtree"](parents, rng, slot)


def test_a_mutator_hears_of_the_whole_round_before_a_proposal_is_wanted(tmp_path):
    mutator = Heard()
    searched(tmp_path / "one.db", mutators={"one": mutator}, candidates=len(SEEDED) + 4, generation_size=4)
    rounds = [[Slot(1, place, 0) for place in range(4)], [Slot(1, place, 1) for place in (1, 3)]]
    steps = [(step, slot) for slots in rounds for step in ("prepare", "propose") for slot in slots]
    assert [(step, slot) for step, slot, _ in mutator.heard] == steps
    shown = {step: [(slot, parents) for now, slot, parents in mutator.heard if now == step] for step, _ in steps}
    assert shown["prepare"] == shown["propose"]


def test_preparing_changes_nothing(tmp_path):
    one = searched(tmp_path / "one.db", mutators={**MUTATORS, "heard": Heard()})
    two = searched(tmp_path / "two.db", mutators={**MUTATORS, "heard": lambda *asked: Heard()(*asked)})
    assert all(table.equals(two[name]) for name, table in one.items())


def test_parents_are_drawn_evenly_without_replacement():
    elites, rng = [elite(id, "") for id in range(4)], np.random.default_rng(0)
    draws = Counter(tuple(parent.id for parent in draw_parents(elites, 2, rng)) for _ in range(12_000))
    assert len(draws) == 12
    assert all(abs(count - 1000) < 130 for count in draws.values())  # four standard deviations
    assert sorted(parent.id for parent in draw_parents(elites, 9, rng)) == [0, 1, 2, 3]
    assert draw_parents([], 3, rng) == []


def test_a_generation_is_reported_as_it_was_committed(tmp_path):
    reported = []
    run(tmp_path / "one.db", settings(), MUTATORS, after_generation=reported.append)
    candidates = tables(tmp_path / "one.db")["candidates"]
    assert [report.generation for report in reported] == list(range(8))
    for report in reported:
        so_far = candidates.filter(pl.col("generation") <= report.generation)
        best = so_far.sort("confirmed", "id", descending=[True, False], nulls_last=True).row(0, named=True)
        assert (report.best, report.confirmed) == (best["id"], best["confirmed"])
        assert report.candidates == so_far.filter(attempt=0).height
        assert report.median == candidates.filter(generation=report.generation)["fitness"].median()
        assert report.rejected == Counter(so_far.filter(pl.col("reason") != "")["reason"])
        joins = tables(tmp_path / "one.db")["joins"].filter(pl.col("generation") <= report.generation)
        assert report.member_steps == so_far["member_steps"].sum() + joins["member_steps"].sum()
        assert report.members == 1 + joins["joined"].sum()
