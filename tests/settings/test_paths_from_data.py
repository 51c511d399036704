"""No name that comes from data or parameters leads out of the folder that it was meant for."""

import shutil
import tarfile
from functools import partial
from pathlib import Path

import mlflow
import polars as pl
import pytest
import small_export
import torch
import yaml
from checkout import CHANGED
from checkout import PROJECT as CHECKOUT
from dvc.repo import Repo
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sections import SECTIONS, changed
from servers import Files, serving

from arrange.data import folder, tables, wordnet_sources
from arrange.errors import UserError
from arrange.report import page
from arrange.serving import rank as command
from records import register
from settings import params
from tasks import (
    augment,
    baselines,
    controls,
    docids,
    evaluate,
    export,
    finetune,
    fuse,
    prepare,
    prepare_model,
    rank,
    rerank,
)

NAMES = [
    *("../escaped", "..", ".", "", "/tmp/escaped", "~/escaped", "~", "a/../../escaped", "..\\escaped", "C:\\escaped"),
    *("a\0escaped", "a\nescaped", "escaped\n", "$(touch escaped)", "`touch escaped`", "a;touch escaped", "${HOME}"),
    *("%2e%2e%2fescaped", "a" * 201, "é" * 101, "a b", "a@b", "a.b"),
]
SCRATCH = "base_models/scratch"
DUAL = {"kind": "dual", "data": "wordnet", "docids": "text", "model": SCRATCH, "width": 4, "seed": 1}
ENTRIES = {
    "catalogues": {"data": "wordnet", "docids": "text"},
    "rankers": {"data": "wordnet", "docids": "text", "loss": "item", "seed": 1},
    "base_models": {"source": "scratch", "shape": {}},
    "baselines": DUAL,
    "fusions": {"data": "wordnet", "first": "bm25", "second": "copy"},
    "reranked": {"data": "wordnet", "docids": "text", "ranker": "wordnet-item", "first": "/my/run.txt", "depth": 9},
    "searches": {"arm": "random", "seed": 1},
    "losses": {"rule": "ntp"},
    "datasets": {"source": "folder", "raw": "/data"},
}


def refused(overrides):
    """The two lines of the refusal."""
    with pytest.raises(UserError) as refusal:
        params.effective(SECTIONS, None, overrides)
    lines = str(refusal.value).split("\n")
    assert len(lines) == 2
    return lines


@pytest.mark.parametrize("section", ENTRIES)
@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_no_plain_one_is_refused(section, name):
    entry = ENTRIES[section]
    what, _ = refused({section: {name: entry}})
    assert what.startswith(f"the overrides: {section}")


@pytest.mark.parametrize(
    "first",
    ["runs/wordnet/../../escaped/run.parquet", "../run.trec", "~/run.trec", "/a\0", "", "runs/wordnet/bm25/run.trec"],
)
def test_a_first_stage_is_a_run_of_the_pipeline_or_an_absolute_path(first):
    refused({"reranked": {"mine": ENTRIES["reranked"] | {"first": first}}})


@pytest.mark.parametrize("path", ["sweep.data", "swap.data", "swap.loss", "rankers.wordnet-item.data"])
@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_is_referred_to_is_refused_too(path, name):
    overrides = name
    for key in reversed(path.split(".")):
        overrides = {key: overrides}
    refused(overrides)


@pytest.mark.parametrize("name", ["wordnet", "products", "raw"])
def test_own_data_take_no_folder_that_is_in_use(name, tmp_path):
    (tmp_path / name).mkdir()
    with pytest.raises(UserError, match="has the name of a data set that is there\nrename it"):
        params.with_own_data(SECTIONS, tmp_path / name)


@pytest.mark.parametrize("folder", ["../mine", "mine", "~/mine", "", "/data\0", "\0"])
def test_the_folder_of_own_data_is_an_absolute_path(folder):
    refused({"datasets": {"mine": {"source": "folder", "raw": folder}}})


@pytest.mark.parametrize("name", ["a b", "~", "$(x)", "a\nb", "..a", "a" * 150])
def test_own_data_may_lie_in_a_folder_of_any_name(name, tmp_path):
    (tmp_path / name).mkdir()
    overrides = params.with_own_data(SECTIONS, tmp_path / name)
    (data,) = params.validate(params.effective(SECTIONS, None, overrides), "").datasets
    assert data.replace("_", "").isalnum() or set(data) == {"_"}


HOSTILE_IDS = [
    *("../escaped", "../../../../escaped", "..", ".", "/", "{outside}/escaped", "~/escaped", "~", "-rf", "--help"),
    *("a\0escaped", "$(touch\x1fescaped)", "`touch>escaped`", ";touch", "{query}", "${HOME}", "%2e%2e%2fescaped"),
    *("C:\\escaped", "..\\escaped", "CON", "a" * 5000, "é" * 300, "<script>", "![](../escaped.png)", "file:///escaped"),
]


def hostile(tmp_path):
    """Ids and texts that would lead out of a folder, were they names of files."""
    return [each.replace("{outside}", str(tmp_path)) for each in HOSTILE_IDS]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder deep below `tmp_path`, with data that want to get out and the parameters of a small run."""
    home = tmp_path / "1/2/3/checkout"
    home.mkdir(parents=True)
    shutil.copy(CHECKOUT / "dvc.yaml", home)
    monkeypatch.chdir(home)
    Repo.init(no_scm=True).close()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    words, mine = hostile(tmp_path), tmp_path / "1/mine"
    mine.mkdir()
    splits = ["train", "train", "validation", "test"]
    queries = [(f"{word}{copy}", word, splits[copy]) for word in words for copy in range(4)]
    columns = ["query_id", "text", "split"]
    pl.DataFrame(queries, columns, orient="row").write_parquet(mine / "queries.parquet")
    pl.DataFrame({"doc_id": words, "text": words}).write_parquet(mine / "documents.parquet")
    judged = [(queries[n][0], words[(n + step) % len(words)], 4 - step) for n in range(len(queries)) for step in (1, 2)]
    pl.DataFrame(judged, ["query_id", "doc_id", "gain"], orient="row").write_parquet(mine / "qrels.parquet")
    start = changed(
        ("rankers.wordnet-item.augmented", {"origins": ["document", "keywords"], "first": 0.5, "last": 0.5}),
        ("baselines.wordnet-dual", DUAL),
        ("fit_baseline.steps", 2),
        ("fusions.wordnet-fused", ENTRIES["fusions"] | {"second": "wordnet-dual"}),
        (
            "reranked.wordnet-again",
            ENTRIES["reranked"] | {"first": "runs/wordnet/wordnet-fused/run.parquet", "depth": 3},
        ),
    )
    overrides = params.with_own_data(start, mine)
    entries = overrides["rankers"]
    overrides["rankers"] = {name: entry for name, entry in entries.items() if not entry or name == "mine-item"}
    sections = params.effective(start, None, params.merge(CHANGED, overrides))
    Path("params.yaml").write_text(yaml.safe_dump(sections, sort_keys=False))
    threads = torch.get_num_threads()
    yield home
    torch.set_num_threads(threads)


def outside(tmp_path):
    """All that is beside the checkout."""
    checkout = tmp_path / "1/2/3/checkout"
    return {path for path in tmp_path.rglob("*") if not path.is_relative_to(checkout)}


def work(monkeypatch, task, name):
    """A stage's task, in this process."""
    monkeypatch.setenv("DVC_STAGE", f"{task.__name__}@{name}")
    task(name)


def test_ids_and_texts_name_no_file_from_preparation_to_export(project, tmp_path, monkeypatch, capsys):
    before = outside(tmp_path)
    for task, name in (
        (prepare.prepare, "mine"),
        (prepare_model.prepare_model, "scratch"),
        (augment.augment, "mine"),
        (docids.docids, "mine-text"),
        (finetune.finetune, "mine-item"),
        (rank.rank, "mine-item"),
        (controls.controls, "mine"),
        (baselines.baselines, "mine-dual"),
        (fuse.fuse, "mine-fused"),
        (rerank.rerank, "mine-again"),
        (evaluate.evaluate, "mine"),
        (export.export, "mine"),
    ):
        work(monkeypatch, task, name)
    words = hostile(tmp_path)
    command.main(["exports/mine", words[0], "--json", "--among", *(word for word in words if word[0] != "-")])
    assert len(yaml.safe_load(capsys.readouterr().out)) == 10
    assert outside(tmp_path) == before
    assert not [path for path in project.rglob("*") if "escaped" in str(path)]
    made = [
        "mine-dual",
        "mine-item",
        "mine-fused",
        "mine-again",
        "copy",
        "neighbours",
        "popularity",
        "random",
        "root_first",
        "bm25",
    ]
    assert {path.parent.name for path in Path("runs/mine").rglob("*.*")} == {*made}
    run = pl.read_parquet("runs/mine/mine-item/run.parquet")
    assert set(run["query_id"]) == {f"{word}3" for word in words}  # as they came
    pairs = ["query_id", "doc_id"]
    again, first = (pl.read_parquet(f"runs/mine/mine-{name}/run.parquet") for name in ("again", "fused"))
    assert again.select(pairs).sort(pairs).equals(first.filter(pl.col("rank") <= 3).select(pairs).sort(pairs))
    judged = [pl.read_parquet(f"runs/mine/mine-{name}/judged.parquet") for name in ("again", "item")]
    assert judged[0].equals(judged[1])
    assert {"fused", "again"} < set(pl.read_parquet("results/mine/per_query.parquet")["system"])


@pytest.mark.parametrize("id", ["a b", "a\nb", "\n", " ", "a\u2028b"])
@pytest.mark.parametrize("table", ["queries", "documents"])
def test_an_id_with_white_space_is_refused_before_anything_is_made_of_it(id, table, tmp_path):
    """Runs in TREC's format can't hold it: refused here, not after a training."""
    key = {"queries": "query_id", "documents": "doc_id"}[table]
    frames = {
        "queries": pl.DataFrame({"query_id": ["1", "2", "3"], "text": "t", "split": tables.SPLITS}),
        "documents": pl.DataFrame({"doc_id": ["a"], "text": "t"}),
        "qrels": pl.DataFrame({"query_id": ["1", "2", "3"], "doc_id": "a", "gain": 1}),
    }
    for name, frame in frames.items():
        wrong = frame.with_columns(pl.col(key).replace(frames[table][key][0], id)) if key in frame.columns else frame
        wrong.write_parquet(tmp_path / f"{name}.parquet")
    with pytest.raises(UserError) as refusal:
        folder.tables(tmp_path, 0.1, 0.1)
    what, remedy = str(refusal.value).split("\n")
    assert f"{table}.parquet, row 0: {key} {id!r}" in what
    assert remedy == "mend the row or leave it out"


@pytest.mark.parametrize("name", ["../escaped.png", "/etc/hostname", "%2e%2e/escaped.png", "a\0.png", "~/escaped.png"])
def test_a_report_takes_no_picture_from_elsewhere(name, tmp_path):
    (tmp_path / "escaped.png").write_bytes(b"1")
    (tmp_path / "in").mkdir()
    with pytest.raises(UserError, match="no picture in") as refusal:
        page.render("", [f"![](<{name}>)"], tmp_path / "in")
    assert len(str(refusal.value).split("\n")) == 2


def link(name: str, kind: bytes, target: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


@pytest.mark.parametrize(
    "member",
    [
        link("dict/data.noun", tarfile.SYMTYPE, "/etc/passwd"),
        link("dict/data.noun", tarfile.SYMTYPE, "../../../../../../../../etc/passwd"),
        link("dict/data.noun", tarfile.LNKTYPE, "/etc/passwd"),
        link("dict/data.noun", tarfile.FIFOTYPE, ""),
        link("dict/data.noun", tarfile.DIRTYPE, ""),
        link("dict", tarfile.SYMTYPE, "/etc"),
    ],
    ids=lambda member: f"{member.name} {member.type.decode()} {member.linkname}",
)
def test_an_archive_with_a_link_out_of_it_is_refused(member, tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    site, out = tmp_path / "site", tmp_path / "out"
    site.mkdir()
    with tarfile.open(site / "wn.tar.gz", "w:gz") as archive:
        archive.addfile(member)
    message = "isn't an archive with the noun files"
    with serving(partial(Files, directory=str(site))) as host, pytest.raises(UserError, match=message) as refusal:
        wordnet_sources.fetch(["princeton"], out, {}, f"http://{host}/wn.tar.gz", tmp_path / "cache")
    assert len(str(refusal.value).split("\n")) == 2
    assert {path.name for path in tmp_path.iterdir()} == {"site", "cache"}


def test_a_name_in_a_strangers_export_names_no_folder_of_the_registry(tmp_path, monkeypatch):
    before = mlflow.get_tracking_uri()
    home = tmp_path / "1/2/3"
    home.mkdir(parents=True)
    monkeypatch.chdir(home)
    client = MlflowClient(f"sqlite:///{home}/mlflow.db")
    experiment = client.create_experiment("arrange", (home / "mlartifacts").as_uri())
    run = client.create_run(experiment).info.run_id
    folder = small_export.write(home / "exports", data="../../../escaped")
    try:
        with pytest.raises(MlflowException, match=r"[Nn]ame"):
            register.register(client, run, folder)
    finally:
        mlflow.set_tracking_uri(before)
    assert {path for path in tmp_path.rglob("*") if not path.is_relative_to(home)} == {home.parents[0], home.parents[1]}
    assert not [path for path in tmp_path.rglob("*") if "escaped" in path.name]
