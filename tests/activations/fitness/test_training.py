from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from arrange.activations.fitness.training import fit, initial, scheduled
from benchmarks._one_by_one import fit_one_by_one

SETTINGS = {"width": 8, "depth": 2, "steps": 30, "rates": [3e-3, 1e-2], "warmup": 5, "clip": 1.0}
SETTINGS |= {"gain": 1.5, "pointwise": True}


def some_arrays(problems=3, seeds=2, points=24):
    rng = np.random.default_rng(0)
    x = {
        f"{name}_x": rng.uniform(-1, 1, (problems, points, 4)).astype(np.float32) for name in ("train", "valid", "ood")
    }
    inputs = np.arange(problems) % 4 + 1
    for values, (p, used) in product(x.values(), enumerate(inputs)):
        values[p, :, used:] = 0
    y = (10 * np.sin(3 * x["train_x"].sum(axis=2))).astype(np.float32)  # 10: some gradients are clipped
    return {**x, "train_y": y, "inputs": inputs, "keys": np.arange(problems * seeds).reshape(problems, seeds)}


ARRAYS = some_arrays()


def one_problem(p, keys=slice(None)):
    return {name: array[p : p + 1, keys] if name == "keys" else array[p : p + 1] for name, array in ARRAYS.items()}


def centred(x):
    return torch.tanh(x - x.mean()) * torch.softmax(x, dim=-1)


@pytest.mark.parametrize(
    ("activation", "pointwise"),
    [(F.gelu, True), (torch.sin, True), (lambda x: x * x.sigmoid(), True), (centred, False)],
)
def test_all_members_at_once_learn_what_each_learns_alone(activation, pointwise):
    settings = {**SETTINGS, "pointwise": pointwise}
    together, alone = fit(activation, ARRAYS, settings), fit_one_by_one(activation, ARRAYS, settings)
    for name in ("train", "valid", "ood"):
        assert together[name].shape == (3, 2, 2, 24)
        assert together[name].dtype == np.float32
        np.testing.assert_allclose(together[name], alone[name], rtol=1e-3, atol=1e-4)
    started = fit(activation, ARRAYS, {**settings, "steps": 0})["train"]
    assert np.abs(together["train"] - started).mean() > 0.05  # far more than the tolerance


def test_one_hidden_layer_or_three_are_as_good():
    for depth in (1, 3):
        settings = {**SETTINGS, "depth": depth}
        together, alone = fit(torch.tanh, ARRAYS, settings), fit_one_by_one(torch.tanh, ARRAYS, settings)
        np.testing.assert_allclose(together["ood"], alone["ood"], rtol=1e-3, atol=1e-4)


def exploding(x):
    """Not a number beyond a size that only fast learners reach."""
    return torch.where(x.abs() > 8, torch.nan, x)


def test_a_member_that_diverges_disturbs_no_other():
    settings = {**SETTINGS, "rates": [1e-3, 3.0]}
    together = fit(exploding, ARRAYS, settings)["train"]
    assert np.isnan(together[:, :, 1]).all()
    assert np.isfinite(together[:, :, 0]).all()
    alone = fit(exploding, ARRAYS, {**settings, "rates": [1e-3]})["train"]
    np.testing.assert_allclose(together[:, :, 0], alone[:, :, 0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("activation", "pointwise"), [(torch.tanh, True), (centred, False)])
def test_what_a_member_learns_depends_on_no_other_member(activation, pointwise):
    settings = {**SETTINGS, "pointwise": pointwise}
    together = fit(activation, ARRAYS, settings)["ood"]
    for p in range(3):
        np.testing.assert_allclose(
            fit(activation, one_problem(p), settings)["ood"][0], together[p], rtol=1e-3, atol=1e-4
        )


def test_the_same_job_gives_the_same_bytes_and_draws_no_global_random_numbers():
    state = torch.get_rng_state()
    first, again = (fit(F.gelu, ARRAYS, SETTINGS)["ood"].tobytes() for _ in range(2))
    assert first == again
    assert torch.equal(torch.get_rng_state(), state)


def test_first_weights_depend_on_the_key_alone_and_scale_with_the_inputs_in_use():
    keys, sizes = np.array([[5, 6], [7, 5]]), [4, 300, 300, 1]
    first_MK = initial(keys, np.array([4, 4]), sizes)
    assert torch.equal(first_MK[0], first_MK[3])
    assert not torch.equal(first_MK[0], first_MK[1])
    one_input, four = initial(np.array([[5]]), np.array([1]), sizes)[0], first_MK[0]
    torch.testing.assert_close(one_input[:1500], 2 * four[:1500])  # the first layer's weight and bias
    assert torch.equal(one_input[1500:], four[1500:])
    assert four[:1200].std().item() == pytest.approx(1 / 2, rel=0.1)
    assert four[1500 : 1500 + 90000].std().item() == pytest.approx(300**-0.5, rel=0.02)
    assert four[1200:1500].abs().max().item() == pytest.approx(1 / 2, rel=0.02)


def test_the_rate_rises_over_the_warm_up_and_ends_near_zero():
    rates = [scheduled(step, steps=100, warmup=4) for step in range(100)]
    assert rates[0] == pytest.approx(1 / 4)
    assert rates[1] == pytest.approx(2 / 4 * (1 + np.cos(np.pi / 100)) / 2)
    assert rates[50] == pytest.approx(1 / 2)
    assert rates[99] == pytest.approx((1 + np.cos(np.pi * 0.99)) / 2)
    assert max(rates) == rates[3]


def test_without_arrays_nothing_is_trained():
    assert fit(torch.tanh, {}, {"gain": 1.0, "pointwise": True}) == {}
