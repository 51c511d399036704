"""LA and MoA: what they equal, how many parameters they have, and that all of them learn."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from arrange.activations.feedforward import DICTIONARY, LA, MoA, mix

X_BD = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))
NAMES = list(DICTIONARY)


@pytest.fixture(autouse=True)
def _seed():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        yield


def one_hot(layer, *names):
    """An LA whose branches use one function each."""
    with torch.no_grad():
        for weight_K, name in zip(layer.weight_NK, names, strict=True):
            weight_K.copy_(F.one_hot(torch.tensor(NAMES.index(name)), len(NAMES)))
    return layer


def test_the_dictionary_is_the_papers():
    x = torch.tensor([-2.0, 0.0, 3.0], dtype=torch.float64)
    expected = {
        "identity": [-2, 0, 3],
        "relu": [0, 0, 3],
        "relu_squared": [0, 0, 9],
        "leaky_relu": [-0.02, 0, 3],
        "gelu": [-0.0455003, 0, 2.9959503],
        "silu": [-0.2384058, 0, 2.8577224],
        "tanh": [-0.9640276, 0, 0.9950548],
    }
    assert list(expected) == NAMES
    for name, values in expected.items():
        assert DICTIONARY[name](x).tolist() == pytest.approx(values, abs=1e-6)


@pytest.mark.parametrize("name", DICTIONARY)
def test_la_with_one_coefficient_is_the_fixed_layer_bit_by_bit(name):
    layer = one_hot(LA(8, 16), name)
    assert torch.equal(layer(X_BD), layer.down(DICTIONARY[name](layer.up[0](X_BD))))


def test_la_with_two_branches_holds_swiglu():
    layer = one_hot(LA(8, 16, branches=2), "silu", "identity")
    gate, value = layer.up
    assert torch.equal(layer(X_BD), layer.down(F.silu(gate(X_BD)) * value(X_BD)))


def test_la_starts_with_all_ones():
    layer = LA(8, 16)
    hidden = layer.up[0](X_BD)
    torch.testing.assert_close(layer(X_BD), layer.down(sum(s(hidden) for s in DICTIONARY.values())))


@pytest.mark.parametrize("branches", [1, 2])
def test_moa_with_closed_gates_is_la_at_one_half(branches):
    moa, la = MoA(8, 16, branches), LA(8, 16, branches)
    la.load_state_dict(moa.state_dict() | {"weight_NK": torch.full((branches, 7), 0.5)}, strict=False)
    assert torch.equal(moa(X_BD), la(X_BD))


def test_moas_coefficients_are_the_tokens_own_and_not_normalised():
    layer = MoA(8, 16, branches=2)
    with torch.no_grad():
        layer.gate_NKD.normal_()
    for branch in (0, 1):
        found = layer.coefficients(X_BD, branch)
        for token in ((0, 0), (1, 4)):
            expected = [1 / (1 + torch.exp(-(layer.gate_NKD[branch, k] @ X_BD[token]))).item() for k in range(7)]
            assert found[token].tolist() == pytest.approx(expected, rel=1e-5)
    alone = layer(X_BD[1, 4])
    torch.testing.assert_close(layer(X_BD)[1, 4], alone)


def test_a_mixture_by_hand():
    """At 2 with coefficients 1 to 7: 2 + 2*2 + 3*4 + 4*2 + 5 gelu + 6 silu + 7 tanh."""
    x, coefficients = torch.tensor([2.0], dtype=torch.float64), torch.arange(1.0, 8.0, dtype=torch.float64)
    found = mix(tuple(DICTIONARY.values()), x, coefficients)
    assert found.item() == pytest.approx(26 + 5 * 1.9544997 + 6 * 1.7615942 + 7 * 0.9640276, abs=1e-5)


@pytest.mark.parametrize("layer", [LA, MoA])
def test_a_portfolio_is_a_dictionary_too(layer):
    layer = layer(8, 16, dictionary={"sin": torch.sin, "tanh": torch.tanh})
    hidden, share = layer.up[0](X_BD), 1 if isinstance(layer, LA) else 0.5
    torch.testing.assert_close(layer(X_BD), layer.down(share * (hidden.sin() + hidden.tanh())))


@pytest.mark.parametrize(
    ("layer", "count"),
    [(LA, 8 * 16 * 2 + 7), (MoA, 8 * 16 * 2 + 7 * 8)],
)
def test_parameters_are_counted(layer, count):
    assert sum(p.numel() for p in layer(8, 16).parameters()) == count
    assert sum(p.numel() for p in layer(8, 16, branches=2).parameters()) == 2 * count - 8 * 16


@pytest.mark.parametrize("layer", [LA, MoA])
@pytest.mark.parametrize("branches", [1, 2])
def test_every_parameter_gets_a_gradient_that_finite_differences_confirm(layer, branches):
    layer = layer(8, 4, branches).double()
    x_BD = X_BD[0].double()
    layer(x_BD).square().sum().backward()
    for parameter in layer.parameters():
        direction = torch.randn_like(parameter)
        expected = (parameter.grad * direction).sum().item()
        assert expected != 0
        ends = []
        for step in (1e-6, -2e-6):
            parameter.data += step * direction
            ends.append(layer(x_BD).square().sum().item())
        parameter.data += 1e-6 * direction
        assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(expected, rel=1e-4)


def test_la_holds_what_no_fixed_layer_of_its_size_does():
    """|x| = 2 relu(x) - x with one hidden unit; w2 s(w1 x) is no even function for any s of the dictionary."""
    layer, x_B1 = LA(1, 1), torch.linspace(-3, 3, 13).unsqueeze(1)
    with torch.no_grad():
        layer.up[0].weight.fill_(1)
        layer.down.weight.fill_(1)
        layer.weight_NK.copy_(torch.tensor([-1.0, 2.0, 0, 0, 0, 0, 0]))
    assert torch.equal(layer(x_B1), x_B1.abs())
    w = torch.linspace(0.05, 5, 100)
    assert all(((s(w) - s(-w)).abs() > 1e-6).all() for s in DICTIONARY.values())


def slopes(layer):
    """The gradients of the first output at some points, as directions."""
    x_BD = X_BD.clone().requires_grad_()
    slope_BD = torch.autograd.grad(layer(x_BD)[..., 0].sum(), x_BD)[0].flatten(0, 1)
    return torch.linalg.matrix_rank(slope_BD, rtol=1e-5).item()


def test_moa_holds_what_no_la_of_its_size_does():
    """With one hidden unit an LA varies in one direction only."""
    moa = MoA(8, 1)
    with torch.no_grad():
        moa.gate_NKD.normal_()
    assert slopes(LA(8, 1)) == 1
    assert slopes(moa) == 8
