"""A flow's parameters: the sections of params.yaml that its stages read, each as a form that Prefect's page can draw.

A form asks for a part of a section: nothing is required, and what isn't given stays as params.yaml has it. Prefect's
server refuses what doesn't fit the form before it makes a run; the flow refuses the rest.
"""

import inspect
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import WithJsonSchema

from settings.params import PARAMS
from settings.sections import Settings

HOME = Path(__file__).parents[1]


def with_sections(function: Callable[..., Any], sections: Sequence[str]) -> inspect.Signature:
    """The signature of `function` with its `**sections` spelt out, a parameter for each."""
    *common, _ = inspect.signature(function).parameters.values()
    notes = comments((HOME / PARAMS).read_text())
    spelt_out = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[Any, WithJsonSchema(form)]
        )
        for name in sections
        for form in [{"anyOf": [section_form(name, notes), {"type": "null"}], "description": about(name, notes)}]
    ]
    return inspect.Signature([*common, *spelt_out])


def sections_of(stages: Sequence[str]) -> list[str]:
    """The sections that dvc.yaml says these stages depend on, in the order of params.yaml."""
    graph = yaml.safe_load((HOME / "dvc.yaml").read_text())["stages"]
    read = {graph[stage].get("foreach", "")[2:-1] for stage in stages}
    for stage in stages:
        read |= {name.split(".")[0] for name in graph[stage].get("do", graph[stage]).get("params", [])}
    return [name for name in Settings.model_fields if name in read]


def about(section: str, notes: dict[str, str]) -> str:
    """What a section is for, in one line."""
    note = f": {notes[section]}" if section in notes else ""
    return f"Over the section `{section}` of params.yaml{note}"


def section_form(section: str, notes: dict[str, str]) -> dict[str, Any]:
    """The JSON schema of a part of a section."""
    schema = Settings.model_json_schema()
    return partial(schema["properties"][section], schema["$defs"], notes, section)


def partial(schema: dict[str, Any], models: dict[str, Any], notes: dict[str, str], path: str) -> dict[str, Any]:
    """`schema` for a part of what it describes, described by the comments in params.yaml.

    Models stand where they are used, nothing is required or filled in, an entry may be null (which takes it away),
    and a member of a union need not say which one it is.
    """
    if "$ref" in schema:
        schema = models[schema["$ref"].rpartition("/")[2]]
    left_out = ("required", "default", "minProperties", "discriminator", "oneOf", "title")
    form = {key: value for key, value in schema.items() if key not in left_out}
    for union in ("oneOf", "anyOf"):
        if union in schema:
            form["anyOf"] = [partial(member, models, notes, path) for member in schema[union]]
    if "properties" in schema:
        form["properties"] = {
            name: {"title": name} | partial(inner, models, notes, f"{path}.{name}")
            for name, inner in schema["properties"].items()
        }
    if isinstance(entries := schema.get("additionalProperties"), dict):
        form["additionalProperties"] = {"anyOf": [partial(entries, models, {}, path), {"type": "null"}]}
    if "patternProperties" in schema:
        form["patternProperties"] = {
            pattern: {"anyOf": [partial(inner, models, {}, path), {"type": "null"}]}
            for pattern, inner in schema["patternProperties"].items()
        }
    return form | ({"description": notes[path]} if path in notes else {})


def comments(text: str) -> dict[str, str]:
    """The comments of a YAML file by the dotted names of the keys on whose lines they stand.

    >>> comments("rank: # search\\n  beams: 20 # kept at each step")
    {'rank': 'search', 'rank.beams': 'kept at each step'}
    """
    notes: dict[str, str] = {}
    above: list[tuple[int, str]] = []  # the keys that are open, with their indentation
    for line in text.splitlines():
        if match := re.match(r"( *)([\w.-]+):(?: .*?)??(?: # (.*))?$", line):
            indent, key, note = len(match[1]), match[2], match[3]
            above = [*(each for each in above if each[0] < indent), (indent, key)]
            if note:
                notes[".".join(name for _, name in above)] = note
    return notes
