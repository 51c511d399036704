"""What the stages before `report` leave: a few exact numbers, for tests of the page."""

import json

import polars as pl
import yaml
from sections import changed

HOSTILE = "<script>alert(1)</script> & a | b ![x](http://example.org/x.png)"
VALUES = {"item": 0.25, "ntp": 0.5, "combined": 0.375, "bm25": 0.625, "copy": 0.75, "random": 0.875, "root_first": 1.0}
MEASURES = ("nDCG@10", "judged@10", "R@10", "RR", "AP", "pairs", "overlap@1", "overlap@3", "overlap@5", "tau_b", "CVR")
RANKERS = {
    name: {"data": data, "docids": docids, "loss": name.partition("-")[2], "seed": seed}
    for name, data, docids, seed in (
        ("wordnet-ntp", "wordnet", "text", 1),
        ("wordnet-item", "wordnet", "text", 1),
        ("products-item", "products", "text", 1),
    )
} | {"wordnet-item-2": {"data": "wordnet", "docids": "text", "loss": "item", "seed": 2}}
MEASURES_OF = {
    "wordnet": ["nDCG@10", "overlap@1", "overlap@3", "overlap@5", "R@10", "tau_b"],
    "products": ["nDCG@10", "judged@10", "R@10", "RR", "AP", "pairs"],
}
ABOUT = {
    "wordnet": {"title": "Nouns below `animal.n.01`.", "labels": {}},
    "products": {
        "title": "A sample <script>alert(2)</script>.",
        "labels": {100: "exact", 10: "substitute", 1: "complement", 0: "irrelevant"},
    },
}
SYSTEMS = {"wordnet": ("ntp", "item", "bm25", "random"), "products": ("item", "copy", "root_first")}
LISTS = {  # of each query: place, document, score, rank, gain
    "wordnet": {
        None: [
            (1, "dog", -1.0, 1, 10**6),
            (2, "canine", -2.0, 2, 500_000),
            *((n, "far", -n, n, 1) for n in range(3, 13)),
        ],
        "ntp": [(1, "cat", -0.5, None, None)],
        "item": [(1, "canine", -1.25, 2, 500_000), (2, "dog", -2.5, 1, 10**6), (3, "stone" * 25, -3.0, None, 0)],
        "bm25": [],
        "random": [(1, "dog", 0.9, 1, 10**6)],
    },
    "products": {
        None: [(1, HOSTILE, -1.0, 1, 100), (2, "a lamp", -2.0, 2, 10)],
        "item": [(1, "a lamp", -7.125, 2, 10), (2, HOSTILE, -8.0, 1, 100), (3, "a nail", -9.0, None, 0)],
        "copy": [(1, "a bulb", 0.5, 3, 1), (2, "a sofa", 0.25, None, None)],
    },
}

CANDIDATES = pl.DataFrame(
    {
        "place": [0, 1, 2, 3, 3, 4],
        "attempt": [0, 0, 0, 0, 1, 0],
        "mutator": ["seed", *["subtree"] * 5],
        "fitness": [0.1, 0.2, 0.1, None, -0.3, None],
        "reason": ["", "", "", "unusable", "", "cost"],
        "confirmed": [-0.1, 0.1, -0.2, None, None, None],
        "confirm_reason": ["", "", "", None, None, None],
        "member_steps": [500_000, 500_000, 500_000, 0, 250_000, 0],
        "canonical": list("abcdef"),
        "pointwise": [True, True, True, None, True, None],
        "gain": [1.0, 1.0, 1.0, None, 1.0, None],
        "curve": [[1.0, 2.0], [1.0, 3.0], [1.0, 4.0], None, [1.0, 5.0], None],
    }
)
GENERATIONS = pl.DataFrame(
    {"generation": [0, 1], "member_steps": [500_000, 1_750_000], "members": [1, 3], "gain": [0.0, 0.25]}
)


def measured(mean, measure="nDCG@10"):
    return {"measure": measure, "mean": mean, "low": mean / 2, "high": mean * 2, "spread": None, "queries": 20}


def write_results(data, folder):
    """What evaluate and the rankers' stages leave for one data set, in exact numbers."""
    folder.mkdir(parents=True)
    names = [name for name, ranker in RANKERS.items() if ranker["data"] == data]
    metrics = {
        system: {name: measured(VALUES[system]) for name in (*MEASURES, "prior", "prior_tau_b")}
        for system in SYSTEMS[data]
    }
    (folder / "metrics.json").write_text(json.dumps(metrics))
    (folder / "judged.json").write_text(json.dumps(metrics))
    about = {"note": "", "source": "", "measures": MEASURES_OF[data], "left_out": {}, **ABOUT[data]}
    (folder / "about.json").write_text(json.dumps(about))
    difference = {"difference": -0.125, "low": -0.25, "high": -0.0625, "p": 0.002, "p_holm": 0.004, "queries": 20}
    rows = [{"system": "ntp", "measure": name, **difference} for name in MEASURES]
    pl.DataFrame(rows).head(len(rows) if data == "wordnet" else 0).write_parquet(folder / "differences.parquet")
    against = [{**rows[0], "system": system} for system in SYSTEMS[data] if system != "bm25"]
    pl.DataFrame(against).head(len(against) if data == "wordnet" else 0).write_parquet(folder / "against_bm25.parquet")
    shown = {"queries": {"train": 900, "validation": 40, "test": 60}, "documents": 7, "named": 1.0, "unseen": 0.0}
    (folder / "coverage.json").write_text(json.dumps(shown | {"split": "test"}))
    groups = [{"system": "item", "grouping": "locale", "group": name, **measured(0.5)} for name in ("us", "jp")]
    pl.DataFrame(groups).drop("measure").write_parquet(folder / "groups.parquet")
    for name in names:
        history = {"step": [1, 2], "loss": [4.0, 2.0], "validation_loss": [3.0, 2.5], "validation_nDCG@10": [0.1, 0.2]}
        pl.DataFrame(history).write_csv(folder / f"{name}.history.csv")
        columns = ("beam_recall", "proven", "outside", "invalid_share", "invalid_mass")
        (folder / f"{name}.diagnostics.json").write_text(json.dumps({"queries": 8} | dict.fromkeys(columns, 0.5)))
    excerpt(data).write_parquet(folder / "excerpts.parquet")


def excerpt(data, queries=20):
    """The same lists for each of the queries."""
    schema = {"system": pl.String, "query_id": pl.String, "query": pl.String, "place": pl.Int32, "document": pl.String}
    schema |= {"score": pl.Float64, "rank": pl.Int32, "gain": pl.Int32}
    rows = [
        (system, f"q{query:02}", f"query {query:02} {HOSTILE}", *row)
        for system, documents in LISTS[data].items()
        for query in range(queries)
        for row in documents
    ]
    return pl.DataFrame(rows, schema, orient="row")


def write_project(home):
    """params.yaml, results/ and docids/ of two data sets, and the part on activations."""
    sections = changed(("rankers", RANKERS))
    (home / "params.yaml").write_text(yaml.safe_dump(sections, sort_keys=False))
    for data in sections["datasets"]:
        write_results(data, home / "results" / data)
    for name in sections["catalogues"]:
        (home / "docids" / name).mkdir(parents=True)
        shape = {"documents": 7, "mean_depth": 2.5, "max_depth": 4, "nodes": 11, "branching_by_depth": [3.0, 2.0]}
        shape |= {"query_tokens": 22, "cut_queries": 0.25}
        (home / "docids" / name / "statistics.json").write_text(json.dumps(shape))
    (home / "activations" / "report").mkdir(parents=True)
    (home / "activations" / "report" / "report.md").write_text("# Activation functions\n\nNone.\n")
