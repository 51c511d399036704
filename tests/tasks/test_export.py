"""The stage `export` in a small project of two random rankers."""

import shutil
from pathlib import Path

import polars as pl
import pytest
import sections
import small_export
import torch
import yaml

from arrange.baselines import first_stage
from arrange.data import tables
from arrange.data.tables import About
from arrange.decoding.rank import rank_lists
from arrange.decoding.validation import judged_queries
from arrange.docids import tokens, trie
from arrange.errors import UserError
from arrange.evaluation import measures, runs
from arrange.models import adapters
from arrange.models import ranker as model
from arrange.serving import exported
from settings import params
from tasks import export, stage

TEXTS = ["a small wolf", "a tame cat", "a red fox", "a dog at home", "cats", "a young dog", "lions", "hens"]
SPLITS = ["validation"] * 6 + ["train", "test"]
DATASET = tables.Dataset(
    pl.DataFrame({"query_id": [f"q{row}" for row in range(8)], "text": TEXTS, "split": SPLITS}),
    pl.DataFrame({"doc_id": small_export.IDS, "text": small_export.NAMES}),
    pl.DataFrame(
        [(f"q{q}", f"d{(q + step) % 8}", step, 8 - step) for q in range(8) for step in range(1, 8)],
        schema=tables.SCHEMAS["qrels"],
        orient="row",
    ),
)
RANKERS = {
    "wordnet-ntp": {"data": "wordnet", "docids": "text", "loss": "ntp", "seed": 1},
    "wordnet-item": {"data": "wordnet", "docids": "text", "loss": "item", "seed": 1},
}
SHAPE = small_export.SHAPE | {"initializer_range": 0.5}  # large weights, so that the order of candidates matters
BY_LOSS = {"metric_for_best_model": "loss", "greater_is_better": False}


def configure(*changes):
    small = [("rank.beams", 4), ("rank.batch_size", 2), ("rankers", RANKERS), ("baselines", {})]
    Path("params.yaml").write_text(yaml.safe_dump(sections.changed(*small, *changes)))


def write_history(name, rows):
    lines = ["step,loss,validation_loss,validation_nDCG@10", *(",".join(row) for row in rows)]
    Path("results/wordnet", f"{name}.history.csv").write_text("\n".join(lines))


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_STAGE", "export@wordnet")
    threads = torch.get_num_threads()
    configure()
    tables.write(DATASET, Path("data/wordnet"))
    tokenizer = tokens.train_tokenizer([*TEXTS, *small_export.NAMES], 300)
    docids = tokens.encode_docids(tokenizer, [[name] for name in small_export.NAMES])
    catalogue = Path("docids/wordnet-text")
    tokenizer.save_pretrained(catalogue / "tokenizer")
    trie.build(docids).save(catalogue / "trie.safetensors")
    table = {"doc_id": small_export.IDS, "docid": small_export.NAMES, "tokens": docids}
    pl.DataFrame(table, schema_overrides={"tokens": pl.List(pl.Int32)}).write_parquet(catalogue / "docids.parquet")
    for seed, name in enumerate(RANKERS):
        model.save(model.from_scratch(SHAPE, tokenizer, 96, seed), Path("models", name))
    # the tables prefer ntp, the validation item; another ranker of the system item was trained from the seed 2
    shown = [
        {"system": loss, "seed": seed, "query_id": "q7", **dict.fromkeys(measures.MEASURES, mean)}
        for loss, seed, mean in (("ntp", 1, 0.9), ("item", 1, 0.1), ("item", 2, 0.5), ("bm25", 0, 0.75))
    ]
    Path("results/wordnet").mkdir(parents=True)
    pl.DataFrame(shown).with_columns(CVR=pl.lit(None, pl.Float64)).write_parquet("results/wordnet/per_query.parquet")
    write_history("wordnet-ntp", [("10", "3.5", "", ""), ("20", "3.0", "2.0", "0.25"), ("40", "2.0", "2.5", "0.20")])
    write_history("wordnet-item", [("20", "3.0", "2.0", "0.22"), ("40", "2.0", "2.5", "0.30"), ("45", "1", "", "")])
    yield tmp_path
    torch.set_num_threads(threads)


def test_the_ranker_is_the_best_by_the_validation_queries_of_its_kept_checkpoint(project):
    export.export("wordnet")
    card = exported.read_card(Path("exports/wordnet"))
    assert (card["data"], card["ranker"]) == ("wordnet", "wordnet-item")
    assert card["validated"] == {"wordnet-ntp": 0.25, "wordnet-item": 0.30}
    assert card["metrics"]["test"] == pytest.approx(dict.fromkeys(measures.MEASURES.keys() - {"CVR"}, 0.1))
    assert card["metrics"]["BM25 test"]["nDCG@10"] == 0.75
    assert "| | test | BM25 test | validation |" in Path("exports/wordnet/README.md").read_text()
    assert card["parameters"]["loss"] | {"rule": "item", "alpha": 1.0} == card["parameters"]["loss"]
    assert card["parameters"]["ranker"] == RANKERS["wordnet-item"] | {
        "arguments": {},
        "regime": None,
        "augmented": None,
    }
    assert card["parameters"]["base_model"]["source"] == "scratch"
    front = yaml.safe_load(Path("exports/wordnet/README.md").read_text().split("---\n")[1])
    assert "license" not in front
    assert "base_model" not in front
    results = {one["dataset"]["split"]: one["metrics"] for one in front["model-index"][0]["results"]}
    assert results.keys() == {"validation", "test"}  # BM25's are no results of this model
    saved = [Path(root, "model.safetensors").read_bytes() for root in ("exports/wordnet/model", "models/wordnet-item")]
    assert saved[0] == saved[1]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([], {"wordnet-ntp": 0.25, "wordnet-item": 0.30}),
        (
            [(f"finetune.arguments.{key}", value) for key, value in BY_LOSS.items()],
            {"wordnet-ntp": 0.25, "wordnet-item": 0.22},
        ),
        ([("finetune.arguments.load_best_model_at_end", False)], {"wordnet-ntp": 0.20, "wordnet-item": 0.30}),
        ([("rankers.wordnet-item.arguments", BY_LOSS)], {"wordnet-ntp": 0.25, "wordnet-item": 0.22}),
    ],
)
def test_the_value_of_a_ranker_is_that_of_the_checkpoint_that_training_kept(project, changes, expected):
    configure(*changes)
    settings = params.read()
    assert export.validation_scores("wordnet", settings) == expected


def test_a_ranker_that_was_never_validated_comes_last(project):
    Path("results/wordnet/wordnet-item.history.csv").write_text("step,loss\n10,3.5\n")
    export.export("wordnet")
    card = exported.read_card(Path("exports/wordnet"))
    assert card["ranker"] == "wordnet-ntp"
    assert card["validated"] == {"wordnet-ntp": 0.25, "wordnet-item": None}


def test_the_validation_is_that_of_the_exported_ranker_itself(project):
    export.export("wordnet")
    ranker = exported.load(Path("exports/wordnet"))
    found = ranker.rank(TEXTS[:6], k=4)
    rows = [
        (f"q{query}", one.doc_id, rank, one.log_probability)
        for query, ranked in enumerate(found)
        for rank, one in enumerate(ranked, 1)
    ]
    qrels = DATASET.qrels.filter(pl.col("query_id") < "q6")
    expected = measures.evaluate(pl.DataFrame(rows, schema=runs.SCHEMA, orient="row"), qrels)
    validation = pl.read_parquet("exports/wordnet/validation.parquet")
    assert validation.drop("cluster").equals(expected)
    assert validation["cluster"].to_list() == [f"d{query + 1}" for query in range(6)]
    mean = ranker.card["metrics"]["validation"]["nDCG@10"]
    assert 0 < mean == pytest.approx(validation["nDCG@10"].mean())


def test_it_runs_without_the_test_split_and_gives_the_same_bytes_again(project):
    export.export("wordnet")
    first = exported.identity(Path("exports/wordnet"))
    shutil.rmtree("data/wordnet/test")
    export.export("wordnet")
    assert exported.identity(Path("exports/wordnet")) == first


def test_a_ranker_of_candidates_is_exported_as_such(project):
    configure(("prompt.regime", "in_context"))
    export.export("wordnet")
    ranker = exported.load(Path("exports/wordnet"))
    assert ranker.recipe.candidate == sections.SECTIONS["prompt"]["candidate"]
    [found] = ranker.rank(["a red fox"], among=["d3", "d4"])
    assert sorted(one.doc_id for one in found) == ["d3", "d4"]
    validation = pl.read_parquet("exports/wordnet/validation.parquet").drop("cluster")
    assert validation["R@10"].to_list() == [1.0] * 6  # all candidates are ranked
    assert validation.equals(measured_in_context(ranker, seed=1))
    assert not validation.equals(measured_in_context(ranker, seed=4))  # the seed decides their order in the prompt


def measured_in_context(ranker, seed):
    """The measures of the validation queries, their candidates shown in the order that the seed gives."""
    dataset = tables.read(Path("data/wordnet"), splits=["validation"])
    queries = judged_queries(dataset, ranker.catalogue, params.read().prompt, seed, About(title="T"))
    lists = rank_lists(ranker.model, queries.examples, batch_size=1)
    run = runs.make_run(queries.query_ids, lists, small_export.IDS, depth=7)
    return measures.evaluate(run, queries.qrels)


def test_hashes_tell_data_apart(project):
    export.export("wordnet")
    first = exported.read_card(Path("exports/wordnet"))["sha256"]
    other = DATASET.queries.with_columns(text=pl.col("text").str.replace("wolf", "cub"))
    tables.write(DATASET._replace(queries=other), Path("data/wordnet"))
    export.export("wordnet")
    second = exported.read_card(Path("exports/wordnet"))["sha256"]
    assert first["docids"] == second["docids"]
    assert {table for table in first["data"] if first["data"][table] != second["data"][table]} == {"queries"}


@pytest.mark.parametrize(
    "entry",
    [
        {"source": "hub", "name": "someone/small", "licence": "mit"},
        {
            **{"source": "wheel", "package": "small", "version": "1", "sha256": "0" * 64, "path": "small"},
            **{"origin": "someone/small", "licence": "mit"},
        },
    ],
)
def test_the_card_names_the_base_model_by_its_name_on_the_hub_and_its_licence(project, entry):
    configure(("base_models.small", entry), ("finetune.model", "base_models/small"))
    export.export("wordnet")
    front = yaml.safe_load(Path("exports/wordnet/README.md").read_text().split("---\n")[1])
    assert (front["base_model"], front["license"]) == ("someone/small", "mit")


def test_a_ranker_with_adapters_is_exported_apart_where_that_is_wanted(project):
    entry = {"source": "hub", "name": "someone/small"}
    apart = [("base_models.small", entry), ("finetune.model", "base_models/small"), ("finetune.lora", {"r": 2})]
    configure(*apart, ("export.adapters", "apart"))
    with pytest.raises(UserError, match=r"models/wordnet-item keeps no adapters"):
        export.export("wordnet")
    assert not Path("exports/wordnet").exists()
    base, folder = Path("base_models/small"), Path("models/wordnet-item")
    model.load(folder).save_pretrained(base)
    adapted = model.with_lora(model.by_name(str(base), range(300), 1), {"r": 2}, seed=1)
    adapters.save(adapted, folder / "adapter")
    export.export("wordnet")
    ranker, card = exported.load(Path("exports/wordnet")), exported.read_card(Path("exports/wordnet"))
    assert card["base"] == "base_models/small"
    assert not Path("exports/wordnet/model/model.safetensors").exists()
    assert torch.equal(ranker.model.lm_head.weight, model.load(folder).lm_head.weight)
    configure(*apart)
    export.export("wordnet")
    assert not Path("exports/wordnet/model/adapter").exists()


def test_data_without_rankers_gives_an_empty_folder(project):
    export.export("products")
    assert list(Path("exports/products").iterdir()) == []


def test_the_first_stage_of_a_learned_fusion_goes_along(project):
    candidates = {"wordnet-first": {"data": "wordnet", "systems": ["bm25"], "depth": 3}}
    fusions = {"both": {"data": "wordnet", "first": "wordnet-item", "second": "wordnet-first", "learned": True}}
    configure(("candidates", candidates), ("fusions", fusions))
    first = first_stage.fit(DATASET, ["bm25"], 3, voters=1)
    first_stage.write(first, Path("runs/wordnet/wordnet-first/first_stage"))
    run = first.rank(DATASET.queries.filter(split="validation"))
    for system in ("wordnet-first", "wordnet-item"):
        stage.write_validation(Path("runs/wordnet", system), run)
    export.export("wordnet")
    loaded = exported.load("exports/wordnet")
    assert len(loaded.fusion.known) == len(run)
    [found] = loaded.rank_fused(["a young dog"], k=8)
    of_first = loaded.fusion.first.rank(pl.DataFrame({"query_id": ["0"], "text": ["a young dog"]}))["doc_id"]
    assert {one.doc_id for one in found} == {one.doc_id for one in loaded.rank(["a young dog"], k=4)[0]} | {*of_first}
    configure(("candidates", candidates), ("fusions", {"both": fusions["both"] | {"learned": False}}))
    export.export("wordnet")
    assert not Path("exports/wordnet/first_stage").exists()
