"""The flows' parameters as Prefect sees them: forms for parts of sections, which its server holds a run against."""

import shlex

import pytest
import yaml
from checkout import PROJECT
from jsonschema import Draft202012Validator
from sections import SECTIONS

from flows.activations import activations
from flows.data import data
from flows.parameters import comments
from flows.pipeline import pipeline
from flows.ranking import ranking
from flows.recipe import command
from flows.sweep import sweep
from settings import params

FLOWS = {flow.name: flow for flow in (data, ranking, activations, pipeline, sweep)}
COMMON = ["preset", "overrides", "parallel", "hours", "cluster"]


def refused(flow, **given):
    """The paths of what the form refuses, as dotted names."""
    schema = flow.parameters.model_dump()
    return [".".join(map(str, error.path)) for error in Draft202012Validator(schema).iter_errors(given)]


def test_a_flow_takes_the_sections_that_its_stages_read():
    of_data = ["download_wordnet", "prepare_wordnet", "download_esci", "prepare_esci", "own"]
    assert list(data.parameters.properties) == [*COMMON, *of_data]
    of_ranking = [*of_data, "datasets", "catalogues", "rankers", "docids", "prompt", "losses", "finetune", "rank"]
    of_ranking += ["baselines", "fit_baseline", "controls", "evaluate"]
    assert set(ranking.parameters.properties) == {*COMMON, *of_ranking}
    assert set(sweep.parameters.properties) == {*pipeline.parameters.properties, "sweep"}


@pytest.mark.parametrize("name", FLOWS)
def test_every_parameter_is_described(name):
    properties = FLOWS[name].parameters.properties
    assert list(properties)[: len(COMMON)] == COMMON
    assert all(schema["description"] for schema in properties.values())
    assert FLOWS[name].description


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"finetune": {"arguments": {"max_steps": 10}}},
        {"losses": {"item": {"alpha": 2}}},
        {"losses": {"item": {"rule": "item", "alpha": 2}}},
        {"rankers": {"wordnet-ntp": None}, "datasets": ["wordnet"]},
        {"finetune": {"lora": {"r": 16}}},
        {"finetune": None, "preset": None, "hours": 0.5},
        {"docids": {"vectoriser": {"dimensions": 8}}},
    ],
)
def test_a_part_of_a_section_fits_its_form(given):
    assert refused(pipeline, **given) == []


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"finetune": {"treads": 3}}, "finetune"),
        ({"rank": {"beams": 0}}, "rank"),
        ({"prepare_wordnet": {"split": "parents"}}, "prepare_wordnet"),
        ({"losses": {"item": {"alpa": 2}}}, "losses"),
        ({"parallel": "many"}, "parallel"),
    ],
)
def test_what_no_section_can_be_is_refused_by_the_form(given, where):
    assert refused(pipeline, **given) == [where]


def test_every_section_as_it_stands_fits_its_form():
    """Infinity apart: JSON has none."""
    sections = params.apply(SECTIONS, {"sweep": {"alpha": [0.0], "beta": [0.0]}})
    assert refused(sweep, **sections) == []


def test_a_knob_is_described_by_its_comment_in_params_yaml():
    rank = pipeline.parameters.properties["rank"]["anyOf"][0]["properties"]
    assert rank["audited"]["description"] == "queries for which exact and unconstrained searches are made as well"
    assert "description" not in rank["threads"]


def test_comments_belong_to_the_key_on_their_line():
    text = "a: # of a\n  b: 1 # of b\n  c: {d: '#1'}\n  # of nothing\n  e:\n    f: x # of f\ng: h # of g\n"
    assert yaml.safe_load(text)
    assert comments(text) == {"a": "of a", "a.b": "of b", "a.e.f": "of f", "g": "of g"}


def test_the_command_that_repeats_a_run_gives_the_same_overrides():
    overrides = {"datasets": ["wordnet", "a b"], "rank": {"beams": 50}, "rankers": {"wordnet-ntp": None}}
    words = command("ranking", "tiny", overrides)
    head, _, assignments = words.partition(" --set ")
    assert head == ".venv/bin/python -m flows.ranking --preset tiny"
    assert params.parse_overrides(shlex.split(assignments)) == overrides


def test_deployments_are_of_flows_that_take_their_parameters():
    deployments = yaml.safe_load((PROJECT / "prefect.yaml").read_text())["deployments"]
    for deployment in deployments:
        path, _, name = deployment["entrypoint"].partition(":")
        assert path == f"flows/{name}.py"
        assert refused(FLOWS[name], **deployment.get("parameters", {})) == []
        assert deployment["concurrency_limit"]["limit"] == 1
        assert not any(schedule["active"] for schedule in deployment.get("schedules", []))
        assert deployment["parameters"]["hours"] > 0
    assert {deployment["entrypoint"].partition(":")[2] for deployment in deployments} >= FLOWS.keys()
