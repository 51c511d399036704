"""README.md of an exported ranker: what it is, how good it is, and what it was made from.

It begins with what the Hugging Face hub reads of a model: task, licence, base model, measures (a model-index).
"""

from collections.abc import Mapping
from typing import Any

import polars as pl

from arrange.data.tables import SPLITS
from arrange.decoding.validation import means
from arrange.formats import markdown

PAGE = """---
{metadata}
---

# {ranker}: a ranker of the {documents:,} documents of `{data}`

A causal language model that ranks by generating docIDs along the trie of all docIDs here. It ranks the documents of
`documents.parquet` and no others, and knows only what its training queries said of them.

    arrange rank . "a query"{among}

or `arrange.serving.hub.from_pretrained(place).rank(["a query"], k=10)`, the place being this folder or a repository of
the hub. No file is a pickle.
{base}
## Measures
Means over the queries of a split; the ranker was chosen among {rivals} by nDCG@10 of validation queries.

{measures}

## Training
{training}

All parameters are in `export.json`.

## Made from
SHA-256 of the files:

{hashes}

It repeats what its data say. Nothing here shows that it is fit for a use that affects people.
"""


BASE = """
It holds adapters alone, and needs its base model, whose weights have the hashes below: in `{folder}`, or in the folder
that the environment variable ARRANGE_BASE_MODEL names{hub}.
"""


def readme(card: Mapping[str, Any], documents: int, candidates: bool) -> str:
    """The page in Markdown, for a card as `arrange.serving.exported.write` takes it and the number of documents.

    candidates: whether it must be told which documents to choose from. Of the parameters the page shows those of the
    ranker and of its loss.
    """
    return PAGE.format(
        metadata=_metadata(card),
        ranker=card["ranker"],
        data=card["data"],
        documents=documents,
        among=" --among ID ID ..." if candidates else "",
        base=_base(card) if "base" in card else "",
        rivals="one" if len(card["validated"]) == 1 else len(card["validated"]),
        measures=_measures(card["metrics"]),
        training="\n".join(f"- {name}: {_listed(card['parameters'][name])}" for name in ("ranker", "loss")),
        hashes="\n".join(
            f"- {kind}/{name}: `{digest}`" for kind, files in card["sha256"].items() for name, digest in files.items()
        ),
    )


def _base(card: Mapping[str, Any]) -> str:
    """What a ranker needs that holds adapters alone."""
    entry = card["parameters"].get("base_model", {})
    hub = f", or from the hub ({entry['name']})" if entry.get("source") == "hub" else ""
    return BASE.format(folder=card["base"], hub=hub)


def _metadata(card: Mapping[str, Any]) -> str:
    """What the hub reads, in YAML. A base model is named if it is one of the hub's; a licence is the base model's."""
    from huggingface_hub import EvalResult, ModelCardData  # here: it takes a second to import

    base = card["parameters"].get("base_model", {})
    results = [
        EvalResult("text-ranking", card["data"], card["data"], name, round(value, 6), dataset_split=split)
        for split in SPLITS
        for name, value in card["metrics"].get(split, {}).items()
    ]
    data = ModelCardData(
        pipeline_tag="text-ranking",
        library_name="arrange",
        tags=["generative-retrieval"],
        license=base.get("licence") or None,
        base_model=(base.get("name") or base.get("origin")) or None,
        model_name=card["ranker"],
        eval_results=results,
    )
    return data.to_yaml()


def _measures(metrics: Mapping[str, Mapping[str, float]]) -> str:
    """Measures as rows, splits as columns; a dash where a split has no value.

    >>> print(_measures({"test": {"hit@1": 0.5}, "validation": {"hit@1": 0.25, "AP": 1.0}}))
    | | test | validation |
    |---|---|---|
    | hit@1 | 0.500 | 0.250 |
    | AP | - | 1.000 |
    """
    names = dict.fromkeys(name for values in metrics.values() for name in values)
    cells = {name: [f"{of[name]:.3f}" if name in of else "-" for of in metrics.values()] for name in names}
    return markdown(["", *metrics], ([name, *row] for name, row in cells.items()))


def _listed(section: Mapping[str, Any]) -> str:
    """A section of parameters on one line."""
    return ", ".join(f"`{name}={value}`" for name, value in section.items())


def tabled(per_query: pl.DataFrame, system: str, seed: int, split: str) -> dict[str, dict[str, float]]:
    """A ranker's means in the tables of a split, and BM25's beside them. They have no part in choosing it."""
    mine, bm25 = per_query.filter(system=system, seed=seed), per_query.filter(system="bm25")
    return {split: means(mine)} | ({f"BM25 {split}": means(bm25)} if len(bm25) else {})
