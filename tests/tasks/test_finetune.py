"""The stages that train: a ranker of each kind of term and one of n-grams, from a data set's tables to its folder."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
import torch
import yaml
from checkout import CHANGED
from checkout import PROJECT as CHECKOUT
from dvc.repo import Repo
from sections import SECTIONS

from arrange.data import tables
from arrange.errors import UserError
from arrange.evaluation import runs
from settings import params
from tasks import controls, docids, evaluate, finetune, ngram, prepare, prepare_model

WORDS = ["red apple", "green apple", "red car", "fast car", "old house", "new house", "big dog", "small dog"]
BASE = {"rule": "combined", "alpha": 0.0, "beta": 1.0}
LOSSES = {
    "taught": BASE | {"teacher": {"term": "kl", "weight": 1.0, "temperature": 0.5}},
    "dpo": BASE | {"preference": {"term": "dpo", "weight": 1.0}, "mined": {"documents": 3, "every": 5}},
    "simpo": BASE | {"preference": {"term": "simpo", "weight": 1.0, "beta": 2.0, "margin": 0.5}},
}
SPLITS = ["train"] * 12 + ["validation"] * 2 + ["test"] * 2


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with a small data set, its docIDs, and rankers of each kind."""
    home, mine = tmp_path / "checkout", tmp_path / "mine"
    home.mkdir()
    mine.mkdir()
    shutil.copy(CHECKOUT / "dvc.yaml", home)
    monkeypatch.chdir(home)
    Repo.init(no_scm=True).close()
    ids = [f"q{n}" for n in range(len(SPLITS))]
    texts = [f"{WORDS[n % 8]} {n}" for n in range(len(SPLITS))]
    pl.DataFrame({"query_id": ids, "text": texts, "split": SPLITS}).write_parquet(mine / "queries.parquet")
    pl.DataFrame({"doc_id": [f"d{n}" for n in range(8)], "text": WORDS}).write_parquet(mine / "documents.parquet")
    judged = [(ids[n], f"d{(n + step) % 8}", 3 - step) for n in range(len(ids)) for step in range(2)]
    pl.DataFrame(judged, ["query_id", "doc_id", "gain"], orient="row").write_parquet(mine / "qrels.parquet")
    found = [(ids[n], f"d{(n + 2 * step) % 8}", 4.0 - step) for n in range(len(ids)) for step in range(4)]
    table = tmp_path / "teacher.parquet"
    pl.DataFrame(found, ["query_id", "doc_id", "score"], orient="row").write_parquet(table)
    overrides = params.with_own_data(SECTIONS, mine)
    rankers = {f"mine-{loss}": {"data": "mine", "docids": "text", "loss": loss, "seed": 1} for loss in LOSSES}
    arguments = {"max_steps": 20, "eval_steps": 10, "save_steps": 10}
    ngrams = {"data": "mine", "docids": "text", "loss": "item", "seed": 1, "length": 4, "samples": 3}
    ngrams |= {"temperature": 0.1, "alpha": 2.0, "beta": 0.8, "frequent": 100}
    ngrams |= {"arguments": {"max_steps": 120, "eval_steps": 60, "save_steps": 60, "learning_rate": 2e-2}}
    more = {
        "rankers": rankers,
        "ngram": {"mine-ngram": ngrams},
        "losses": LOSSES,
        "finetune": {"arguments": arguments, "teacher": {"table": str(table), "depth": 3}},
    }
    sections = params.effective(SECTIONS, None, params.merge(params.merge(CHANGED, overrides), more))
    Path("params.yaml").write_text(yaml.safe_dump(sections, sort_keys=False))
    threads = torch.get_num_threads()
    for task, name in (
        (prepare.prepare, "mine"),
        (prepare_model.prepare_model, "scratch"),
        (docids.docids, "mine-text"),
    ):
        task(name)
    yield table
    torch.set_num_threads(threads)


def test_rankers_with_a_teacher_with_preferences_and_with_mined_documents_are_trained(project, monkeypatch):
    for loss in LOSSES:
        monkeypatch.setenv("DVC_STAGE", f"finetune@mine-{loss}")
        finetune.finetune(f"mine-{loss}")
        history = pl.read_csv(f"results/mine/mine-{loss}.history.csv")
        assert history["step"][-1] == 20
        assert history["loss"].is_finite().all()
        assert Path(f"models/mine-{loss}/model.safetensors").exists()
    pl.read_parquet(project).with_columns(query_id=pl.lit("x") + pl.int_range(pl.len()).cast(str)).write_parquet(
        project
    )
    monkeypatch.setenv("DVC_STAGE", "finetune@mine-taught")
    with pytest.raises(UserError, match="none of the 12 training queries is in it"):
        finetune.finetune("mine-taught")


def test_a_ranker_of_ngrams_is_trained_ranks_and_is_measured_as_the_others(project, monkeypatch):
    monkeypatch.setenv("DVC_STAGE", "ngram@mine-ngram")
    ngram.ngram("mine-ngram")
    history, place = pl.read_csv("results/mine/mine-ngram.history.csv"), Path("runs/mine/mine-ngram")
    assert history["step"][-1] == 120
    assert history["loss"].is_finite().all()
    run, judged = (runs.read_run(place / f"{file}.parquet") for file in ("run", "judged"))
    test = tables.read(Path("data/mine"), splits=["test"])
    assert (
        judged.select("query_id", "doc_id")
        .sort(pl.all())
        .equals(test.qrels.select("query_id", "doc_id").sort(pl.all()))
    )
    assert set(run["doc_id"]) <= set(test.documents["doc_id"])
    assert set(run["query_id"]) == set(test.queries["query_id"])
    assert run["score"].min() > 0
    shared = judged.join(run, on=["query_id", "doc_id"])
    assert len(shared)
    assert (shared["score"] == shared["score_right"]).all()
    before = [(place / name).read_bytes() for name in ("run.parquet", "judged.trec")]
    ngram.ngram("mine-ngram")
    assert [(place / name).read_bytes() for name in ("run.parquet", "judged.trec")] == before
    controls.controls("mine")
    for ranker in params.read().rankers:
        shutil.copytree(place, place.with_name(ranker))
    evaluate.evaluate("mine")
    metrics = json.loads(Path("results/mine/metrics.json").read_text())
    assert metrics["ngram"] == metrics["taught"]
