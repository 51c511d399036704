"""The page docs/model-selection.md: it has what the committed results say, and these are what a comparison left."""

import json
import re

import polars as pl

from docs import model_selection
from flows.compare import trainings
from settings import params


def test_the_page_is_made_from_the_committed_results():
    text = model_selection.PAGE.read_text()
    assert model_selection.page(text, model_selection.studies()) == text


def test_the_committed_results_and_their_pictures_are_small():
    committed = [*model_selection.RESULTS.glob("selection-*")]
    assert {path.suffix for path in committed} == {".json", ".png"}
    assert sum(path.stat().st_size for path in committed) < 200_000


def test_its_commands_are_valid_and_train_the_rankers_of_the_results():
    text = model_selection.PAGE.read_text().replace("\\\n", "")
    commands = re.findall(r'make compare SET="(.*?)"', text)
    studies = model_selection.studies()
    assert len(commands) == 2
    for command in commands:
        sections = params.effective(params.load(), None, params.parse_overrides(command.split()))
        trained = params.effective(sections, None, trainings(sections))["rankers"]
        candidates, _ = studies.get(sections["datasets"]["wordnet"]["split"], (pl.DataFrame(), None))
        assert {f"wordnet-{system}-{seed}" for system, seed, *_ in candidates.rows()} <= trained.keys()


def test_a_comparison_becomes_results_of_its_split(monkeypatch, tmp_path):
    """Two seeds of one loss; training keeps the checkpoint with the highest nDCG@10."""
    sections = {
        "compare": {"data": "wordnet", "docids": ["text"], "losses": ["item"], "seeds": [3, 7]},
        "datasets": {"wordnet": {"split": "subtree"}},
        "finetune": {"arguments": {"load_best_model_at_end": True, "metric_for_best_model": "nDCG@10"}},
    }
    (tmp_path / "params.yaml").write_text(json.dumps(sections))
    results = tmp_path / "results" / "wordnet"
    results.mkdir(parents=True)
    for seed in (3, 7):
        csv = "step,loss,validation_loss,validation_nDCG@10\n0,,30,0\n5,2,20.5,0.4\n7,2,,\n10,1,19.5,0.25\n"
        (results / f"wordnet-item-{seed}.history.csv").write_text(csv)
    scores = {"system": ["item"] * 3, "seed": [3, 3, 7], "query_id": ["a", "b", "a"], "nDCG@10": [0.5, 0.75, 1.0]}
    pl.DataFrame(scores).write_parquet(results / "per_query.parquet")
    monkeypatch.setattr(model_selection, "RESULTS", tmp_path / "docs")
    model_selection.add(tmp_path)
    candidates, checkpoints = model_selection.studies()["subtree"]
    assert candidates.rows() == [("item", 3, 20.5, 0.4, 0.625), ("item", 7, 20.5, 0.4, 1.0)]
    assert checkpoints.rows() == [("item", seed, *row) for seed in (3, 7) for row in [(5, 20.5, 0.4), (10, 19.5, 0.25)]]
    assert "In 2 of 2 trainings" in model_selection.facts(candidates, checkpoints)
