"""Reading params.yaml: the sections, a preset over them, overrides over both, and helpful errors."""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from arrange.errors import UserError
from tasks.settings import RULES, Settings

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
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = " ".join(str(error).split())
        raise UserError(f"{path} isn't valid YAML: {where}", "mend that line, or `git restore` the file") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} has no sections", "`git restore` the file, or copy the one from the project")
    return content


def effective(params: Mapping[str, Any], preset: str | None, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Sections + preset + overrides, as a plain dictionary that validates."""
    settings = validate(params, str(PARAMS))
    if preset is not None:
        overlay = find_preset(params.get("presets"), preset)
        settings = validate(merge(settings.model_dump(mode="json"), overlay), f"{PARAMS}, preset {preset}")
    return validate(merge(settings.model_dump(mode="json"), overrides), "the overrides").model_dump(mode="json")


def find_preset(presets: Any, name: str) -> Mapping[str, Any]:
    """The sections of one preset."""
    if not isinstance(presets, Mapping) or name not in presets:
        known = presets if isinstance(presets, Mapping) else []
        raise UserError(f"there is no preset {name!r} in {PARAMS}", nearest(name, known))
    if not isinstance(presets[name], Mapping):
        raise UserError(f"{PARAMS}: presets.{name} is {presets[name]!r}", "give it sections, or {} for none")
    return presets[name]


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
        nested = parse_value(word, value)
        for key in reversed(path.split(".")):
            nested = {key: nested}
        overrides = merge(overrides, nested)
    return overrides


def parse_value(word: str, value: str) -> Any:
    """The value of an override, read as YAML."""
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError:
        raise UserError(f"override {word!r}: {value!r} isn't valid YAML", "quote it, or close its bracket") from None


def validate(params: Mapping[str, Any], source: str) -> Settings:
    """Typed settings, or a UserError that names the key, its value and the nearest valid one."""
    sections = {name: section for name, section in params.items() if name != "presets"}
    try:
        return Settings.model_validate(sections)
    except ValidationError as failure:
        error = failure.errors()[0]
        raise UserError(*explain(error, source)) from None


def explain(error: Any, source: str) -> tuple[str, str]:
    """The two lines of a validation error: what and where, then what to do."""
    path = [str(key) for key in error["loc"]]
    # pydantic puts the chosen rule of a loss into the path: losses.item.item.alpha
    name = ".".join(path[:2] + path[3:] if path[:1] == ["losses"] else path)
    if error["type"] == "extra_forbidden":
        return f"{source}: {name} is not a setting", nearest(path[-1], known_keys(path[:-1]))
    if error["type"] == "missing":
        return f"{source}: {name} is missing", "add it, or `git restore params.yaml`"
    if error["type"] == "literal_error":
        valid = error["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        return f"{source}: {name} is {error['input']!r}", nearest(str(error["input"]), valid)
    if error["type"] == "union_tag_invalid":
        tag = error["ctx"]["tag"]
        return f"{source}: {name}.rule is {tag!r}", nearest(tag, RULES)
    if error["type"] == "union_tag_not_found":
        return f"{source}: {name}.rule is missing", f"add it; valid: {', '.join(RULES)}"
    if error["type"] in ("model_type", "model_attributes_type", "dict_type"):
        return f"{source}: {name} is {error['input']!r}", "give it a section of keys and values"
    if error["type"] == "value_error":
        return f"{source}: {name + ': ' if name else ''}{error['ctx']['error']}", "change one of the two"
    return f"{source}: {name} is {error['input']!r}", error["msg"].replace("tuple", "list").replace("Tuple", "List")


def known_keys(path: list[str]) -> list[str]:
    """The keys that the section at `path` may have."""
    if path[:1] == ["losses"]:
        return list(RULES[path[2]].model_fields)
    section: Any = Settings.model_fields[path[0]].annotation if path else Settings
    return list(section.model_fields)


def nearest(word: str, valid: Iterable[str]) -> str:
    """A line that says which valid word was probably meant."""
    names = list(dict.fromkeys(valid))
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    meant = f"did you mean {close[0]}? " if close else ""
    return f"{meant}valid: {', '.join(names) or 'none'}"
