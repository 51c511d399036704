"""WordNet 3.0 nouns as a ranking data set: a synset is the query, its hypernyms are the documents."""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Literal

import polars as pl

from arrange.bounds import CountOr0, Seed, Share, ShareAbove0
from arrange.data import negatives as judged
from arrange.data import wordnet_files
from arrange.data.splits import assign, connected, subtrees
from arrange.data.tables import LISTS, SCHEMAS, About, Dataset, Prepared
from arrange.data.wordnet_files import Synset
from arrange.errors import UserError

GAIN = 10**6  # of rank 1: gains are 1 / rank as integers, which is what ir_measures takes
SUBTREE = 50  # synsets of the largest subtree that the split "subtree" keeps together

PLURALS = (  # the end of a noun and that of its plural; those in -s and -es need no rule
    *(("y", "ies"), ("f", "ves"), ("fe", "ves"), ("s", "sses"), ("z", "zzes")),  # butterflies, wolves, knives, gasses
    *(("man", "men"), ("person", "people"), ("child", "children"), ("ox", "oxen")),
    *(("foot", "feet"), ("tooth", "teeth"), ("goose", "geese"), ("mouse", "mice"), ("louse", "lice")),
    *(("us", "i"), ("us", "era"), ("um", "a"), ("on", "a"), ("is", "es"), ("a", "ae"), ("ma", "mata")),  # Latin, Greek
    *(("ex", "ices"), ("ix", "ices"), ("nx", "nges")),
)

Text = Literal["lemmas", "lemmas_gloss", "masked", "lemma"]
Split = Literal["parent", "query", "subtree"]
NOTES = {
    "parent": "No test query shares a nearest hypernym with a training query.",
    "subtree": "No test query shares a nearest hypernym with a training query; most have one that is new to training.",
    "query": "Test queries may have the lists of training queries.",
}


@dataclass(frozen=True, kw_only=True)
class Wordnet:
    """Settings of a data set of WordNet's nouns; what they mean: see `tables`.

    raw: the table that `wordnet_files.save` wrote.
    """

    source: Literal["wordnet"] = "wordnet"
    raw: str
    root: str
    text: Text
    split: Split
    validation: ShareAbove0
    test: Share
    negatives: CountOr0
    seed: Seed

    def prepare(self, name: str) -> Prepared:
        """The tables; queries are grouped into classes and instances."""
        synsets = wordnet_files.load(Path(self.raw))
        dataset = tables(
            synsets, self.root, self.text, self.split, self.validation, self.test, self.negatives, self.seed
        )
        title = f"WordNet 3.0 nouns below `{self.root}`, query text `{self.text}`, split by `{self.split}`."
        about = About(title=title, note=NOTES[self.split], measures=LISTS, queries_are_documents=True)
        return Prepared(dataset, about, kinds(synsets, dataset.queries["query_id"]))


def ancestors(synsets: Mapping[str, Synset]) -> dict[str, dict[str, int]]:
    """Every synset's hypernyms up to the root with the shortest distance to each, nearest first.

    At the same distance the one with the longer path to the root comes first, hence a descendant before
    its ancestor. Remaining ties are broken by id. Raises UserError when the hypernyms form a cycle.
    """
    try:
        downwards = list(TopologicalSorter({id_: s.hypernyms for id_, s in synsets.items()}).static_order())
    except CycleError as error:
        raise UserError(
            f"WordNet: hypernyms form a cycle: {' -> '.join(error.args[1])}", "take the files of an unchanged release"
        ) from None
    depth: dict[str, int] = {}  # the longest path to a root: a descendant's is longer than its ancestor's
    above: dict[str, dict[str, int]] = {}
    for id_ in downwards:
        parents = synsets[id_].hypernyms
        depth[id_] = 1 + max((depth[parent] for parent in parents), default=-1)
        distances = dict.fromkeys(parents, 1)
        for parent in parents:
            for ancestor, distance in above[parent].items():
                distances[ancestor] = min(distances.get(ancestor, distance + 1), distance + 1)
        above[id_] = dict(sorted(distances.items(), key=lambda item: (item[1], -depth[item[0]], item[0])))
    return above


def tables(
    synsets: Mapping[str, Synset],
    root: str,
    text: Text,
    split: Split,
    validation: float,
    test: float,
    negatives: int = 0,
    seed: int = 0,
) -> Dataset:
    """The subtree of `root` as queries, and all their hypernyms up to the top as ranked documents.

    A query is a synset at or below `root` that has a hypernym; its text is "lemmas" (all of them),
    "lemmas_gloss" ("lemma, lemma: gloss"), "masked" (the same, but in the gloss the lemmas of all its
    hypernyms are "_": see `mask`) or "lemma" (the first alone, as in arXiv 2601.05588). A document's text
    is its first lemma. The rank is the dense rank of the shortest distance, so equal distances are ties;
    the gain is round(10^6 / rank).

    Splits by hash (see `splits.assign`) of a key that doesn't depend on `root`. "query" hashes the query's id. "parent"
    hashes the nearest hypernym. Hypernyms that are nearest to one and the same synset have one key (see
    `splits.connected`), so no query of one split shares a document of rank 1, or its list, with a query of another.
    The largest group of one key has 5% of all nouns. "subtree" hashes the top of the largest subtree of at most 50
    synsets that holds the nearest hypernym (see `splits.subtrees`), connected in the same way.
    With shares of 5% and 10% no nearest hypernym is a document of a training query for 88% of the test queries below
    animal.n.01 and 69% of those below entity.n.01; under "parent" for 36% and 37%.

    `negatives` judged negatives a query are drawn with `seed` (see `negatives.add`); none has a lemma of
    the query as its text.
    Raises UserError for an unknown root, and a root with too few synsets to fill the splits.
    """
    if root not in synsets:
        nearest = difflib.get_close_matches(root, synsets, n=3) or ["animal.n.01", "entity.n.01"]
        raise UserError(f"{root!r} is not a noun synset", f"perhaps {' or '.join(nearest)}?")
    above = ancestors(synsets)
    lists = {id_: list_ for id_, list_ in above.items() if list_ and (id_ == root or root in list_)}
    qrels = _qrels(lists)
    texts = [_text(synsets, id_, list_, text) for id_, list_ in lists.items()]
    key = _keys(above, split)
    keys = pl.Series([key[id_] for id_ in lists])
    queries = pl.DataFrame({"query_id": list(lists), "text": texts, "split": assign(keys, validation, test)})
    _check_splits(queries["split"], root, validation, test)
    documents = qrels.select(pl.col("doc_id").unique().sort()).with_columns(
        text=pl.col("doc_id").replace_strict({id_: synset.lemmas[0] for id_, synset in synsets.items()})
    )
    dataset = Dataset(queries.sort("query_id"), documents, qrels)
    return judged.add(dataset, negatives, seed, _lemmas(synsets, lists)) if negatives else dataset


def kinds(synsets: Mapping[str, Synset], query_ids: pl.Series) -> pl.DataFrame:
    """Which queries are instances ("Lassie") and which classes: groups of `tables.write`."""
    kind = ["instance" if synsets[id_].instance else "class" for id_ in query_ids]
    return pl.DataFrame({"query_id": query_ids, "grouping": "kind", "group": kind})


def mask(gloss: str, lemmas: Iterable[str]) -> str:
    """`gloss` with "_" for every one of `lemmas`: whole words in any case, in the singular and in the plural.

    Plurals are those in -s and -es and those of PLURALS. Where lemmas overlap, the one that begins first and then the
    longest is masked. What stays: adjectives and verbs of the same stem, the singular of a lemma that is a plural, and
    plurals inside of a lemma ("parts of speech").

    >>> mask("a large dog; some Dogs are hunting dogs, no dogma", ["dog", "hunting dog"])
    'a large _; some _ are _, no dogma'
    """
    lower = gloss.lower()
    forms = {form for lemma in lemmas for form in (lemma, *_plurals(lemma)) if form.lower() in lower}
    if not forms:
        return gloss
    pattern = "|".join(map(re.escape, sorted(forms, key=lambda form: (-len(form), form))))
    return re.sub(rf"(?<!\w)(?:{pattern})(?:s|es)?(?!\w)", "_", gloss, flags=re.IGNORECASE)


@cache
def _plurals(lemma: str) -> tuple[str, ...]:
    """What the plural of a noun might be, by PLURALS. Forms of one or two letters are left out: "US" is no "I"."""
    lower = lemma.lower()
    forms = (lemma[: -len(end)] + plural for end, plural in PLURALS if lower.endswith(end))
    return tuple(form for form in forms if len(form) > 2)


def _text(synsets: Mapping[str, Synset], id_: str, hypernyms: Iterable[str], form: Text) -> str:
    synset = synsets[id_]
    lemmas = ", ".join(synset.lemmas)
    if form == "masked":
        return f"{lemmas}: {mask(synset.gloss, (lemma for above in hypernyms for lemma in synsets[above].lemmas))}"
    return {"lemma": synset.lemmas[0], "lemmas": lemmas, "lemmas_gloss": f"{lemmas}: {synset.gloss}"}[form]


def _lemmas(synsets: Mapping[str, Synset], ids: Iterable[str]) -> pl.DataFrame:
    rows = [(id_, lemma) for id_ in ids for lemma in synsets[id_].lemmas]
    return pl.DataFrame(rows, {"query_id": pl.String, "text": pl.String}, orient="row")


def _qrels(lists: Mapping[str, Mapping[str, int]]) -> pl.DataFrame:
    rows = ((query, document, distance) for query, list_ in lists.items() for document, distance in list_.items())
    rank = pl.col("distance").rank("dense").over("query_id")
    return (
        pl.DataFrame(rows, schema=["query_id", "doc_id", "distance"], orient="row")
        .with_columns(rank=rank.cast(pl.Int32), gain=(GAIN / rank).round().cast(pl.Int32))
        .select(SCHEMAS["qrels"].names())
        .sort("query_id", "rank", "doc_id")
    )


def _keys(above: Mapping[str, Mapping[str, int]], split: Split) -> dict[str, str]:
    """What decides on the split of each synset that has a hypernym, by its id."""
    nearest = {id_: [up for up, distance in list_.items() if distance == 1] for id_, list_ in above.items() if list_}
    if split == "query":
        return {id_: id_ for id_ in nearest}
    if split == "subtree":
        tops = subtrees(above, SUBTREE)
        nearest = {id_: [tops[up] for up in ups] for id_, ups in nearest.items()}
    component = connected(nearest.values())
    return {id_: component[ups[0]] for id_, ups in nearest.items()}


def _check_splits(splits: pl.Series, root: str, validation: float, test: float) -> None:
    """Refuse a subtree so small that the hash leaves one of the splits without a query."""
    wanted = {"train": 1.0, "validation": validation, "test": test}
    if empty := [name for name, share in wanted.items() if share > 0 and name not in splits]:
        raise UserError(
            f"{root} has {len(splits)} queries, none of them in the {empty[0]} split",
            "choose a root further up (entity.n.01 is the top) or "
            + (f"a larger `{empty[0]}`" if empty[0] != "train" else "a smaller `validation` or `test`"),
        )
