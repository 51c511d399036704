import ast
import re

import numpy as np
import pytest
from activations.small import elite
from hypothesis import given, settings
from hypothesis import strategies as st

from arrange.activations.mutators.expression import SIZE, expression_mutators
from arrange.activations.mutators.fresh import program
from arrange.activations.mutators.trees import places, terms
from arrange.activations.programs.check import check
from arrange.activations.search.candidates import Candidate, Proposal, Slot

EXAMPLES = settings(max_examples=100, deadline=None)

SLOT = Slot(0, 0, 0)
MUTATORS = expression_mutators()
CHANGES = [name for name in MUTATORS if name != "random"]

LOCALS = """
def activation(x):
    y = torch.tanh(x) * 0.5
    for _ in range(3):
        y = y - 0.1 * y ** 3
    return torch.where(x > 0, y.abs().sqrt(), x.clamp(min=-2, max=3)) + math.pi
"""
STATISTICS = """
def activation(x):
    z = (x - x.mean(dim=-1, keepdim=True)) / (x.std(dim=-1, keepdim=True) + 1e-3)
    return torch.softmax(z, dim=-1) * x
"""
LONG = "def activation(x):\n    return " + " + ".join(f"{k} * torch.sin({k} * x)" for k in range(1, 13))
IDENTITY = "def activation(x):\n    return x"
WRITTEN = st.sampled_from([LOCALS, STATISTICS, LONG, IDENTITY, "def activation(x):\n    return F.relu(x)"])
PROGRAMS = WRITTEN | st.integers(0, 2**32).map(lambda seed: program(np.random.default_rng(seed)))
PARENTS = st.lists(PROGRAMS, min_size=1, max_size=3).map(
    lambda sources: [elite(10 + place, source, 0.0) for place, source in enumerate(sources)]
)
SEEDS = st.integers(0, 2**32)


def size(source: str) -> int:
    return len(list(places(check(source))))


def ask(name: str, parents: list[Candidate], seed: int) -> Proposal:
    return MUTATORS[name](parents, np.random.default_rng(seed), SLOT)


def shown(*expressions: str) -> list[Candidate]:
    return [elite(place, f"def activation(x):\n    return {text}", 0.0) for place, text in enumerate(expressions)]


def returned(proposal: Proposal) -> str:
    return proposal.source.removeprefix("def activation(x):\n    return ").strip()


def holes(source: str) -> list[tuple[str, re.Pattern[str]]]:
    """Each term of a program and a pattern for the same program with something else in its place."""
    found = []
    for index, place in enumerate(terms(check(source))):
        tree = check(source)
        terms(tree)[index].put(ast.Name("HOLE"))
        text = ast.unparse(tree).removeprefix("def activation(x):\n    return ")
        found.append((ast.unparse(place.value), re.compile(re.escape(text).replace("HOLE", "(.*)"))))
    return found


@EXAMPLES
@given(st.sampled_from(list(MUTATORS)), PARENTS, SEEDS)
def test_whatever_is_proposed_is_a_new_program_of_bounded_size(name, parents, seed):
    proposal = ask(name, parents, seed)
    tree = check(proposal.source)
    assert size(proposal.source) <= max(SIZE, *(size(parent.source) for parent in parents))
    if name != "random" and proposal.note != "from nothing":  # with a parent's seed that is the parent again
        assert ast.dump(tree) not in [ast.dump(check(parent.source)) for parent in parents[: 1 + (name == "crossover")]]


@EXAMPLES
@given(st.sampled_from(list(MUTATORS)), PARENTS, SEEDS)
def test_the_same_seed_gives_the_same_program(name, parents, seed):
    assert ask(name, parents, seed) == ask(name, parents, seed)


@EXAMPLES
@given(st.sampled_from(list(MUTATORS)), SEEDS)
def test_without_parents_a_program_is_drawn_from_the_grammar(name, seed):
    drawn = program(np.random.default_rng(seed))
    proposal = ask(name, [], seed)
    assert (proposal.source, proposal.parents) == (drawn, ())


@EXAMPLES
@given(PARENTS, SEEDS)
def test_random_looks_at_no_parents(parents, seed):
    assert ask("random", parents, seed) == ask("random", [], seed)


@pytest.mark.parametrize("name", CHANGES)
def test_the_parents_named_are_those_used(name):
    parents = shown("torch.sin(2 * x)", "torch.cos(3 * x)", "torch.tanh(x)")
    proposal = ask(name, parents, 0)
    assert proposal.parents == ((0, 1) if name == "crossover" else (0,))


def test_a_long_line_of_descent_stays_small_and_within_the_grammar():
    rng = np.random.default_rng(0)
    parents = [elite(0, LOCALS, 0.0), elite(1, STATISTICS, 0.0)]
    for step in range(400):
        proposal = MUTATORS[CHANGES[step % len(CHANGES)]](parents, rng, SLOT)
        assert size(proposal.source) <= SIZE
        parents = [elite(step, proposal.source, 0.0), parents[int(rng.integers(2))]]


@EXAMPLES
@given(SEEDS)
def test_subtree_replaces_one_term_and_leaves_the_rest(seed):
    parent = shown("0.5 * torch.sin(x) + torch.tanh(2 * x) * F.gelu(x - 3) - torch.where(x > 1, 7 * x, F.relu(x) / 9)")
    text = returned(ask("subtree", parent, seed))
    around = [pattern for term, pattern in holes(parent[0].source) if pattern.pattern != "(.*)"]
    everything = size(f"def activation(x): return {text}") <= 20  # no fresh term has more
    assert everything or any(pattern.fullmatch(text) for pattern in around)


@EXAMPLES
@given(SEEDS)
def test_crossover_makes_what_a_search_over_all_pairs_makes(seed):
    first, second = shown("torch.sin(x) * 0.5 + x", "F.gelu(2 * x)")
    possible = set()
    for donor in ("F.gelu(2 * x)", "2 * x"):
        for index in range(len(terms(check(first.source)))):
            tree = check(first.source)
            terms(tree)[index].put(ast.parse(donor, mode="eval").body)
            possible.add(ast.unparse(tree) + "\n")
    assert ask("crossover", [first, second], seed).source in possible - {second.source + "\n"}


def test_crossover_can_make_every_one_of_them():
    made = {returned(ask("crossover", shown("torch.sin(x)", "F.gelu(x + 1)"), seed)) for seed in range(60)}
    assert made == {"torch.sin(F.gelu(x + 1))", "torch.sin(x + 1)", "x + 1"}


def test_crossover_takes_no_variable_where_it_is_unknown():
    parents = [elite(0, "def activation(x):\n    return torch.sin(x)", 0.0), elite(1, LOCALS, 0.0)]
    for seed in range(40):
        assert "y" not in returned(ask("crossover", parents, seed)).replace("tanh", "")


@EXAMPLES
@given(SEEDS)
def test_constants_change_numbers_and_nothing_else(seed):
    before = "torch.where(x > 0.5, 3 * x ** 2, F.leaky_relu(x, 0.1))"
    after = returned(ask("constants", shown(before), seed))
    pattern = re.escape(before).replace("3", "N").replace(r"0\.5", "N").replace(r"0\.1", "N")
    found = re.fullmatch(pattern.replace("N", r"(-?[\d.e-]+)"), after)
    assert found
    assert after != before  # rarely in the spelling alone: one seed in a thousand draws 3.0 for 3
    ratios = [abs(float(new)) / old for new, old in zip(found.groups(), (0.5, 3, 0.1), strict=True)]
    assert all(1 / 10 < ratio < 10 for ratio in ratios)


def test_constants_change_one_or_all():
    before = (0.5, 2.0, 4.0)
    counts = set()
    for seed in range(30):
        text = returned(ask("constants", shown("0.5 * torch.sin(2.0 * x) + 4.0 * x"), seed))
        found = [float(number) for number in re.findall(r"[\d.]+(?:e-\d+)?", text.replace("torch.", ""))]
        counts.add(sum(new != old for new, old in zip(found, before, strict=True)))
    assert counts == {1, 3}


@EXAMPLES
@given(SEEDS)
def test_without_a_number_a_term_is_scaled(seed):
    assert re.fullmatch(
        r"F\.gelu\([\d.]+ \* x\)|[\d.]+ \* F\.gelu\(x\)", returned(ask("constants", shown("F.gelu(x)"), seed))
    )


def test_zero_can_leave_zero():
    assert float(returned(ask("constants", shown("torch.maximum(x, 0)"), 1)).split(", ")[1].strip(")")) != 0


def test_simplify_drops_something_and_folds_what_is_left():
    parents = shown("F.gelu(x) + 0.5 * torch.sin(2 * x) * (3 - 2)")
    made = {returned(ask("simplify", parents, seed)) for seed in range(100)}
    assert made == {
        "F.gelu(x)",
        "x + 0.5 * torch.sin(2 * x)",
        "0.5 * torch.sin(2 * x)",
        "F.gelu(x) + 0.5 * torch.sin(2 * x)",
        "F.gelu(x) + torch.sin(2 * x)",
        "F.gelu(x) + 0.5 * (2 * x)",
        "F.gelu(x) + 0.5 * torch.sin(x)",
    }


@EXAMPLES
@given(SEEDS)
def test_simplify_makes_programs_smaller(seed):
    parent = program(np.random.default_rng(seed))
    proposal = ask("simplify", [elite(0, parent, 0.0)], seed)
    assert proposal.note or size(proposal.source) < size(parent)


@EXAMPLES
@given(SEEDS)
def test_combine_adds_a_wave_to_a_term_and_leaves_the_rest(seed):
    parent = shown("0.5 * torch.tanh(x) + F.gelu(2 * x)")
    text = returned(ask("combine", parent, seed))
    matches = [(term, pattern.fullmatch(text)) for term, pattern in holes(parent[0].source)]
    assert any(
        found and re.search(rf"{re.escape(term)}\W.*torch\.(sin|cos|sinc)\(", found[1]) for term, found in matches
    )


def test_where_nothing_can_be_changed_a_fresh_program_is_given_and_says_so():
    proposal = ask("simplify", shown("x"), 0)
    assert (proposal.parents, proposal.note) == ((), "from nothing")
