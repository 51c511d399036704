"""Swapping the activation of the families that the project promises to work with."""

import families
import pytest
import torch
from torch import nn

from arrange.activations.feedforward import AsModule, swap
from arrange.activations.mined import gelusine
from arrange.errors import UserError

TOKENS_BL = torch.randint(families.VOCABULARY, (2, 9), generator=torch.Generator().manual_seed(0))


def original(model):
    """The activation of the first feed-forward layer."""
    layer = (model.transformer.h if hasattr(model, "transformer") else model.model.layers)[0].mlp
    return layer.act if hasattr(layer, "act") else layer.act_fn


@pytest.mark.parametrize("family", families.CONFIGS)
def test_the_same_function_changes_no_bit_and_another_does(family):
    model = families.model(family)
    layers = model.config.num_hidden_layers
    with torch.no_grad():
        before = model(TOKENS_BL).logits
        assert swap(model, original(model).forward) == layers
        assert torch.equal(model(TOKENS_BL).logits, before)
        assert swap(model, gelusine) == layers
        assert not torch.allclose(model(TOKENS_BL).logits, before)


@pytest.mark.parametrize("family", families.CONFIGS)
def test_every_layer_is_reached_and_gradients_flow_through_it(family):
    model, calls = families.model(family), []

    def counted(x):
        calls.append(x.shape)
        return gelusine(x)

    swap(model, counted)
    model(TOKENS_BL).logits.square().sum().backward()
    assert len(calls) == model.config.num_hidden_layers
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    inner = [p.grad for name, p in model.named_parameters() if "gate_proj" in name or "c_fc" in name]
    assert all(grad.abs().sum() > 0 for grad in inner)


def test_a_model_without_activations_is_named():
    with pytest.raises(UserError, match="swap: Sequential has no activation named act_fn or act\n"):
        swap(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), gelusine)


def test_a_function_as_a_module():
    model = nn.Sequential(nn.Linear(2, 3), AsModule(gelusine))
    x = torch.ones(4, 2)
    assert torch.equal(model(x), gelusine(model[0](x)))
