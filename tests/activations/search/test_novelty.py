"""What counts as seen before."""

import numpy as np
import pytest
from activations.search.target import curve, objective, program, run, settings

from arrange.activations.evaluation import GRID
from arrange.activations.mutators.expression import expression
from arrange.activations.search.export import tables
from arrange.activations.search.novelty import SIMILAR, features, form, similarity
from arrange.activations.search.proposals import Proposal


def like(one, other):
    return similarity(features(curve(program(one), GRID)), features(curve(program(other), GRID))[None])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("F.gelu(x)", "-2 * F.gelu(x) + 3"),
        ("F.gelu(x)", "F.gelu(x) + 0.001 * torch.sin(x)"),
        ("F.relu(x)", "torch.clamp(x, min=0.0)"),
        ("F.relu(x)", "F.leaky_relu(x, 0.01)"),
    ],
)
def test_scale_sign_offset_and_what_is_tiny_count_for_nothing(one, other):
    assert like(one, other) > SIMILAR


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("F.relu(x)", "F.gelu(x)"),
        ("F.gelu(x)", "F.silu(x)"),
        ("F.gelu(x)", "F.gelu(x) + 0.1 * torch.sin(x)"),
        ("F.relu(x)", "torch.abs(x)"),
        ("F.gelu(x)", "F.gelu(x) + 0.5 * x"),
        ("x", "2 * x"),  # no curvature to compare
    ],
)
def test_what_a_network_would_tell_apart_is_novel(one, other):
    assert like(one, other) < SIMILAR


def test_the_likest_of_several_counts():
    shapes = [features(np.sin(k * GRID)) for k in (1, 2, 3)]
    assert similarity(shapes[1], np.stack(shapes)) == pytest.approx(1)
    assert similarity(shapes[1], np.stack(shapes)[[0, 2]]) < 0.5
    assert similarity(shapes[1], np.empty((0, 3, 65))) == 0


def test_forms_are_equal_where_operations_are_and_a_refused_text_is_its_own():
    assert form(program("2.0 * torch.tanh(x)")) == form("def activation(x):\n  y = x.tanh()\n  return y * 2")
    assert form("no program") == "no program"


def told(*expressions):
    """A mutator that proposes these, by attempt."""
    return lambda parents, rng, slot: Proposal(program(expressions[slot.attempt]), "told")


def test_a_place_has_three_attempts_at_something_novel(tmp_path):
    asked = []

    def evaluate(sources, name):
        asked.append((name, len(sources)))
        return objective(sources, name)

    search = settings(candidates=12, generation_size=1, novelty=True)
    run(tmp_path / "one.db", search, {"told": told("F.gelu(x)", "F.gelu(x) + 5", "torch.sin(3 * x)")}, evaluate)
    last = tables(tmp_path / "one.db")["candidates"].filter(generation=1)
    assert last["reason"].to_list() == ["duplicate", "similar", ""]
    assert last["member_steps"].to_list()[:2] == [0, 0]
    assert last["curve"].is_null().to_list() == [True, False, False]
    assert asked[:2] == [("search", 11), ("confirm", 6)]
    assert asked[2:4] == [("admit", 1), ("admit", 1)]
    assert ("search", 1) in asked


def test_candidates_of_one_generation_are_compared_with_each_other(tmp_path):
    search = settings(candidates=14, generation_size=3, novelty=True, attempts=1)
    run(tmp_path / "one.db", search, {"told": told("torch.sin(3 * x)")})
    last = tables(tmp_path / "one.db")["candidates"].filter(generation=1)
    assert last["reason"].to_list() == ["", "duplicate", "duplicate"]


def test_curves_of_one_generation_are_compared_with_each_other(tmp_path):
    def shifted(parents, rng, slot):
        return Proposal(program(f"torch.sin(3 * x) + {slot.place}"), "shifted")

    search = settings(candidates=14, generation_size=3, novelty=True, attempts=1)
    run(tmp_path / "one.db", search, {"shifted": shifted})
    last = tables(tmp_path / "one.db")["candidates"].filter(generation=1)
    assert last["reason"].to_list() == ["", "similar", "similar"]


def test_what_is_not_admitted_uses_up_its_place(tmp_path):
    run(tmp_path / "one.db", settings(candidates=12, novelty=True), {"told": told("torch.log(x)", "torch.sin(3 * x)")})
    last = tables(tmp_path / "one.db")["candidates"].filter(generation=1)
    assert last["reason"].to_list() == ["not_finite"]


def test_without_novelty_the_same_may_come_again(tmp_path):
    run(tmp_path / "one.db", settings(candidates=13, generation_size=2), {"told": told("F.gelu(x)")})
    last = tables(tmp_path / "one.db")["candidates"].filter(generation=1)
    assert last["fitness"].is_not_null().all()
    assert last["member_steps"].to_list() == [0, 0]
    assert last["confirmed"].is_null().all()  # a program is re-tested once


def test_no_two_programs_of_an_island_are_alike(tmp_path):
    search = settings(candidates=80, novelty=True, islands=2)
    run(tmp_path / "one.db", search, expression())
    candidates = tables(tmp_path / "one.db")["candidates"]
    for island in (0, 1):
        own = candidates.filter(candidates["island"].eq_missing(island) & candidates["fitness"].is_not_null())
        shapes = np.stack([features(values) for values in own["curve"]])
        assert own["canonical"].is_unique().all()
        assert max(similarity(shapes[row], shapes[:row]) for row in range(1, len(own))) <= SIMILAR
    assert {"duplicate", "similar"} <= set(candidates["reason"])
