"""Reading params.yaml: the sections, a preset over them, overrides over both, and helpful errors."""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from arrange.errors import UserError
from tasks.settings import Item, Settings

PARAMS = Path("params.yaml")


def read(path: Path = PARAMS) -> Settings:
    """The settings in `path`, checked."""
    return validate(load(path), str(path))


def load(path: Path = PARAMS) -> dict[str, Any]:
    """The plain contents of a parameter file."""
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror}", "run from the top of a checkout") from None
    except yaml.YAMLError as error:
        where = " ".join(str(error).split())
        raise UserError(f"{path} isn't valid YAML: {where}", "mend that line, or `git restore` the file") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} has no sections", "`git restore` the file, or copy the one from the project")
    return content


def effective(params: Mapping[str, Any], preset: str | None, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Sections + preset + overrides, as a plain dictionary that validates."""
    presets = params.get("presets", {})
    if preset is not None and preset not in presets:
        raise UserError(f"there is no preset {preset!r} in params.yaml", nearest(preset, presets))
    overlay = presets[preset] if preset is not None else {}
    sections = {name: section for name, section in params.items() if name != "presets"}
    with_preset = validate(merge(sections, overlay), f"params.yaml, preset {preset}" if preset else "params.yaml")
    return validate(merge(with_preset.model_dump(mode="json"), overrides), "the overrides").model_dump(mode="json")


def merge(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `overlay` in it; nested sections are merged key by key.

    >>> merge({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}})
    {'a': {'b': 3, 'c': 2}}
    """
    merged = dict(base)
    for key, value in overlay.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def parse_overrides(assignments: Iterable[str]) -> dict[str, Any]:
    """Overrides as nested sections, from `section.key=value` words; values are YAML.

    >>> parse_overrides(["finetune.steps=3", "finetune.seed=2"])
    {'finetune': {'steps': 3, 'seed': 2}}
    """
    overrides: dict[str, Any] = {}
    for word in assignments:
        path, equals, value = word.partition("=")
        if not equals or not all(path.split(".")):
            raise UserError(f"override {word!r} isn't of the form section.key=value", "for example finetune.steps=300")
        nested: Any = yaml.safe_load(value)
        for key in reversed(path.split(".")):
            nested = {key: nested}
        overrides = merge(overrides, nested)
    return overrides


def validate(params: Mapping[str, Any], source: str) -> Settings:
    """Typed settings, or a UserError that names the key, its value and the nearest valid one."""
    sections = {name: section for name, section in params.items() if name != "presets"}
    try:
        return Settings.model_validate(sections)
    except ValidationError as failure:
        error = failure.errors()[0]
        # pydantic puts the chosen rule of a loss into the path: losses.item.item.alpha
        keys = [str(key) for key in error["loc"]]
        if keys[:1] == ["losses"] and len(keys) > 3:
            del keys[2]
        raise UserError(*explain(error, keys, sections, source)) from None


def explain(error: Any, keys: list[str], sections: Mapping[str, Any], source: str) -> tuple[str, str]:
    """The two lines of a validation error: what and where, then what to do."""
    name = ".".join(keys)
    if error["type"] == "extra_forbidden":
        return f"{source}: {name} is not a setting", nearest(keys[-1], known_keys(keys[:-1]))
    if error["type"] == "missing":
        return f"{source}: {name} is missing", "add it, or `git restore params.yaml`"
    if error["type"] == "literal_error":
        valid = error["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        return f"{source}: {name} is {error['input']!r}", nearest(str(error["input"]), valid)
    if error["type"] == "union_tag_invalid":
        tag = error["ctx"]["tag"]
        return f"{source}: {name}.rule is {tag!r}", nearest(tag, error["ctx"]["expected_tags"].strip("'").split("', '"))
    if error["type"] == "value_error":
        return f"{source}: {name + ': ' if name else ''}{error['ctx']['error']}", "change one of the two"
    return f"{source}: {name} is {error['input']!r}", error["msg"]


def known_keys(path: list[str]) -> list[str]:
    """The keys that the section at `path` may have."""
    model: Any = Settings
    for key in path:
        if key in model.model_fields:
            model = model.model_fields[key].annotation
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return ["rule", *Item.model_fields]
    return list(model.model_fields)


def nearest(word: str, valid: Iterable[str]) -> str:
    """A line that says which valid word was probably meant."""
    names = list(dict.fromkeys(valid))
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    meant = f"did you mean {close[0]}? " if close else ""
    return f"{meant}valid: {', '.join(names)}"
