from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import T5Config, T5ForConditionalGeneration

from arrange.errors import UserError
from arrange.models import encoders

TEXTS = [[1, 9, 3], [1, 9, 8, 7, 6, 3], [5], [1, 4, 3, 3]]


def test_the_last_token_is_that_of_the_plain_pass_whatever_the_batch(encoder):
    model = encoder()
    vectors_TN = model.vectors(TEXTS, batch_size=3)
    for text, vector in zip(TEXTS, vectors_TN, strict=True):
        hidden_H = model.body(input_ids=torch.tensor([text])).last_hidden_state[0, -1]
        assert torch.allclose(model.project(hidden_H), vector, atol=1e-6)


def test_an_encoder_by_name_gives_the_mean_of_its_hidden_states_at_length_1(bert):
    tokenizer, model = encoders.by_name(bert("encoder"))
    texts = encoders.encode(tokenizer, ["red dog", "cat", "blue green red dog"], max_tokens=5)
    assert texts == [[2, 4, 7, 3], [2, 8, 3], [2, 6, 5, 4, 3]]  # the last one cut
    vectors_TN = model.vectors(texts, batch_size=2)
    assert model.width == vectors_TN.shape[1] == 16
    for text, vector in zip(texts, vectors_TN, strict=True):
        mean_H = model.body(input_ids=torch.tensor([text])).last_hidden_state[0].mean(dim=0)
        assert torch.allclose(mean_H / mean_H.norm(), vector, atol=1e-5)


def test_a_missing_encoder_is_told(tmp_path):
    missing = str(tmp_path / "no" / "such")
    with pytest.raises(UserError, match="looked for") as caught:
        encoders.by_name(missing)
    assert missing in caught.value.what


def test_a_folder_that_holds_no_whole_encoder_is_told(bert):
    folder = Path(bert("encoder"))
    weights = load_file(folder / "model.safetensors")
    save_file({name: values for name, values in weights.items() if "pooler" not in name}, folder / "model.safetensors")
    encoders.by_name(str(folder))  # no vector is made of the pooler
    save_file({f"other.{name}": values for name, values in weights.items()}, folder / "model.safetensors")
    with pytest.raises(UserError, match=r"no weights .*\ngive an encoder's folder or name, whole"):
        encoders.by_name(str(folder))
    T5ForConditionalGeneration(
        T5Config(vocab_size=10, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
    ).save_pretrained(folder)
    with pytest.raises(UserError, match=r"\(t5\) has a decoder too"):
        encoders.by_name(str(folder))


def test_seeds_decide_the_first_weights_and_leave_torch_alone(encoder):
    before = torch.get_rng_state()
    a, b, c = (encoder(seed=seed).project.weight for seed in (0, 0, 1))
    x, y, z = (encoders.free_vectors(5, 3, seed, scale=0.02) for seed in (0, 0, 1))
    assert torch.equal(a, b)
    assert torch.equal(x, y)
    assert not torch.equal(a, c)
    assert not torch.equal(x, z)
    assert torch.equal(torch.get_rng_state(), before)
