"""params.yaml: every mistake is two lines that name the key, its value and what would be valid."""

import copy
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
import yaml
from sections import SECTIONS, changed

from arrange.errors import UserError
from settings import params
from settings.explain import place, union
from settings.sections import CONTROLS, Settings, all_systems, systems

RANKER = {"data": "wordnet", "docids": "text", "loss": "item", "seed": 1}
RQ = ("catalogues.wordnet-rq", {"data": "wordnet", "docids": "rq"})
SCRATCH = "base_models/scratch"
DUAL = {"kind": "dual", "data": "wordnet", "docids": "text", "model": SCRATCH, "width": 8, "seed": 1}
MISTAKES = {  # what is set (or, with no value, removed); what the first line names; what the second line has
    "a key": (("finetune.theads", 3), "finetune.theads is not a setting", "did you mean threads?"),
    "a key like nothing": (("rank.zzz", 3), "rank.zzz is not a setting", "beams"),
    "a section": (("evalute", {}), "evalute is not a setting", "did you mean evaluate?"),
    "a key further down": (("docids.vectoriser.nam", 1), "docids.vectoriser.nam is not", "did you mean name?"),
    "a ranker's key": (("rankers.wordnet-item.losss", 1), "rankers.wordnet-item.losss is not", "did you mean loss?"),
    "a data set's key": (("datasets.wordnet.rot", "a"), "datasets.wordnet.rot is not a setting", "did you mean root?"),
    "a scheme's key": (("docids.schemes.rq.levls", 3), "docids.schemes.rq.levls is not", "did you mean levels?"),
    "a loss's key": (("losses.item.alhpa", 3), "losses.item.alhpa is not a setting", "did you mean alpha?"),
    "another loss's key": (("losses.ntp.alpha", 3), "losses.ntp.alpha is not a setting", "gamma"),
    "a loss under another name": (("losses.plackett_luce.bta", 3), "losses.plackett_luce.bta is not", "mean beta?"),
    "a missing key": (("rank.beams",), "rank.beams is missing", "add it"),
    "a missing section": (("rank",), "rank is missing", "add it"),
    "a missing key further down": (("docids.vectoriser.seed",), "docids.vectoriser.seed is missing", "add it"),
    "a missing parameter of a loss": (("losses.item.alpha",), "losses.item.alpha is missing", "add it"),
    "a loss without a rule": (("losses.item.rule",), "losses.item.rule is missing", "valid: ntp, item"),
    "a data set without a source": (("datasets.wordnet.source",), "datasets.wordnet.source is missing", "esci"),
    "a word": (("datasets.wordnet.split", "parrent"), "datasets.wordnet.split is 'parrent'", "did you mean parent?"),
    "a word in a list": (("download_wordnet.sources", ["debain"]), "sources.0 is 'debain'", "did you mean debian?"),
    "a rule": (("losses.item.rule", "itme"), "losses.item.rule is 'itme'", "did you mean item?"),
    "a scheme": (("docids.schemes.rq.scheme", "rqq"), "docids.schemes.rq.scheme is 'rqq'", "did you mean rq?"),
    "too small": (("rank.beams", 0), "rank.beams is 0", "greater than 0"),
    "negative": (("losses.item.alpha", -0.5), "losses.item.alpha is -0.5", "greater than or equal to 0"),
    "negative in a list": (("sweep.beta", [1, -1]), "sweep.beta.1 is -1", "greater than or equal to 0"),
    "too large": (("datasets.wordnet.test", 1), "datasets.wordnet.test is 1", "less than 1"),
    "at the open end": (("losses.geometric.rho", 1), "losses.geometric.rho is 1", "less than 1"),
    "infinite": (("fit_baseline.learning_rate", float("inf")), "fit_baseline.learning_rate is inf", "less than inf"),
    "text for a number": (("rank.beams", "many"), "rank.beams is 'many'", "valid integer"),
    "a quoted number": (("fit_baseline.steps", "400"), "fit_baseline.steps is '400'", "valid integer"),
    "yes for a number": (("finetune.threads", True), "finetune.threads is True", "valid integer"),
    "a fraction": (("evaluate.resamples", 3.5), "evaluate.resamples is 3.5", "valid integer"),
    "a number for text": (("datasets.wordnet.root", 3), "datasets.wordnet.root is 3", "valid string"),
    "a value for a section": (("finetune", 3), "finetune is 3", "give it a section"),
    "nothing for a section": (("docids", None), "docids is None", "give it a section"),
    "a value for a loss": (("losses.item", 3), "losses.item is 3", "give it a section"),
    "no ranker": (("rankers", {}), "rankers is {}", "at least 1 item"),
    "a name that DVC would split": (("rankers.item2-5", RANKER | {"loss": "item2.5"}), "loss is 'item2.5'", "match"),
    "a key that DVC would split": (("losses", {"my.loss": {"rule": "ntp"}}), "losses.my.loss is not", "match"),
    "steps that are no number": (("finetune.arguments.max_steps", "many"), "max_steps is 'many'", "whole number"),
    "a share above 1": (
        ("rankers.wordnet-item.augmented", {"origins": ["spans"], "first": 1.5, "last": 0.5}),
        "rankers.wordnet-item.augmented.first is 1.5",
        "less than or equal to 1",
    ),
    "an origin": (
        ("finetune.augmented", {"origins": ["span"], "first": 0.5, "last": 0.5}),
        "finetune.augmented.origins.0 is 'span'",
        "did you mean spans?",
    ),
    "a prompt without its document": (
        (
            "augment.generated",
            {
                "model": "base_models/scratch",
                "prompt": "q:",
                "documents": 1,
                "count": 1,
                "tokens": 1,
                "temperature": 1.0,
            },
        ),
        "prompt is 'q:'",
        "{document}",
    ),
    "a template without its query": (("prompt.corpus", "query: <docid>"), "corpus is 'query: <docid>'", "{query}"),
    "a template of a candidate": (("prompt.candidate", "- "), "candidate is '- '", "{docid}"),
    "a folder that is not absolute": (
        ("datasets.mine", {"source": "folder", "raw": "my/data"}),
        "'my/data'",
        "make run DATA=",
    ),
    "gains that are not whole": (("datasets.products.gains", {"E": 1, "S": 1, "I": 0}), "gains", "C"),
    "a misnamed catalogue": (("catalogues.mine", RQ[1]), "catalogues.mine has rq docIDs", "name it wordnet-rq"),
    "a base model that is no entry": (
        ("finetune.model", "base_models/scrach"),
        "finetune.model is 'base_models/scrach', which is neither",
        "did you mean base_models/scratch?",
    ),
    "a base model by its name on the hub": (
        ("finetune.model", "Qwen/Qwen3-0.6B"),
        "finetune.model is 'Qwen/Qwen3-0.6B', which is neither",
        "set base_models.my_model={source: hub, name: Qwen/Qwen3-0.6B}",
    ),
    "a seed twice": (("swap.seeds", [1, 2, 1]), "seeds has one seed twice: 1, 2, 1", "give each of them once"),
    "a wheel with a broken checksum": (
        ("base_models.mine", {"source": "wheel", "package": "a", "version": "1", "sha256": "12", "path": "b"}),
        "base_models.mine",
        "",
    ),
}
NAMES = {  # every parameter that names something: what is set, where, what was meant
    "rankers.wordnet-item.loss": ("itme", "did you mean item?"),
    "rankers.wordnet-item.data": ("wordnett", "did you mean wordnet?"),
    "rankers.wordnet-item.docids": ("txt", "did you mean text?"),
    "catalogues.wordnet-text.docids": ("txet", "did you mean text?"),
    "evaluate.reference": ("itm", "did you mean item?"),
    "sweep.data": ("wordnt", "did you mean wordnet?"),
    "sweep.docids": ("rq", "valid: text"),
    "compare.data": ("wordnt", "did you mean wordnet?"),
    "swap.data": ("wordnt", "did you mean wordnet?"),
    "swap.docids": ("rq", "valid: text"),
    "swap.loss": ("iten", "did you mean item?"),
}


@pytest.mark.parametrize(("assignment", "where", "remedy"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_by_its_key_and_a_remedy(assignment, where, remedy, tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(changed(assignment), sort_keys=False))
    with pytest.raises(UserError) as failure:
        params.read(path)
    assert failure.value.what.startswith(f"{path}: ")
    assert where in failure.value.what
    assert remedy in failure.value.remedy
    assert str(failure.value).count("\n") == 1


@pytest.mark.parametrize(("path", "name", "meant"), [(path, *rest) for path, rest in NAMES.items()], ids=NAMES)
def test_a_name_of_something_that_is_not_there_is_told_with_the_nearest_one(path, name, meant):
    with pytest.raises(UserError) as failure:
        params.validate(changed((path, name)), "here")
    assert path in failure.value.what
    assert repr(name) in failure.value.what
    assert meant in failure.value.remedy


@pytest.mark.parametrize(
    ("path", "names", "meant"), [("docids", ["text", "txt"], "text"), ("losses", ["item", "itme"], "item")]
)
def test_every_name_in_a_list_is_looked_up(path, names, meant):
    with pytest.raises(UserError) as failure:
        params.validate(changed((f"compare.{path}", names)), "here")
    assert f"compare.{path}.1 is {names[1]!r}" in failure.value.what
    assert f"did you mean {meant}?" in failure.value.remedy


FUSION = {"data": "wordnet", "first": "bm25", "second": "neighbours"}
RERANKED = {
    "data": "wordnet",
    "docids": "text",
    "ranker": "wordnet-item",
    "first": "runs/wordnet/bm25/run.parquet",
    "depth": 9,
}


def test_fusions_and_rerankings_are_systems_and_take_any_system_of_their_data():
    entries = {
        "fusions": {
            "wordnet-both": FUSION,
            "wordnet-more": FUSION | {"first": "wordnet-ntp", "second": "wordnet-both"},
        },
        "reranked": {
            "wordnet-again": RERANKED | {"first": "runs/wordnet/wordnet-more/run.parquet"},
            "wordnet-mine": RERANKED | {"first": "/my/run.txt"},
        },
    }
    settings = params.validate(changed(*entries.items()), "here")
    assert [name for name in all_systems(settings, "wordnet") if name not in CONTROLS][-4:] == [
        "both",
        "more",
        "again",
        "mine",
    ]
    assert all_systems(settings, "products")[1:] == [*CONTROLS]


@pytest.mark.parametrize(
    ("entries", "where", "remedy"),
    [
        ({"fusions.wordnet-x": FUSION | {"first": "bm52"}}, "fusions.wordnet-x.first is 'bm52'", "did you mean bm25?"),
        ({"fusions.wordnet-x": FUSION | {"second": "item"}}, "fusions.wordnet-x.second", "did you mean wordnet-item?"),
        ({"fusions.wordnet-x": FUSION | {"second": "products-item"}}, "fusions.wordnet-x.second", "valid: "),
        ({"fusions.wordnet-x": FUSION | {"data": "wordnte"}}, "fusions.wordnet-x.data", "did you mean wordnet?"),
        ({"fusions.wordnet-x": FUSION | {"second": "bm25"}}, "second is 'bm25' too", "name two different systems"),
        ({"fusions.wordnet-item": FUSION}, "two systems of wordnet are called item", "another name"),
        ({"fusions.wordnet-x": FUSION, "reranked.wordnet-x": RERANKED}, "are called x", "another name"),
        (
            {
                "fusions.wordnet-x": FUSION | {"second": "wordnet-item", "learned": True}
            },  # BM25 ranks no validation query
            "fusions.wordnet-x.first (learned, so a ranker or an entry of candidates) is 'bm25'",
            "valid: ",
        ),
        ({"reranked.wordnet-x": RERANKED | {"ranker": "wordnet-itm"}}, "ranker (one of wordnet-text)", "wordnet-item?"),
        ({"reranked.wordnet-x": RERANKED | {"ranker": "products-item"}}, "ranker (one of wordnet-text)", "valid: "),
        ({"reranked.wordnet-x": RERANKED | {"docids": "txt"}}, "reranked.wordnet-x.docids", "did you mean text?"),
        ({"reranked.wordnet-x": RERANKED | {"first": "runs/wordnet/bm/run.parquet"}}, "x.first (a run", "bm25?"),
        (
            {"reranked.wordnet-x": RERANKED | {"first": "runs/products/bm25/run.parquet"}},
            "x.first (its d",
            "valid: wordn",
        ),
        (
            {"reranked.wordnet-x": RERANKED | {"first": "../run.txt"}},
            "'../run.txt'",
            "give runs/wordnet/bm25/run.parquet",
        ),
        ({"reranked.wordnet-x": RERANKED | {"depth": 0}}, "reranked.wordnet-x.depth", "greater than"),
    ],
)
def test_a_mistake_in_fusions_and_rerankings_is_told(entries, where, remedy):
    with pytest.raises(UserError) as failure:
        params.validate(changed(*entries.items()), "here")
    assert where in failure.value.what
    assert remedy in failure.value.remedy
    assert str(failure.value).count("\n") == 1


@pytest.mark.parametrize(
    ("assignments", "named"),
    [
        ([("rankers.wordnet-copy", RANKER)], "copy"),
        ([("baselines.wordnet-bm25", DUAL)], "bm25"),
        ([("baselines.wordnet-item", DUAL)], "item"),
        ([RQ, ("rankers.wordnet-item-2", RANKER | {"docids": "rq", "seed": 2})], "wordnet-item-2"),
        ([("rankers.wordnet-item-2", RANKER | {"seed": 2, "arguments": {"max_steps": 9}})], "wordnet-item-2"),
        ([("rankers.item", RANKER)], "item"),
    ],
)
def test_systems_have_names_of_their_own_and_one_recipe(assignments, named):
    with pytest.raises(UserError) as failure:
        params.validate(changed(*assignments), "here")
    assert named in failure.value.what
    assert "name" in failure.value.remedy or "seed" in failure.value.remedy


def test_a_system_is_called_as_its_entry_without_the_seed_and_a_second_scheme_renames_nothing():
    before = systems(params.validate(SECTIONS, "").rankers, "wordnet")
    settings = params.validate(
        changed(
            RQ,
            ("rankers.wordnet-item-2", RANKER | {"seed": 2}),
            ("rankers.wordnet-item-rq", RANKER | {"docids": "rq"}),
        ),
        "",
    )
    after = systems(settings.rankers, "wordnet")
    assert after["item"] == {"wordnet-item": 1, "wordnet-item-2": 2}
    assert after["item-rq"] == {"wordnet-item-rq": 1}
    assert [*before] == [system for system in after if system != "item-rq"]


def test_a_scheme_with_other_parameters_is_an_entry_of_its_own():
    rq4 = SECTIONS["docids"]["schemes"]["rq"] | {"levels": 4}
    catalogue = {"data": "products", "docids": "rq4"}
    settings = params.validate(changed(("docids.schemes.rq4", rq4), ("catalogues.products-rq4", catalogue)), "")
    assert (settings.docids.schemes["rq"].levels, settings.docids.schemes["rq4"].levels) == (3, 4)
    assert {"products-text", "products-rq4"} <= settings.catalogues.keys()


def test_two_data_sets_may_have_one_source():
    mammals = SECTIONS["datasets"]["wordnet"] | {"root": "mammal.n.01"}
    settings = params.validate(changed(("datasets.mammals", mammals)), "")
    assert (settings.datasets["wordnet"].root, settings.datasets["mammals"].root) == ("animal.n.01", "mammal.n.01")


def test_a_wrong_key_of_every_section_is_told_with_the_right_ones():
    names = set()
    for path, section in sections_in(SECTIONS):
        with pytest.raises(UserError) as failure:
            params.validate(with_wrong_key(path), "here")
        assert failure.value.what == f"here: {'.'.join([*path, 'wrong key'])} is not a setting"
        valid = failure.value.remedy.rpartition("valid: ")[2].split(", ")
        assert section.keys() <= {*valid}, path
        names.add(".".join(path))
    assert {"docids.vectoriser", "rankers.wordnet-item", "losses.token", "fitness.training"} <= names


def with_wrong_key(path):
    sections = copy.deepcopy(SECTIONS)
    section = sections
    for key in path:
        section = section[key]
    section["wrong key"] = 1
    return sections


def sections_in(tree, path=()):
    """The parts of params.yaml whose keys are fixed: not dictionaries by name, nor options passed on as they are."""
    kind = place(path, Settings)[1] if path else Settings
    _, members = union(kind)
    if members or is_dataclass(kind):
        yield path, tree
    for key, value in tree.items():
        if isinstance(value, dict) and not members:
            yield from sections_in(value, (*path, key))


def test_the_sections_are_those_of_the_settings_in_their_order():
    assert [*SECTIONS] == [field.name for field in fields(Settings)]


@pytest.mark.parametrize("number", ["1e-4", "1E-4", "1.e-4", ".1e-3", "0.0001", "1.0e-4"])
def test_a_number_is_read_as_people_write_it(number, tmp_path):
    """PyYAML alone takes 1e-4 for a text; DVC, which reads the same file, doesn't."""
    overrides = params.parse_overrides([f"finetune.arguments.learning_rate={number}"])
    assert overrides == {"finetune": {"arguments": {"learning_rate": 1e-4}}}
    path = tmp_path / "params.yaml"
    path.write_text(f"learning_rate: {number}\nname: 1e-4x\nversion: '1e-4'\n")
    assert params.load(path) == {"learning_rate": 1e-4, "name": "1e-4x", "version": "1e-4"}


@pytest.mark.parametrize(
    ("preset", "what"),
    [
        ({"rank": {"beam": 1}}, "params.yaml, preset mine: rank.beam is not a setting"),
        ({"rankers": {"wordnet-item": {"docids": "rq"}}}, "params.yaml, preset mine: rankers.wordnet-item.docids"),
        (None, "params.yaml: presets.mine is None"),
        ([1], "params.yaml: presets.mine is [1]"),
    ],
)
def test_a_mistake_in_a_preset(preset, what):
    with pytest.raises(UserError) as failure:
        params.effective(SECTIONS | {"presets": {"mine": preset}}, "mine", {})
    assert failure.value.what.startswith(what)


@pytest.mark.parametrize(
    ("presets", "remedy"),
    [
        ({"presets": {"tiny": {}, "standard": {}}}, "did you mean tiny? valid: tiny, standard"),
        ({"presets": None}, "valid: none"),
        ({"presets": 3}, "valid: none"),
        ({}, "valid: none"),
    ],
)
def test_an_unknown_preset(presets, remedy):
    with pytest.raises(UserError) as failure:
        params.effective(SECTIONS | presets, "tinny", {})
    assert (failure.value.what, failure.value.remedy) == ("there is no preset 'tinny' in params.yaml", remedy)


def test_a_mistake_below_a_preset_is_not_blamed_on_the_preset():
    with pytest.raises(UserError, match=r"^params\.yaml: rank\.beams is 0\n"):
        params.effective(changed(("rank.beams", 0)) | {"presets": {"mine": {"rank": {"threads": 2}}}}, "mine", {})


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["steps"], "override 'steps' isn't of the form section.key=value"),
        (["=3"], "override '=3' isn't of the form section.key=value"),
        (["a..b=3"], "override 'a..b=3' isn't of the form section.key=value"),
        ([""], "override '' isn't of the form section.key=value"),
        (["datasets=[wordnet"], "override 'datasets=[wordnet': '[wordnet' isn't valid YAML"),
        (["rank.beams=3", "rank.beems=3"], "the overrides: rank.beems is not a setting"),
        (["rank.beams=-1"], "the overrides: rank.beams is -1"),
        (["rank=3"], "the overrides: rank is 3"),
        (["rank.beams.x=3"], "the overrides: rank.beams is {'x': 3}"),
        (["rank.beams=null"], "the overrides: rank.beams is missing"),
        (["rank="], "the overrides: rank is missing"),
        (["losses.item=null"], "the overrides: rankers.wordnet-item.loss is 'item'"),
    ],
)
def test_a_mistake_in_overrides(words, what):
    with pytest.raises(UserError) as failure:
        params.effective(SECTIONS, None, params.parse_overrides(words))
    assert failure.value.what.startswith(what)


def test_a_file_that_is_not_there(tmp_path):
    path = tmp_path / "params.yaml"
    with pytest.raises(UserError) as failure:
        params.read(path)
    assert str(failure.value) == f"{path} can't be read: No such file or directory\nrun from the top of a checkout"


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (b"rank:\n  beams: [1\nfinetune: 2\n", "line 3, column 9"),
        (b"rank:\n\tbeams: 1\n", "line 2, column 1"),
        (b"\xff\xfe\x00rank", "can't decode byte 0xff in position 0"),
    ],
)
def test_a_file_that_is_not_yaml(tmp_path, content, where):
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError) as failure:
        params.read(path)
    assert failure.value.what.startswith(f"{path} isn't valid YAML: ")
    assert where in failure.value.what
    assert str(failure.value).count("\n") == 1


@pytest.mark.parametrize("content", ["", "3", "- a\n- b"])
def test_a_file_without_sections(tmp_path, content):
    path = tmp_path / "params.yaml"
    path.write_text(content)
    with pytest.raises(UserError, match="has no sections"):
        params.read(path)


def test_the_projects_own_file_and_its_presets_are_valid():
    """The one test that reads the live params.yaml."""
    live = params.load(Path(__file__).parents[2] / "params.yaml")
    sections = params.effective(live, None, {})
    assert [*sections] == [field.name for field in fields(Settings)]
    for preset in live["presets"]:
        assert params.effective(live, preset, {}) != sections, f"preset {preset} changes nothing"
