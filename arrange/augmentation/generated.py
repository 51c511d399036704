"""Queries that a causal language model writes for documents ("doc2query"), kept by the hash of what they follow from.

A document's queries follow from the model's weights, the settings and its text alone: it is asked for by itself, with a
seed of its own. So what was written once need not be written again when others are added.
"""

import hashlib
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import polars as pl
import torch

from arrange.augmentation.settings import Generated
from arrange.augmentation.words import MADE
from arrange.base_models.prepare import shape_of
from arrange.docids.tokens import load_tokenizer
from arrange.errors import UserError
from arrange.files import replacing, sha256
from arrange.models import pretrained, ranker

CACHE = pl.Schema({"key": pl.String, "doc_id": pl.String, "text": pl.String})
EVERY = 20  # documents after which the cache is written


def generate(
    documents: pl.DataFrame,
    seen_ids: pl.Series,
    settings: Generated,
    seed: int,
    cache: Path,
    progress: Callable[[int], object] = lambda done: None,
) -> pl.DataFrame:
    """Queries for at most `settings.documents` documents, those first that are not in `seen_ids`: text, doc_id, origin.

    cache: a parquet file of key, doc_id and text. What it has is not written again, and at the end it has what is
    returned, nothing else. Raises UserError for a base model without weights.
    """
    folder = Path(settings.model)
    if shape_of(folder) is not None:
        raise UserError(f"augment.generated.model: {folder} has random weights", "name a language model")
    chosen = documents.sort(pl.col("doc_id").is_in(seen_ids.unique().implode()), "doc_id").head(settings.documents)
    how = asdict(replace(settings, model="", documents=0))  # neither the budget nor the folder's name changes a query
    recipe = f"{_weights(folder)} {how} {seed}"
    keyed = [(_key(recipe, text), doc_id, text) for doc_id, text in chosen.select("doc_id", "text").rows()]
    known = _read(cache)
    done: dict[str, list[str]] = {key: known[key] for key, _, _ in keyed if key in known}
    write = None
    for number, (key, _, text) in enumerate(keyed, start=1):
        if key not in done:
            write = write or _Writer(settings)
            done[key] = write(text, int(key[:15], 16))
        if number % EVERY == 0 or number == len(keyed):
            _save(cache, keyed, done)
        progress(number)
    rows = [(text, doc_id, "generated") for key, doc_id, _ in keyed for text in done[key]]
    return pl.DataFrame(rows, MADE, orient="row")


class _Writer:
    """A language model, asked for one document at a time."""

    def __init__(self, settings: Generated) -> None:
        self.settings = settings
        self.tokenizer = load_tokenizer(settings.model)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model: Any = ranker.load(Path(settings.model)).to(device)  # type: ignore[arg-type]

    @torch.no_grad()
    def __call__(self, document: str, seed: int) -> list[str]:
        """The distinct first lines of what the model writes behind the prompt, in lower case."""
        most = pretrained.most_tokens(self.model, self.tokenizer) - self.settings.tokens
        before, after = self.settings.prompt.split("{document}")
        plain = {"add_special_tokens": False, "verbose": False}
        ids = [self.tokenizer(part, **plain)["input_ids"] for part in (before, document, after)]
        ids[1] = ids[1][: most - len(ids[0]) - len(ids[2])]
        prompt = torch.tensor([[id_ for part in ids for id_ in part]], device=self.model.device)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            written = self.model.generate(
                prompt,
                attention_mask=torch.ones_like(prompt),
                do_sample=True,
                temperature=self.settings.temperature,
                max_new_tokens=self.settings.tokens,
                num_return_sequences=self.settings.count,
                pad_token_id=self.tokenizer.pad_token_id,
            )
        lines = self.tokenizer.batch_decode(written[:, prompt.shape[1] :], skip_special_tokens=True)
        texts = [line.strip().partition("\n")[0].strip(" \"'.").lower() for line in lines]
        return list(dict.fromkeys(text for text in texts if text))


def _weights(folder: Path) -> str:
    """The hash of a model's weights."""
    return " ".join(sha256(path) for path in sorted(folder.glob("*.safetensors")))


def _key(recipe: str, text: str) -> str:
    return hashlib.sha256(f"{recipe}\0{text}".encode()).hexdigest()


def _read(cache: Path) -> dict[str, list[str]]:
    """The queries by key; none where there is no cache, or no whole one."""
    try:
        table = pl.read_parquet(cache, glob=False)
    except (OSError, pl.exceptions.PolarsError):
        return {}
    if table.schema != CACHE:
        return {}
    return dict(table.group_by("key", maintain_order=True).agg("text").rows())


def _save(cache: Path, keyed: list[tuple[str, str, str]], done: dict[str, list[str]]) -> None:
    rows = [(key, doc_id, text) for key, doc_id, _ in keyed for text in done.get(key, [])]
    with replacing(cache) as part:
        pl.DataFrame(rows, CACHE, orient="row").write_parquet(part)
