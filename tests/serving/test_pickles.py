"""Weights in a pickle are refused, with two lines, unless they are asked for."""

import families
import pytest
import torch
from tiny import Tokens

from arrange.errors import UserError
from arrange.models import encoders, pretrained
from arrange.models import ranker as model
from arrange.models.ranker import by_name


@pytest.fixture
def pickled(tmp_path):
    """A folder with a model whose weights are a pickle, and the model."""
    made = families.model("llama")
    made.config.save_pretrained(tmp_path)
    torch.save(made.state_dict(), tmp_path / "pytorch_model.bin")
    return tmp_path, made


def test_a_model_by_name_is_not_loaded_from_a_pickle(pickled, monkeypatch):
    folder, _ = pickled
    monkeypatch.delenv(pretrained.PICKLES, raising=False)
    with pytest.raises(UserError) as failure:
        by_name(str(folder), Tokens(), seed=0)
    what, remedy = str(failure.value).split("\n")
    assert what.startswith(f"no model '{folder}', looked for in that folder: ")
    assert "no file named model.safetensors" in what
    assert remedy == "save it as safetensors; if you trust where its pickle comes from, ARRANGE_PICKLES=yes loads that"


def test_it_is_where_that_is_asked_for(pickled, monkeypatch):
    folder, made = pickled
    monkeypatch.setenv(pretrained.PICKLES, "yes")
    found = by_name(str(folder), Tokens(), seed=0).state_dict()
    assert all(torch.equal(found[name][: len(value)], value) for name, value in made.state_dict().items())


def test_what_training_has_saved_never_is_a_pickle(pickled, monkeypatch):
    monkeypatch.setenv(pretrained.PICKLES, "yes")
    with pytest.raises(UserError, match=r"cannot load a model: .*no file named model\.safetensors"):
        model.load(pickled[0])


def test_an_encoder_neither(pickled, monkeypatch):
    monkeypatch.delenv(pretrained.PICKLES, raising=False)
    monkeypatch.setattr(encoders.AutoTokenizer, "from_pretrained", lambda name: None)
    with pytest.raises(UserError, match=r"no file named model\.safetensors"):
        encoders.by_name(str(pickled[0]))
