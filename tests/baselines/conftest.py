import pytest
import tiny
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification, BertModel, PreTrainedTokenizerFast

from arrange.models.encoders import LastToken
from arrange.models.ranker import from_scratch

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "red", "green", "blue", "dog", "cat", "fish"]


@pytest.fixture
def encoder():
    """A function: a tiny causal encoder of vectors of a width, random by seed."""

    def make(width=4, seed=0):
        model = from_scratch(tiny.SHAPE, tiny.Tokens(), positions=16, seed=seed)
        return LastToken(model.base_model, width, seed)

    return make


@pytest.fixture
def bert(tmp_path):
    """A function: the folder of a tiny BERT with random weights, with its tokenizer, for a class of transformers."""

    def save(kind):
        tokens = Tokenizer(models.WordLevel({word: id_ for id_, word in enumerate(WORDS)}, unk_token="[UNK]"))
        tokens.pre_tokenizer = pre_tokenizers.Whitespace()
        tokens.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=tokens, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
        )
        config = BertConfig(
            vocab_size=len(WORDS),
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=32,
            initializer_range=0.2,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            num_labels=1,
        )
        with torch.random.fork_rng():
            torch.manual_seed(3)
            {"encoder": BertModel, "classifier": BertForSequenceClassification}[kind](config).save_pretrained(tmp_path)
        tokenizer.save_pretrained(tmp_path)
        return str(tmp_path)

    return save
