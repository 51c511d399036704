"""A small exported ranker: random weights, eight documents with names for docIDs."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from arrange.docids import tokens, trie
from arrange.models import ranker as model
from arrange.serving import exported

SHAPE = {
    "model_type": "llama",
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
NAMES = ["dog", "domestic dog", "cat", "big cat", "puppy", "wolf", "house cat", "fox"]
IDS = [f"d{row}" for row in range(len(NAMES))]
QUERIES = ["poodle: a dog with a curly coat", "lion", "a small red animal that steals hens"]
RECIPE = exported.Recipe(
    template="{query}<docid>",
    query_tokens=12,
    candidate=None,
    score="sum",
    beams=4,
    batch_size=2,
    normaliser="vocabulary",
    seed=1,
)
IN_CONTEXT = {"template": "{query}: {candidates}<docid>", "candidate": "{docid}; "}
VALIDATION = pl.DataFrame(
    {
        "query_id": [f"q{number}" for number in range(12)],
        "cluster": [f"c{number // 2}" for number in range(12)],
        "nDCG@10": [0.1 + number / 50 for number in range(12)],
    }
)


def write(
    folder: Path,
    *,
    seed: int = 0,
    positions: int = 96,
    gain: float = 0.0,
    data: str = "animals",
    hashed: str = "0",
    names: Sequence[str] = NAMES,
    **recipe: object,
) -> Path:
    """Write the folder and return it. `gain` is added to the validation's nDCG@10, `hashed` stands for the data.

    names: docIDs of the documents, which have the ids d0, d1 ...
    """
    parts = folder.with_name(f"{folder.name} parts")
    tokenizer = tokens.train_tokenizer([*NAMES, *QUERIES], 300)
    docids = tokens.encode_docids(tokenizer, [[name] for name in names])
    tokenizer.save_pretrained(parts / "tokenizer")
    model.save(model.from_scratch(SHAPE, tokenizer, positions=positions, seed=seed), parts / "model")
    trie.build(docids).save(parts / "trie.safetensors")
    ids, texts = [f"d{row}" for row in range(len(names))], [f"the {name}\nof all" for name in names]
    documents = {"doc_id": ids, "docid": names, "tokens": docids, "text": texts}
    exported.write(
        folder,
        model=parts / "model",
        catalogue=parts,
        documents=pl.DataFrame(documents, schema_overrides={"tokens": pl.List(pl.Int32)}),
        validation=VALIDATION.with_columns(pl.col("nDCG@10") + gain),
        recipe=exported.Recipe(**vars(RECIPE) | recipe),
        card={
            "data": data,
            "ranker": f"{data}-item",
            "validated": {f"{data}-item": 0.21 + gain, f"{data}-ntp": 0.1},
            "parameters": {"ranker": {"loss": "item", "seed": 1}, "loss": {"rule": "item", "alpha": 2.0}},
            "sha256": {"data": {"queries": hashed}},
            "metrics": {"validation": {"nDCG@10": 0.21 + gain, "hit@1": 0.5}},
        },
    )
    return folder
