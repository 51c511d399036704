"""The flows' parameters as Prefect sees them."""

import shlex
from importlib import import_module

import pytest
import yaml
from checkout import PROJECT
from jsonschema import Draft202012Validator

from flows.__main__ import MODULES
from flows.compare import compare, sweep
from flows.pipeline import activations, data, pipeline, ranking
from flows.run import command
from settings import params

FLOWS = {flow.name: flow for flow in (data, ranking, activations, pipeline, sweep, compare)}


def refused(flow, **given):
    """The names of the parameters that the form refuses."""
    schema = flow.parameters.model_dump()
    return [".".join(map(str, error.path)) for error in Draft202012Validator(schema).iter_errors(given)]


@pytest.mark.parametrize("name", FLOWS)
def test_flows_have_the_same_parameters_and_all_are_described(name):
    properties = FLOWS[name].parameters.properties
    assert list(properties) == ["preset", "overrides", "parallel"]
    assert all(schema["description"] for schema in properties.values())
    assert FLOWS[name].description


def test_a_parameter_of_another_type_is_refused():
    assert refused(pipeline, overrides={"rank": {"beams": 50}}, preset=None, parallel=3) == []
    assert refused(pipeline, overrides=[1], parallel="many") == ["overrides", "parallel"]


def test_the_command_that_repeats_a_run_gives_the_same_overrides():
    overrides = {"transfer": {"to": ["digits", "a b"]}, "rank": {"beams": 50}, "rankers": {"wordnet-ntp": None}}
    words = command("ranking", "tiny", overrides)
    head, _, assignments = words.partition(" --set ")
    assert head == ".venv/bin/python -m flows ranking --preset tiny"
    assert params.parse_overrides(shlex.split(assignments)) == overrides


def test_the_command_line_finds_each_flow_by_its_name():
    assert {name: getattr(import_module(module), name) for name, module in MODULES.items()} == FLOWS


def test_deployments_are_of_flows_that_take_their_parameters():
    deployments = yaml.safe_load((PROJECT / "prefect.yaml").read_text())["deployments"]
    for deployment in deployments:
        path, _, name = deployment["entrypoint"].partition(":")
        assert path == f"{MODULES[name].replace('.', '/')}.py"
        assert refused(FLOWS[name], **deployment.get("parameters", {})) == []
        assert deployment["concurrency_limit"]["limit"] == 1
        assert not any(schedule["active"] for schedule in deployment.get("schedules", []))
    assert {deployment["entrypoint"].partition(":")[2] for deployment in deployments} >= FLOWS.keys()
