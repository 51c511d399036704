"""Whole searches of a cheap real objective: budget, false positives, the control, islands."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl
import pytest
from activations.search.target import PARTS, STEPS, objective, program, run
from activations.small import elite
from activations.small import search as settings

from arrange.activations.evaluation import Evaluation
from arrange.activations.mutators.expression import expression_mutators
from arrange.activations.search.candidates import Proposal, Slot, Unusable
from arrange.activations.search.evolve import draw_parents
from arrange.activations.search.export import distinct, tables

MUTATORS = expression_mutators()


def searched(path, evaluate=objective, mutators=MUTATORS, **changes):
    run(path, settings(**changes), mutators, evaluate)
    return tables(path)


def test_the_search_comes_nearer_to_its_target_than_its_seeds(tmp_path):
    found = searched(tmp_path / "one.db", candidates=150)["generations"]["confirmed"]
    assert found.is_sorted()
    assert found[-1] > found[0]


@pytest.mark.parametrize("parts", [{}, PARTS], ids=["one island", "two"])
def test_no_generation_starts_beyond_the_budget_and_all_that_was_spent_is_counted(tmp_path, parts):
    spent = Counter()

    def evaluate(sources, name):
        evaluations = objective(sources, name)
        spent[name] += sum(evaluation.member_steps for evaluation in evaluations)
        return evaluations

    generations = searched(tmp_path / "one.db", evaluate, budget=900, candidates=10**6, **parts)["generations"]
    steps = generations["member_steps"].to_list()
    assert steps[-1] >= 900 > steps[-2]
    assert steps[-1] == spent["search"] + spent["confirm"]
    assert spent["confirm"] > 0
    assert spent["search"] % STEPS["search"] == spent["confirm"] % STEPS["confirm"] == 0
    exactly = searched(tmp_path / "two.db", budget=steps[1], candidates=10**6, **parts)["generations"]
    assert exactly["member_steps"].to_list() == steps[:2]


@pytest.mark.parametrize("cap", [5, 11, 12, 30])
def test_the_cap_in_candidates_is_exact_and_seeds_count(tmp_path, cap):
    found = searched(tmp_path / "one.db", candidates=cap)
    assert found["generations"]["candidates"].to_list()[-1] == cap
    assert found["candidates"].select("generation", "place").unique().height == cap


@pytest.mark.parametrize("arm", ["evolution", "random"])
def test_what_the_search_has_measured_before_costs_nothing_again(arm, tmp_path):
    """Generation 1: gelu (a seed), a new one, it again in other words, it on another island. 2: the same three."""
    drawn = [program(text) for text in ("F.gelu(x)", "torch.sin(3 * x)", "(x * 3).sin()", "torch.sin(3 * x)")]

    def told(parents, rng, slot):
        return Proposal(drawn[slot.place])

    changes = {"arm": arm, "islands": 2, "candidates": 11 + 8, "generation_size": 4}
    found = searched(tmp_path / "one.db", mutators={"told": told}, **changes)
    candidates = found["candidates"].filter(pl.col("generation") > 0)
    retested = STEPS["confirm"] * candidates["confirm_reason"].is_not_null().cast(int)
    assert (candidates["member_steps"] - retested).to_list() == [0, STEPS["search"], 0, 0, 0, 0, 0, 0]
    assert retested[2:].sum() == 0
    seed = found["candidates"].filter(generation=0, canonical=candidates["canonical"][0])
    told_once = ["fitness", "reason", "flops", "pointwise", "gain", "curve"]
    assert candidates.head(1).select(told_once).equals(seed.select(told_once))
    assert candidates[1:4]["fitness"].n_unique() == candidates[5:]["fitness"].n_unique() == 1
    own = found["measurements"].filter(pl.col("candidate") > 11, set="search")
    assert own["candidate"].to_list() == [13]


def lucky_sines(sources, name):
    """Whoever has a sine looks far better than it is on the search's problems."""
    is_lucky = [name == "search" and "sin" in source for source in sources]
    return [
        Evaluation(e.fitness + 9, "", "", e.member_steps, e.admitted) if luck and e.fitness is not None else e
        for e, luck in zip(objective(sources, name), is_lucky, strict=True)
    ]


def test_false_positives_are_recorded_but_never_elites(tmp_path):
    found = searched(tmp_path / "one.db", lucky_sines, candidates=120)
    candidates = found["candidates"]
    false_positives = candidates.filter(pl.col("fitness") > 5, pl.col("confirmed") < 0)
    assert len(false_positives) > 5
    for generation in found["generations"]["generation"]:
        elites = found["elites"].filter(generation=generation)["candidate"]
        known = candidates.filter(pl.col("generation") <= generation, pl.col("confirmed").is_not_null())
        best = distinct(known.sort("confirmed", "id", descending=[True, False]))
        assert sorted(elites) == sorted(best["id"].head(6))  # by what was confirmed, and by nothing else


def test_parents_are_elites_of_the_generation_before(tmp_path):
    found = searched(tmp_path / "one.db", lucky_sines, candidates=120)
    for generation, parents in found["candidates"].select("generation", "parents").iter_rows():
        assert set(parents) <= set(found["elites"].filter(generation=generation - 1)["candidate"])


def sources(found):
    return found["candidates"].filter(pl.col("generation") > 0)["source"].to_list()


def inverted(sources, name):
    return [
        Evaluation(-e.fitness, "", "", e.member_steps, e.admitted) if e.fitness is not None else e
        for e in objective(sources, name)
    ]


def test_the_random_control_ignores_what_came_before(tmp_path):
    one = searched(tmp_path / "one.db", arm="random")
    two = searched(tmp_path / "two.db", inverted, arm="random")
    assert sources(one) == sources(two)
    assert one["candidates"]["parents"].list.len().sum() == 0
    assert one["candidates"]["confirmed"].is_not_null().sum() > 6  # re-tested like the other arm's
    assert sources(searched(tmp_path / "three.db")) != sources(searched(tmp_path / "four.db", inverted))


def test_samples_of_the_control_are_the_mutators_own(tmp_path):
    control = settings(arm="random")
    run(tmp_path / "one.db", control, {"random": MUTATORS["random"]})
    expected = []
    for number in range(49):
        slot = Slot(1 + number // 8, number % 8, 0)
        rng = np.random.default_rng([3, slot.generation, slot.place, 0])
        rng.integers(1)  # the choice of the mutator
        expected.append(MUTATORS["random"]([], rng, slot).source)
    assert sources(tables(tmp_path / "one.db")) == expected


def origins(candidates):
    """For each candidate the islands that it descends from."""
    found = {}
    for id, island, parents in candidates.select("id", "island", "parents").iter_rows():
        found[id] = set().union(*(found[parent] for parent in parents)) | ({island} - {None})
    return found


def test_islands_know_nothing_of_each_other_before_the_first_migration(tmp_path):
    found = searched(tmp_path / "one.db", candidates=140, islands=2, migration_every=4)
    of = origins(found["candidates"])
    ages = dict(found["candidates"].select("id", "generation").iter_rows())
    assert all(len(islands) == 1 for id, islands in of.items() if 0 < ages[id] <= 4)
    assert any(len(islands) == 2 for id, islands in of.items() if ages[id] > 4)
    for generation, island, id in found["elites"].iter_rows():
        assert of[id] <= {island} or generation >= 4
    before = found["elites"].filter(generation=3).partition_by("island")
    assert set(before[0]["candidate"]) != set(before[1]["candidate"])


def threaded(sources, name):
    """Four workers that finish in any order."""
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda source: objective([source], name)[0], sources))


def test_the_number_of_workers_makes_no_difference(tmp_path):
    one, four = searched(tmp_path / "one.db", **PARTS), searched(tmp_path / "four.db", threaded, **PARTS)
    for name, table in one.items():
        assert table.equals(four[name])


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return sources(searched(tmp_path_factory.mktemp("plain") / "one.db"))


@pytest.mark.parametrize(
    "changes",
    [{"islands": 2}, {"shown": 1}, {"elites": 2}, {"seed": 4}],
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

    found = searched(tmp_path / "one.db", mutators={"moody": moody}, candidates=14, generation_size=3)
    tried = found["candidates"].filter(generation=1)
    assert tried["place"].to_list() == [0, 0, 1, 1, 1, 2, 2, 2]
    assert tried["reason"].to_list() == ["unusable", "", "unusable", "unusable", "", *["unusable"] * 3]
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
    searched(tmp_path / "one.db", mutators={"one": mutator}, candidates=15, generation_size=4)
    rounds = [[Slot(1, place, 0) for place in range(4)], [Slot(1, place, 1) for place in (1, 3)]]
    steps = [(step, slot) for slots in rounds for step in ("prepare", "propose") for slot in slots]
    assert [(step, slot) for step, slot, _ in mutator.heard] == steps
    shown = {step: [(slot, parents) for now, slot, parents in mutator.heard if now == step] for step, _ in steps}
    assert shown["prepare"] == shown["propose"]


@pytest.mark.parametrize("parts", [{}, PARTS], ids=["one island", "two"])
def test_preparing_changes_nothing(tmp_path, parts):
    one = searched(tmp_path / "one.db", mutators={**MUTATORS, "heard": Heard()}, **parts)
    two = searched(tmp_path / "two.db", mutators={**MUTATORS, "heard": lambda *asked: Heard()(*asked)}, **parts)
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
        assert report.member_steps == so_far["member_steps"].sum()
