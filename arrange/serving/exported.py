"""An exported ranker: a folder with all that ranking needs, and what is known of the ranker.

    model/              weights (safetensors) and configuration
    tokenizer/          with the docIDs' codes among its tokens
    trie.safetensors    of all docIDs
    documents.parquet   doc_id, docid, tokens, text: a row per document, numbered as in the trie
    validation.parquet  query_id, cluster and each measure, a row per validation query (`arrange.serving.champion`)
    export.json         the recipe for ranking, and the card: data, ranker, parameters, hashes, metrics
    README.md           the card as a page

No file is a pickle, none has a name that comes from data, and the same ranker gives the same bytes.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars.exceptions import PolarsError
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from arrange.decoding.beam import beam_search
from arrange.decoding.rank import Ranking, Score, rank_lists
from arrange.decoding.scoring import Normaliser
from arrange.docids import tokens, trie
from arrange.docids.subsets import subset
from arrange.errors import UserError
from arrange.files import replacing, sha256
from arrange.models import pretrained
from arrange.models import ranker as models
from arrange.serving.card import readme
from arrange.training.examples import Examples, check_length
from arrange.training.packing import catalogue

FORMAT, VERSION = "arrange.export", 1
REMEDY = "export the ranker again"


@dataclass(frozen=True)
class Recipe:
    """How prompts are written and documents ranked; see `tokens.encode_prompts` and `ranking.rank`.

    candidate: the template of a candidate in the prompt; None for rankers of the whole corpus.
    """

    template: str
    query_tokens: int
    candidate: str | None
    score: Score
    beams: int
    batch_size: int
    normaliser: Normaliser
    seed: int


class Ranked(NamedTuple):
    """A document, and log P(its docID | query) in nats, as the recipe's `score` and `normaliser` have it."""

    doc_id: str
    text: str
    log_probability: float


def write(
    folder: Path,
    *,
    model: Path,
    tokenizer: Path,
    trie_file: Path,
    documents: pl.DataFrame,
    validation: pl.DataFrame,
    recipe: Recipe,
    card: Mapping[str, Any],
) -> None:
    """Write the folder, whole or not at all; of model, tokenizer and trie copies.

    `card` is what is to be known of the ranker, as JSON has it: data and ranker by name, `validated` (nDCG@10 of each
    that it was chosen from), `parameters` by section, `metrics` by split, `sha256` by kind of file. The tables are
    described at the top.
    """
    content = {"format": FORMAT, "version": VERSION, "recipe": asdict(recipe), **card}
    with replacing(folder) as part:
        part.mkdir()
        shutil.copytree(model, part / "model")
        shutil.copytree(tokenizer, part / "tokenizer")
        shutil.copy(trie_file, part / "trie.safetensors")
        documents.select("doc_id", "docid", "tokens", "text").write_parquet(part / "documents.parquet")
        validation.write_parquet(part / "validation.parquet")
        (part / "export.json").write_text(json.dumps(content, indent=1))
        (part / "README.md").write_text(readme(card, documents.height))


def read_card(folder: Path) -> dict[str, Any]:
    """The content of export.json. Raises UserError where it is missing, damaged, or of another version."""
    path = folder / "export.json"
    try:
        card = json.loads(path.read_text())
    except FileNotFoundError:
        raise UserError(f"{folder} is no exported ranker: it has no export.json", "give the folder of one") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}", REMEDY) from None
    if not isinstance(card, dict) or (card.get("format"), card.get("version")) != (FORMAT, VERSION):
        raise UserError(f"{path} is not of version {VERSION} of the format {FORMAT}", REMEDY)
    return card


def identity(folder: Path) -> str:
    """The SHA-256 of all files of an exported ranker and their names."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{file.relative_to(folder).as_posix()} {sha256(file)}\n".encode())
    return digest.hexdigest()


def load(folder: Path, device: str = "cpu") -> "Exported":
    """The ranker that `write` left, checked. Raises UserError where a part is missing, damaged or unfitting."""
    card = read_card(folder)
    legal = trie.load(folder / "trie.safetensors")
    legal.verify()
    try:
        documents = pl.read_parquet(folder / "documents.parquet", glob=False)
        recipe = Recipe(**card["recipe"])
    except (OSError, KeyError, TypeError, PolarsError) as error:
        raise UserError(f"{folder} is damaged: {str(error).partition(chr(10))[0]}", REMEDY) from None
    if documents.height != len(legal.document_D):
        what = f"{folder} is damaged: {documents.height} documents, {len(legal.document_D)} docIDs in the trie"
        raise UserError(what, REMEDY)
    tokenizer = pretrained.load(
        "tokenizer", str(folder / "tokenizer"), PreTrainedTokenizerFast.from_pretrained, local_files_only=True
    )
    model: Any = models.load(folder / "model")
    return Exported(card, recipe, model.to(device), tokenizer, legal, documents)


@dataclass(frozen=True, eq=False)
class Exported:
    """A ranker that is ready to rank. Made by `load`."""

    card: Mapping[str, Any]
    recipe: Recipe
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    trie: trie.Trie
    documents: pl.DataFrame

    def rank(
        self, queries: Sequence[str], k: int = 10, *, among: Sequence[str] | None = None, beams: int | None = None
    ) -> list[list[Ranked]]:
        """The best `k` documents of each query, best first; fewer where there are fewer.

        among: ids of the documents to choose from; None for all. A ranker that reads its candidates needs it.
        beams: the width of the beam search, at least k; None for the recipe's own, or k where that is more.
        Raises UserError for a query without text, k below 1, a beam narrower than k, and ids that are unknown.

        >>> load(Path("exports/wordnet")).rank(["poodle: a dog with a curly coat"], k=1)  # doctest: +SKIP
        [[Ranked(doc_id='dog.n.01', text='dog, domestic dog, Canis familiaris', log_probability=-0.7)]]
        """
        for number, query in enumerate(queries):
            if not isinstance(query, str) or not query.strip():
                raise UserError(f"query {number} is {query!r}", "give it a text")
        if k < 1:
            raise UserError(f"k is {k}", "give a number above 0")
        if beams is not None and beams < k:
            raise UserError(f"{beams} beams can't find the {k} best documents", "give at least as many beams")
        rows = None if among is None else self._rows(among)
        if self.recipe.candidate is None:
            ranked = self._search(queries, beams or max(k, self.recipe.beams), rows)
        elif rows is None:
            raise UserError("this ranker reads its candidates in the prompt", "say among which documents to choose")
        else:
            ranked = [self._score(query, rows) for query in queries]
        ids, texts = self.documents["doc_id"], self.documents["text"]
        return [[Ranked(ids[row], texts[row], score) for row, score in pairs[:k]] for pairs in ranked]

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {doc_id: row for row, doc_id in enumerate(self.documents["doc_id"])}

    def _rows(self, doc_ids: Sequence[str]) -> NDArray[np.int64]:
        """The rows of some documents, each once, in order."""
        unknown = [doc_id for doc_id in doc_ids if doc_id not in self._row_of]
        if unknown:
            what = f"{len(unknown)} of {len(doc_ids)} ids are of no document, the first {unknown[0]!r}"
            raise UserError(what, "leave them out")
        return np.unique(np.array([self._row_of[doc_id] for doc_id in doc_ids], np.int64))

    def _search(self, queries: Sequence[str], beams: int, rows: NDArray[np.int64] | None) -> list[Ranking]:
        """Beam search in the corpus, or in some of its documents."""
        prompts = [[*head, *tail] for head, tail in self._prompts(queries)]
        found = beam_search(
            self.model,
            prompts,
            self.trie,
            beams=beams,
            batch_size=self.recipe.batch_size,
            normaliser=self.recipe.normaliser,
            subsets=None if rows is None else subset(self.trie, rows, self.model.device),
        )
        return [ranking.pairs() for ranking in found]

    def _score(self, query: str, rows: NDArray[np.int64]) -> Ranking:
        """Full scoring of the candidates that the prompt shows; one query at a time, so that no other has a say."""
        if not len(rows):
            return []
        assert self.recipe.candidate is not None
        before, _, behind = self.recipe.candidate.partition("{docid}")
        around = (tokens.literal(self.tokenizer, before), tokens.literal(self.tokenizer, behind))
        docids = catalogue(self.documents["tokens"].gather(rows).to_list())
        judged = [(np.arange(len(rows)), np.full(len(rows), np.nan))]
        shown = Examples(self._prompts([query]), judged, docids, self.tokenizer.pad_token_id, around, self.recipe.seed)
        check_length(shown, self.model.config.max_position_embeddings, [repr(query[:40])])
        [ranking] = rank_lists(self.model, shown, 1, self.recipe.score)
        return [(int(rows[place]), score) for place, score in ranking]

    def _prompts(self, queries: Sequence[str]) -> list[tokens.Prompt]:
        return tokens.encode_prompts(self.tokenizer, self.recipe.template, list(queries), self.recipe.query_tokens)
