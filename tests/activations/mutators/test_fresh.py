from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arrange.activations.mutators import fresh
from arrange.activations.programs.admission import admit
from arrange.activations.programs.canonical import canonical
from arrange.activations.programs.check import check, compile_program

EXAMPLES = settings(max_examples=100, deadline=None)

FORMS = [form for kind in fresh.KINDS for form in kind]
SEEDS = st.integers(0, 2**32)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_grammar_is_finite_of_x_and_of_its_multiples(form):
    holes = form.count("{}")
    activation = compile_program(f"def activation(x): return {form.format(*['x', '2.5 * x'][:holes])}")
    x = torch.tensor([-1e4, -3.0, -1.0, 0.0, 1.0, 3.0, 1e4], requires_grad=True)
    values = activation(x)
    values.sum().backward()
    assert values.isfinite().all()
    assert x.grad.isfinite().all()


@EXAMPLES
@given(SEEDS)
def test_a_sample_is_a_program_and_the_same_for_the_same_seed(seed):
    source = fresh.program(np.random.default_rng(seed))
    check(source)
    assert source == fresh.program(np.random.default_rng(seed))
    assert "x" in source.split("return")[1]


@EXAMPLES
@given(SEEDS, st.integers(0, 4))
def test_terms_are_nested_no_deeper_than_asked(seed, depth):
    text = fresh.term(np.random.default_rng(seed), depth)
    opened = np.cumsum([{"(": 1, ")": -1}.get(letter, 0) for letter in text])
    assert opened.max() <= 3 * depth  # a form opens three at most, as in exp(-square({}))
    assert depth or text in ("x", f"{text.split()[0]} * x")


def test_samples_differ_and_nearly_all_are_admitted():
    rng = np.random.default_rng(0)
    programs = [fresh.program(rng) for _ in range(100)]
    assert len({canonical(program) for program in programs}) >= 98
    good = 0
    for program in programs:
        try:
            good += admit(compile_program(program), flops=100).pointwise
        except Exception:
            continue
    assert good >= 98


def test_a_known_activation_with_a_wave_is_the_rule():
    rng = np.random.default_rng(0)
    counts = Counter(
        any(wave.split("(")[0] in program for wave in fresh.WAVES)
        and any(k.split("(")[0] in program for k in fresh.KNOWN)
        for program in (fresh.program(rng) for _ in range(500))
    )
    assert counts[True] > 300  # 0.6 of them at least


def test_constants_are_positive_around_their_median_and_short():
    rng = np.random.default_rng(0)
    drawn = np.array([fresh.constant(rng, 0.2) for _ in range(4000)])
    assert (drawn > 0).all()
    assert np.median(drawn) == pytest.approx(0.2, rel=0.05)
    assert np.log(drawn).std() == pytest.approx(0.7, rel=0.05)
    assert max(len(str(value)) for value in drawn) <= 7


def test_pick_can_give_everything():
    rng = np.random.default_rng(0)
    assert {fresh.pick(rng, "abc") for _ in range(100)} == set("abc")
