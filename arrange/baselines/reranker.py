"""A transformer that reads the texts of query and document together: a cross encoder to re-rank with.

It is too slow for a whole corpus. So it ranks the candidates that another system, such as BM25, found. P text pairs.
"""

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from arrange.baselines.cross import Example, examples, sigmoid_loss, with_negatives
from arrange.baselines.fitting import FitArguments, List, fit
from arrange.baselines.scores import Rows, Scores, rank
from arrange.errors import UserError
from arrange.models import pretrained

PAIRS = 64  # that a training reads at a time


class PairClassifier(nn.Module):
    """A transformer that gives one score for a pair of texts, and its tokenizer. Pairs are cut to `max_tokens`."""

    def __init__(self, body: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, max_tokens: int) -> None:
        super().__init__()
        self.body = body
        self.tokenizer = tokenizer
        self.max_tokens = max_tokens

    def batch(self, queries: list[str], documents: list[str]) -> dict[str, Tensor]:
        """Pairs of texts as the transformer's input. Of a pair that is too long, the longer text is cut."""
        encoded = self.tokenizer(
            queries, documents, truncation=True, max_length=self.max_tokens, padding=True, return_tensors="pt"
        )
        return dict(encoded)

    def forward(self, positive: Tensor, negative: Tensor, **pairs: Tensor) -> dict[str, Tensor]:
        # A step may have thousands of pairs. What is between input and score of each piece is computed again for the
        # gradients, not kept: it would be ten megabytes a pair of MiniLM.
        names, tensors = zip(*pairs.items(), strict=True)
        pieces = zip(*(tensor.split(PAIRS) for tensor in tensors), strict=True)
        scores = [
            checkpoint(self._scores, **dict(zip(names, piece, strict=True)), use_reentrant=False) for piece in pieces
        ]
        scores_P = torch.cat(scores)
        return {"loss": sigmoid_loss(scores_P, positive, negative)}

    def _scores(self, **pairs: Tensor) -> Tensor:
        scores_P: Tensor = self.body(**pairs).logits.squeeze(1)
        return scores_P

    @torch.no_grad()
    def scores(self, query: str, documents: list[str], batch_size: int) -> Scores:
        """The scores of one query's documents, in evaluation mode."""
        self.eval()
        parts = [np.empty(0, np.float32)]
        for start in range(0, len(documents), batch_size):
            texts = documents[start : start + batch_size]
            batch = self.batch([query] * len(texts), texts)
            logits_P1 = self.body(**{name: tensor.to(self.body.device) for name, tensor in batch.items()}).logits
            parts.append(logits_P1[:, 0].float().cpu().numpy())
        return np.concatenate(parts)


def by_name(name: str, max_tokens: int, seed: int, *, to_train: bool) -> PairClassifier:
    """The transformer of a local folder or of a name on the hub, and its tokenizer.

    to_train: it may have no output layer yet; `seed` decides its first weights.
    Raises UserError where it can't be loaded or lacks weights, and for a transformer with more than one output.
    """
    tokenizer = pretrained.load("tokenizer", name, AutoTokenizer.from_pretrained)
    if tokenizer.pad_token is None:
        raise UserError(f"tokenizer {name!r} has no padding token", "take a cross encoder, such as BERT's")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        body = pretrained.load(
            "model",
            name,
            AutoModelForSequenceClassification.from_pretrained,
            may_lack=lambda model, weight: to_train and is_output(model, weight),
            without="it was not trained to score pairs: train it (steps above 0), or take a cross encoder",
            num_labels=1,
            dtype=torch.float32,
        )
    return PairClassifier(body, tokenizer, max_tokens)


def is_output(model: PreTrainedModel, weight: str) -> bool:
    """Whether a weight stands behind the transformer's body."""
    return not weight.startswith(f"{model.base_model_prefix}.") or "pooler." in weight


def train(
    model: PairClassifier,
    queries: Sequence[str],
    documents: Sequence[str],
    lists: Sequence[List],
    arguments: FitArguments,
    *,
    negatives: int,
    progress: Callable[[int], object] = lambda step: None,
) -> list[float]:
    """As `cross.train`, on texts of queries and documents. A batch has a pair for each listed document and negative."""

    def collate(batch: list[Example]) -> dict[str, Tensor]:
        table = with_negatives(lists, batch)
        used_BK = table["positive"] + table["negative"] > 0  # drops padding and documents without weight
        left = [queries[batch[b][0]] for b in used_BK.nonzero()[:, 0].tolist()]
        right = [documents[row] for row in table["rows"][used_BK].tolist()]
        weights = {name: table[name][used_BK] for name in ("positive", "negative")}
        return {**weights, **model.batch(left, right)}

    return fit(model, examples(len(lists), len(documents), negatives, arguments), collate, arguments, progress)


def rerank(
    model: PairClassifier,
    queries: pl.DataFrame,
    documents: pl.DataFrame,
    candidates: pl.DataFrame,
    *,
    depth: int = 100,
    batch_size: int = 64,
    progress: Callable[[int], object] = lambda done: None,
) -> pl.DataFrame:
    """The run of each query's candidates by the transformer's score.

    `queries` has query_id and text, `documents` doc_id and text. To re-rank the first k of another run, give
    `run.filter(pl.col("rank") <= k)` as candidates. Other arguments as `scores.rank`.
    """
    query_texts, document_texts = queries["text"].to_list(), documents["text"].to_list()

    def score(query: int, rows_K: Rows) -> Scores:
        scored = model.scores(query_texts[query], [document_texts[row] for row in rows_K], batch_size)
        progress(query + 1)
        return scored

    query_ids, doc_ids = queries["query_id"].to_list(), documents["doc_id"].to_list()
    return rank(query_ids, doc_ids, score, candidates=candidates, depth=depth)
