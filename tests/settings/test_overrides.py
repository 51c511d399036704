"""A preset and overrides over params.yaml, and data of one's own in the place of the project's."""

import copy
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sections import SECTIONS, changed

from arrange.errors import UserError
from flows.workspace import assignments
from settings import params
from settings.entries import FusionEntry
from settings.sections import ways, without_ranker


def test_what_is_effective_does_not_change_when_it_is_written_and_read_again(tmp_path):
    found = params.effective(SECTIONS, None, {"losses": {"item": {"alpha": float("inf")}}})
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(found))
    assert "    alpha: .inf\n" in path.read_text()
    assert params.read(path).losses["item"].alpha == float("inf")
    assert params.effective(params.load(path), None, {}) == found


def test_infinity_can_be_said_in_an_override():
    overrides = params.parse_overrides(["losses.combined.beta=.inf", "sweep.alpha=[.inf]"])
    for words in (overrides, params.parse_overrides(assignments(overrides))):
        settings = params.validate(params.effective(SECTIONS, None, words), "")
        assert (settings.losses["combined"].beta, settings.sweep.alpha) == (float("inf"), (float("inf"),))


def test_an_override_beats_a_preset_and_a_preset_the_section():
    given = changed(("rank.threads", 1), ("rank.beams", 2), ("rank.batch_size", 3))
    given["presets"] = {"mine": {"rank": {"beams": 20, "batch_size": 30}}}
    before = copy.deepcopy(given)
    found = params.effective(given, "mine", {"rank": {"batch_size": 300}})
    assert found["rank"] == SECTIONS["rank"] | {"threads": 1, "beams": 20, "batch_size": 300}
    assert given == before


def test_null_takes_an_entry_away():
    others = dict.fromkeys(set(SECTIONS["rankers"]) - {"wordnet-ntp"})
    reference = {"evaluate": {"reference": "ntp"}}
    given = SECTIONS | {"presets": {"mine": {"rankers": others, "searches": {"random-1": None}, **reference}}}
    found = params.effective(given, "mine", params.parse_overrides(["catalogues.products-text="]))
    assert list(found["rankers"]) == ["wordnet-ntp"]
    assert [*found["searches"], *found["catalogues"]] == ["evolution-1", "wordnet-text"]


def test_settings_are_frozen():
    settings = params.validate(SECTIONS, "")
    with pytest.raises(FrozenInstanceError):
        settings.rank.beams = 3
    with pytest.raises(FrozenInstanceError):
        settings.finetune = settings.finetune


def test_parse_overrides():
    words = ["rank.beams=3", "sweep.rho=[0.5]", "fit_baseline.learning_rate=1e-3", "datasets.wordnet.root=a=b"]
    assert params.parse_overrides(words) == {
        "rank": {"beams": 3},
        "sweep": {"rho": [0.5]},
        "fit_baseline": {"learning_rate": 0.001},
        "datasets": {"wordnet": {"root": "a=b"}},
    }
    assert params.parse_overrides(["rank.beams=1", "rank.beams=2"]) == {"rank": {"beams": 2}}
    assert params.parse_overrides([]) == {}


def own(folder, *assignments):
    """The settings of a run with the data in `folder`."""
    sections = changed(*assignments)
    overrides = params.with_own_data(sections, folder)
    return params.validate(params.effective(sections, None, overrides), "")


def test_own_data_takes_the_place_of_the_first_data_set(tmp_path):
    folder = tmp_path / "my data, 2"
    folder.mkdir()
    settings = own(folder, ("rankers.wordnet-item.seed", 7))
    assert {name: entry.raw for name, entry in settings.datasets.items()} == {"my_data_2": str(folder)}
    assert list(settings.catalogues) == ["my_data_2-text"]
    rankers = [name for name, entry in SECTIONS["rankers"].items() if entry["data"] == "wordnet"]
    assert list(settings.rankers) == [name.replace("wordnet", "my_data_2") for name in rankers]
    assert (settings.rankers["my_data_2-item"].seed, settings.rankers["my_data_2-item"].data) == (7, "my_data_2")
    assert settings.sweep.data == settings.compare.data == settings.swap.data == "my_data_2"


def test_own_data_take_fusions_and_rerankings_with_the_runs_that_they_begin_with(tmp_path):
    (tmp_path / "mine").mkdir()
    fusion = {"data": "wordnet", "first": "bm25", "second": "wordnet-item"}
    reranked = {"data": "wordnet", "docids": "text", "ranker": "wordnet-item", "depth": 9}
    settings = own(
        tmp_path / "mine",
        ("fusions", {"wordnet-both": fusion, "of_products": fusion | {"data": "products", "second": "copy"}}),
        ("reranked.wordnet-first", reranked | {"first": "runs/wordnet/bm25/run.parquet"}),
        ("reranked.wordnet-both_again", reranked | {"first": "runs/wordnet/wordnet-both/run.parquet"}),
        ("reranked.wordnet-own", reranked | {"first": "/wordnet/wordnet-item/run.txt"}),
    )
    assert settings.fusions == {"mine-both": FusionEntry("mine", "bm25", "mine-item")}
    assert {name: (entry.ranker, entry.first) for name, entry in settings.reranked.items()} == {
        "mine-first": ("mine-item", "runs/mine/bm25/run.parquet"),
        "mine-both_again": ("mine-item", "runs/mine/mine-both/run.parquet"),
        "mine-own": ("mine-item", "/wordnet/wordnet-item/run.txt"),
    }


def test_own_data_is_found_from_anywhere(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    assert own(Path("mine")).datasets["mine"].raw == str(tmp_path / "mine")


@pytest.mark.parametrize(
    ("name", "what", "remedy"),
    [
        ("nowhere", "{} is no folder", "name one with queries, documents and qrels"),
        ("file", "{} is no folder", "name one with queries, documents and qrels"),
        ("wordnet", "{} has the name of a data set that is there", "rename it"),
        ("products", "{} has the name of a data set that is there", "rename it"),
        ("raw", "{} has the name of a data set that is there", "rename it"),
    ],
)
def test_own_data_that_is_refused(tmp_path, name, what, remedy):
    (tmp_path / "file").write_text("")
    for taken in ("wordnet", "products", "raw"):
        (tmp_path / taken).mkdir()
    with pytest.raises(UserError) as failure:
        own(tmp_path / name)
    assert (failure.value.what, failure.value.remedy) == (what.format(tmp_path / name), remedy)


names = st.text("abc", min_size=1, max_size=2)
nested = st.recursive(
    st.dictionaries(names, st.integers(), min_size=1, max_size=3),
    lambda inner: st.dictionaries(names, inner | st.integers(), min_size=1, max_size=3),
)


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(names | st.integers(), inner))
section = st.dictionaries(names, values, min_size=1, max_size=3) | scalars | st.lists(values)
sections = st.dictionaries(names, section, max_size=3)


def leaves(tree, prefix=()):
    """Every value of a nested dictionary, by its path."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from leaves(value, (*prefix, key))
        else:
            yield (*prefix, key), value


def at(tree, path):
    for key in path:
        tree = tree[key]
    return tree


def test_applying_takes_away_what_is_null_in_the_overlay():
    base = {"a": {"b": 1, "c": None}, "d": 2, "e": None}
    assert params.apply(base, {"a": {"b": None}, "d": None, "new": None}) == {"a": {"c": None}, "e": None}
    assert params.apply(base, {"a": None}) == {"d": 2, "e": None}


def test_merging_overlays_keeps_what_they_take_away():
    words = ["rank.beams=3", "rank.threads=null", "rankers.wordnet-ntp=null", "rank.split=test", "sweep=null"]
    assert params.parse_overrides(words) == {
        "rank": {"beams": 3, "threads": None, "split": "test"},
        "rankers": {"wordnet-ntp": None},
        "sweep": None,
    }
    gone = {"rankers": {"a": None}}
    assert params.merge({"rankers": {"a": {"seed": 2}}}, gone) == gone
    assert params.merge(gone, {"rankers": {"b": {"seed": 2}}}) == {"rankers": {"a": None, "b": {"seed": 2}}}


@given(nested, nested)
def test_merge_takes_the_overlay_and_keeps_the_rest(base, overlay):
    merged = params.merge(base, overlay)
    assert merged == params.apply(base, overlay)  # there is no null in these
    assert all(at(merged, path) == value for path, value in leaves(overlay))
    paths = [path for path, _ in leaves(overlay)]
    for path, value in leaves(base):
        hidden = any(path[: len(other)] == other or other[: len(path)] == path for other in paths)
        assert hidden or at(merged, path) == value


@given(nested, nested, nested)
def test_merge_is_associative_on_sections_of_their_own(left, middle, right):
    a, b, c = (
        {f"{name}{key}": value for key, value in tree.items()}
        for name, tree in zip("xyz", (left, middle, right), strict=True)
    )
    assert params.merge(params.merge(a, b), c) == params.merge(a, params.merge(b, c)) == {**a, **b, **c}


@given(nested)
def test_merge_with_nothing_or_itself_changes_nothing(tree):
    assert params.merge(tree, {}) == params.merge({}, tree) == params.merge(tree, tree) == tree


@given(nested)
def test_overrides_say_what_they_were_made_from(tree):
    words = [f"{'.'.join(path)}={value}" for path, value in leaves(tree)]
    assert list(leaves(params.parse_overrides(words))) == list(leaves(tree))


@settings(deadline=None)
@given(sections)
@example({"fit_baseline": {"learning_rate": 1e-05, "warmup": "1e-5"}})
@example(
    {"losses": {"item": {"alpha": float("inf")}}, "prompt": {"corpus": "Infinity {query}<docid>\n\n \U0001f600\x85"}}
)
@example(
    {"download_esci": {"files": {"a.parquet": {"bytes": 1}}, "urls": ["yes", "no, never", "a: b", "# c", "=", ""]}}
)
@example({"finetune": {"lora": {1: {}, "a=b": "...", "": "\t"}}})
def test_the_words_of_any_overrides_give_them_again(overrides):
    words = list(assignments(overrides))
    assert params.parse_overrides(words) == overrides


def test_values_are_written_as_one_would_type_them():
    overrides = {
        "fit_baseline": {"learning_rate": 1e-05, "warmup": None},
        "download_esci": {"seed": 1, "files": {"a.parquet": {"bytes": 1, "sha256": "0e1"}}},
    }
    assert list(assignments(overrides)) == [
        "fit_baseline.learning_rate=1.0e-05",
        "fit_baseline.warmup=null",
        "download_esci.seed=1",
        "download_esci.files={a.parquet: {bytes: 1, sha256: '0e1'}}",
    ]


def test_every_ranker_of_own_data_meets_bm25(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    stage = {"data": "wordnet", "systems": ["bm25"], "depth": 9}
    fused = {"data": "wordnet", "first": "wordnet-item", "second": "wordnet-first"}
    sections = changed(
        ("rankers.wordnet-ntp.regime", "in_context"),
        ("candidates", {"wordnet-first": stage}),
        ("fusions", {"wordnet-item_first": fused}),
    )
    own_data = params.with_own_data(sections, folder)
    added = params.with_bm25(params.effective(sections, None, own_data), folder)
    theirs = {"fusions": {"mine-bm25_item": {"data": "mine", "first": "bm25", "second": "copy"}}}
    settings = params.validate(
        params.effective(sections, None, params.merge(added, params.merge(own_data, theirs))), ""
    )
    systems = [name.removeprefix("mine-") for name, entry in settings.rankers.items() if entry.regime is None]
    assert "ntp" not in systems
    assert settings.fusions["mine-bm25_item"].second == "copy"  # what a user says goes over it
    assert settings.fusions["mine-bm25_plackett_luce"] == FusionEntry("mine", "bm25", "mine-plackett_luce")
    assert [*settings.reranked] == [f"mine-{system}_reranks_bm25" for system in systems]
    first = settings.reranked["mine-item_reranks_bm25"]
    assert (first.ranker, first.first, first.depth) == ("mine-item", "runs/mine/bm25/run.parquet", 100)
    assert ways(settings, "mine") == {
        "a ranker": systems,  # ntp is given its documents
        "a ranker fused with BM25": ["bm25_plackett_luce"],
        "a ranker fused with a first stage": ["item_first"],
        "a ranker that reranks BM25's documents": [f"{system}_reranks_bm25" for system in systems],
    }
    assert without_ranker(settings, "mine") == ["first", "bm25_item"]
