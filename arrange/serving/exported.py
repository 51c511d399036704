"""An exported ranker: a folder with all that ranking needs, and a card that describes the ranker.

    model/              weights (safetensors) and configuration; or, apart from its base model, adapters alone
    tokenizer/          with the docIDs' codes among its tokens
    trie.safetensors    of all docIDs
    documents.parquet   doc_id, docid, tokens, text: a row per document, numbered as in the trie
    validation.parquet  query_id, cluster and each measure, a row per validation query (`arrange.serving.champion`);
                        what `arrange.finetune` makes has none
    first_stage/        what a search beside the ranker needs, if there is one (`arrange.serving.fusion`)
    export.json         the recipe for ranking, and the card: data, ranker, parameters, hashes, metrics
    README.md           the card as a page

No file is a pickle, no file's name comes from data, and the same ranker gives the same bytes.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from transformers import PreTrainedModel

from arrange.decoding.beam import beam_search
from arrange.decoding.rank import ScoredRows, rank_lists
from arrange.docids.catalogue import Catalogue, open_catalogue
from arrange.docids.subsets import subsets
from arrange.docids.tokens import Prompt, encode_prompts
from arrange.errors import UserError
from arrange.files import check_text, replacing, sha256
from arrange.models import adapters as apart
from arrange.models import ranker as models
from arrange.models.normaliser import Normaliser
from arrange.serving.card import readme
from arrange.serving.settings import Adapters
from arrange.training.examples import Examples, around_docid, check_length
from arrange.training.packing import docid_tokens
from arrange.training.settings import Score

if TYPE_CHECKING:
    from arrange.serving.fusion import Fusion, Parts

FORMAT, VERSION = "arrange.export", 1
REMEDY = "export the ranker again"
FIRST_STAGE = "first_stage"  # the folder in an export


@dataclass(frozen=True)
class Recipe:
    """How prompts are written and documents are ranked.

    template, query_tokens, candidate: see `Prompt.templates` in `arrange.training.settings`; candidate is None for a
    ranker of the whole corpus. seed: of the candidates' order in the prompt. The others: see
    `arrange.decoding.rank.rank`.
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
    """A document, and log P(its docID | query) in nats under the recipe's `score` and `normaliser`."""

    doc_id: str
    text: str
    log_probability: float


class Fused(NamedTuple):
    """A document that the ranker or its first stage found, and the score that orders them (`Fusion.order`)."""

    doc_id: str
    text: str
    score: float


class Asked(NamedTuple):
    """What one user asks for: the arguments of `Exported.rank`, or of `rank_fused`."""

    queries: Sequence[str]
    k: int = 10
    among: Sequence[str] | None = None
    beams: int | None = None
    fused: bool = False


Answer = Sequence[Sequence[Ranked | Fused]]


def write(
    folder: Path,
    *,
    model: Path,
    catalogue: Path,
    documents: pl.DataFrame,
    validation: pl.DataFrame | None = None,
    recipe: Recipe,
    card: Mapping[str, Any],
    adapters: Adapters = "merged",
    beside: "Parts | None" = None,
) -> None:
    """Write the folder, whole or not at all. It gets copies of the model and of the catalogue's tokenizer and trie.

    documents, validation: the tables described above. card: describes the ranker, in JSON's types: `data` and `ranker`
    (names), `validated` (nDCG@10 of each ranker that it was chosen from), `parameters` by section, `metrics` by split,
    `sha256` by kind of file. adapters: "apart" copies them in place of the whole weights, and the card says which base
    model they need. Raises UserError where the model has none. beside: a first stage and what teaches a fusion with it.
    """
    left_out = apart.FOLDER
    if adapters == "apart":
        base, left_out = apart.noted_base(model), "model*.safetensors*"
        card = {**card, "base": base["folder"], "sha256": {**card["sha256"], base["folder"]: base["sha256"]}}
    content = {"format": FORMAT, "version": VERSION, "recipe": asdict(recipe), **card}
    with replacing(folder) as part:
        part.mkdir()
        shutil.copytree(model, part / "model", ignore=shutil.ignore_patterns(left_out))
        shutil.copytree(catalogue / "tokenizer", part / "tokenizer")
        shutil.copy(catalogue / "trie.safetensors", part / "trie.safetensors")
        documents.select("doc_id", "docid", "tokens", "text").write_parquet(part / "documents.parquet")
        if validation is not None:
            validation.write_parquet(part / "validation.parquet")
        if beside is not None:
            from arrange.serving import fusion

            fusion.write(beside, part)
        (part / "export.json").write_text(json.dumps(content, indent=1))
        (part / "README.md").write_text(readme(card, documents.height, recipe.candidate is not None))


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
    """The SHA-256 of an exported ranker: of the names and hashes of all its files."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{file.relative_to(folder).as_posix()} {sha256(file)}\n".encode())
    return digest.hexdigest()


def hashes(data: Path, catalogue: Path) -> dict[str, dict[str, str]]:
    """The SHA-256 of a data set's tables and of a catalogue's docIDs and trie, for a card."""
    tables = ("documents", "queries", "qrels")  # the test split has files of its own
    return {
        "data": {table: sha256(data / f"{table}.parquet") for table in tables},
        "docids": {file: sha256(catalogue / file) for file in ("docids.parquet", "trie.safetensors")},
    }


def load(folder: str | Path, device: str = "cpu") -> "Exported":
    """Read and check a ranker that `write` has written. Raises UserError where a part is missing or damaged."""
    folder = Path(folder)
    card = read_card(folder)
    try:
        recipe = Recipe(**card["recipe"])
    except (KeyError, TypeError) as error:
        raise UserError(f"{folder} is damaged: export.json has no whole recipe: {error}", REMEDY) from None
    catalogue = open_catalogue(folder, "documents.parquet")
    model: Any = _model(folder / "model", card)
    return Exported(card, recipe, model.to(device), catalogue, folder)


def _model(folder: Path, card: Mapping[str, Any]) -> PreTrainedModel:
    """The ranker's model: whole, or made of its base model and its adapters."""
    if not (folder / apart.FOLDER).is_dir():
        return models.load(folder)
    return apart.load(folder, apart.base_of(folder, card["parameters"].get("base_model", {})))


@dataclass(frozen=True, eq=False)
class Exported:
    """A ranker that is ready to rank. Made by `load`. The table of its catalogue has a column `text` too."""

    card: Mapping[str, Any]
    recipe: Recipe
    model: PreTrainedModel
    catalogue: Catalogue
    folder: Path

    @cached_property
    def fusion(self) -> "Fusion":
        """The first stage beside the ranker, read when it is first asked for. Raises UserError as `load` there."""
        if not (self.folder / FIRST_STAGE).is_dir():
            what = f"{self.folder} has no first stage: params.yaml had no learned fusion of this ranker with one"
            raise UserError(what, "rank without it, or add one (docs/baselines.md) and export again")
        from arrange.serving import fusion  # here: it needs seconds, and the extra `evaluation`

        return fusion.load(self.folder, self.catalogue.docids)

    def rank(
        self, queries: Sequence[str], k: int = 10, *, among: Sequence[str] | None = None, beams: int | None = None
    ) -> list[list[Ranked]]:
        """The best `k` documents of each query, best first; fewer where there are fewer.

        among: ids of the documents to choose from; None for all. A ranker of the regime `in_context` needs it.
        beams: the width of the beam search, at least k; None for the recipe's own, or k if that is more.
        Raises UserError for a query without text, k below 1, a beam narrower than k, and unknown ids.

        >>> load(Path("exports/wordnet")).rank(["poodle: a dog with a curly coat"], k=1)  # doctest: +SKIP
        [[Ranked(doc_id='dog.n.01', text='dog, domestic dog, Canis familiaris', log_probability=-0.7)]]
        """
        return self.answer(Asked(queries, k, among, beams))

    def rank_fused(self, queries: Sequence[str], k: int = 10) -> list[list[Fused]]:
        """The best `k` documents of each query, of those that the ranker and its first stage find, best first.

        Raises UserError as `rank` does, and where the export has no first stage or misses its encoder.

        >>> load(Path("exports/wordnet")).rank_fused(["poodle: a dog with a curly coat"], k=1)  # doctest: +SKIP
        [[Fused(doc_id='dog.n.01', text='dog, domestic dog, Canis familiaris', score=0.9)]]
        """
        return self.answer(Asked(queries, k, fused=True))

    def answer(self, request: Asked) -> Any:
        """What `rank` or `rank_fused` gives for a request."""
        [answer] = self.rank_together([request])
        if isinstance(answer, UserError):
            raise answer
        return answer

    def rank_together(self, requests: Sequence[Asked]) -> list[Answer | UserError]:
        """What `rank` or `rank_fused` gives for each request, or the UserError that it raises.

        Queries of several requests are searched in the same passes, if their beams are equally wide and all or none of
        them have `among`. A search beside others rounds differently in the last digits.
        """
        answers: dict[int, Answer | UserError] = {}
        together: dict[tuple[int, bool], dict[int, NDArray[np.int64] | None]] = {}
        for number, request in enumerate(requests):
            try:
                rows = self._check(request)
                if self.recipe.candidate is None:
                    width = self.recipe.beams if request.fused else request.beams or max(request.k, self.recipe.beams)
                    together.setdefault((width, rows is None), {})[number] = rows
                else:
                    answers[number] = self._found(request, self._score(request.queries, rows))
            except UserError as error:
                answers[number] = error
        for (width, _), rows_of in together.items():
            ranked = iter(self._search([requests[number].queries for number in rows_of], width, [*rows_of.values()]))
            for number in rows_of:
                own = list(islice(ranked, len(requests[number].queries)))
                answers[number] = self._found(requests[number], own)
        return [answers[number] for number in range(len(requests))]

    def _check(self, request: Asked) -> NDArray[np.int64] | None:
        """The rows of the documents to choose from; None for all."""
        for number, query in enumerate(request.queries):
            if not isinstance(query, str) or not query.strip():
                raise UserError(f"query {number} is {query!r}", "give it a text")
            check_text(query, f"query {number}")
        if request.k < 1:
            raise UserError(f"k is {request.k}", "give a number above 0")
        if request.beams is not None and request.beams < request.k:
            what = f"{request.beams} beams can't find the {request.k} best documents"
            raise UserError(what, "give at least as many beams")
        if request.fused and (request.among is not None or request.beams or self.recipe.candidate is not None):
            raise UserError("a first stage finds its documents among all", "leave `among` and `beams` out, or `fused`")
        if request.fused:
            _ = self.fusion  # or it raises
        return None if request.among is None else self._rows(request.among)

    def _found(self, request: Asked, ranked: Sequence[ScoredRows]) -> Answer:
        ids, texts = self.catalogue.docids["doc_id"], self.catalogue.docids["text"]
        if request.fused:
            ordered = self.fusion.order(request.queries, ranked)
            return [
                [Fused(doc, texts[self._row_of[doc]], score) for doc, score in each[: request.k]] for each in ordered
            ]
        return [[Ranked(ids[row], texts[row], score) for row, score in pairs[: request.k]] for pairs in ranked]

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {doc_id: row for row, doc_id in enumerate(self.catalogue.docids["doc_id"])}

    def _rows(self, doc_ids: Sequence[str]) -> NDArray[np.int64]:
        """The rows of some documents, each once, in their own order."""
        unknown = [doc_id for doc_id in doc_ids if doc_id not in self._row_of]
        if unknown:
            what = f"{len(unknown)} of {len(doc_ids)} ids are of no document, the first {unknown[0]!r}"
            raise UserError(what, "leave them out")
        return np.array(sorted({self._row_of[doc_id] for doc_id in doc_ids}), np.int64)

    def _search(
        self, queries: Sequence[Sequence[str]], beams: int, rows: Sequence[NDArray[np.int64] | None]
    ) -> list[ScoredRows]:
        """Beam search for the queries of some requests, in all documents or in those of each request's rows."""
        trie = self.catalogue.trie
        filters = [of_request for of_request in rows if of_request is not None]
        set_of_query = np.repeat(np.arange(len(queries)), [*map(len, queries)])
        results = beam_search(
            self.model,
            [[*head, *tail] for head, tail in self._prompts([*chain.from_iterable(queries)])],
            trie,
            beams=beams,
            batch_size=self.recipe.batch_size,
            normaliser=self.recipe.normaliser,
            subsets=subsets(trie, filters, set_of_query, self.model.device) if filters else None,
        )
        return [top.pairs() for top in results]

    def _score(self, queries: Sequence[str], rows: NDArray[np.int64] | None) -> list[ScoredRows]:
        """Score all candidates, which the prompt shows. One query at a time, so that the others don't affect it."""
        if rows is None:
            raise UserError(
                "this ranker reads its candidates in the prompt", "give the documents to choose from as `among`"
            )
        if not len(rows):
            return [[] for _ in queries]
        tokenizer = self.catalogue.tokenizer
        docids = docid_tokens(self.catalogue.docids["tokens"].gather(rows).to_list())
        listed = [(np.arange(len(rows)), np.full(len(rows), np.nan))]
        around = around_docid(tokenizer, self.recipe.candidate)
        recipe, trie = self.recipe, self.catalogue.trie
        how: Any = {"seed": recipe.seed, "trie": trie}
        examples = [
            Examples([prompt], listed, docids, tokenizer.pad_token_id, around, **how)
            for prompt in self._prompts(queries)
        ]
        for query, example in zip(queries, examples, strict=True):
            check_length(example, self.model.config.max_position_embeddings, [repr(query[:40])])
        ranked = [rank_lists(self.model, each, 1, recipe.score, normaliser=recipe.normaliser)[0] for each in examples]
        return [[(int(rows[place]), score) for place, score in scored] for scored in ranked]

    def _prompts(self, queries: Sequence[str]) -> list[Prompt]:
        tokenizer = self.catalogue.tokenizer
        return encode_prompts(tokenizer, self.recipe.template, list(queries), self.recipe.query_tokens)
