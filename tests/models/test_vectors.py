from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from threadpoolctl import threadpool_limits
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from arrange.errors import UserError
from arrange.models.vectors import SentenceEncoder, TfidfSvd, VectoriserSettings, fit_tfidf_svd, load_tfidf_svd

TEXTS = ["red shoe size 8", "red shoes", "blue shoe", "garden hose, red", "hose 8 m", "toy car", "toy car red red"]


def test_as_many_dimensions_as_terms_keep_every_cosine() -> None:
    """The projection is then a rotation: cosines are those of scikit-learn's own TF-IDF."""
    plain = TfidfVectorizer(token_pattern=r"\w+", sublinear_tf=True).fit_transform(TEXTS).toarray()
    vectors_DE = fit_tfidf_svd(TEXTS, dimensions=50, seed=0)(TEXTS)
    assert vectors_DE.dtype == np.float32
    assert np.abs(vectors_DE @ vectors_DE.T - plain @ plain.T).max() < 1e-5


def test_fewer_dimensions_are_the_first_singular_vectors_with_their_largest_entry_positive() -> None:
    plain = TfidfVectorizer(token_pattern=r"\w+", sublinear_tf=True).fit_transform(TEXTS).toarray()
    vectoriser = fit_tfidf_svd(TEXTS, dimensions=3, seed=0)
    right_VE = np.linalg.svd(plain)[2][:3].T
    right_VE *= np.sign(right_VE[np.abs(right_VE).argmax(axis=0), range(3)])
    assert np.abs(vectoriser.components_VE - right_VE).max() < 1e-4
    vectors_DE = plain @ right_VE
    assert np.abs(vectoriser(TEXTS) - vectors_DE / np.linalg.norm(vectors_DE, axis=1, keepdims=True)).max() < 1e-4


def test_terms_are_words_and_single_chinese_or_japanese_characters() -> None:
    assert fit_tfidf_svd(["ナイキ Air-Max 90 靴", "Café_2 ñu"], 9, 0).terms == sorted(
        ["air", "max", "90", "ナ", "イ", "キ", "靴", "café_2", "ñu"]
    )


def test_a_text_is_vectorised_alone_and_an_unknown_one_is_zero() -> None:
    vectoriser = fit_tfidf_svd(TEXTS, 4, seed=0)
    together = vectoriser([*TEXTS, "xyz", ""])
    assert np.array_equal(np.concatenate([vectoriser([text]) for text in [*TEXTS, "xyz", ""]]), together)
    assert np.allclose(np.linalg.norm(together, axis=1), [1] * len(TEXTS) + [0, 0])


@pytest.mark.parametrize("threads", [1, 2])
def test_same_texts_and_seed_give_the_same_file(tmp_path: Path, threads: int) -> None:
    fit_tfidf_svd(TEXTS, 4, seed=0).save(tmp_path / "one")
    with threadpool_limits(threads):
        fit_tfidf_svd(TEXTS, 4, seed=0).save(tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_saved_vectoriser_gives_the_same_vectors(tmp_path: Path) -> None:
    texts = [*TEXTS, "靴 ñu"]
    vectoriser = VectoriserSettings("tfidf-svd", dimensions=4, seed=0).fit(texts)
    assert isinstance(vectoriser, TfidfSvd)
    vectoriser.save(tmp_path / "tfidf.safetensors")
    assert np.array_equal(load_tfidf_svd(tmp_path / "tfidf.safetensors")(texts), vectoriser(texts))


def test_texts_without_a_word_and_broken_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no text has a letter"):
        fit_tfidf_svd(["!", "--"], 4, seed=0)
    fit_tfidf_svd(TEXTS, 4, seed=0).save(tmp_path / "cut")
    (tmp_path / "cut").write_bytes((tmp_path / "cut").read_bytes()[:-1])
    for name in ("cut", "none"):
        with pytest.raises(UserError, match="cannot be read as a vectoriser"):
            load_tfidf_svd(tmp_path / name)


@pytest.fixture
def encoder_folder(tmp_path: Path) -> str:
    """A random BERT of one layer, with a tokenizer of five words."""
    words = Tokenizer(models.WordLevel({"[PAD]": 0, "[UNK]": 1, "red": 2, "blue": 3, "shoe": 4}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", model_max_length=6
    ).save_pretrained(tmp_path / "bert")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
        BertModel(BertConfig(vocab_size=5, max_position_embeddings=6, **sizes)).save_pretrained(tmp_path / "bert")
    return str(tmp_path / "bert")


def test_a_sentence_encoder_gives_mean_hidden_states_in_the_order_of_the_texts(encoder_folder: str) -> None:
    encoder = VectoriserSettings(encoder_folder, dimensions=1, seed=0).fit([])
    assert isinstance(encoder, SentenceEncoder)
    ids = {
        "red blue shoe": [2, 3, 4],
        "shoe": [4],
        "red shoe": [2, 4],
        "red red red blue blue blue shoe": [2, 2, 2, 3, 3, 3],
    }
    vectors_DE = encoder(list(ids))
    assert vectors_DE.dtype == np.float32
    for tokens, vector_E in zip(ids.values(), vectors_DE, strict=True):
        with torch.no_grad():
            mean_E = encoder.model.body(torch.tensor([tokens])).last_hidden_state[0].mean(dim=0).numpy()
        assert np.allclose(vector_E, mean_E / np.linalg.norm(mean_E), atol=1e-5)


def test_a_missing_encoder_is_told_with_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="looked for") as caught:
        VectoriserSettings(str(tmp_path / "no-encoder"), dimensions=1, seed=0).fit([])
    assert "no-encoder" in caught.value.what
    assert "\n" not in caught.value.what
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty"):
        SentenceEncoder(str(tmp_path / "empty"))
